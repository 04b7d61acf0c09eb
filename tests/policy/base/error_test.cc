#include "policy/base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace weighmaster::base {
namespace {

TEST(Error, SaysWhatWentWrongAndWhileDoingWhat) {
  const Error error = NotFound("no such file").While("opening the state").While("starting");
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_EQ(error.message(), "no such file; while opening the state; while starting");
  EXPECT_EQ(error.ToString(), "NOT_FOUND: no such file; while opening the state; while starting");
}

TEST(Error, CodesHaveTheNumbersAndNamesOfGrpc) {
  EXPECT_EQ(static_cast<int>(Unauthenticated("").code()), 16);
  EXPECT_EQ(ErrorCodeName(ErrorCode::kUnauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(static_cast<int>(InvalidArgument("").code()), 3);
  EXPECT_EQ(static_cast<int>(DataLoss("").code()), 15);
  for (int code = 1; code <= 16; ++code) {
    const bool is_unknown = code == static_cast<int>(ErrorCode::kUnknown);
    EXPECT_EQ(ErrorCodeName(static_cast<ErrorCode>(code)) == "UNKNOWN", is_unknown) << code;
  }
}

TEST(Error, FromErrnoKeepsTheCallAndTheReason) {
  const Error error = FromErrno(ENOENT, "open /x");
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_EQ(error.message(), "open /x: No such file or directory");
  EXPECT_EQ(FromErrno(ENOSPC, "write").code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(FromErrno(EACCES, "open").code(), ErrorCode::kPermissionDenied);
  EXPECT_EQ(FromErrno(EIO, "read").code(), ErrorCode::kDataLoss);
}

}  // namespace
}  // namespace weighmaster::base
