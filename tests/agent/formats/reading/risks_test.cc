#include "agent/formats/reading/risks.h"

#include <gtest/gtest.h>

#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {
namespace {

TEST(RiskList, TellsTheSameRiskOnce) {
  RiskList risks;
  risks.Add(RiskId::kMalformed, "here");
  risks.Add(RiskId::kMalformed, "here");
  risks.Add(RiskId::kMalformed, "there");
  EXPECT_EQ(std::move(risks).Take().size(), 2U);
}

TEST(RiskList, KeepsTheWorstWhenItIsFull) {
  RiskList risks;
  for (int i = 0; i < 1'000; ++i) {
    risks.Add(RiskId::kPickleUnlistedGlobal, "global " + std::to_string(i));
  }
  risks.Add(RiskId::kPickleExecutesCode, "posix.system");
  const std::vector<model::Risk> taken = std::move(risks).Take();
  ASSERT_EQ(taken.size(), base::limits::kMaxRisksPerFile);
  EXPECT_EQ(taken.front().id, "pickle_executes_code");
}

TEST(CleanText, EscapesWhatIsNoTextAndKeepsBackslashes) {
  EXPECT_EQ(CleanText("C:\\model \xff\n\x1b[31m"), "C:\\model \\xff\\x0a\\x1b[31m");
}

TEST(CleanText, CutsBetweenCharacters) {
  std::string text(base::limits::kMaxFactBytes - 1, 'x');
  text += "\u20ac and more";
  const std::string clean = CleanText(text);
  EXPECT_EQ(clean.size(), base::limits::kMaxFactBytes - 1);
  EXPECT_TRUE(base::IsUtf8(clean));
}

}  // namespace
}  // namespace weighmaster::agent::formats
