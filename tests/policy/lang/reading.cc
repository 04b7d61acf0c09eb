#include "tests/policy/lang/reading.h"

#include <gtest/gtest.h>

namespace weighmaster::lang {
namespace {

std::string RuleWith(const std::string& condition) {
  return "policy: p\nrules:\n- id: r\n  then: allow\n  when: " + condition + "\n";
}

}  // namespace

Reading ReadText(std::string_view text, const std::map<std::string, std::string>& files) {
  return ReadDocument(
      "policy.yaml", text,
      [&](const std::string& path) -> base::Result<std::string> {
        const auto found = files.find(path);
        if (found == files.end()) return base::NotFound("there is no such file");
        return found->second;
      },
      kNow);
}

std::string DiagnosticsOf(std::string_view text, const std::map<std::string, std::string>& files) {
  return ReadText(text, files).diagnostics.ToText();
}

model::Condition ConditionOf(const std::string& condition) {
  const Reading reading = ReadText(RuleWith(condition));
  EXPECT_FALSE(reading.diagnostics.has_errors()) << reading.diagnostics.ToText();
  return reading.document.rules.empty() ? model::Condition{}
                                        : reading.document.rules.front().rule.when;
}

std::string ConditionDiagnostics(const std::string& condition) {
  return DiagnosticsOf(RuleWith(condition));
}

std::string Hex(char digit) { return std::string(64, digit); }

}  // namespace weighmaster::lang
