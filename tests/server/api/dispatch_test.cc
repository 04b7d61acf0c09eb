#include "server/api/dispatch.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>

#include "policy/base/limits.h"
#include "tests/server/api/api_world.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

using base::ErrorCode;
using std::chrono::hours;
using store::AdminRole;

// Who may call what, written out: viewer, responder, policy author, admin; and whether they may
// when their token is for some endpoints only.
struct May {
  bool viewer;
  bool responder;
  bool policy_author;
  bool admin;
  bool in_scope = true;
};
const std::map<std::string, May> kTable = {
    {"GetFleet", {true, true, true, true}},
    {"ListEndpoints", {true, true, true, true}},
    {"GetEndpoint", {true, true, true, true}},
    {"ListSightings", {true, true, true, true}},
    {"Where", {true, true, true, true}},
    {"ListArtifacts", {true, true, true, true}},
    {"ListEvents", {true, true, true, true}},
    {"GetEvidence", {false, true, false, true}},
    {"ListBatches", {false, true, false, true}},
    {"CountVerdicts", {true, true, true, true}},
    {"CreateToken", {false, false, false, true}},
    {"PublishPolicy", {false, false, true, true, false}},
    {"SimulatePolicy", {false, false, true, true}},
    {"GetPolicyPart", {true, true, true, true}},
    {"GetStatistics", {true, true, true, true}},
    {"GetFinding", {true, true, true, true}},
    {"UpdateFinding", {false, true, false, true}},
    {"ListChanges", {true, true, true, true}},
    {"ListPolicies", {true, true, true, true}},
    {"GetPolicy", {true, true, true, true}},
    {"ListExceptions", {true, true, true, true}},
    {"GetExceptionSet", {true, true, true, true}},
    {"PublishExceptions", {false, true, true, true}},
    {"ListFindings", {true, true, true, true}},
    {"RevokeEndpoint", {false, true, false, true}},
    {"SetEndpointLabels", {false, false, false, true}},
    {"CreateAdminToken", {false, false, false, true}},
    {"ListAdminTokens", {false, false, false, true}},
    {"RevokeAdminToken", {false, false, false, true}},
    {"ListAuditEntries", {false, false, false, true, false}},
    {"WhoAmI", {true, true, true, true}},
};

class DispatchTest : public ::testing::Test {
 protected:
  // Admits and, if that went well, calls with an empty request: whether the caller was let in.
  bool LetsIn(const Method& method, const std::string& bearer, ErrorCode refusal) {
    world_.world_.loop_.RunFor(std::chrono::seconds(1));  // the rate is not what is tested here
    auto admission = world_.Admit(*method.request, bearer);
    if (!admission.has_value()) {
      EXPECT_EQ(admission.error().code(), refusal) << method.name;
      return false;
    }
    EXPECT_EQ(admission->method, &method);
    const Dispatch::Message request(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(method.request)->New());
    const auto answer = world_.Call(*std::move(admission), request);
    if (answer.has_value()) {
      EXPECT_EQ((*answer)->GetDescriptor(), method.response) << method.name;
    } else {
      EXPECT_NE(answer.error().code(), ErrorCode::kPermissionDenied) << method.name;
      EXPECT_NE(answer.error().code(), ErrorCode::kUnauthenticated) << method.name;
    }
    return true;
  }

  tests::ApiWorld world_;
};

TEST_F(DispatchTest, LetsEachRoleCallWhatTheTableSaysAndNothingElse) {
  const std::string viewer = world_.MakeBearer(AdminRole::kViewer);
  const std::string responder = world_.MakeBearer(AdminRole::kResponder);
  const std::string author = world_.MakeBearer(AdminRole::kPolicyAuthor);
  EXPECT_EQ(world_.dispatch_.methods().size(), kTable.size());
  for (const Method& method : world_.dispatch_.methods()) {
    ASSERT_TRUE(kTable.contains(method.name)) << method.name << " is not in the table";
    const May& may = kTable.at(method.name);
    constexpr ErrorCode kNo = ErrorCode::kPermissionDenied;
    EXPECT_EQ(LetsIn(method, viewer, kNo), may.viewer) << method.name;
    EXPECT_EQ(LetsIn(method, responder, kNo), may.responder) << method.name;
    EXPECT_EQ(LetsIn(method, author, kNo), may.policy_author) << method.name;
    EXPECT_EQ(LetsIn(method, world_.bearer_, kNo), may.admin) << method.name;
  }
}

