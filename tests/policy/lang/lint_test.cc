#include "policy/lang/lint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "policy/engine/policy.h"
#include "tests/policy/lang/reading.h"
#include "tests/support/random_policies.h"

namespace weighmaster::lang {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Lists(const std::string& blocked, const std::string& denied,
                  const std::string& approved) {
  return "policy: p\nlists:\n  blocked: [" + blocked + "]\n  denied: [" + denied +
         "]\n  approved: [" + approved + "]\n";
}

std::string EveryFormat() {
  std::string names;
  for (const auto& [format, name] : model::kFormats) names += std::string(name) + ", ";
  return names.substr(0, names.size() - 2);
}

TEST(Lint, ADigestBothDeniedAndApprovedIsAnError) {
  EXPECT_THAT(DiagnosticsOf(Lists("", Hex('a'), Hex('a'))),
              AllOf(HasSubstr("policy.yaml:5:14: error:"), HasSubstr("both denied and approved"),
                    HasSubstr("policy.yaml:4")));
}

TEST(Lint, ADigestTwiceOnOneListIsAWarning) {
  EXPECT_THAT(DiagnosticsOf(Lists("", Hex('a') + ", sha256:" + Hex('A'), "")),
              HasSubstr("warning: \"" + Hex('a') + "\" stands twice on the denied list"));
}

TEST(Lint, ABlockedDigestMayStayApprovedWithAWarning) {
  const std::string text = DiagnosticsOf(Lists(Hex('a'), "", Hex('a')));
  EXPECT_THAT(text, HasSubstr("blocked list, which decides first"));
  EXPECT_THAT(text, Not(HasSubstr("error:")));
}

TEST(Lint, AConflictAcrossFilesNamesBothPlaces) {
  EXPECT_THAT(DiagnosticsOf(Lists("", "{file: d.txt}", "{file: a.txt}"),
                            {{"d.txt", "\n" + Hex('a')}, {"a.txt", "\n\n" + Hex('a')}}),
              AllOf(HasSubstr("a.txt:3:1: error:"), HasSubstr("d.txt:2")));
}

TEST(Lint, ARuleAfterOneForEverythingIsNeverReached) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: all, then: allow}\n"
                            "- {id: late, then: allow, when: {format: gguf}}\n"),
              AllOf(HasSubstr("policy.yaml:4:3: warning: rule \"late\" is never reached"),
                    HasSubstr("rule \"all\" at line 3")));
}

TEST(Lint, AnAlwaysRuleForEverythingHidesEarlierOnesToo) {
  const std::string text = DiagnosticsOf("policy: p\nlists: {approved: [" + Hex('a') +
                                         "]}\nrules:\n"
                                         "- {id: early, then: allow, when: {format: gguf}}\n"
                                         "- {id: all, then: allow, always: true}\n");
  EXPECT_THAT(text, HasSubstr("\"early\" is never reached"));
  EXPECT_THAT(text, HasSubstr("the approved list is never reached"));
}

TEST(Lint, AnOrdinaryRuleForEverythingDoesNotHideAlwaysRules) {
  EXPECT_EQ(DiagnosticsOf("policy: p\nrules:\n- {id: all, then: allow}\n"
                          "- {id: late, then: allow, always: true, when: {format: gguf}}\n"),
            "");
}

TEST(Lint, ARuleIsCalledByItsIdEvenIfThatIsTaken) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow}\n- {id: a, then: allow}\n"
                            "- {then: allow}\n"),
              AllOf(HasSubstr("two rules have the id \"a\""),
                    HasSubstr("5:3: warning: the rule is never reached"),
                    HasSubstr("4:3: warning: rule \"a\" is never reached\n"
                              "  hint: rule \"a\" at line 3 is judged before it")));
}

TEST(Lint, ARuleWhoseConditionIsWrongHidesNothing) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, when: {colour: red}}\n"
                            "- {id: b, then: allow, when: {format: gguf}}\n"),
              Not(HasSubstr("never reached")));
}

