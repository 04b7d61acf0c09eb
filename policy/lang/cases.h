#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/time.h"
#include "policy/engine/policy.h"
#include "policy/lang/document.h"
#include "policy/lang/yaml/diagnostics.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"

namespace weighmaster::lang {

// Test cases of a policy, docs/formats/policy-cases.md: given these facts, this verdict by this
// rule. Only what a case says is compared.
struct Expectation {
  model::Outcome verdict = model::Outcome::kAllow;
  std::optional<std::string> rule;
  std::optional<model::Basis> basis;
  std::optional<model::Severity> severity;
  std::optional<model::Mode> mode;
  std::optional<std::vector<std::string>> audits;
};

struct Case {
  std::string name;
  Location at;
  model::Sighting given;
  base::WallTime time;  // when it is judged
  Expectation expect;
};

struct CasesReading {
  std::vector<Case> cases;            // with errors: those that could be read
  std::vector<ListedDigest> digests;  // that stand on the policy's lists as well while it is tested
  Diagnostics diagnostics;
};

// `file` is the name in diagnostics; a case that says no time is judged at `now`.
CasesReading ReadCases(std::string_view file, std::string_view text, base::WallTime now);

struct CaseFailure {
  const Case* failed = nullptr;  // in the reading
  model::Verdict verdict;
  std::vector<std::string> differences;  // "the rule is "default", not "no-pickle""
};
struct CasesOutcome {
  std::size_t passed = 0;
  std::vector<CaseFailure> failures;
  // Ids of rules of the policy that decided no case and were named by none as audit rules.
  std::vector<std::string> idle_rules;
};

CasesOutcome RunCases(const engine::Policy& policy, const std::vector<Case>& cases);

}  // namespace weighmaster::lang
