#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "server/store/store.h"

namespace weighmaster::server::rollout {

// The one policy line today.
inline constexpr std::string_view kDefaultLine = "default";

// What is offered to endpoints. Immutable.
struct PublishedPolicy {
  wire::SignedDocument document;
  wire::BundleManifest manifest;
  model::Sha256 manifest_sha256;
  // Parts that travel with the offer, of those at hand; together at most
  // limits::kMaxOfferedPartsBytes.
  std::vector<store::BundlePart> small_parts;
};

struct Publication {
  wire::SignedDocument document;
  std::vector<store::BundlePart> parts;  // those that the server may not have yet
  std::string text;                      // the reviewed document
  std::optional<store::Actor> publisher;
};

// Which policy the fleet is to follow: takes new ones in and holds the newest for the streams.
// Signing is not its business: a bundle that the root's `policy` role has not signed is refused, so
// a server that is broken into can withhold policy and not invent any.
//
// Loop-owned; verification happens on the pool, the commit on the store's writer. Everything passed
// in must outlive it.
class Rollout {
 public:
  template <typename T>
  using Reply = std::function<void(base::Result<T>)>;

  Rollout(base::Loop& loop, const base::Clock& clock, base::Executor& pool, base::Executor& writer,
          store::Store& store);
  ~Rollout() = default;
  Rollout(const Rollout&) = delete;
  Rollout& operator=(const Rollout&) = delete;

  // Before anything else, and before the loop serves: what the store holds. Blocks.
  base::Status Load(store::Queries& queries);

  // Calls after each change of current(), on the loop. One listener.
  void Subscribe(std::function<void()> listener) { listener_ = std::move(listener); }

  // Null before the first policy.
  const std::shared_ptr<const PublishedPolicy>& current() const { return current_; }
  // The root documents that follow this version, the next one first.
  std::span<const wire::SignedDocument> RootsAfter(std::uint64_t version) const;
  const wire::Root& root() const { return *root_; }

  // FAILED_PRECONDITION or INVALID_ARGUMENT with a sentence for the administrator: not signed for
  // this fleet, another line, expired, not above the newest version, a sinking floor, a part that
  // is missing, has another digest, or cannot be read. Nothing was stored then. Replies with what
  // is current.
  void Publish(Publication publication, Reply<std::shared_ptr<const PublishedPolicy>> reply);

 private:
  using Verified = base::Result<std::shared_ptr<const store::NewBundle>>;

  static Verified Verify(Publication publication, const wire::Root& root, base::WallTime now);
  void Commit(std::shared_ptr<const store::NewBundle> bundle,
              Reply<std::shared_ptr<const PublishedPolicy>> reply);
  void Promote(const store::NewBundle& bundle);

  base::Loop& loop_;
  const base::Clock& clock_;
  base::Executor& pool_;
  base::Executor& writer_;
  store::Store& store_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();

  // Owned by the loop.
  std::function<void()> listener_;
  std::vector<wire::SignedDocument> roots_;  // by version, without a gap
  std::uint64_t first_root_version_ = 1;
  std::shared_ptr<const wire::Root> root_;
  std::shared_ptr<const PublishedPolicy> current_;
};

}  // namespace weighmaster::server::rollout
