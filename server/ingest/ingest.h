#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "server/store/store.h"

namespace weighmaster::server::ingest {

// What happened to a batch. `number` and `chain` are the batch's own where its header could be
// read.
struct Outcome {
  using Kind = store::BatchOutcome::Kind;
  store::BatchOutcome result;
  model::Id chain;
  std::uint64_t number = 0;
};

// Who sent a batch: established by the Session's hello.
struct Sender {
  model::Id endpoint;
  openssl::PublicKey key;
  base::Duration clock_offset{0};
};

struct Counters {
  std::uint64_t stored = 0;
  std::uint64_t events = 0;  // of the batches that were stored
  std::uint64_t repeated = 0;
  std::uint64_t gaps = 0;
  std::uint64_t set_apart = 0;  // equivocation, broken chain, clone, quarantine
  std::uint64_t refused = 0;
  std::uint64_t turned_away = 0;  // the queue was full
  std::uint64_t groups = 0;
  std::uint64_t store_failures = 0;
};

// The one way of batches into the store. Batches are verified on a pool (signature, Merkle root,
// sizes, every event parsed), queue in the order in which they came, and are committed in groups on
// the store's own executor; an outcome is told only after the commit that holds it. A body that
// this version cannot read is stored and counted, not an error.
//
// Loop-owned. While the store fails (full disk, busy) nothing is acknowledged, the group stays, and
// is tried again with back-off; `on_store` hears the first failure and the recovery. Everything
// passed in must outlive it, and the executors must have run dry before the store goes.
class Ingest {
 public:
  using Reply = std::function<void(const Outcome&)>;
  using StoreListener = std::function<void(const base::Status&)>;

  Ingest(base::Loop& loop, const base::Clock& clock, base::Random& random, base::Executor& pool,
         base::Executor& writer, store::Store& store, StoreListener on_store = nullptr);
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  // False when the queue is at its limit: nothing was taken, and the sender must come back later.
  // The reply comes on the loop, later, and never if the Ingest is destroyed before.
  bool Submit(const Sender& sender, wire::SealedBatch batch, Reply reply);

  // For findings that no batch carries (clocks). Stored soon; tried again until it is.
  void Record(store::FindingChange finding);

  // Whether the store took what it was last given.
  bool store_is_well() const { return retry_delay_ == base::Duration(0); }
  std::size_t queued() const { return queue_.size(); }
  const Counters& counters() const { return counters_; }

 private:
  // A batch on its way. Verified on the pool: then `write` is set, or `error`.
  struct Entry {
    model::Id endpoint;
    Reply reply;
    std::size_t bytes = 0;
    bool verified = false;
    std::optional<store::BatchWrite> write;
    std::string error;
    model::Id chain;
    std::uint64_t number = 0;
  };
  struct Verified {
    std::optional<store::BatchWrite> write;
    std::string error;
    model::Id chain;
    std::uint64_t number = 0;
  };
  // What one commit takes. The writer's while it has it; findings that are stored leave it, so that
  // trying again does not count them twice.
  struct Group {
    std::vector<store::BatchWrite> batches;
    std::vector<Reply> replies;
    std::vector<store::FindingChange> findings;
  };

  static Verified Verify(const Sender& sender, wire::SealedBatch batch, base::WallTime received);
  void OnVerified(const std::shared_ptr<Entry>& entry, Verified verified);
  void Refuse(Entry& entry);
  void CommitNext();
  void Commit();
  void OnCommitted(base::Result<std::vector<store::BatchOutcome>> outcomes);
  void OnStoreFailed(const base::Error& error);
  void Count(const store::BatchOutcome& outcome);

  // Constant after construction.
  base::Loop& loop_;
  const base::Clock& clock_;
  base::Random& random_;
  base::Executor& pool_;
  base::Executor& writer_;
  store::Store& store_;
  const StoreListener on_store_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();

  // Owned by the loop.
  std::deque<std::shared_ptr<Entry>> queue_;
  std::size_t queued_bytes_ = 0;
  std::vector<store::FindingChange> findings_;
  std::shared_ptr<Group> committing_;
  base::Duration retry_delay_{0};  // zero: the store is well
  base::Timer retry_;
  Counters counters_;
};

}  // namespace weighmaster::server::ingest
