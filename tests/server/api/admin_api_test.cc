#include "server/api/admin_api.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "proto/wire/convert.h"
#include "server/identity/authority.h"
#include "tests/server/server_world.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

std::unique_ptr<identity::FleetFiles> MakeFleetFiles(base::WallTime now) {
  std::string pattern = ::testing::TempDir() + "/weighmaster-api-XXXXXX";
  const std::string folder = mkdtemp(pattern.data());
  base::SeededRandom random(1);
  EXPECT_TRUE(identity::CreateFleet(folder, {{"localhost"}, {}, now}, random).has_value());
  auto files = identity::LoadFleet(folder);
  std::filesystem::remove_all(folder);
  EXPECT_TRUE(files.has_value());
  return std::make_unique<identity::FleetFiles>(*std::move(files));
}

class AdminApiTest : public ::testing::Test {
 protected:
  AdminApiTest() {
    const auto token = identity::MakeAdminToken("ada", world_.loop_.Now(), {}, world_.random_);
    EXPECT_TRUE(world_.store_->AddAdminToken(token.record).has_value());
    bearer_ = "Bearer " + token.text;
  }

  template <typename Response, typename Request>
  base::Result<Response> Call(void (AdminApi::*method)(const std::string&, const Request&,
                                                       AdminApi::Reply<Response>),
                              const Request& request,
                              std::optional<std::string> authorization = std::nullopt) {
    std::optional<base::Result<Response>> answer;
    (api_.*method)(authorization.value_or(bearer_), request,
                   [&](base::Result<Response> result) { answer.emplace(std::move(result)); });
    world_.loop_.RunReady();
    EXPECT_TRUE(answer.has_value());
    return *std::move(answer);
  }

  base::Result<AdminApi::PublicationPermit> Admit(const std::string& authorization) {
    std::optional<base::Result<AdminApi::PublicationPermit>> answer;
    api_.AdmitPublication(authorization, [&](auto result) { answer.emplace(std::move(result)); });
    world_.loop_.RunReady();
    EXPECT_TRUE(answer.has_value());
    return *std::move(answer);
  }
  static v1::Publication Message(const rollout::Publication& policy) {
    v1::Publication message;
    wire::ToProto(policy.document, *message.mutable_bundle());
    v1::Part& part = *message.add_parts();
    part.mutable_reference()->set_sha256(
        std::string(base::AsText(policy.parts[0].reference.sha256.view())));
    part.set_content(policy.parts[0].content);
    message.set_document(policy.text);
    return message;
  }
  base::Result<v1::PublishPolicyResponse> Publish(AdminApi::PublicationPermit permit,
                                                  v1::Publication publication) {
    std::optional<base::Result<v1::PublishPolicyResponse>> answer;
    api_.PublishPolicy(std::move(permit), std::move(publication),
                       [&](auto result) { answer.emplace(std::move(result)); });
    world_.loop_.RunReady();
    EXPECT_TRUE(answer.has_value());
    return *std::move(answer);
  }

  void Send(std::uint8_t n, wire::SealedBatch batch) {
    EXPECT_TRUE(world_.ingest_.Submit({tests::TestId(n), tests::TestKey(10 + n).public_key(), {}},
                                      std::move(batch), [](const ingest::Outcome&) {}));
    world_.loop_.RunReady();
  }
  void SeeModels(std::uint8_t n, int count) {
    world_.Enrol(n);
    tests::EndpointScript script(tests::TestKey(10 + n), tests::TestId(n), n);
    Send(n, script.Start());
    for (int i = 0; i < count; ++i) {
      const std::string path = "/m/" + std::to_string(i) + "<b>\n\xff";
      Send(n, script.Seal({model::SightingAppeared{tests::TestSighting(path, i)}}));
      Send(n, script.Seal({model::SightingJudged{
                  {path}, tests::TestDigest(i), tests::TestVerdict(model::Outcome::kDeny)}}));
    }
  }

  tests::ServerWorld world_;
  identity::Authority authority_{
      world_.loop_,     world_.loop_,     world_.random_, *MakeFleetFiles(world_.loop_.Now()),
      "localhost:7400", world_.executor_, *world_.store_, world_.executor_,
      *world_.queries_};
  AdminApi api_{world_.loop_,     authority_,       world_.fleet_, world_.rollout_,
                world_.executor_, *world_.queries_, "0.1.0"};
  std::string bearer_;
};