TEST_F(DispatchTest, LetsATokenForSomeEndpointsCallWhatIsNotOfTheWholeFleet) {
  const auto scoped = [&](AdminRole role) {
    return world_.MakeBearer(role, {}, "somebody", "site=berlin");
  };
  const std::pair<std::string, bool May::*> callers[] = {
      {scoped(AdminRole::kViewer), &May::viewer},
      {scoped(AdminRole::kResponder), &May::responder},
      {scoped(AdminRole::kPolicyAuthor), &May::policy_author},
      {scoped(AdminRole::kAdmin), &May::admin}};
  for (const Method& method : world_.dispatch_.methods()) {
    const May& may = kTable.at(method.name);
    for (const auto& [bearer, role] : callers) {
      EXPECT_EQ(LetsIn(method, bearer, ErrorCode::kPermissionDenied), may.*role && may.in_scope)
          << method.name;
    }
  }
}

TEST_F(DispatchTest, LetsNobodyInWithoutATokenThatIsGood) {
  const base::WallTime soon = world_.world_.loop_.Now() + hours(1);
  const std::string expired = world_.MakeBearer(AdminRole::kAdmin, soon);
  const std::string revoked = world_.MakeBearer(AdminRole::kAdmin);
  v1::RevokeAdminTokenRequest request;
  request.set_token_id(world_.last_id_.ToHex());
  ASSERT_TRUE(world_.Ask<v1::RevokeAdminTokenResponse>(request).has_value());
  world_.world_.loop_.RunFor(hours(1));
  std::string guessed = world_.bearer_;
  guessed[20] = guessed[20] == 'A' ? 'B' : 'A';
  for (const Method& method : world_.dispatch_.methods()) {
    for (const std::string& bad : {std::string(), expired, revoked, guessed}) {
      EXPECT_FALSE(LetsIn(method, bad, ErrorCode::kUnauthenticated)) << method.name << " " << bad;
    }
  }
}

TEST_F(DispatchTest, RefusesATokenThatCallsTooOftenAndNoOther) {
  const v1::WhoAmIRequest request;
  for (int i = 0; i < base::limits::kAdminCallBurst; ++i) {
    ASSERT_TRUE(world_.Ask<v1::WhoAmIResponse>(request).has_value()) << i;
  }
  const auto refused = world_.Ask<v1::WhoAmIResponse>(request);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
  const std::string other = world_.MakeBearer(AdminRole::kViewer);
  EXPECT_TRUE(world_.Ask<v1::WhoAmIResponse>(request, other).has_value());
  world_.world_.loop_.RunFor(base::limits::kAdminCallInterval);
  EXPECT_TRUE(world_.Ask<v1::WhoAmIResponse>(request).has_value());
}

TEST_F(DispatchTest, LetsAPolicyBePublishedWhileAnotherIsSimulated) {
  const auto simulation = world_.Admit(*v1::PolicyDraft::descriptor(), world_.bearer_);
  ASSERT_TRUE(simulation.has_value());
  EXPECT_EQ(world_.Admit(*v1::PolicyDraft::descriptor(), world_.bearer_).error().code(),
            ErrorCode::kResourceExhausted);
  EXPECT_TRUE(world_.Admit(*v1::Publication::descriptor(), world_.bearer_).has_value());
}

TEST_F(DispatchTest, AdmitsOnePublicationAtATime) {
  const auto& publication = *v1::Publication::descriptor();
  auto first = world_.Admit(publication, world_.bearer_);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(world_.Admit(publication, world_.bearer_).error().code(),
            ErrorCode::kResourceExhausted);
  EXPECT_FALSE(world_.Call(*std::move(first), std::make_shared<v1::Publication>()).has_value());
  auto given_up = world_.Admit(publication, world_.bearer_);
  ASSERT_TRUE(given_up.has_value()) << "what is no policy makes room as well";
  *given_up = {};
  EXPECT_TRUE(world_.Admit(publication, world_.bearer_).has_value());
}

TEST_F(DispatchTest, CountsWhatIsAbandonedAndMakesRoom) {
  const auto& publication = *v1::Publication::descriptor();
  auto admission = world_.Admit(publication, world_.bearer_);
  ASSERT_TRUE(admission.has_value());
  world_.dispatch_.Abandon(*std::move(admission), base::InvalidArgument("no JSON"));
  EXPECT_TRUE(world_.Admit(publication, world_.bearer_).has_value());
  const Dispatch::CallKey key{"PublishPolicy", ErrorCode::kInvalidArgument};
  ASSERT_TRUE(world_.dispatch_.call_counts().contains(key));
  EXPECT_EQ(world_.dispatch_.call_counts().at(key), 1U);
}

}  // namespace
}  // namespace weighmaster::server::api
