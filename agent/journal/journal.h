#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/base/limits.h"
#include "policy/base/random.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "policy/model/event.h"
#include "proto/wire/seal.h"
#include "third_party/openssl/key.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::agent::journal {

// What the journal may keep; the values of policy/base/limits.h unless a test wants smaller ones.
struct Limits {
  std::size_t max_bytes = base::limits::kMaxJournalBytes;
  std::size_t max_acknowledged_bytes = base::limits::kMaxAcknowledgedBytes;
  base::Duration max_acknowledged_age = base::limits::kMaxAcknowledgedAge;
};

// The newest batch of the chain. A zero chain: no chain has been started in this file.
struct Head {
  model::Id chain;
  std::uint64_t number = 0;  // 0: nothing sealed yet
  std::optional<model::Sha256> header_digest;
};

struct Counts {
  std::uint64_t pending_events = 0;          // appended, not sealed yet
  std::uint64_t unacknowledged_batches = 0;  // sealed, not known to be stored
  std::uint64_t bytes = 0;                   // of all bodies that are kept
  std::uint64_t dropped_events = 0;          // cumulative in this chain
};

// What the journal knows of a batch that somebody names by number and header digest.
enum class Knowledge : std::uint8_t {
  kOurs,     // sealed here, with this digest
  kForeign,  // never sealed here: another digest, or a number past the head
  kRetired,  // was acknowledged so long ago that nothing is kept to compare it with
};

// The endpoint's append-only chain of events, on the tables described in docs/formats/journal.md.
// It takes bytes and a class and does not know what an event means.
//
// Owned by the loop, which also owns the Database; both and everything else passed to Open() must
// outlive it. Every call but Append() is one durable transaction of its own and must not be made
// inside another. Nothing is kept in memory that a rolled-back transaction could make untrue.
//
// A failure (a full disk is RESOURCE_EXHAUSTED) changes nothing, is kept in last_error() until the
// next success, and the same call may simply be made again.
//
// At Limits::max_bytes, acknowledged batches go first; then bodies of the least valuable class,
// oldest first, down to 15/16 of the limit. Those are counted in every later header and told by one
// event a class. Headers stay, and bodies of PriorityClass::kControl are never dropped.
class Journal {
 public:
  // Makes the body of the event that says how many bodies of a class were dropped.
  using DropReporter = std::function<std::string(model::PriorityClass, std::uint64_t count)>;

  struct Options {
    model::Id boot_id;
    DropReporter report_drop;
    std::function<wire::ClockState()> clock_state = [] { return wire::ClockState::kUnknown; };
    Limits limits;
  };

  // Brings the tables up to date and checks that the head fits the newest header kept; DATA_LOSS if
  // it does not.
  static base::Result<std::unique_ptr<Journal>> Open(sqlite::Database& database,
                                                     const base::Clock& clock, base::Random& random,
                                                     const openssl::Signer& signer,
                                                     Options options);

  // Adds one serialised event inside the caller's transaction, so that state and its event are
  // committed together. Refuses an empty body and one past limits::kMaxEventBytes
  // (INVALID_ARGUMENT), and any while what waits to be sealed has reached max_bytes by itself
  // (RESOURCE_EXHAUSTED).
  base::Status Append(sqlite::Transaction& transaction, model::PriorityClass priority,
                      std::string_view body);

  // Called after each Append, whose transaction may still be rolled back, and after StartChain.
  void set_on_append(std::function<void(model::PriorityClass)> on_append) {
    on_append_ = std::move(on_append);
  }

  // Seals one batch: the class of the oldest waiting event, its events in order, up to the limits
  // of a batch. False: nothing waits. FAILED_PRECONDITION before the first chain.
  base::Result<bool> Seal();

  // Begins a chain with a new random id; its batch 1 holds `first_body` alone. Batches of the old
  // chain are forgotten, because no server can store them any more; the events of those numbered
  // above `told_up_to` go back among the waiting ones, in order, and will be told in the new chain.
  base::Status StartChain(std::string first_body, std::uint64_t told_up_to);

  const Head& head() const { return head_; }
  std::uint64_t acknowledged_number() const { return acknowledged_number_; }

  // A sealed batch as it travels; without events once its bodies were dropped. Nothing: not sealed
  // yet, or retired.
  base::Result<std::optional<wire::SealedBatch>> Read(std::uint64_t number);
  // The first batch that is kept; head().number + 1 if none is.
  base::Result<std::uint64_t> OldestKept();
  base::Result<Knowledge> Knows(std::uint64_t number, const model::Sha256& header_digest);

  // The server has committed everything up to `number`. FAILED_PRECONDITION for another chain, a
  // number past the head or another digest than ours; a number acknowledged before is success.
  base::Status Acknowledge(const model::Id& chain, std::uint64_t number,
                           const model::Sha256& header_digest);

  base::Result<Counts> Count();
  const std::optional<base::Error>& last_error() const { return last_error_; }

 private:
  // The one row of the table `journal`.
  struct State {
    std::optional<model::Id> chain;
    std::uint64_t next_number = 1;
    std::uint64_t next_event = 1;
    std::optional<model::Sha256> head_digest;
    std::uint64_t acknowledged_number = 0;
    std::uint64_t pending_bytes = 0;
    std::uint64_t unacknowledged_bytes = 0;
    std::uint64_t acknowledged_bytes = 0;

    std::uint64_t bytes() const {
      return pending_bytes + unacknowledged_bytes + acknowledged_bytes;
    }
  };
  struct Pending {
    std::vector<std::int64_t> sequences;
    std::vector<std::string> bodies;
    std::uint64_t bytes = 0;
    model::PriorityClass priority = model::PriorityClass::kControl;
  };

  Journal(sqlite::Database& database, const base::Clock& clock, base::Random& random,
          const openssl::Signer& signer, Options options);

  base::Result<State> LoadState();
  base::Status StoreState(const State& state);
  void Adopt(const State& state);
  base::Status CheckHead(const State& state);

  base::Result<bool> TrySeal();
  base::Status TryStartChain(std::string first_body, std::uint64_t told_up_to);
  base::Status TryAcknowledge(const model::Id& chain, std::uint64_t number,
                              const model::Sha256& header_digest);
  template <typename T>
  T Noted(T result);

  base::Status Insert(State& state, model::PriorityClass priority, std::string_view body);
  base::Result<std::optional<model::PriorityClass>> ClassOfOldest();
  base::Result<Pending> TakePending();
  base::Status SealPending(State& state, Pending pending);
  base::Status PutBatch(const State& state, const wire::SealedBatch& batch, const Pending& pending,
                        const model::Sha256& header_digest);

  base::Status Retire(State& state, std::uint64_t max_bytes, base::WallTime older_than);
  base::Status EnforceLimit(State& state);
  base::Result<std::uint64_t> DropBodies(State& state, model::PriorityClass priority,
                                         std::uint64_t target_bytes);
  base::Result<std::map<model::PriorityClass, std::uint64_t>> Drops();
  base::Status CarryDrops();
  base::Status NoteDropsTold(std::uint64_t number);

  // Constant after construction.
  sqlite::Database& database_;
  const base::Clock& clock_;
  base::Random& random_;
  const openssl::Signer& signer_;
  const Options options_;

  // Owned by the loop. Head and acknowledged number follow commits, never run ahead of them.
  std::function<void(model::PriorityClass)> on_append_;
  Head head_;
  std::uint64_t acknowledged_number_ = 0;
  std::optional<base::Error> last_error_;
};

}  // namespace weighmaster::agent::journal