TEST_F(AdminApiTest, AnswersNobodyWithoutAnAdministratorsToken) {
  world_.Enrol(1);
  const auto expect_refused = [](const auto& result) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code(), base::ErrorCode::kUnauthenticated);
  };
  expect_refused(Call(&AdminApi::GetFleet, v1::GetFleetRequest(), ""));
  expect_refused(Call(&AdminApi::ListEndpoints, v1::ListEndpointsRequest(), ""));
  expect_refused(Call(&AdminApi::GetEndpoint, v1::GetEndpointRequest(), ""));
  expect_refused(Call(&AdminApi::ListSightings, v1::ListSightingsRequest(), ""));
  expect_refused(Call(&AdminApi::Where, v1::WhereRequest(), ""));
  expect_refused(Call(&AdminApi::CreateToken, v1::CreateTokenRequest(), ""));
  expect_refused(Admit(""));
  expect_refused(Call(&AdminApi::GetPolicy, v1::GetPolicyRequest(), ""));
  expect_refused(Call(&AdminApi::ListFindings, v1::ListFindingsRequest(), ""));
  v1::RevokeEndpointRequest revoke;
  revoke.set_endpoint_id(tests::TestId(1).ToHex());
  expect_refused(Call(&AdminApi::RevokeEndpoint, revoke, ""));
  EXPECT_EQ(world_.queries_->FindEndpoint(tests::TestId(1))->state, store::EndpointState::kActive);
}

TEST_F(AdminApiTest, ListsSightingsPageByPageWithPathsBothWaysAndCoverage) {
  SeeModels(1, 3);
  v1::ListSightingsRequest request;
  request.mutable_page()->set_page_size(2);
  auto page = Call(&AdminApi::ListSightings, request);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->total(), 3U);
  ASSERT_EQ(page->sightings_size(), 2);
  EXPECT_EQ(page->sightings(0).path().text(), "/m/0<b>\\x0a\\xff");
  EXPECT_EQ(page->sightings(0).path().path().value(), "/m/0<b>\n\xff");
  EXPECT_EQ(page->sightings(0).verdict().outcome(), v1::OUTCOME_DENY);
  EXPECT_TRUE(page->sightings(0).present());
  EXPECT_EQ(page->coverage().endpoints(), 1U);
  EXPECT_EQ(page->coverage().endpoints_not(), 1U);
  request.mutable_page()->set_page_token(page->next_page_token());
  page = Call(&AdminApi::ListSightings, request);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->sightings_size(), 1);
  EXPECT_EQ(page->next_page_token(), "");
  for (const char* bad : {"x", "p1.", "p1.0", "p1.1x", "p1.-1", "p1.99999999999999999999"}) {
    request.mutable_page()->set_page_token(bad);
    EXPECT_FALSE(Call(&AdminApi::ListSightings, request).has_value()) << bad;
  }
}

TEST_F(AdminApiTest, SaysWhereADigestIsAndThatNoneIsNotTheWholeFleet) {
  SeeModels(1, 2);
  SeeModels(2, 1);
  v1::WhereRequest request;
  request.set_sha256(tests::TestDigest(0).ToHex());
  auto where = Call(&AdminApi::Where, request);
  ASSERT_TRUE(where.has_value());
  EXPECT_EQ(where->total(), 2U);
  EXPECT_EQ(where->endpoints(), 2U);
  request.set_sha256(tests::TestDigest(4711).ToHex());
  where = Call(&AdminApi::Where, request);
  ASSERT_TRUE(where.has_value());
  EXPECT_EQ(where->total(), 0U);
  EXPECT_EQ(where->coverage().endpoints_not(), 2U);
  request.set_sha256("abc");
  EXPECT_EQ(Call(&AdminApi::Where, request).error().code(), base::ErrorCode::kInvalidArgument);
}

TEST_F(AdminApiTest, ListsEndpointsAndFindings) {
  SeeModels(1, 2);
  const auto endpoints = Call(&AdminApi::ListEndpoints, v1::ListEndpointsRequest());
  ASSERT_TRUE(endpoints.has_value());
  ASSERT_EQ(endpoints->endpoints_size(), 1);
  EXPECT_EQ(endpoints->endpoints(0).sightings(), 2U);
  EXPECT_EQ(endpoints->endpoints(0).denied(), 2U);
  EXPECT_EQ(endpoints->endpoints(0).state(), v1::ENDPOINT_STATE_ACTIVE);
  EXPECT_FALSE(endpoints->endpoints(0).connected());
  const auto findings = Call(&AdminApi::ListFindings, v1::ListFindingsRequest());
  ASSERT_TRUE(findings.has_value());
  EXPECT_EQ(findings->total(), 2U);
  EXPECT_EQ(findings->findings(0).rule(), "denied_model");
}

