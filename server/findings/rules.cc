#include "server/findings/rules.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "policy/base/limits.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::server::findings {
namespace {

using store::BatchOutcome;
using store::BatchWrite;
using store::FindingChange;

std::string DedupeKey(std::string_view rule, const model::Id& endpoint, std::string_view subject) {
  return std::string(rule) + "/" + endpoint.ToHex() + "/" + std::string(subject);
}

// Paths are as long as their owner likes; a key is not.
std::string KeyOf(const model::Path& path) {
  return openssl::Sha256Of(base::AsBytes(path.bytes)).ToHex();
}

FindingChange Open(std::string_view rule, const model::Id& endpoint, std::string_view key,
                   std::string subject, model::Severity severity, std::string detail,
                   base::WallTime at) {
  FindingChange change;
  change.dedupe_key = DedupeKey(rule, endpoint, key);
  change.rule = rule;
  change.endpoint = endpoint;
  change.subject = std::move(subject);
  change.severity = severity;
  change.detail = base::EscapeForDisplay(detail);
  change.at = at;
  return change;
}

FindingChange Resolve(std::string_view rule, const model::Id& endpoint, std::string_view key,
                      base::WallTime at) {
  FindingChange change;
  change.resolve = true;
  change.dedupe_key = DedupeKey(rule, endpoint, key);
  change.endpoint = endpoint;
  change.at = at;
  return change;
}

// What the events of a stored batch say.
class EventRules {
 public:
  EventRules(const BatchWrite& batch, bool any_open, std::vector<FindingChange>& out)
      : endpoint_(batch.endpoint),
        at_(batch.received),
        chain_(batch.header.chain),
        any_open_(any_open),
        out_(out) {}

  void operator()(const model::SightingAppeared& event) { Risky(event.sighting); }
  void operator()(const model::SightingChanged& event) { Risky(event.sighting); }
  void operator()(const model::SightingGone& event) {
    ResolveAt(kRiskyModel, event.path);
    ResolveAt(kDeniedModel, event.path);
  }
  void operator()(const model::SightingJudged& event) {
    if (event.verdict.outcome != model::Outcome::kDeny) return ResolveAt(kDeniedModel, event.path);
    OpenAt(kDeniedModel, event.path, event.verdict.severity,
           event.verdict.rule + ": " + event.verdict.reason);
  }
  void operator()(const model::PolicyApplied& event) {
    if (any_open_) out_.push_back(Resolve(kPolicyRefused, endpoint_, "", at_));
    if (!event.partly) return;
    Add(Open(kPolicyRefused, endpoint_, "", "policy " + std::to_string(event.version),
             model::Severity::kMedium, "partly applied: the agent lacks " + event.missing_features,
             at_));
  }
  void operator()(const model::PolicyRefused& event) {
    Add(Open(kPolicyRefused, endpoint_, "", "policy " + std::to_string(event.version),
             model::Severity::kHigh,
             std::string(model::PolicyRefusalName(event.refusal)) + ": " + event.detail, at_));
  }
  void operator()(const model::ChainStarted& event) {
    if (event.reason != model::ChainReason::kCannotRefill) return;
    Add(Open(kGap, endpoint_, chain_.ToHex(), "chain " + event.old_chain.ToHex(),
             model::Severity::kMedium,
             "batches before a new chain can no longer be delivered by the endpoint", at_));
  }
  void operator()(const model::BodiesDropped& event) {
    const std::string priority(model::PriorityClassName(event.priority));
    Add(Open(kBodiesDropped, endpoint_, priority, priority, model::Severity::kMedium,
             std::to_string(event.count) +
                 " events were dropped at the endpoint's limit; their headers remain",
             at_));
  }
  template <typename Other>
  void operator()(const Other&) {}

 private:
  void Risky(const model::Sighting& sighting) {
    const auto worst = std::ranges::max_element(sighting.facts.risks, {}, &model::Risk::severity);
    if (worst == sighting.facts.risks.end() || worst->severity < model::Severity::kHigh) {
      return ResolveAt(kRiskyModel, sighting.path);
    }
    OpenAt(kRiskyModel, sighting.path, worst->severity, worst->id + ": " + worst->message);
  }

  void OpenAt(std::string_view rule, const model::Path& path, model::Severity severity,
              std::string detail) {
    Add(Open(rule, endpoint_, KeyOf(path), path.ToDisplay(), severity, std::move(detail), at_));
  }
  // By far the most events would resolve what was never opened.
  void ResolveAt(std::string_view rule, const model::Path& path) {
    if (any_open_) out_.push_back(Resolve(rule, endpoint_, KeyOf(path), at_));
  }
  void Add(FindingChange opened) {
    any_open_ = true;
    out_.push_back(std::move(opened));
  }

  const model::Id endpoint_;
  const base::WallTime at_;
  const model::Id chain_;
  bool any_open_;
  std::vector<FindingChange>& out_;
};

std::string BatchName(const BatchWrite& batch) {
  return "chain " + batch.header.chain.ToHex() + " batch " + std::to_string(batch.header.number);
}

}  // namespace

std::vector<FindingChange> OfBatch(const BatchWrite& batch, const BatchOutcome& outcome,
                                   bool any_open) {
  using Kind = BatchOutcome::Kind;
  std::vector<FindingChange> changes;
  const auto open = [&](std::string_view rule, std::string_view key, model::Severity severity) {
    changes.push_back(Open(rule, batch.endpoint, key, BatchName(batch), severity, outcome.detail,
                           batch.received));
  };
  switch (outcome.kind) {
    case Kind::kStored: {
      EventRules rules(batch, any_open, changes);
      for (const auto& event : batch.events) {
        if (event.has_value()) std::visit(rules, event->event.body);
      }
      break;
    }
    case Kind::kEquivocation:
      open(kEquivocation, BatchName(batch), model::Severity::kHigh);
      break;
    case Kind::kBrokenChain:
      open(kBrokenChain, batch.header.chain.ToHex(), model::Severity::kHigh);
      break;
    case Kind::kClone:
      open(kClone, "", model::Severity::kCritical);
      break;
    case Kind::kQuarantined:
      open(kRevokedKey, "", model::Severity::kMedium);
      break;
    case Kind::kRefused:
      open(kBadBatch, "", model::Severity::kHigh);
      break;
    case Kind::kRepeated:
    case Kind::kGap:
      break;
  }
  return changes;
}

FindingChange OfBadBatch(const model::Id& endpoint, std::string detail, base::WallTime now) {
  return Open(kBadBatch, endpoint, "", "batch", model::Severity::kHigh, std::move(detail), now);
}

FindingChange OfClock(const model::Id& endpoint, base::Duration clock_offset, base::WallTime now) {
  if (std::chrono::abs(clock_offset) <= base::limits::kMaxClockOffset) {
    return Resolve(kClockOff, endpoint, "", now);
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(clock_offset).count();
  return Open(kClockOff, endpoint, "", "clock", model::Severity::kMedium,
              "the endpoint's clock is " + std::to_string(std::abs(seconds)) + " s " +
                  (seconds > 0 ? "behind" : "ahead of") + " the server's",
              now);
}

}  // namespace weighmaster::server::findings
