#include "server/rest/path_template.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace weighmaster::server::rest {
namespace {

// The only variable's value; "" when the path is another one.
std::string Value(const PathTemplate& path_template, std::string_view path) {
  const auto variables = path_template.Match(path);
  return variables.has_value() ? variables->at(0).second : "";
}

TEST(PathTemplate, MatchesAPathSegmentBySegment) {
  const PathTemplate whole("/v1/endpoints");
  EXPECT_TRUE(whole.Match("/v1/endpoints").has_value());
  for (const char* const other :
       {"", "/", "v1/endpoints", "/v1/endpoints/", "//v1/endpoints", "/v1//endpoints", "/v1",
        "/v1/endpoint", "/v1/endpointss", "/v1/endpoints:", "/v1/endpoints:list", "/V1/endpoints",
        "/v1/%65ndpoints", "/v1/endpoints/x"}) {
    EXPECT_FALSE(whole.Match(other).has_value()) << other;
  }
}

TEST(PathTemplate, TakesAVariableForAWholeSegment) {
  const PathTemplate one("/v1/endpoints/{endpoint_id}");
  EXPECT_EQ(one.variables(), std::vector<std::string>{"endpoint_id"});
  EXPECT_EQ(one.Match("/v1/endpoints/ab")->at(0).first, "endpoint_id");
  EXPECT_EQ(Value(one, "/v1/endpoints/ab"), "ab");
  EXPECT_EQ(Value(one, "/v1/endpoints/"), "") << "no variable is empty";
  EXPECT_EQ(Value(one, "/v1/endpoints/a/b"), "");
  EXPECT_EQ(Value(one, "/v1/endpoints/ab:revoke"), "") << "that is another method";
}

TEST(PathTemplate, TakesAVariableBeforeAVerb) {
  const PathTemplate revoke("/v1/endpoints/{endpoint_id}:revoke");
  EXPECT_EQ(Value(revoke, "/v1/endpoints/ab:revoke"), "ab");
  EXPECT_EQ(Value(revoke, "/v1/endpoints/ab"), "");
  EXPECT_EQ(Value(revoke, "/v1/endpoints/ab:Revoke"), "");
  EXPECT_EQ(Value(revoke, "/v1/endpoints/:revoke"), "");
  EXPECT_EQ(Value(revoke, "/v1/endpoints/a:b:revoke"), "a:b");
}

TEST(PathTemplate, DecodesWhatIsEscaped) {
  const PathTemplate one("/v1/endpoints/{endpoint_id}");
  EXPECT_EQ(Value(one, "/v1/endpoints/a%2Fb%3arevoke"), "a/b:revoke");
  EXPECT_EQ(Value(one, "/v1/endpoints/a+b"), "a+b") << "in a path that is a plus";
  for (const char* const broken : {"%", "%4", "%zz", "a%", "%%41"}) {
    EXPECT_EQ(Value(one, std::string("/v1/endpoints/") + broken), "") << broken;
  }
}

TEST(PercentDecode, IsExact) {
  EXPECT_EQ(PercentDecode(""), "");
  EXPECT_EQ(PercentDecode("%00%ff"), std::string("\0\xff", 2));
  EXPECT_EQ(PercentDecode("%2"), std::nullopt);
}

}  // namespace
}  // namespace weighmaster::server::rest
