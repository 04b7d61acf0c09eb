#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/severity.h"

namespace weighmaster::model {

enum class Outcome : std::uint8_t { kAllow = 1, kWarn = 2, kDeny = 3 };
std::string_view OutcomeName(Outcome outcome);  // "allow", "warn", "deny"
base::Result<Outcome> ParseOutcome(std::string_view name);

// What is done about a verdict; it never changes the verdict itself.
enum class Mode : std::uint8_t {
  kObserve = 0,  // the server is told
  kWarn = 1,     // so is the person at the endpoint who asks
  kEnforce = 2,  // and what is denied is not to be opened
};
std::string_view ModeName(Mode mode);  // "observe", "warn", "enforce"
base::Result<Mode> ParseMode(std::string_view name);

// How grave a verdict is where the policy does not say: info, medium, high.
Severity SeverityOf(Outcome outcome);

// What a verdict rests on.
enum class Basis : std::uint8_t {
  kVerified = 1,  // the bytes were read and hashed
  kClaimed = 2,   // a name or manifest said so
  kPartial = 3,   // something that the rule asks for is not known yet
};
std::string_view BasisName(Basis basis);  // "verified", "claimed", "partial"
base::Result<Basis> ParseBasis(std::string_view name);

// Which step of the fixed order of judgement decided (architecture, "Life of a policy").
enum class JudgementStep : std::uint8_t {
  kBlocked = 1,
  kException = 2,
  kDenied = 3,
  kAlwaysRule = 4,
  kApproved = 5,
  kRule = 6,
  kDefault = 7,
};
std::string_view JudgementStepName(JudgementStep step);

struct Verdict {
  Outcome outcome = Outcome::kAllow;
  JudgementStep step = JudgementStep::kDefault;
  // The rule's id, or "blocked", "denied", "approved", "default" for the steps without rules.
  std::string rule;
  // One sentence for the person at the endpoint.
  std::string reason;
  Basis basis = Basis::kVerified;
  std::optional<base::WallTime> until;  // until when it holds, where that is bounded
  std::uint64_t policy_version = 0;     // 0: a local document, or none
  Mode mode = Mode::kObserve;
  Severity severity = Severity::kInfo;
  std::string link = {};  // an https URL with more for the person; "" for none
  // The `audit` rules that apply to the subject, in the order of the policy; the first
  // limits::kMaxAuditsInVerdict of them.
  std::vector<std::string> audits = {};

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

// Whether no verdict event is owed: a new policy version or other words alone are no change.
bool SameJudgement(const Verdict& a, const Verdict& b);

}  // namespace weighmaster::model