// The rules as given, each with an id of its own letter, warn, and a message.
std::string RulesDiagnostics(const std::vector<std::string>& rules) {
  std::string text = "policy: p\nrules:\n";
  char id = 'a';
  for (const std::string& rule : rules) {
    text += "- {id: " + std::string(1, id++) + ", then: warn, message: m, " + rule + "}\n";
  }
  return DiagnosticsOf(text);
}

TEST(Lint, ARuleThatAnEarlierOneCoversIsAWarning) {
  const std::pair<std::string, std::string> covered[] = {
      {"when: {license: [mit, apache-2.0]}", "when: {license: MIT}"},
      {"when: {size: {at_least: 1GB}}", "when: {size: {at_least: 2GB}, format: gguf}"},
      {"when: {size: {at_most: 2GB}}", "when: {size: {at_most: 1GB}}"},
      {"when: {license: {contains: nc}}", "when: {license: [cc-by-nc, nc-only]}"},
      {"when: {license: {known: true}}", "when: {license: mit}"},
      {"when: {any: [{format: gguf}, {format: onnx}]}", "when: {any: [{format: onnx}]}"},
      {"when: {not: {format: gguf}}", "when: {not: {format: gguf}, size: {at_least: 1}}"},
      {"always: true, when: {format: gguf}", "when: {format: gguf, name: x}"},
      {"when: {path: {glob: \"/**\"}}", "when: {path: {glob: [\"/tmp/**\", \"/*\"]}}"},
      {"when: {path: {glob: \"/tmp/**\"}}", "when: {path: /tmp/a}"},
      {"when: {path: {glob: \"/TMP/**\"}}", "when: {path: {glob: \"/tmp/*/a\"}}"},
      {"when: {license: {glob: \"*\"}}", "when: {license: mit}"},
      {"when: {license: {glob: \"**\"}}", "when: {license: {contains: nc}}"},
      {"when: {owner: {glob: \"a*\"}}", "when: {owner: [ada, abe]}"},
      {"when: {risk_severity: {at_least: info}}", "when: {risk_severity: high}"},
      {"when: {risk_severity: {is: [medium, high, critical]}}",
       "when: {risk_severity: {at_least: high}}"},
      {"when: {format: {glob: \"p*\"}}", "when: {format: {contains: pick}}"},
      {"when: {digest_state: verified}", "when: {sha256: " + Hex('a') + "}"},
      {"when: {size: {at_least: 0}}", "when: {name: x}"},
      {"when: {risk_severity: {at_most: critical}}", "when_unknown: fire, when: {name: x}"},
      {"when: {size: {at_least: 0}, name: x}", "when: {name: x}"},
      {"when: {any: [{name: x}, {format: {glob: \"*\"}}]}", "when: {license: mit}"},
      {"when_unknown: fire, when: {name: {glob: \"**\"}}", "when: {format: gguf}"},
  };
  for (const auto& [wide, narrow] : covered) {
    EXPECT_THAT(RulesDiagnostics({wide, narrow}),
                HasSubstr("policy.yaml:4:3: warning: rule \"b\" is never reached\n"
                          "  hint: rule \"a\" at line 3"))
        << wide << " / " << narrow;
  }
}

