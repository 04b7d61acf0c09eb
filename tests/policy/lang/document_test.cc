#include "policy/lang/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/base/limits.h"
#include "policy/lang/compile.h"
#include "tests/policy/lang/reading.h"

namespace weighmaster::lang {
namespace {

using model::Outcome;
using model::Withheld;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::string_view kWhole = R"(policy: laptops
rules:
  - id: no-pickle
    always: true
    when: {format: pickle}
    then: deny
    message: >-
      Pickle runs code;
      use safetensors.
  - id: rest
    then: warn
    message: Ask first.
    when_unknown: fire
default:
  then: deny
  message: Not on any list.
)";

TEST(Document, IsReadWhole) {
  const Reading reading = ReadText(kWhole);
  EXPECT_EQ(reading.diagnostics.ToText(), "");
  const Document& document = reading.document;
  EXPECT_EQ(document.name, "laptops");
  ASSERT_EQ(document.rules.size(), 2U);
  EXPECT_EQ(document.rules[0].rule.id, "no-pickle");
  EXPECT_TRUE(document.rules[0].rule.always);
  EXPECT_EQ(document.rules[0].rule.outcome, Outcome::kDeny);
  EXPECT_EQ(document.rules[0].rule.message, "Pickle runs code; use safetensors.");
  EXPECT_FALSE(document.rules[0].rule.fire_when_unknown);
  EXPECT_TRUE(document.rules[1].rule.fire_when_unknown);
  EXPECT_EQ(document.default_outcome, Outcome::kDeny);
  EXPECT_EQ(document.default_message, "Not on any list.");
}

TEST(Document, ARuleSaysWhatFollowsFromIt) {
  const Reading reading = ReadText(R"(policy: p
mode: warn
rules:
  - id: a
    then: deny
    when: {weights_approved: false, tensor_count: {at_least: 1}}
    message: Not cleared.
    link: https://models.example/cleared
    severity: critical
    mode: enforce
    expires: 2027-01-31
  - id: b
    then: deny
    when: {name: b}
    audit: true
    expires: 2026-06-01T12:00:00+02:00
default: {then: warn, message: Ask., severity: low, link: "https://models.example/"}
)");
  EXPECT_EQ(reading.diagnostics.ToText(), "");
  const Document& document = reading.document;
  EXPECT_EQ(document.mode, model::Mode::kWarn);
  ASSERT_EQ(document.rules.size(), 2U);
  const model::Rule& a = document.rules[0].rule;
  EXPECT_EQ(a.link, "https://models.example/cleared");
  EXPECT_EQ(a.severity, model::Severity::kCritical);
  EXPECT_EQ(a.mode, model::Mode::kEnforce);
  EXPECT_EQ(base::FormatWallTime(a.expires.value()), "2027-01-31T00:00:00.000000Z");
  EXPECT_FALSE(a.audit);
  const model::Rule& b = document.rules[1].rule;
  EXPECT_TRUE(b.audit);
  EXPECT_EQ(b.mode, std::nullopt);
  EXPECT_EQ(base::FormatWallTime(b.expires.value()), "2026-06-01T10:00:00.000000Z");
  EXPECT_EQ(document.default_severity, model::Severity::kLow);
  EXPECT_EQ(document.default_link, "https://models.example/");
}

TEST(Document, WhatFollowsFromARuleIsChecked) {
  const auto of_rule = [](const std::string& entry) {
    return DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, " + entry + "}\n");
  };
  EXPECT_THAT(of_rule("severity: hgih"), HasSubstr("did you mean \"high\"?"));
  EXPECT_THAT(of_rule("mode: enforced"), HasSubstr("did you mean \"enforce\"?"));
  EXPECT_THAT(of_rule("link: 'http://models.example'"), HasSubstr("is no link"));
  EXPECT_THAT(of_rule("audit: 'yes'"), HasSubstr("\"audit\""));
  for (const char* time : {"2027-1-31", "2027-02-30", "tomorrow", "2027-01-31T12:00", "7d"}) {
    EXPECT_THAT(of_rule("expires: " + std::string(time)), HasSubstr("is no time")) << time;
  }
  EXPECT_THAT(DiagnosticsOf("policy: p\nmode: off\n"), HasSubstr("\"mode\" can't be \"off\""));
}

