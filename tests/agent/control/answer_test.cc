#include "agent/control/answer.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/limits.h"
#include "tests/agent/control/known_models.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::control {
namespace {

using local::v1::ControlAnswer;
using local::v1::ControlRequest;

constexpr std::uint32_t kRoot = 0;
constexpr std::uint32_t kAda = 1000;
constexpr std::uint32_t kBob = 1001;

ControlAnswer Ask(Answerer& answerer, std::uint32_t uid, const std::string& request) {
  ControlAnswer answer;
  EXPECT_TRUE(answer.ParseFromString(Answer(answerer, uid, request)));
  return answer;
}

std::string WhyRequest(const std::string& path,
                       v1::PathEncoding encoding = v1::PATH_ENCODING_POSIX_BYTES) {
  ControlRequest request;
  request.mutable_why()->mutable_path()->set_value(path);
  request.mutable_why()->mutable_path()->set_encoding(encoding);
  return request.SerializeAsString();
}

std::string StatusRequest() {
  ControlRequest request;
  request.mutable_status();
  return request.SerializeAsString();
}

base::ErrorCode CodeOf(const ControlAnswer& answer) {
  EXPECT_FALSE(answer.error().empty());
  return static_cast<base::ErrorCode>(answer.error_code());
}

TEST(Answer, TellsEveryUserTheStatus) {
  KnownModels models;
  models.Add("/a", kAda);
  for (const std::uint32_t uid : {kRoot, kAda, kBob}) {
    EXPECT_EQ(Ask(models, uid, StatusRequest()).status().sightings(), 1U);
  }
}

TEST(Answer, TellsTheOwnerAndRootWhy) {
  KnownModels models;
  models.Add("/home/ada/m.gguf", kAda);
  for (const std::uint32_t uid : {kRoot, kAda}) {
    const ControlAnswer answer = Ask(models, uid, WhyRequest("/home/ada/m.gguf"));
    EXPECT_TRUE(answer.why().known());
    EXPECT_EQ(answer.why().verdict().rule(), "no-pickles");
  }
}

TEST(Answer, DoesNotTellOneUserWhetherAnotherHasAModel) {
  KnownModels models;
  models.Add("/home/ada/m.gguf", kAda);
  const std::string of_ada = Answer(models, kBob, WhyRequest("/home/ada/m.gguf"));
  const std::string of_nobody = Answer(models, kBob, WhyRequest("/home/ada/none.gguf"));
  EXPECT_EQ(of_ada, of_nobody);
  EXPECT_EQ(CodeOf(Ask(models, kBob, WhyRequest("/home/ada/m.gguf"))),
            base::ErrorCode::kPermissionDenied);
}

TEST(Answer, TellsRootThatNothingIsKnown) {
  KnownModels models;
  const ControlAnswer answer = Ask(models, kRoot, WhyRequest("/none"));
  ASSERT_TRUE(answer.has_why());
  EXPECT_FALSE(answer.why().known());
}

TEST(Answer, TakesAnyBytesOfAPathThatIsAbsolute) {
  KnownModels models;
  models.Add("/a\n\xff<b>", kAda);
  EXPECT_TRUE(Ask(models, kAda, WhyRequest("/a\n\xff<b>")).why().known());
}

TEST(Answer, RefusesPathsThatAreNone) {
  KnownModels models;
  for (const std::string& path : {std::string(), std::string("relative"), std::string("/a\0b", 4),
                                  "/" + std::string(base::limits::kMaxPathBytes, 'x')}) {
    EXPECT_EQ(CodeOf(Ask(models, kRoot, WhyRequest(path))), base::ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(CodeOf(Ask(models, kRoot, WhyRequest("/a", v1::PATH_ENCODING_WTF8))),
            base::ErrorCode::kInvalidArgument);
}

TEST(Answer, SaysWhatItCannotUnderstand) {
  KnownModels models;
  EXPECT_EQ(CodeOf(Ask(models, kRoot, "")), base::ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Ask(models, kRoot, "\xff\xff garbage")), base::ErrorCode::kInvalidArgument);
  // A request of a later version: an unknown field alone.
  EXPECT_EQ(CodeOf(Ask(models, kRoot, std::string("\xa2\x06\x00", 3))),
            base::ErrorCode::kInvalidArgument);
}

TEST(Answer, PassesOnWhatTheAgentCannotDo) {
  KnownModels models;
  models.FailWith(base::Unavailable("the inventory \xff is closed"));
  const ControlAnswer answer = Ask(models, kRoot, StatusRequest());
  EXPECT_EQ(CodeOf(answer), base::ErrorCode::kUnavailable);
  EXPECT_EQ(answer.error(), "the inventory \\xff is closed");
}

TEST(Answer, NeverPassesItsLimit) {
  KnownModels models;
  models.MakeStatusTooLong();
  const std::string bytes = Answer(models, kRoot, StatusRequest());
  EXPECT_LE(bytes.size(), base::limits::kMaxControlAnswerBytes);
  EXPECT_EQ(CodeOf(Ask(models, kRoot, StatusRequest())), base::ErrorCode::kResourceExhausted);
}

}  // namespace
}  // namespace weighmaster::agent::control
