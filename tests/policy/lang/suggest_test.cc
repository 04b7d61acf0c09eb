#include "policy/lang/suggest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policy/lang/compile.h"
#include "tests/policy/lang/reading.h"

namespace weighmaster::lang {
namespace {

model::Sighting Seen(std::uint8_t n, std::string license, std::string name = "a model") {
  model::Sighting sighting;
  sighting.path.bytes = "/m/" + std::to_string(n) + ".gguf";
  sighting.facts.format = model::Format::kGguf;
  sighting.facts.name = std::move(name);
  sighting.facts.license = std::move(license);
  sighting.digest.state = model::DigestState::kVerified;
  sighting.digest.sha256 = model::Sha256{};
  sighting.digest.sha256->bytes.fill(n);
  return sighting;
}

std::shared_ptr<const engine::Policy> PolicyOf(const Suggestion& suggestion) {
  const Reading reading =
      ReadText(suggestion.document(), {{"approved.txt", suggestion.approved()}});
  EXPECT_EQ(reading.diagnostics.ToText(), "") << suggestion.document();
  return MakePolicy(0, reading).value();
}

TEST(Suggestion, KeepsWhatIsThereAllowedAndWarnsOfTheRest) {
  std::vector<model::Sighting> there = {Seen(1, "MIT"), Seen(2, ""), Seen(3, "apache-2.0")};
  model::Sighting dangerous = Seen(4, "mit");
  dangerous.facts.risks = {{"pickle_executes_code", model::Severity::kCritical, "", ""}};
  model::Sighting unread = Seen(5, "mit");
  unread.digest = {};
  Suggestion suggestion("ours", "approved.txt");
  for (const model::Sighting& sighting : there) suggestion.Add(sighting);
  suggestion.Add(dangerous);
  suggestion.Add(unread);
  EXPECT_EQ(suggestion.files(), 5U);
  EXPECT_EQ(suggestion.approved_files(), 3U);
  EXPECT_EQ(suggestion.dangerous(), 1U);
  EXPECT_EQ(suggestion.unread(), 1U);
  const auto policy = PolicyOf(suggestion);
  for (const model::Sighting& sighting : there) {
    EXPECT_EQ(policy->Judge(sighting, kNow).rule, "approved");
  }
  EXPECT_EQ(policy->Judge(dangerous, kNow).rule, "dangerous");
  EXPECT_EQ(policy->Judge(unread, kNow).rule, "license-in-use");
  EXPECT_EQ(policy->Judge(Seen(6, "mit"), kNow).outcome, model::Outcome::kAllow);
  EXPECT_EQ(policy->Judge(Seen(7, ""), kNow).rule, "license-unknown");
  EXPECT_EQ(policy->Judge(Seen(8, "gpl-3.0"), kNow).rule, "default");
  model::Sighting pickle = Seen(9, "mit");
  pickle.facts.format = model::Format::kPickle;
  EXPECT_EQ(policy->Judge(pickle, kNow).rule, "new-format");
}

TEST(Suggestion, OfNothingIsAPolicyToo) { PolicyOf(Suggestion("empty", "approved.txt")); }

TEST(Suggestion, HostileNamesAndLicencesStayTexts) {
  Suggestion suggestion("a: \"b\" # c", "approved.txt");
  const std::vector<std::string> texts = {"# no comment", "a\nb",     "\"]}",
                                          "- x",          "\x1b[31m", "'",
                                          "\xff\xfe",     "true",     std::string(5'000, 'x')};
  std::uint8_t n = 0;
  for (const std::string& text : texts) suggestion.Add(Seen(++n, text, text));
  const auto policy = PolicyOf(suggestion);
  n = 0;
  for (const std::string& text : texts) {
    EXPECT_EQ(policy->Judge(Seen(++n, text, text), kNow).rule, "approved") << text;
  }
}

}  // namespace
}  // namespace weighmaster::lang