TEST(Document, ARuleThatHasExpiredIsAWarning) {
  const auto expiring = [](const std::string& day) {
    return DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, expires: " + day + "}\n");
  };
  EXPECT_THAT(expiring("2026-01-01"), HasSubstr("policy.yaml:3:"));
  EXPECT_THAT(expiring("2026-01-01"), HasSubstr("warning: the rule has expired"));
  EXPECT_EQ(expiring("2026-01-02"), "");
}

TEST(Document, NeedsNothingButAName) {
  const Reading reading = ReadText("policy: empty\n");
  EXPECT_EQ(reading.diagnostics.ToText(), "");
  EXPECT_EQ(reading.document.default_outcome, Outcome::kAllow);
  EXPECT_THAT(DiagnosticsOf("rules: []\n"), HasSubstr("the policy has no name"));
}

TEST(Document, AnUnknownKeyNamesTheNearest) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nrulse: []\n"),
              AllOf(HasSubstr("policy.yaml:2:1: error: there is no key \"rulse\""),
                    HasSubstr("did you mean \"rules\"?")));
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, mesage: x}\n"),
              HasSubstr("did you mean \"message\"?"));
}

TEST(Document, AVersionIsForPublishing) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nversion: 3\n"), HasSubstr("publishing gives"));
}

TEST(Document, ARuleNeedsAnIdAndAnOutcome) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {then: allow}\n"), HasSubstr("has no id"));
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: a}\n"), HasSubstr("has no outcome"));
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: alow}\n"),
              HasSubstr("did you mean \"allow\"?"));
}

TEST(Document, IdsAreSpelledWellAndDifferent) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, when: {size: {at_most: 1}}}"
                            "\n- {id: a, then: allow}\n"),
              AllOf(HasSubstr("policy.yaml:4:8: error: two rules have the id \"a\""),
                    HasSubstr("the first is at line 3")));
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: approved, then: allow}\n"),
              HasSubstr("can't be the id of a rule"));
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: No Spaces, then: allow}\n"),
              HasSubstr("can't be the id of a rule"));
}

TEST(Document, AWarningOrDenialWithoutAMessageIsAWarning) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: deny}\n"),
              HasSubstr("warning: the rule has no message"));
}

TEST(Document, MessagesAreOneCleanLine) {
  EXPECT_THAT(DiagnosticsOf("policy: p\ndefault: {then: warn, message: \"a\\nb\"}\n"),
              HasSubstr("one line without control characters"));
  EXPECT_THAT(DiagnosticsOf("policy: p\ndefault: {then: warn, message: \"a\\e[31m\"}\n"),
              HasSubstr("one line without control characters"));
  EXPECT_THAT(
      DiagnosticsOf("policy: p\ndefault: {then: warn, message: " + std::string(1025, 'a') + "}\n"),
      HasSubstr("longer than 1024"));
}

TEST(Document, WrongTypesAreReportedAndNothingElse) {
  EXPECT_THAT(DiagnosticsOf("- a\n"),
              HasSubstr("the policy must be a map, and here stands a list"));
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules: {}\n"), HasSubstr("\"rules\" must be a list"));
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules: [x]\n"), HasSubstr("a rule must be a map"));
  EXPECT_THAT(DiagnosticsOf("policy: p\ndefault: allow\n"), HasSubstr("\"default\" must be a map"));
  EXPECT_THAT(DiagnosticsOf("policy: [p]\n"), HasSubstr("\"policy\" must be a text"));
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, always: 'true'}\n"),
              HasSubstr("\"always\" must be true or false"));
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, when_unknown: fires}\n"),
              HasSubstr("did you mean \"fire\"?"));
}

TEST(Document, OnePastALimitSaysTheWayOut) {
  EXPECT_THAT(DiagnosticsOf("policy: p\n" + std::string(base::limits::kMaxPolicyBytes, '#')),
              AllOf(HasSubstr("larger than 1 MiB"), HasSubstr("{file: approved.txt}")));
  std::string rules = "policy: p\nrules:\n";
  for (std::size_t i = 0; i <= base::limits::kMaxRules; ++i) {
    rules += "- {id: r" + std::to_string(i) + ", then: allow, when: {name: x}}\n";
  }
  EXPECT_THAT(DiagnosticsOf(rules), HasSubstr("there are 1001 rules; the limit is 1000"));
}

