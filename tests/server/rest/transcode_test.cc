#include "server/rest/transcode.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::rest {
namespace {

const api::Method& MethodOf(std::string_view name) {
  static const std::vector<api::Method> kMethods = api::AdminMethods();
  const auto found = std::ranges::find(kMethods, name, &api::Method::name);
  WM_CHECK(found != kMethods.end());
  return *found;
}

// The request, or a failed test.
template <typename Request>
Request Read(std::string_view method, const PathTemplate::Variables& path, std::string_view query,
             std::string_view body = "") {
  const auto read = ReadRequest(MethodOf(method), path, query, body);
  if (!read.has_value()) {
    ADD_FAILURE() << read.error().message();
    return {};
  }
  return static_cast<const Request&>(**read);
}

std::string Refusal(std::string_view method, const PathTemplate::Variables& path,
                    std::string_view query, std::string_view body = "") {
  const auto read = ReadRequest(MethodOf(method), path, query, body);
  if (read.has_value()) return "";
  EXPECT_EQ(read.error().code(), base::ErrorCode::kInvalidArgument);
  return read.error().message();
}

TEST(ReadRequest, PutsTogetherWhatPathQueryAndBodySay) {
  EXPECT_EQ(Read<v1::GetPolicyRequest>("GetPolicy", {{"version", "7"}}, "").version(), 7U);
  EXPECT_EQ(Read<v1::ListEndpointsRequest>("ListEndpoints", {}, "page_size=9").page_size(), 9U);
  const auto revoke = Read<v1::RevokeEndpointRequest>("RevokeEndpoint", {{"endpoint_id", "ab"}}, "",
                                                      R"({"reason": "lost"})");
  EXPECT_EQ(revoke.endpoint_id(), "ab");
  EXPECT_EQ(revoke.reason(), "lost");
  EXPECT_EQ(Read<v1::RevokeEndpointRequest>("RevokeEndpoint", {{"endpoint_id", "ab"}}, "").reason(),
            "")
      << "no body is an empty one";
}

TEST(ReadRequest, RefusesAFieldInAWrongOrASecondPlace) {
  EXPECT_NE(Refusal("WhoAmI", {}, "", "{}"), "") << "a method without a body";
  EXPECT_NE(Refusal("CreateToken", {}, "uses=1", "{}"), "") << "a method with a body";
  EXPECT_NE(Refusal("RevokeEndpoint", {{"endpoint_id", "ab"}}, "", R"({"endpoint_id": "cd"})"), "");
  EXPECT_NE(Refusal("GetPolicy", {{"version", "7"}}, "version=8"), "");
  EXPECT_NE(Refusal("GetPolicy", {{"version", "seven"}}, ""), "");
}

TEST(ReadRequest, RefusesWhatIsNoJson) {
  for (const char* const body :
       {"{", "nonsense", "{}{}", "{\"uses\": 1,}", "{'uses': 1}", "\xff", "{\"comment\": \"\xff\"}",
        "{\"uses\": 1e999}", "{\"uses\": NaN}", "\xef\xbb\xbf{", "// x\n{}", " "}) {
    EXPECT_NE(Refusal("CreateToken", {}, "", body), "") << body;
  }
  EXPECT_NE(Refusal("CreateToken", {}, "", R"({"uses": -1})"), "");
  EXPECT_NE(Refusal("CreateToken", {}, "", R"({"uses": 4294967296})"), "");
  EXPECT_NE(Refusal("CreateToken", {}, "", R"({"valid_for_ms": "9223372036854775808"})"), "");
  EXPECT_NE(Refusal("PublishPolicy", {}, "", R"({"parts": [{"content": "!"}]})"), "");
}

TEST(ReadRequest, RefusesABodyThatNestsWithoutEnd) {
  const std::string deep = std::string(1'000'000, '[');
  EXPECT_EQ(Refusal("PublishPolicy", {}, "", deep), "the body is nested too deeply");
  EXPECT_EQ(Refusal("PublishPolicy", {}, "", "{\"parts\": " + deep),
            "the body is nested too deeply");
}

TEST(ToJson, IsReadBackAsTheSameMessage) {
  v1::Publication publication;
  publication.mutable_bundle()->set_manifest(std::string("\0\xff\"\\", 4));
  publication.add_parts()->set_content("content");
  publication.mutable_parts(0)->mutable_reference()->set_kind(v1::PART_KIND_RULES);
  publication.mutable_parts(0)->mutable_reference()->set_size_bytes(UINT64_MAX);
  publication.set_document("<b>=1+1\x1b[2J\"\n");
  const auto json = ToJson(publication);
  ASSERT_TRUE(json.has_value());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
      Read<v1::Publication>("PublishPolicy", {}, "", *json), publication));
}

TEST(ToJson, HasAllFieldsUnderTheNamesOfTheProtoFile) {
  const auto text = ToJson(v1::ListEndpointsResponse());
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(nlohmann::json::parse(*text),
            nlohmann::json::parse(R"({"endpoints": [], "next_page_token": "", "total": "0",
                                       "total_is_least": false})"));
}

TEST(ErrorJson, IsAGoogleRpcStatus) {
  EXPECT_EQ(ErrorJson(base::NotFound("no \"x\"\xff")),
            "{\"code\":5,\"message\":\"no \\\"x\\\"\xef\xbf\xbd\",\"details\":[]}");
}

TEST(HttpStatusOf, IsTheUsualOne) {
  EXPECT_EQ(HttpStatusOf(base::ErrorCode::kFailedPrecondition), 400);
  EXPECT_EQ(HttpStatusOf(base::ErrorCode::kUnauthenticated), 401);
  EXPECT_EQ(HttpStatusOf(base::ErrorCode::kPermissionDenied), 403);
  EXPECT_EQ(HttpStatusOf(base::ErrorCode::kNotFound), 404);
  EXPECT_EQ(HttpStatusOf(base::ErrorCode::kAlreadyExists), 409);
  EXPECT_EQ(HttpStatusOf(base::ErrorCode::kResourceExhausted), 429);
  EXPECT_EQ(HttpStatusOf(base::ErrorCode::kDataLoss), 500);
  EXPECT_EQ(HttpStatusOf(base::ErrorCode::kUnavailable), 503);
}

}  // namespace
}  // namespace weighmaster::server::rest