TEST(Lint, ARuleThatAnEarlierOneCoversOnlyInPartIsFine) {
  const std::pair<std::string, std::string> fine[] = {
      {"when: {license: mit}", "when: {license: [mit, apache-2.0]}"},
      {"when: {size: {at_least: 2GB}}", "when: {size: {at_least: 1GB}}"},
      {"when: {license: cc-by-nc}", "when: {license: {contains: nc}}"},
      {"when: {format: gguf, name: x}", "when: {format: gguf}"},
      {"when: {format: gguf}", "when: {any: [{format: gguf}, {format: onnx}]}"},
      {"when: {license: mit}", "when_unknown: fire, when: {license: mit}"},
      {"always: true, when: {format: gguf, name: x}", "when: {format: gguf}"},
      {"when: {path: {glob: \"/tmp/**\"}}", "when: {path: {glob: \"/tm*/**\"}}"},
      {"when: {path: {glob: \"/*/**\"}}", "when: {path: {glob: \"/a\"}}"},
      {"when: {path: {glob: \"/tmp/**\"}}", "when: {path: [/tmp/a, /a]}"},
      {"when: {license: {glob: \"*\"}}", "when: {license: a/b}"},
      {"when: {license: {glob: \"**\"}}", "when: {format: gguf}"},
      {"when: {risk: {glob: \"**\"}}", "when: {format: gguf}"},
      {"when: {owner: {glob: \"a*\"}}", "when: {owner: [ada, bob]}"},
      {"when: {risk_severity: {at_least: info}}", "when: {risk_severity: {at_most: high}}"},
      {"when: {parameters: {at_least: 0}}", "when: {name: x}"},
  };
  for (const auto& [first, second] : fine) {
    EXPECT_EQ(RulesDiagnostics({first, second}), "") << first << " / " << second;
  }
}

TEST(Lint, ARuleThatCanNeverApplyIsAWarning) {
  for (const std::string& when : std::vector<std::string>{
           "{size: {at_least: 2GB, at_most: 1GB}}", "{all: [{format: gguf}, {format: onnx}]}",
           "{license: {known: false, is: mit}}", "{license: {known: false}, all: [{license: mit}]}",
           "{any: [{all: [{format: gguf}, {format: onnx}]}, {size: {at_least: 2, at_most: 1}}]}",
           "{risk_severity: {is: low, at_least: high}}", "{license: {is: mit, glob: \"apache*\"}}",
           "{license: {is: mit, contains: apache}}", "{not: {format: [" + EveryFormat() + "]}}",
           "{not: {risk_severity: {at_most: critical}}}",
           "{all: [{license: mit}, {not: {license: mit}}]}",
           "{all: [{risk: opaque}, {not: {risk: [malformed, opaque]}}]}",
           "{all: [{license: {known: false}}, {not: {license: mit}}]}",
           "{license: [mit, isc], not: {any: [{license: mit}, {license: isc}]}}",
           "{size: {at_least: 5}, not: {size: {at_least: 5}}}",
           "{format: {glob: \"p*\"}, not: {format: {contains: p}}}",
           "{digest_state: failed, sha256: " + Hex('a') + "}",
           "{weights_approved: true, weights: {known: false}}",
           "{weights: " + Hex('a') + ", weights_approved: {known: false}}"}) {
    EXPECT_THAT(RulesDiagnostics({"when_unknown: skip, when: " + std::string(when)}),
                HasSubstr("policy.yaml:3:3: warning: rule \"a\" never applies"))
        << when;
  }
}

TEST(Lint, ARuleThatCanApplyIsFine) {
  for (const char* const when :
       {"{size: {at_least: 1GB, at_most: 1GB}}", "{all: [{risk: malformed}, {risk: opaque}]}",
        "{format: [gguf, onnx], all: [{format: ONNX}]}",
        "{any: [{size: {at_least: 2, at_most: 1}}, {format: gguf}]}",
        "{license: {is: [mit, apache-2.0], glob: \"apache*\"}}",
        "{risk_severity: {is: [low, high], at_least: high}}",
        "{not: {risk_severity: {at_least: info}}}",
        "{all: [{risk: opaque}, {not: {risk: malformed}}]}",
        "{size: {at_least: 5}, not: {size: {at_least: 6}}}",
        "{all: [{license: [mit, isc]}, {not: {license: mit}}]}",
        "{digest_state: failed, sha256: {known: false}}"}) {
    EXPECT_EQ(RulesDiagnostics({"when_unknown: skip, when: " + std::string(when)}), "") << when;
  }
}

