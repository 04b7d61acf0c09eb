#include "policy/model/verdict.h"

#include "policy/model/named.h"

namespace weighmaster::model {
namespace {

constexpr Named<Outcome> kOutcomes[] = {
    {Outcome::kAllow, "allow"}, {Outcome::kWarn, "warn"}, {Outcome::kDeny, "deny"}};
constexpr Named<Basis> kBases[] = {
    {Basis::kVerified, "verified"}, {Basis::kClaimed, "claimed"}, {Basis::kPartial, "partial"}};
constexpr Named<Mode> kModes[] = {
    {Mode::kObserve, "observe"}, {Mode::kWarn, "warn"}, {Mode::kEnforce, "enforce"}};
constexpr Named<JudgementStep> kSteps[] = {
    {JudgementStep::kBlocked, "blocked"},   {JudgementStep::kException, "exception"},
    {JudgementStep::kDenied, "denied"},     {JudgementStep::kAlwaysRule, "always_rule"},
    {JudgementStep::kApproved, "approved"}, {JudgementStep::kRule, "rule"},
    {JudgementStep::kDefault, "default"},
};

}  // namespace

std::string_view OutcomeName(Outcome outcome) { return NameOf(kOutcomes, outcome); }
base::Result<Outcome> ParseOutcome(std::string_view name) {
  return ValueOf(kOutcomes, name, "outcome");
}
std::string_view BasisName(Basis basis) { return NameOf(kBases, basis); }
base::Result<Basis> ParseBasis(std::string_view name) { return ValueOf(kBases, name, "basis"); }
std::string_view ModeName(Mode mode) { return NameOf(kModes, mode); }
base::Result<Mode> ParseMode(std::string_view name) { return ValueOf(kModes, name, "mode"); }

Severity SeverityOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAllow:
      return Severity::kInfo;
    case Outcome::kWarn:
      return Severity::kMedium;
    case Outcome::kDeny:
      return Severity::kHigh;
  }
  return Severity::kInfo;
}

std::string_view JudgementStepName(JudgementStep step) { return NameOf(kSteps, step); }

bool SameJudgement(const Verdict& a, const Verdict& b) {
  return a.outcome == b.outcome && a.step == b.step && a.rule == b.rule && a.basis == b.basis &&
         a.until == b.until && a.mode == b.mode && a.severity == b.severity && a.audits == b.audits;
}

}  // namespace weighmaster::model
