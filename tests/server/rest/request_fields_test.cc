#include "server/rest/request_fields.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/limits.h"
#include "weighmaster/v1/admin.pb.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::server::rest {
namespace {

// "" when the query is taken.
template <typename Request>
std::string Refusal(std::string_view query, Request request = {}) {
  const auto status = RequestFields(request).SetQuery(query);
  return status.has_value() ? "" : status.error().message();
}

TEST(RequestFields, SetsFieldsOfEveryDepth) {
  v1::StoredSighting message;
  RequestFields fields(message);
  ASSERT_TRUE(fields.Set("endpoint_id", "ab").has_value());
  ASSERT_TRUE(
      fields.SetQuery("sighting.size_bytes=7&present=true&&path.text=a%20b+c%2B").has_value());
  EXPECT_EQ(message.endpoint_id(), "ab");
  EXPECT_EQ(message.sighting().size_bytes(), 7U);
  EXPECT_EQ(message.path().text(), "a b c+");
  EXPECT_TRUE(message.present());
}

TEST(RequestFields, SetsEveryKindOfScalar) {
  v1::CreateAdminTokenRequest request;
  ASSERT_TRUE(RequestFields(request)
                  .SetQuery("name=ada&role=ADMIN_ROLE_VIEWER&valid_for_ms=-9223372036854775808")
                  .has_value());
  EXPECT_EQ(request.role(), v1::ADMIN_ROLE_VIEWER);
  EXPECT_EQ(request.valid_for_ms(), INT64_MIN);
  v1::PartReference part;
  ASSERT_TRUE(RequestFields(part)
                  .SetQuery("size_bytes=18446744073709551615&features=a&features=b")
                  .has_value());
  EXPECT_EQ(part.size_bytes(), UINT64_MAX);
  EXPECT_EQ(part.features_size(), 2) << "a list is given several times";
}

TEST(RequestFields, RefusesWhatIsNoField) {
  for (const char* const query : {"x=1", "path=1", "path.=1", ".path=1", "path.text.x=1",
                                  "path.x=1", "=", "Path.text=1", "endpointId=1", "path.Text=1"}) {
    EXPECT_NE(Refusal<v1::StoredSighting>(query).find("is not one of this method"),
              std::string::npos)
        << query;
  }
  EXPECT_NE(Refusal<v1::Publication>("parts.content=x"), "") << "a list of messages has no name";
}

TEST(RequestFields, RefusesATextThatIsNoValue) {
  for (const char* const query :
       {"page_size=", "page_size", "page_size=-1", "page_size=4294967296", "page_size=1x",
        "page_size=+1", "page_size=1.0", "page_size=%201", "include_gone=1", "include_gone=True",
        "endpoint_id=%ff", "endpoint_id=%", "%=1"}) {
    EXPECT_NE(Refusal<v1::ListSightingsRequest>(query), "") << query;
  }
  EXPECT_NE(Refusal<v1::CreateAdminTokenRequest>("role=1"), "");
  EXPECT_NE(Refusal<v1::CreateAdminTokenRequest>("role=ADMIN_ROLE_GOD"), "");
  EXPECT_NE(Refusal<v1::PartReference>("sha256=AAAA"), "") << "bytes have no form in a query";
}

TEST(RequestFields, RefusesWhatIsGivenTwice) {
  EXPECT_NE(Refusal<v1::WhereRequest>("sha256=a&sha256=a"), "");
  v1::WhereRequest request;
  RequestFields fields(request);
  ASSERT_TRUE(fields.Set("sha256", "a").has_value());
  EXPECT_FALSE(fields.SetQuery("sha256=b").has_value()) << "in the path and in the query";
}

TEST(RequestFields, TakesSoManyParametersAndNoMore) {
  std::string query;
  for (std::size_t i = 0; i < base::limits::kMaxQueryParameters; ++i) query += "&features=x";
  EXPECT_EQ(Refusal<v1::PartReference>(query), "");
  EXPECT_NE(Refusal<v1::PartReference>(query + "&features=x"), "");
}

TEST(RequestFields, EscapesAForeignNameInItsAnswer) {
  EXPECT_EQ(Refusal<v1::WhereRequest>("%1b%5b2J=1"),
            "the parameter \"\\x1b[2J\" is not one of this method");
}

}  // namespace
}  // namespace weighmaster::server::rest
