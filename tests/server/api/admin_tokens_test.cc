#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "tests/server/api/api_world.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

using base::ErrorCode;
using std::chrono::hours;

constexpr std::int64_t kHourMs = 3'600'000;

class AdminTokensTest : public ::testing::Test {
 protected:
  static v1::CreateAdminTokenRequest Wish() {
    v1::CreateAdminTokenRequest wish;
    wish.set_name("bo");
    wish.set_role(v1::ADMIN_ROLE_RESPONDER);
    wish.set_valid_for_ms(kHourMs);
    return wish;
  }
  ErrorCode Refusal(const v1::CreateAdminTokenRequest& wish) {
    const auto made = world_.Ask<v1::CreateAdminTokenResponse>(wish);
    EXPECT_FALSE(made.has_value()) << wish.ShortDebugString();
    return made.has_value() ? ErrorCode::kUnknown : made.error().code();
  }

  tests::ApiWorld world_;
};

TEST_F(AdminTokensTest, AreMadeUsedListedAndRevoked) {
  const auto made = world_.Ask<v1::CreateAdminTokenResponse>(Wish());
  ASSERT_TRUE(made.has_value()) << made.error().ToString();
  const std::string bearer = "Bearer " + made->token();
  auto who = world_.Ask<v1::WhoAmIResponse>(v1::WhoAmIRequest(), bearer);
  ASSERT_TRUE(who.has_value());
  EXPECT_EQ(who->admin_token().SerializeAsString(), made->admin_token().SerializeAsString());
  EXPECT_EQ(who->admin_token().name(), "bo");
  EXPECT_EQ(who->admin_token().role(), v1::ADMIN_ROLE_RESPONDER);
  EXPECT_EQ(who->permissions_size(), 7);

  v1::ListAdminTokensRequest list;
  list.set_page_size(1);
  auto page = world_.Ask<v1::ListAdminTokensResponse>(list);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->total(), 2U);
  EXPECT_EQ(page->admin_tokens(0).name(), "ada");
  EXPECT_EQ(made->admin_token().created_by_token_id(), page->admin_tokens(0).token_id());
  list.set_page_token(page->next_page_token());
  page = world_.Ask<v1::ListAdminTokensResponse>(list);
  EXPECT_EQ(page->admin_tokens(0).name(), "bo");
  EXPECT_EQ(page->admin_tokens(0).revoked_time_us(), 0);

  v1::RevokeAdminTokenRequest revoke;
  revoke.set_token_id(made->admin_token().token_id());
  ASSERT_TRUE(world_.Ask<v1::RevokeAdminTokenResponse>(revoke).has_value());
  EXPECT_EQ(world_.Ask<v1::WhoAmIResponse>(v1::WhoAmIRequest(), bearer).error().code(),
            ErrorCode::kUnauthenticated);
  page = world_.Ask<v1::ListAdminTokensResponse>(list);
  EXPECT_NE(page->admin_tokens(0).revoked_time_us(), 0);
}

TEST_F(AdminTokensTest, NeedANameARoleAndAnEnd) {
  auto wish = Wish();
  wish.set_name("");
  EXPECT_EQ(Refusal(wish), ErrorCode::kInvalidArgument);
  wish = Wish();
  wish.set_role(v1::ADMIN_ROLE_UNSPECIFIED);
  EXPECT_EQ(Refusal(wish), ErrorCode::kInvalidArgument);
  wish.set_role(static_cast<v1::AdminRole>(5));
  EXPECT_EQ(Refusal(wish), ErrorCode::kInvalidArgument);
  for (const std::int64_t bad :
       {std::int64_t{0}, std::int64_t{-1}, 367 * 24 * kHourMs, INT64_MAX}) {
    wish = Wish();
    wish.set_valid_for_ms(bad);
    EXPECT_EQ(Refusal(wish), ErrorCode::kInvalidArgument) << bad;
  }
  wish = Wish();
  wish.set_scope("Team=red");
  EXPECT_EQ(Refusal(wish), ErrorCode::kInvalidArgument);
}

TEST_F(AdminTokensTest, SeeNoMoreEndpointsThanWhatMadeThem) {
  auto wish = Wish();
  wish.set_role(v1::ADMIN_ROLE_ADMIN);
  wish.set_scope("team=ml,site=berlin");
  const auto made = world_.Ask<v1::CreateAdminTokenResponse>(wish);
  ASSERT_TRUE(made.has_value()) << made.error().ToString();
  EXPECT_EQ(made->admin_token().scope(), "site=berlin,team=ml");
  world_.bearer_ = "Bearer " + made->token();
  wish.set_valid_for_ms(kHourMs / 2);
  for (const char* const wider : {"", "site=berlin", "team=ml", "site=berlin,team=web"}) {
    wish.set_scope(wider);
    EXPECT_EQ(Refusal(wish), ErrorCode::kPermissionDenied) << wider;
  }
  wish.set_scope("os=linux,site=berlin,team=ml");
  EXPECT_TRUE(world_.Ask<v1::CreateAdminTokenResponse>(wish).has_value());

  const auto listed = world_.Ask<v1::ListAdminTokensResponse>(v1::ListAdminTokensRequest());
  EXPECT_EQ(listed->total(), 2U) << "ada is not theirs to see";
  v1::RevokeAdminTokenRequest revoke;
  revoke.set_token_id(made->admin_token().created_by_token_id());
  EXPECT_EQ(world_.Ask<v1::RevokeAdminTokenResponse>(revoke).error().code(), ErrorCode::kNotFound);
  const auto who = world_.Ask<v1::WhoAmIResponse>(v1::WhoAmIRequest());
  EXPECT_EQ(std::ranges::count(who->permissions(), v1::PERMISSION_PUBLISH_POLICY), 0);
  EXPECT_EQ(std::ranges::count(who->permissions(), v1::PERMISSION_LABEL_ENDPOINTS), 1);
}

TEST_F(AdminTokensTest, DoNotOutliveWhatMadeThem) {
  world_.bearer_ =
      world_.MakeBearer(store::AdminRole::kAdmin, world_.world_.loop_.Now() + hours(2));
  auto wish = Wish();
  EXPECT_TRUE(world_.Ask<v1::CreateAdminTokenResponse>(wish).has_value());
  wish.set_valid_for_ms(3 * kHourMs);
  EXPECT_EQ(Refusal(wish), ErrorCode::kPermissionDenied);
}

TEST_F(AdminTokensTest, LeaveOneThatMayDoEverything) {
  const std::string ada = world_.last_id_.ToHex();
  v1::RevokeAdminTokenRequest revoke;
  revoke.set_token_id(ada);
  EXPECT_EQ(world_.Ask<v1::RevokeAdminTokenResponse>(revoke).error().code(),
            ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(world_.Ask<v1::WhoAmIResponse>(v1::WhoAmIRequest()).has_value());
  const std::string other = world_.MakeBearer(store::AdminRole::kAdmin);
  EXPECT_TRUE(world_.Ask<v1::RevokeAdminTokenResponse>(revoke, other).has_value());
  revoke.set_token_id(tests::TestId(9).ToHex());
  EXPECT_EQ(world_.Ask<v1::RevokeAdminTokenResponse>(revoke, other).error().code(),
            ErrorCode::kNotFound);
}

}  // namespace
}  // namespace weighmaster::server::api
