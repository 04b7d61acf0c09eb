#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/base/time.h"
#include "server/store/values.h"

namespace weighmaster::server::findings {

// What becomes a finding, with which severity, and what makes two of them one. Pure functions; the
// store writes what they return.
//
// The names of the rules are stable: people filter by them.
inline constexpr std::string_view kDeniedModel = "denied_model";
inline constexpr std::string_view kRiskyModel = "risky_model";  // a risk of at least high
inline constexpr std::string_view kEquivocation = "equivocation";
inline constexpr std::string_view kBrokenChain = "broken_chain";
inline constexpr std::string_view kClone = "clone";
inline constexpr std::string_view kRevokedKey = "revoked_key";  // it still signs
inline constexpr std::string_view kBadBatch = "bad_batch";      // tampered, or another's key
inline constexpr std::string_view kGap = "gap";                 // that cannot be refilled
inline constexpr std::string_view kClockOff = "clock_off";
inline constexpr std::string_view kBodiesDropped = "bodies_dropped";
inline constexpr std::string_view kPolicyRefused = "policy_refused";

// store::FindingRules: what a batch with this outcome gives. Only the events of a stored batch
// count; a repeat gives nothing, so nothing is counted twice. Without `any_open` only what the
// batch itself opens is resolved.
std::vector<store::FindingChange> OfBatch(const store::BatchWrite& batch,
                                          const store::BatchOutcome& outcome, bool any_open);

// A batch that did not verify. `detail` is what failed.
store::FindingChange OfBadBatch(const model::Id& endpoint, std::string detail, base::WallTime now);

// Opens past limits::kMaxClockOffset and resolves within it.
store::FindingChange OfClock(const model::Id& endpoint, base::Duration clock_offset,
                             base::WallTime now);

}  // namespace weighmaster::server::findings