// The ids that lint says never apply or are never reached.
std::set<std::string> IdsNeverUsed(const model::RuleSet& rules) {
  Document document;
  document.files.emplace_back("random");
  for (const model::Rule& rule : rules.rules) {
    document.rules.push_back({.rule = rule, .at = {}, .nots = {}, .says_when_unknown = true});
  }
  Diagnostics diagnostics;
  Lint(document, diagnostics);
  std::set<std::string> ids;
  for (const Diagnostic& diagnostic : diagnostics.all()) {
    const std::string& message = diagnostic.message;
    if (message.find("\" never applies") == std::string::npos &&
        message.find("\" is never reached") == std::string::npos) {
      continue;
    }
    const std::size_t quote = message.find('"') + 1;
    ids.insert(message.substr(quote, message.find('"', quote) - quote));
  }
  return ids;
}

TEST(Lint, ARuleThatIsSaidNeverToDecideNeverDoes) {
  int found = 0;
  for (std::uint64_t seed = 0; seed < 6'000; ++seed) {
    tests::RandomPolicies generator(seed);
    const model::RuleSet rules = generator.Rules(true);
    const std::set<std::string> unused = IdsNeverUsed(rules);
    found += static_cast<int>(unused.size());
    if (unused.empty()) continue;
    const auto policy = engine::Policy::Make(1, rules, nullptr).value();
    for (int i = 0; i < 50; ++i) {
      const model::Verdict verdict = policy->Judge(generator.Sighting(), generator.AnyTime());
      ASSERT_FALSE(unused.contains(verdict.rule)) << "seed " << seed << ": " << verdict.rule;
      for (const std::string& id : verdict.audits) {
        ASSERT_FALSE(unused.contains(id)) << "seed " << seed << ": " << id;
      }
    }
  }
  EXPECT_GT(found, 1'000);
}

TEST(Lint, RulesThatTakeTooLongToCompareAreAWarning) {
  std::string text = "policy: p\nrules:\n";
  const std::string name(300, 'a');
  for (int i = 0; i < 100; ++i) {
    const std::string id = std::to_string(i);
    text += "- {id: g" + id + ", then: allow, when: {name: {glob: \"" + name + id + "*\"}}}\n";
    text += "- {id: i" + id + ", then: allow, when: {name: \"" + name + "\"}}\n";
  }
  EXPECT_THAT(DiagnosticsOf(text), HasSubstr("policy.yaml: warning: the rules are too many"));
}

TEST(Lint, ANotOverAFieldThatCanBeUnknownIsAWarning) {
  EXPECT_THAT(ConditionDiagnostics("{not: {license: mit}}"),
              AllOf(HasSubstr("policy.yaml:5:10: warning: where \"license\" is not known"),
                    HasSubstr("when_unknown: fire")));
  EXPECT_THAT(ConditionDiagnostics("{all: [{format: gguf}, {not: {any: [{name: x}, {size: "
                                   "{at_least: 1}}]}}]}"),
              HasSubstr("policy.yaml:5:33: warning: where \"name\""));
}

TEST(Lint, ANotOverWhatIsAlwaysKnownIsFine) {
  EXPECT_EQ(ConditionDiagnostics("{not: {format: pickle}}"), "");
  EXPECT_EQ(ConditionDiagnostics("{not: {license: {known: true}}}"), "");
}

TEST(Lint, ANotUnderAnAllThatRequiresTheFieldIsFine) {
  EXPECT_EQ(ConditionDiagnostics("{all: [{license: {known: true}}, {not: {license: mit}}]}"), "");
  EXPECT_THAT(ConditionDiagnostics("{any: [{license: {known: true}}, {not: {license: mit}}]}"),
              HasSubstr("warning:"));
}

TEST(Lint, ANotUnderAnAnyThatAsksForTheUnknownFieldIsFine) {
  EXPECT_EQ(ConditionDiagnostics("{any: [{license: {known: false}}, {not: {license: mit}}]}"), "");
  EXPECT_EQ(ConditionDiagnostics("{any: [{license: {known: false}}, {all: [{format: gguf}, {not: "
                                 "{license: mit}}]}]}"),
            "");
  EXPECT_EQ(ConditionDiagnostics("{not: {any: [{license: {known: false}}, {license: mit}]}}"), "");
  EXPECT_THAT(ConditionDiagnostics("{any: [{license: {known: false}}, {not: {name: x}}]}"),
              HasSubstr("where \"name\" is not known"));
  EXPECT_THAT(
      ConditionDiagnostics("{any: [{not: {license: mit}}, {all: [{license: {known: false}}, "
                           "{format: gguf}]}]}"),
      HasSubstr("where \"license\" is not known"));
}

TEST(Lint, ARuleThatSaysWhatToDoWhenUnknownIsFine) {
  for (const char* const choice : {"fire", "skip"}) {
    EXPECT_EQ(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, when_unknown: " +
                            std::string(choice) + ", when: {not: {license: mit}}}\n"),
              "");
  }
}

