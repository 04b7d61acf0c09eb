#include "server/api/audit_log.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/limits.h"
#include "tests/server/api/api_world.h"
#include "tests/support/log_file.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

using base::ErrorCode;

class AuditLogTest : public ::testing::Test {
 protected:
  std::vector<v1::AuditEntry> Rows() {
    const auto log = world_.Ask<v1::ListAuditEntriesResponse>(v1::ListAuditEntriesRequest());
    EXPECT_TRUE(log.has_value());
    return {log->entries().begin(), log->entries().end()};
  }
  v1::RevokeEndpointRequest Revocation(std::uint8_t n) {
    v1::RevokeEndpointRequest request;
    request.set_endpoint_id(tests::TestId(n).ToHex());
    request.set_reason("lost\n");
    return request;
  }
  store::EndpointState StateOf(std::uint8_t n) {
    return world_.world_.queries_->FindEndpoint(tests::TestId(n))->state;
  }

  tests::ApiWorld world_;
};

TEST_F(AuditLogTest, HasARowBeforeAndOneAfterEachChange) {
  world_.world_.Enrol(1);
  ASSERT_TRUE(world_.Ask<v1::RevokeEndpointResponse>(Revocation(1)).has_value());
  ASSERT_FALSE(world_.Ask<v1::RevokeEndpointResponse>(Revocation(2)).has_value());
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].method(), "RevokeEndpoint");
  EXPECT_EQ(rows[0].token_name(), "ada");
  EXPECT_EQ(rows[0].outcome(), v1::AUDIT_OUTCOME_BEGUN);
  EXPECT_EQ(rows[0].summary(),
            "endpoint_id=\"" + tests::TestId(1).ToHex() + "\" reason=\"lost\\x0a\"");
  EXPECT_EQ(rows[1].outcome(), v1::AUDIT_OUTCOME_DONE);
  EXPECT_EQ(rows[1].begun_number(), 1U);
  EXPECT_EQ(rows[3].outcome(), v1::AUDIT_OUTCOME_FAILED);
  EXPECT_EQ(rows[3].begun_number(), 3U);
  EXPECT_EQ(rows[3].code(), 5U);
}

TEST_F(AuditLogTest, IsRepeatedInTheProgramsLogALineForEachRow) {
  const tests::LogFile log;
  world_.world_.Enrol(1);
  ASSERT_TRUE(world_.Ask<v1::RevokeEndpointResponse>(Revocation(1)).has_value());
  ASSERT_FALSE(world_.Ask<v1::RevokeEndpointResponse>(Revocation(2)).has_value());
  const std::string ada = ": ada (token " + world_.last_id_.ToHex() + "): RevokeEndpoint ";
  EXPECT_TRUE(log.Has("info audit: row 1" + ada + "begun: endpoint_id=\"" +
                      tests::TestId(1).ToHex() + "\""))
      << log.Text();
  EXPECT_TRUE(log.Has("info audit: row 2" + ada + "done, begun in row 1")) << log.Text();
  EXPECT_TRUE(log.Has("info audit: row 4" + ada + "failed, begun in row 3: there is no endpoint"))
      << log.Text();
}

TEST_F(AuditLogTest, HoldsNoSecret) {
  const tests::LogFile log;

  v1::CreateAdminTokenRequest request;
  request.set_name("bo");
  request.set_role(v1::ADMIN_ROLE_VIEWER);
  request.set_valid_for_ms(1'000);
  const auto made = world_.Ask<v1::CreateAdminTokenResponse>(request);
  ASSERT_TRUE(made.has_value());
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_NE(rows[1].summary().find(made->admin_token().token_id()), std::string::npos);
  for (const v1::AuditEntry& row : rows) {
    EXPECT_EQ(row.DebugString().find("wma1."), std::string::npos) << row.DebugString();
  }
  EXPECT_FALSE(log.Has("wma1.")) << log.Text();
}

TEST_F(AuditLogTest, HasWhatARoleMayNotUpToTheLimit) {
  const std::string viewer = world_.MakeBearer(store::AdminRole::kViewer, {}, "vi");
  for (int i = 0; i < base::limits::kAuditRefusalBurst + 5; ++i) {
    EXPECT_EQ(world_.Ask<v1::RevokeEndpointResponse>(Revocation(1), viewer).error().code(),
              ErrorCode::kPermissionDenied);
  }
  static_cast<void>(
      world_.Ask<v1::ListAuditEntriesResponse>(v1::ListAuditEntriesRequest(), viewer));
  const auto rows = Rows();
  EXPECT_EQ(rows.size(), static_cast<std::size_t>(base::limits::kAuditRefusalBurst))
      << "and no reading";
  EXPECT_EQ(rows[0].outcome(), v1::AUDIT_OUTCOME_REFUSED);
  EXPECT_EQ(rows[0].token_name(), "vi");
}

TEST_F(AuditLogTest, LetsNothingHappenThatItCanNotBegin) {
  world_.world_.Enrol(1);
  world_.world_.store_->FailAudit(0, 1);
  const auto refused = world_.Ask<v1::RevokeEndpointResponse>(Revocation(1));
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("nothing was changed"), std::string::npos);
  EXPECT_EQ(StateOf(1), store::EndpointState::kActive);
  EXPECT_TRUE(Rows().empty());
}

TEST_F(AuditLogTest, ReportsAsFailedWhatItCanNotEnd) {
  world_.world_.Enrol(1);
  world_.world_.store_->FailAudit(1, 1);
  const auto reported = world_.Ask<v1::RevokeEndpointResponse>(Revocation(1));
  ASSERT_FALSE(reported.has_value());
  EXPECT_NE(reported.error().message().find("was done"), std::string::npos)
      << reported.error().message();
  EXPECT_EQ(StateOf(1), store::EndpointState::kRevoked);
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].outcome(), v1::AUDIT_OUTCOME_BEGUN);
}

TEST(Summarise, CutsWhatIsLongAndStaysUtf8) {
  v1::RevokeEndpointRequest request;
  for (int i = 0; i < 30; ++i) *request.mutable_reason() += "\xc3\xa4";
  EXPECT_TRUE(base::IsUtf8(Summarise(request)));
  request.set_reason(std::string(100'000, 'x'));
  EXPECT_EQ(Summarise(request), "reason=100000 bytes");
  v1::Publication publication;
  publication.mutable_bundle()->set_manifest("12345");
  publication.add_parts()->set_content("secret");
  EXPECT_EQ(Summarise(publication), "bundle={manifest=5 bytes} parts=1 of them");
}

TEST(Summarise, SaysWhichTextsAListHas) {
  v1::SetEndpointLabelsRequest request;
  request.add_labels("site=berlin");
  request.add_labels("a\n" + std::string(200, 'x'));
  EXPECT_EQ(Summarise(request), "labels=[\"site=berlin\" 202 bytes]");
  for (int i = 0; i < 10'000; ++i) request.add_labels("k=v");
  EXPECT_LE(Summarise(request).size(), base::limits::kMaxAuditSummaryBytes);
}

}  // namespace
}  // namespace weighmaster::server::api