TEST_F(AdminApiTest, ShowsOneEndpointAsTheListDoes) {
  SeeModels(1, 2);
  world_.Enrol(2);
  v1::GetEndpointRequest request;
  request.set_endpoint_id(tests::TestId(1).ToHex());
  const auto endpoint = Call(&AdminApi::GetEndpoint, request);
  ASSERT_TRUE(endpoint.has_value());
  const auto endpoints = Call(&AdminApi::ListEndpoints, v1::ListEndpointsRequest());
  ASSERT_TRUE(endpoints.has_value());
  EXPECT_EQ(endpoint->SerializeAsString(), endpoints->endpoints(0).SerializeAsString());
  request.set_endpoint_id(tests::TestId(9).ToHex());
  EXPECT_EQ(Call(&AdminApi::GetEndpoint, request).error().code(), base::ErrorCode::kNotFound);
  request.set_endpoint_id("x");
  EXPECT_EQ(Call(&AdminApi::GetEndpoint, request).error().code(),
            base::ErrorCode::kInvalidArgument);
}

TEST_F(AdminApiTest, PublishesAPolicyAndShowsIt) {
  const rollout::Publication policy = world_.Policy(7, 3);
  const auto published = Publish(Admit(bearer_).value(), Message(policy));
  ASSERT_TRUE(published.has_value()) << published.error().ToString();
  EXPECT_EQ(published->version(), 7U);
  const auto shown = Call(&AdminApi::GetPolicy, v1::GetPolicyRequest());
  ASSERT_TRUE(shown.has_value());
  EXPECT_EQ(shown->document(), policy.text);
  EXPECT_EQ(shown->bundle().manifest(), policy.document.bytes);
  const auto fleet = Call(&AdminApi::GetFleet, v1::GetFleetRequest());
  ASSERT_TRUE(fleet.has_value());
  EXPECT_EQ(fleet->newest_policy_version(), 7U);
  EXPECT_EQ(fleet->floor(), 3U);
  EXPECT_EQ(fleet->fleet_id(), tests::MakeTestFleet().root.fleet_id);
}

TEST_F(AdminApiTest, AdmitsOnePublicationAtATime) {
  auto first = Admit(bearer_);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(Admit(bearer_).error().code(), base::ErrorCode::kResourceExhausted);
  EXPECT_FALSE(Publish(*std::move(first), v1::Publication()).has_value());
  auto given_up = Admit(bearer_);
  ASSERT_TRUE(given_up.has_value()) << "what is no policy makes room as well";
  given_up->reset();
  auto permit = Admit(bearer_);
  ASSERT_TRUE(permit.has_value());
  EXPECT_TRUE(Publish(*std::move(permit), Message(world_.Policy(7, 3))).has_value());
  EXPECT_TRUE(Admit(bearer_).has_value());
}

TEST_F(AdminApiTest, MakesTokensAndRevokes) {
  v1::CreateTokenRequest request;
  request.set_uses(2);
  request.set_valid_for_ms(3'600'000);
  const auto token = Call(&AdminApi::CreateToken, request);
  ASSERT_TRUE(token.has_value());
  EXPECT_TRUE(token->token().starts_with("wm1."));
  request.set_valid_for_ms(INT64_MAX);
  EXPECT_FALSE(Call(&AdminApi::CreateToken, request).has_value());

  world_.Enrol(1);
  v1::RevokeEndpointRequest revoke;
  revoke.set_endpoint_id(tests::TestId(1).ToHex());
  const auto revoked = Call(&AdminApi::RevokeEndpoint, revoke);
  ASSERT_TRUE(revoked.has_value());
  EXPECT_FALSE(revoked->was_connected());
  EXPECT_EQ(world_.queries_->FindEndpoint(tests::TestId(1))->state, store::EndpointState::kRevoked);
  revoke.set_endpoint_id(tests::TestId(9).ToHex());
  EXPECT_EQ(Call(&AdminApi::RevokeEndpoint, revoke).error().code(), base::ErrorCode::kNotFound);
}

}  // namespace
}  // namespace weighmaster::server::api