TEST(Document, DiagnosticsComeInTheOrderOfTheText) {
  const Reading reading = ReadText("default: {then: x}\nrules: [{id: a}]\npolicy: p\nfoo: 1\n");
  std::uint32_t line = 0;
  for (const Diagnostic& diagnostic : reading.diagnostics.all()) {
    EXPECT_GE(diagnostic.at.line, line);
    line = diagnostic.at.line;
  }
  EXPECT_EQ(reading.diagnostics.errors(), 3U);
}

constexpr std::string_view kSettings = R"(policy: p
min_size: 1MiB
budget: {read_per_second: 20MB, cpu_percent: 10, pause_on_battery: false, pause_above_load: 4}
collect: {owner: false, license: true, risk_evidence: false}
)";

TEST(DocumentSettings, ReadsAllAndCompilesIt) {
  const Reading reading = ReadText(kSettings);
  EXPECT_EQ(reading.diagnostics.ToText(), "");
  const model::Settings settings = Compile(reading)->rules.settings;
  EXPECT_EQ(settings.scan.min_size_bytes, 1U << 20);
  EXPECT_EQ(settings.scan.read_per_second_bytes, 20'000'000U);
  EXPECT_EQ(settings.scan.cpu_percent, 10U);
  EXPECT_EQ(settings.scan.pause_on_battery, false);
  EXPECT_EQ(settings.scan.pause_above_load, 4U);
  EXPECT_EQ(settings.withheld, (model::WithheldFields{Withheld::kOwner, Withheld::kRiskEvidence}));
}

TEST(DocumentSettings, WhatIsNotSaidIsNotSet) {
  EXPECT_EQ(ReadText("policy: p\nbudget: {}\ncollect: {}\n").document.settings, model::Settings{});
}

TEST(DocumentSettings, ABoundItselfMakesAPolicyAndOnePastItIsAnError) {
  for (const char* text :
       {"min_size: 0", "min_size: 1GiB", "budget: {read_per_second: 1MiB}",
        "budget: {read_per_second: 1TiB}", "budget: {cpu_percent: 1}", "budget: {cpu_percent: 100}",
        "budget: {pause_above_load: 0}", "budget: {pause_above_load: 1000}"}) {
    const Reading reading = ReadText("policy: p\n" + std::string(text) + "\n");
    EXPECT_EQ(reading.diagnostics.ToText(), "") << text;
    EXPECT_TRUE(MakePolicy(1, reading).has_value()) << text;
  }
  for (const char* text :
       {"min_size: 1025MiB", "min_size: many", "min_size: -1", "min_size: [1]",
        "budget: {read_per_second: 0}", "budget: {read_per_second: 1025GiB}",
        "budget: {cpu_percent: 0}", "budget: {cpu_percent: 101}", "budget: {cpu_percent: 1.5}",
        "budget: {pause_above_load: 1001}", "budget: {pause_on_battery: 'true'}", "budget: slow"}) {
    EXPECT_THAT(DiagnosticsOf("policy: p\n" + std::string(text) + "\n"), HasSubstr("error"))
        << text;
  }
}

TEST(DocumentSettings, SaysWhatIsWrongAndWhatThereIs) {
  EXPECT_EQ(DiagnosticsOf("policy: p\nmin_size: 2GiB\n"),
            "policy.yaml:2:11: error: \"min_size\" must be from 0 B to 1 GiB\n");
  EXPECT_THAT(DiagnosticsOf("policy: p\nbudget: {hash_threads: 4}\n"),
              HasSubstr("there is no key \"hash_threads\" here"));
  EXPECT_THAT(DiagnosticsOf("policy: p\ncollect: {licence: false}\n"),
              HasSubstr("did you mean \"license\"?"));
  EXPECT_THAT(DiagnosticsOf("policy: p\ncollect: {path: false}\n"),
              HasSubstr("2:11: error: \"path\" can't be left out of what is sent"));
  EXPECT_THAT(DiagnosticsOf("policy: p\ncollect: {owner: no}\n"),
              HasSubstr("\"owner\" must be true or false"));
  EXPECT_THAT(DiagnosticsOf("policy: p\ncollect: [owner]\n"), HasSubstr("must be a map"));
}

}  // namespace
}  // namespace weighmaster::lang
