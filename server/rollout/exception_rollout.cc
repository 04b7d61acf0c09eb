#include "server/rollout/exception_rollout.h"

#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "proto/wire/exceptions.h"
#include "server/store/ask.h"

namespace weighmaster::server::rollout {

using base::Result;

ExceptionRollout::ExceptionRollout(base::Loop& loop, const base::Clock& clock, base::Executor& pool,
                                   base::Executor& writer, store::Store& store,
                                   const Rollout& rollout)
    : loop_(loop), clock_(clock), pool_(pool), writer_(writer), store_(store), rollout_(rollout) {}

base::Status ExceptionRollout::Load(store::Queries& queries) {
  auto fleet = queries.FindExceptions(store::Scope::WholeFleet(), std::nullopt);
  if (!fleet.has_value()) {
    if (fleet.error().code() == base::ErrorCode::kNotFound) return {};
    return std::move(fleet).error();
  }
  fleet_ = std::make_shared<const store::ExceptionSetRecord>(*std::move(fleet));
  return {};
}

Result<ExceptionRollout::Published> ExceptionRollout::Verify(wire::SignedDocument document,
                                                             store::Actor publisher,
                                                             const wire::Root& root,
                                                             base::WallTime now) {
  auto record = std::make_shared<store::ExceptionSetRecord>();
  auto set = wire::VerifyExceptions(document, root);
  if (!set.has_value()) {
    const bool is_malformed = set.error().code() == base::ErrorCode::kInvalidArgument;
    if (is_malformed) return std::move(set).error();
    return base::FailedPrecondition("endpoints would refuse this: " + set.error().message());
  }
  record->set = *std::move(set);
  // Endpoints take the time of signing for verified.
  if (record->set.issued > now + base::limits::kMaxClockOffset) {
    return base::FailedPrecondition("the exceptions say that they were signed at " +
                                    base::FormatWallTime(record->set.issued) +
                                    ", which is in the future; set the clock of the machine that "
                                    "signs and sign them again");
  }
  record->document = std::move(document);
  record->published = now;
  record->publisher = std::move(publisher);
  return Published(std::move(record));
}

void ExceptionRollout::Publish(const store::Scope& scope, wire::SignedDocument document,
                               store::Actor publisher, Reply reply) {
  WM_CHECK(loop_.OnLoop());
  store::Ask(
      pool_, loop_, alive_,
      [document = std::move(document), publisher = std::move(publisher), root = rollout_.root(),
       now = clock_.Now()]() mutable {
        return Verify(std::move(document), std::move(publisher), root, now);
      },
      [this, scope, reply = std::move(reply)](Result<Published> verified) {
        if (!verified.has_value()) return reply(std::move(verified).error());
        store::Ask(
            writer_, loop_, alive_,
            [&store = store_, scope, set = *verified] {
              return store.PublishExceptions(scope, *set);
            },
            [this, set = *verified, reply](base::Status stored) {
              if (!stored.has_value()) return reply(std::move(stored).error());
              const bool is_newer = fleet_ == nullptr || fleet_->set.version < set->set.version;
              if (!set->set.endpoint.has_value() && is_newer) fleet_ = set;
              if (listener_) listener_(set);
              reply(set);
            });
      });
}

}  // namespace weighmaster::server::rollout
