#include "policy/base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "policy/base/check.h"

namespace weighmaster::base {
namespace {

Result<int> Positive(int number) {
  if (number <= 0) return InvalidArgument("not positive");
  return number;
}

Status CheckPositive(int number) {
  WM_RETURN_IF_ERROR(Positive(number));
  return {};
}

Result<std::string> Twice(int number) {
  WM_ASSIGN_OR_RETURN(const int value, Positive(number));
  WM_ASSIGN_OR_RETURN(std::unique_ptr<int> owned,
                      Result<std::unique_ptr<int>>(std::make_unique<int>(value)));
  return std::to_string(*owned * 2);
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(Positive(3).value(), 3);
  EXPECT_EQ(Positive(0).error().message(), "not positive");
}

TEST(Result, TheMacrosPassErrorsUpAndMoveValuesOn) {
  EXPECT_TRUE(CheckPositive(1).has_value());
  EXPECT_EQ(CheckPositive(-1).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(Twice(21).value(), "42");
  EXPECT_EQ(Twice(0).error().message(), "not positive");
}

TEST(CheckDeathTest, EndsTheProgramAndNamesTheCondition) {
  EXPECT_DEATH(WM_CHECK(1 + 1 == 3), "CHECK failed: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace weighmaster::base
