#include "policy/lang/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/policy/lang/reading.h"

namespace weighmaster::lang {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The changes as lines, details indented.
std::vector<std::string> Changes(const std::string& before, const std::string& after,
                                 const std::map<std::string, std::string>& files = {}) {
  const Reading old = ReadText("policy: p\n" + before, files);
  const Reading now = ReadText("policy: p\n" + after, files);
  EXPECT_FALSE(old.diagnostics.has_errors()) << old.diagnostics.ToText();
  EXPECT_FALSE(now.diagnostics.has_errors()) << now.diagnostics.ToText();
  std::vector<std::string> lines;
  for (const PolicyChange& change : ChangesBetween(old.document, now.document)) {
    lines.push_back(change.what);
    for (const std::string& detail : change.details) lines.push_back("  " + detail);
  }
  return lines;
}

std::string RulesNamed(const std::vector<std::string>& ids) {
  std::string text = "rules:\n";
  for (const std::string& id : ids) text += "- {id: " + id + ", then: allow, when: {name: x}}\n";
  return text;
}

TEST(Diff, HowADocumentIsWrittenIsNoDifference) {
  const std::string flow =
      "lists: {denied: [" + Hex('a') + ", " + Hex('b') + "]}\n" +
      "rules: [{id: r, then: deny, message: No., when: {size: {at_least: 1KiB}}}]\n";
  const std::string block =
      "# a comment\nrules:\n- message: No.\n  id: r\n  when:\n    size:\n"
      "      at_least: 1024\n  then: deny\nlists:\n  denied:\n  - file: d.txt\n";
  EXPECT_THAT(Changes(flow, block, {{"d.txt", Hex('B') + " b\n" + Hex('a') + "\n"}}), IsEmpty());
}

TEST(Diff, NamesDigestsThatCameAndWent) {
  EXPECT_THAT(
      Changes("lists: {denied: [" + Hex('a') + "]}\n",
              "lists: {denied: [{sha256: " + Hex('b') +
                  ", name: bad}], approved: ['weights:" + Hex('a') + "']}\n"),
      ElementsAre("denied: 1 added, 1 removed", "  + " + Hex('b') + " bad", "  - " + Hex('a'),
                  "approved weights: 1 added, 0 removed", "  + " + Hex('a')));
}

TEST(Diff, CountsDigestsPastTheFirstFew) {
  std::string many;
  for (std::size_t i = 0; i < kMaxDigestsInDiff + 3; ++i) {
    std::string digest = Hex('0');
    digest.replace(0, 2, {static_cast<char>('a' + i / 16), "0123456789abcdef"[i % 16]});
    many += digest + "\n";
  }
  const auto lines = Changes("", "lists: {blocked: [{file: many.txt}]}\n", {{"many.txt", many}});
  ASSERT_EQ(lines.size(), kMaxDigestsInDiff + 2);
  EXPECT_EQ(lines.front(), "blocked: 23 added, 0 removed");
  EXPECT_EQ(lines.back(), "  + and 3 more");
}

TEST(Diff, SaysWhatBecameOfEachRule) {
  const std::string before =
      "rules:\n- {id: old, then: deny, message: No., when: {format: pickle}}\n"
      "- {id: r, then: warn, message: Ask., when: {name: x}}\n";
  const std::string after =
      "rules:\n- {id: r, then: deny, message: No., when: {name: [x, y]}, mode: enforce, "
      "expires: 2027-01-01, link: 'https://m.example/', audit: true}\n"
      "- {id: new, then: allow, always: true, when: {license: {known: true}}}\n";
  EXPECT_THAT(
      Changes(before, after),
      ElementsAre("rule \"old\" is gone", "  deny {format: pickle}", "rule \"r\" changed",
                  "  then: warn -> deny", "  when: {name: x} -> {name: [x, y]}",
                  "  audit: false -> true", "  mode: the policy's -> enforce",
                  "  severity: medium -> high", "  expires: never -> 2027-01-01T00:00:00.000000Z",
                  "  message: \"Ask.\" -> \"No.\"", "  link: none -> \"https://m.example/\"",
                  "rule \"new\" is new", "  allow {license: {known: true}}, always"));
}

TEST(Diff, HowAConditionIsSpelledIsNoDifference) {
  const auto changes = [](const std::string& before, const std::string& after) {
    const auto rule = [](const std::string& when) {
      return "rules: [{id: r, then: allow, when_unknown: skip, when: " + when + "}]\n";
    };
    return Changes(rule(before), rule(after));
  };
  const std::pair<const char*, const char*> same[] = {
      {"{license: mit}", "{license: MIT}"},
      {"{license: [mit, isc]}", "{license: [isc, mit, isc]}"},
      {"{license: mit, format: gguf}", "{format: gguf, license: mit}"},
      {"{all: [{name: x}]}", "{name: x}"},
      {"{all: [{name: x}, {all: [{name: y}, {name: z}]}]}",
       "{all: [{name: z}, {name: y}, {name: x}]}"},
      {"{any: [{all: [{any: [{name: x}, {name: y}]}]}, {name: x}]}",
       "{any: [{name: x}, {name: y}]}"},
      {"{not: {not: {name: x}}}", "{name: x}"},
      {"{not: {license: {known: true}}}", "{license: {known: false}}"},
  };
  for (const auto& [before, after] : same) {
    EXPECT_THAT(changes(before, after), IsEmpty()) << before << " / " << after;
  }
  EXPECT_THAT(changes("{size: {at_least: 1GiB}}", "{size: {at_least: 2000}}"),
              ElementsAre("rule \"r\" changed",
                          "  when: {size: {at_least: 1 GiB}} -> {size: {at_least: 2 kB}}"));
  EXPECT_THAT(
      changes("{not: {all: [{name: x}, {name: y}]}}", "{not: {any: [{name: x}, {name: y}]}}"),
      ElementsAre("rule \"r\" changed", ::testing::_));
}

TEST(Diff, AModeThatIsThePolicysIsNoDifferenceWhileThatStays) {
  const std::string silent = "rules: [{id: r, then: allow, when: {name: x}}]\n";
  const std::string says = "rules: [{id: r, then: allow, when: {name: x}, mode: observe}]\n";
  EXPECT_THAT(Changes(silent, says), IsEmpty());
  EXPECT_THAT(Changes("mode: observe\n" + says, silent), IsEmpty());
  EXPECT_THAT(Changes(silent, "mode: warn\n" + says),
              ElementsAre("mode: observe -> warn", "rule \"r\" changed",
                          "  mode: the policy's -> observe"));
}

TEST(Diff, NamesOnlyTheRulesThatMoved) {
  EXPECT_THAT(Changes(RulesNamed({"a", "b", "c", "d"}), RulesNamed({"a", "c", "d", "b"})),
              ElementsAre("rule \"b\" is asked after \"d\" now"));
  EXPECT_THAT(Changes(RulesNamed({"a", "b", "c"}), RulesNamed({"c", "a", "b"})),
              ElementsAre("rule \"c\" is asked before the others now"));
}

TEST(Diff, SaysWhatBecameOfModeAndDefault) {
  EXPECT_THAT(Changes("default: {then: warn, message: Ask.}\n",
                      "mode: enforce\ndefault: {then: deny, message: Ask., severity: low}\n"),
              ElementsAre("mode: observe -> enforce", "the default changed", "  then: warn -> deny",
                          "  severity: medium -> low"));
}

TEST(Diff, SaysWhatBecameOfSettings) {
  EXPECT_THAT(Changes("min_size: 64KiB\ncollect: {name: true}\n", "min_size: 65536\n"), IsEmpty());
  EXPECT_THAT(Changes("min_size: 64KiB\nbudget: {cpu_percent: 20}\ncollect: {owner: false}\n",
                      "budget: {cpu_percent: 30, read_per_second: 2MB, pause_on_battery: false, "
                      "pause_above_load: 0}\ncollect: {license: false}\n"),
              ElementsAre("min_size: 64 KiB -> the endpoint's",
                          "budget: read_per_second: the endpoint's -> 2 MB",
                          "budget: cpu_percent: 20 -> 30",
                          "budget: pause_on_battery: the endpoint's -> false",
                          "budget: pause_above_load: the endpoint's -> 0",
                          "collect: owner: false -> true", "collect: license: true -> false"));
}

}  // namespace
}  // namespace weighmaster::lang
