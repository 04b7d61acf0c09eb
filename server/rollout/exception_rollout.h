#pragma once

#include <functional>
#include <memory>

#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "server/rollout/rollout.h"
#include "server/store/store.h"

namespace weighmaster::server::rollout {

// The exceptions that endpoints are to have: takes sets in and holds the fleet's for the streams;
// those of an endpoint are the store's to find. A set that the root's role "exceptions" has not
// signed is refused.
//
// Loop-owned; verification happens on the pool, the commit on the store's writer. Everything passed
// in must outlive it.
class ExceptionRollout {
 public:
  using Published = std::shared_ptr<const store::ExceptionSetRecord>;
  using Reply = std::function<void(base::Result<Published>)>;

  ExceptionRollout(base::Loop& loop, const base::Clock& clock, base::Executor& pool,
                   base::Executor& writer, store::Store& store, const Rollout& rollout);
  ~ExceptionRollout() = default;
  ExceptionRollout(const ExceptionRollout&) = delete;
  ExceptionRollout& operator=(const ExceptionRollout&) = delete;

  // Before the loop serves: what the store holds. Blocks.
  base::Status Load(store::Queries& queries);

  // Calls after each publication, on the loop. One listener.
  void Subscribe(std::function<void(const Published&)> listener) {
    listener_ = std::move(listener);
  }

  // Null before the first set of the fleet.
  const Published& fleet() const { return fleet_; }

  // On the word of somebody with this scope. INVALID_ARGUMENT or FAILED_PRECONDITION with a
  // sentence for the administrator: it can't be read, is not signed for this fleet, or says that it
  // was signed in the future. What else may go wrong says store::Store::PublishExceptions.
  void Publish(const store::Scope& scope, wire::SignedDocument document, store::Actor publisher,
               Reply reply);

 private:
  static base::Result<Published> Verify(wire::SignedDocument document, store::Actor publisher,
                                        const wire::Root& root, base::WallTime now);

  base::Loop& loop_;
  const base::Clock& clock_;
  base::Executor& pool_;
  base::Executor& writer_;
  store::Store& store_;
  const Rollout& rollout_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();

  // Owned by the loop.
  std::function<void(const Published&)> listener_;
  Published fleet_;
};

}  // namespace weighmaster::server::rollout