TEST(Lint, ARuleThatExpiresOrOnlyWatchesHidesNothing) {
  const auto two = [](const std::string& first, const std::string& second) {
    return DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, " + first +
                         "}\n- {id: b, then: allow, " + second + "}\n");
  };
  EXPECT_THAT(two("always: false", "when: {name: x}"), HasSubstr("never reached"));
  EXPECT_EQ(two("audit: true", "when: {name: x}"), "");
  EXPECT_EQ(two("expires: 2027-01-01", "when: {name: x}"), "");
  EXPECT_EQ(two("expires: 2027-01-01", "expires: 2027-01-02"), "");
  EXPECT_THAT(two("expires: 2027-01-02", "expires: 2027-01-01"), HasSubstr("never reached"));
}

TEST(Lint, FlagsAndDigestsContradictAndCoverEachOther) {
  const auto two = [](const std::string& first, const std::string& second) {
    return DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, when: " + first +
                         "}\n- {id: b, then: allow, when: " + second + "}\n");
  };
  EXPECT_EQ(two("{weights_approved: true}", "{weights_approved: false}"), "");
  EXPECT_THAT(two("{weights_approved: true}", "{weights_approved: true}"),
              HasSubstr("never reached"));
  EXPECT_THAT(two("{name: x}", "{all: [{weights_approved: true}, {weights_approved: false}]}"),
              HasSubstr("never applies"));
  const std::string ab = "[" + Hex('a') + ", " + Hex('b') + "]";
  EXPECT_THAT(two("{sha256: " + ab + "}", "{sha256: " + Hex('A') + "}"),
              HasSubstr("never reached"));
  EXPECT_EQ(two("{sha256: " + Hex('a') + "}", "{weights: " + Hex('a') + "}"), "");
  EXPECT_THAT(two("{name: x}", "{all: [{weights: " + Hex('a') + "}, {weights: " + Hex('b') + "}]}"),
              HasSubstr("never applies"));
}

TEST(Lint, ADigestOfWeightsIsAnotherThanOneOfAFile) {
  const std::string weights = "weights:" + Hex('a');
  EXPECT_EQ(DiagnosticsOf(Lists("", Hex('a'), "'" + weights + "'")), "");
  EXPECT_THAT(DiagnosticsOf(Lists("", "'" + weights + "'", "'" + weights + "'")),
              HasSubstr("is both denied and approved"));
  EXPECT_THAT(DiagnosticsOf(Lists("", "'" + weights + "', '" + weights + "'", "")),
              HasSubstr("stands twice on the denied weights list"));
}

TEST(Lint, ARuleThatAsksForWhatIsNotSentIsAWarning) {
  const auto withheld = [](const std::string& field) {
    return DiagnosticsOf("policy: p\ncollect: {" + field +
                         ": false}\nrules:\n- {id: a, then: allow, when: {any: [{size: {at_least: "
                         "1}}, {owner: ada}]}}\n");
  };
  EXPECT_EQ(withheld("license"), "");
  EXPECT_THAT(withheld("owner"),
              HasSubstr("policy.yaml:4:3: warning: rule \"a\" asks for \"owner\", which "
                        "\"collect\" leaves out of what is sent"));
}

}  // namespace
}  // namespace weighmaster::lang
