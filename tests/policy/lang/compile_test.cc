#include "policy/lang/compile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "policy/base/random.h"
#include "policy/lang/diff.h"
#include "tests/policy/lang/reading.h"

namespace weighmaster::lang {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Compile, GivesRulesAndLists) {
  const Reading reading =
      ReadText("policy: p\nlists: {blocked: [" + Hex('a') + "], approved: [{file: l.txt}]}\n" +
                   "rules:\n- {id: r, then: warn, message: m, when: {format: gguf}}\n" +
                   "default: {then: deny, message: d}\n",
               {{"l.txt", Hex('b')}});
  const CompiledPolicy compiled = Compile(reading).value();
  EXPECT_EQ(compiled.rules.policy_name, "p");
  ASSERT_EQ(compiled.rules.rules.size(), 1U);
  EXPECT_EQ(compiled.rules.rules[0].id, "r");
  EXPECT_EQ(compiled.rules.default_outcome, model::Outcome::kDeny);
  EXPECT_EQ(compiled.rules.default_message, "d");
  EXPECT_THAT(compiled.lists.blocked, ElementsAre(model::ParseSha256(Hex('a')).value()));
  EXPECT_THAT(compiled.lists.approved, ElementsAre(model::ParseSha256(Hex('b')).value()));
}

// Through the bytes of the lists, as they travel.
void ExpectTheSameBack(const Reading& reading) {
  const CompiledPolicy compiled = Compile(reading).value();
  const base::Bytes lists = model::EncodeDigestLists(compiled.lists);
  const Document back = Decompile(compiled.rules, model::DigestListsView::Parse(lists).value());
  EXPECT_TRUE(ChangesBetween(reading.document, back).empty());
  EXPECT_TRUE(ChangesBetween(back, reading.document).empty());
}

TEST(Compile, GivesWhatADocumentMeansBack) {
  ExpectTheSameBack(ReadText("policy: p\n"));
  ExpectTheSameBack(ReadText(
      "policy: p\nmode: warn\nmin_size: 1 MiB\nlists: {blocked: [" + Hex('a') + "], denied: [" +
          Hex('c') +
          ", {file: l.txt}]}\nrules:\n- {id: r, then: warn, message: m, audit: true, "
          "severity: high, link: 'https://a.example/', expires: 2030-01-01, when: {format: gguf}}\n"
          "- {id: s, always: true, then: deny, when: {not: {owner: {known: true}}}}\n"
          "default: {then: deny, message: d, severity: low}\n",
      {{"l.txt", Hex('b') + "\n" + Hex('d')}}));
}

TEST(Compile, RefusesAReadingWithErrorsAndNamesTheFirst) {
  const base::Error error = Compile(ReadText("policy: p\nfoo: 1\n")).error();
  EXPECT_EQ(error.code(), base::ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("policy.yaml:2:1"));
}

TEST(Compile, AWarningIsNoHindrance) {
  EXPECT_TRUE(MakePolicy(0, ReadText("policy: p\nrules: [{id: a, then: deny}]\n")).has_value());
}

TEST(Compile, APolicyJudgesByItsDocument) {
  const auto policy =
      MakePolicy(3, ReadText("policy: p\nrules:\n- {id: tmp, then: deny, message: Not there., "
                             "when: {path: {glob: '/tmp/**'}}}\n"))
          .value();
  model::Sighting sighting;
  sighting.path.bytes = "/tmp/a/b.gguf";
  EXPECT_EQ(policy->Judge(sighting, {}).reason, "Not there.");
  sighting.path.bytes = "/home/b.gguf";
  EXPECT_EQ(policy->Judge(sighting, {}).rule, "default");
}

// Puts documents together from pieces, right and wrong ones.
std::string RandomDocument(base::Random& random) {
  const auto pick = [&](std::initializer_list<const char*> from) {
    return std::string(*(from.begin() + random.Below(from.size())));
  };
  std::string text = "policy: p\nrules:\n";
  for (std::uint64_t i = random.Below(4) + 1; i > 0; --i) {
    std::string when =
        pick({"{format: gguf}", "{license: [mit, x]}", "{size: {at_least: 1GiB}}",
              "{risk_severity: {at_least: high, at_most: critical}}", "{name: {glob: '**/a*'}}",
              "{parameters: {at_most: 7B}}", "{owner: {known: true}}", "{risk: {contains: x}}",
              "{digest_state: pending, path: {is: /x}}", "{format: wrong}"});
    for (std::uint64_t depth = random.Below(16); depth > 0; --depth) {
      when = pick({"{not: ", "{all: [", "{any: ["}) + when;
      when += when.starts_with("{not") ? "}" : "]}";
    }
    text += "- id: " + pick({"a", "b", "c", "default", "x.y"}) +
            "\n  then: " + pick({"allow", "warn", "deny"}) + "\n  when: " + when + "\n" +
            pick({"", "  always: true\n", "  when_unknown: fire\n", "  message: m\n"});
  }
  return text;
}

TEST(Compile, EveryDocumentThatLintsWithoutErrorMakesAPolicy) {
  base::SeededRandom random(5);
  int clean = 0;
  for (int i = 0; i < 3'000; ++i) {
    const std::string text = RandomDocument(random);
    const Reading reading = ReadText(text);
    if (reading.diagnostics.has_errors()) continue;
    const auto policy = MakePolicy(0, reading);
    EXPECT_TRUE(policy.has_value()) << policy.error().ToString() << "\n" << text;
    ++clean;
  }
  EXPECT_GT(clean, 500);
  EXPECT_LT(clean, 2'900);
}

}  // namespace
}  // namespace weighmaster::lang
