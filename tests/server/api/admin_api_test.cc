#include "server/api/admin_api.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "tests/server/api/api_world.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

class AdminApiTest : public ::testing::Test {
 protected:
  template <typename Response, typename Request>
  base::Result<Response> Ask(const Request& request) {
    return api_world_.Ask<Response>(request);
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

  tests::ApiWorld api_world_;
  tests::ServerWorld& world_ = api_world_.world_;
};

TEST_F(AdminApiTest, ListsSightingsPageByPageWithPathsBothWaysAndCoverage) {
  SeeModels(1, 3);
  v1::ListSightingsRequest request;
  request.set_page_size(2);
  auto page = Ask<v1::ListSightingsResponse>(request);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->total(), 3U);
  ASSERT_EQ(page->sightings_size(), 2);
  EXPECT_EQ(page->sightings(0).path().text(), "/m/0<b>\\x0a\\xff");
  EXPECT_EQ(page->sightings(0).path().path().value(), "/m/0<b>\n\xff");
  EXPECT_EQ(page->sightings(0).verdict().outcome(), v1::OUTCOME_DENY);
  EXPECT_TRUE(page->sightings(0).present());
  EXPECT_EQ(page->coverage().endpoints(), 1U);
  EXPECT_EQ(page->coverage().endpoints_not(), 1U);
  const std::string token = page->next_page_token();
  request.set_page_token(token);
  page = Ask<v1::ListSightingsResponse>(request);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->total(), 3U);
  EXPECT_EQ(page->sightings_size(), 1);
  request.set_filter("verdict = deny");  // another question
  EXPECT_FALSE(Ask<v1::ListSightingsResponse>(request).has_value());
  request.clear_filter();
  EXPECT_EQ(page->next_page_token(), "");
  for (const char* bad : {"x", "c1", "c1.", "c1.0000000000000000.1.1"}) {
    request.set_page_token(bad);
    EXPECT_FALSE(Ask<v1::ListSightingsResponse>(request).has_value()) << bad;
  }
}

TEST_F(AdminApiTest, SaysWhereADigestIsAndThatNoneIsNotTheWholeFleet) {
  SeeModels(1, 2);
  SeeModels(2, 1);
  v1::WhereRequest request;
  request.set_sha256(tests::TestDigest(0).ToHex());
  auto where = Ask<v1::WhereResponse>(request);
  ASSERT_TRUE(where.has_value());
  EXPECT_EQ(where->total(), 2U);
  EXPECT_EQ(where->endpoints(), 2U);
  EXPECT_EQ(where->present(), 2U);
  request.set_sha256(tests::TestDigest(4711).ToHex());
  where = Ask<v1::WhereResponse>(request);
  ASSERT_TRUE(where.has_value());
  EXPECT_EQ(where->total(), 0U);
  EXPECT_EQ(where->coverage().endpoints_not(), 2U);
  request.set_sha256("abc");
  EXPECT_EQ(Ask<v1::WhereResponse>(request).error().code(), base::ErrorCode::kInvalidArgument);
}

TEST_F(AdminApiTest, ListsEndpointsAndFindings) {
  SeeModels(1, 2);
  const auto endpoints = Ask<v1::ListEndpointsResponse>(v1::ListEndpointsRequest());
  ASSERT_TRUE(endpoints.has_value());
  ASSERT_EQ(endpoints->endpoints_size(), 1);
  EXPECT_EQ(endpoints->endpoints(0).sightings(), 2U);
  EXPECT_EQ(endpoints->endpoints(0).denied(), 2U);
  EXPECT_EQ(endpoints->endpoints(0).state(), v1::ENDPOINT_STATE_ACTIVE);
  EXPECT_FALSE(endpoints->endpoints(0).connected());
  const auto findings = Ask<v1::ListFindingsResponse>(v1::ListFindingsRequest());
  ASSERT_TRUE(findings.has_value());
  EXPECT_EQ(findings->total(), 2U);
  EXPECT_EQ(findings->findings(0).rule(), "denied_model");
}

TEST_F(AdminApiTest, TakesAStateOfAFindingThatKeepsNoMoreComments) {
  SeeModels(1, 1);
  const store::FindingComment comment{world_.loop_.Now(), {}, std::nullopt, "x"};
  for (std::size_t i = 0; i < base::limits::kMaxFindingComments; ++i) {
    ASSERT_TRUE(world_.store_->UpdateFinding(store::Scope::WholeFleet(), 1, comment).has_value());
  }
  v1::UpdateFindingRequest request;
  request.set_finding_id(1);
  request.set_state(v1::FINDING_STATE_DISMISSED);
  request.set_comment("why");
  EXPECT_EQ(Ask<v1::UpdateFindingResponse>(request).error().code(),
            base::ErrorCode::kResourceExhausted);
  request.clear_comment();
  const auto updated = Ask<v1::UpdateFindingResponse>(request);
  ASSERT_TRUE(updated.has_value()) << updated.error().ToString();
  EXPECT_EQ(updated->finding().state(), v1::FINDING_STATE_DISMISSED);
  const auto log = Ask<v1::ListAuditEntriesResponse>(v1::ListAuditEntriesRequest());
  ASSERT_TRUE(log.has_value());
  ASSERT_EQ(log->entries_size(), 4);
  EXPECT_EQ(log->entries(2).token_name(), "ada");
  EXPECT_EQ(log->entries(2).summary(), "finding_id=1 state=FINDING_STATE_DISMISSED")
      << "who did it is known";
  EXPECT_EQ(log->entries(3).outcome(), v1::AUDIT_OUTCOME_DONE);
}

TEST_F(AdminApiTest, ShowsOneEndpointAsTheListDoes) {
  SeeModels(1, 2);
  world_.Enrol(2);
  v1::GetEndpointRequest request;
  request.set_endpoint_id(tests::TestId(1).ToHex());
  const auto endpoint = Ask<v1::Endpoint>(request);
  ASSERT_TRUE(endpoint.has_value());
  const auto endpoints = Ask<v1::ListEndpointsResponse>(v1::ListEndpointsRequest());
  ASSERT_TRUE(endpoints.has_value());
  EXPECT_EQ(endpoint->SerializeAsString(), endpoints->endpoints(0).SerializeAsString());
  request.set_endpoint_id(tests::TestId(9).ToHex());
  EXPECT_EQ(Ask<v1::Endpoint>(request).error().code(), base::ErrorCode::kNotFound);
  request.set_endpoint_id("x");
  EXPECT_EQ(Ask<v1::Endpoint>(request).error().code(), base::ErrorCode::kInvalidArgument);
}

TEST_F(AdminApiTest, PublishesAPolicyAndShowsIt) {
  const rollout::Publication policy = world_.Policy(7, 3);
  const auto published = Ask<v1::PublishPolicyResponse>(Message(policy));
  ASSERT_TRUE(published.has_value()) << published.error().ToString();
  EXPECT_EQ(published->version(), 7U);
  const auto shown = Ask<v1::GetPolicyResponse>(v1::GetPolicyRequest());
  ASSERT_TRUE(shown.has_value());
  EXPECT_EQ(shown->document(), policy.text);
  EXPECT_EQ(shown->bundle().manifest(), policy.document.bytes);
  const auto fleet = Ask<v1::GetFleetResponse>(v1::GetFleetRequest());
  ASSERT_TRUE(fleet.has_value());
  EXPECT_EQ(fleet->newest_policy_version(), 7U);
  EXPECT_EQ(fleet->floor(), 3U);
  EXPECT_EQ(fleet->fleet_id(), tests::MakeTestFleet().root.fleet_id);
}

TEST_F(AdminApiTest, SaysWhoseTokenPublishedAndNothingWhereThatWasNotKept) {
  ASSERT_TRUE(world_.Publish(world_.Policy(1)).has_value());
  ASSERT_TRUE(Ask<v1::PublishPolicyResponse>(Message(world_.Policy(2))).has_value());
  v1::PublishExceptionsRequest exceptions;
  model::Exception exception;
  exception.overrides = "default";
  exception.reason = "a test";
  exception.expires = tests::kTestEpoch + std::chrono::hours(1);
  wire::ToProto(tests::SignExceptions(tests::MakeExceptionSet(1, {exception})),
                *exceptions.mutable_signed_exceptions());
  ASSERT_TRUE(Ask<v1::PublishExceptionsResponse>(exceptions).has_value());
  const std::string ada = api_world_.last_id_.ToHex();

  const auto policies = Ask<v1::ListPoliciesResponse>(v1::ListPoliciesRequest());
  ASSERT_EQ(policies->policies_size(), 2);
  EXPECT_EQ(policies->policies(0).published_by(), "ada");
  EXPECT_EQ(policies->policies(0).published_by_token_id(), ada);
  EXPECT_EQ(policies->policies(1).published_by(), "");
  EXPECT_EQ(policies->policies(1).published_by_token_id(), "");
  const auto policy = Ask<v1::GetPolicyResponse>(v1::GetPolicyRequest());
  EXPECT_EQ(policy->published_by(), "ada");
  EXPECT_EQ(policy->published_by_token_id(), ada);
  const auto set = Ask<v1::PublishedExceptionSet>(v1::GetExceptionSetRequest());
  ASSERT_TRUE(set.has_value()) << set.error().ToString();
  EXPECT_EQ(set->published_by(), "ada");
  EXPECT_EQ(set->published_by_token_id(), ada);
  v1::ListExceptionsRequest of_ada;
  of_ada.set_filter("granted_by_token_id = " + ada);
  EXPECT_EQ(Ask<v1::ListExceptionsResponse>(of_ada)->exceptions_size(), 0) << "it has expired";
  of_ada.set_include_ended(true);
  const auto granted = Ask<v1::ListExceptionsResponse>(of_ada);
  ASSERT_TRUE(granted.has_value()) << granted.error().ToString();
  ASSERT_EQ(granted->exceptions_size(), 1);
  EXPECT_EQ(granted->exceptions(0).granted_by(), "ada");
}

TEST_F(AdminApiTest, MakesTokensAndRevokes) {
  v1::CreateTokenRequest request;
  request.set_uses(2);
  request.set_valid_for_ms(3'600'000);
  const auto token = Ask<v1::CreateTokenResponse>(request);
  ASSERT_TRUE(token.has_value());
  EXPECT_TRUE(token->token().starts_with("wm1."));
  request.set_valid_for_ms(INT64_MAX);
  EXPECT_FALSE(Ask<v1::CreateTokenResponse>(request).has_value());

  world_.Enrol(1);
  v1::RevokeEndpointRequest revoke;
  revoke.set_endpoint_id(tests::TestId(1).ToHex());
  revoke.set_reason("stolen");
  const auto revoked = Ask<v1::RevokeEndpointResponse>(revoke);
  ASSERT_TRUE(revoked.has_value());
  EXPECT_FALSE(revoked->was_connected());
  EXPECT_EQ(world_.queries_->FindEndpoint(tests::TestId(1))->state, store::EndpointState::kRevoked);
  v1::GetEndpointRequest about;
  about.set_endpoint_id(revoke.endpoint_id());
  const auto endpoint = Ask<v1::Endpoint>(about);
  ASSERT_TRUE(endpoint.has_value());
  EXPECT_EQ(endpoint->key_sha256(), tests::TestKey(11).public_key().id().ToHex());
  EXPECT_EQ(endpoint->key_added_time_us(), base::ToMicroseconds(world_.loop_.Now()));
  EXPECT_EQ(endpoint->revoked_time_us(), base::ToMicroseconds(world_.loop_.Now()));
  EXPECT_EQ(endpoint->revoked_reason(), "stolen");
  revoke.set_endpoint_id(tests::TestId(9).ToHex());
  EXPECT_EQ(Ask<v1::RevokeEndpointResponse>(revoke).error().code(), base::ErrorCode::kNotFound);
}

TEST_F(AdminApiTest, ListsWhatAFilterLeavesInTheOrderThatWasAsked) {
  SeeModels(1, 3);
  v1::ListSightingsRequest request;
  request.set_filter("verdict = deny AND path = \"/m/*\" AND NOT path:\"/1\"");
  request.set_order_by("path desc");
  const auto page = Ask<v1::ListSightingsResponse>(request);
  ASSERT_TRUE(page.has_value()) << page.error().ToString();
  EXPECT_EQ(page->total(), 2U);
  EXPECT_FALSE(page->total_is_least());
  ASSERT_EQ(page->sightings_size(), 2);
  EXPECT_TRUE(page->sightings(0).path().text().starts_with("/m/2"));
  request.set_filter("verdic = deny");
  const auto refused = Ask<v1::ListSightingsResponse>(request);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message().find("did you mean \"verdict\"?"), std::string::npos);
}

TEST_F(AdminApiTest, KnowsWhatWasThereAtAMoment) {
  SeeModels(1, 2);
  v1::ListSightingsRequest request;
  request.set_as_of_time_us(1);
  const auto before = Ask<v1::ListSightingsResponse>(request);
  ASSERT_TRUE(before.has_value());
  EXPECT_EQ(before->total(), 0U);
  request.set_as_of_time_us(std::numeric_limits<std::int64_t>::max());
  const auto after = Ask<v1::ListSightingsResponse>(request);
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(after->total(), 2U);
  request.set_include_gone(true);
  EXPECT_FALSE(Ask<v1::ListSightingsResponse>(request).has_value());
}

TEST_F(AdminApiTest, CountsArtifactsAndVerdictsAndShowsWhatAnEndpointTold) {
  SeeModels(1, 3);
  v1::ListArtifactsRequest artifacts;
  artifacts.set_filter("places > 0 AND format = gguf");
  const auto distinct = Ask<v1::ListArtifactsResponse>(artifacts);
  ASSERT_TRUE(distinct.has_value()) << distinct.error().ToString();
  std::uint64_t places = 0;
  for (const v1::Artifact& artifact : distinct->artifacts()) {
    places += artifact.places();
    EXPECT_EQ(artifact.endpoints(), 1U);
    EXPECT_EQ(artifact.sha256().size(), 64U);
  }
  EXPECT_EQ(places, 3U);

  const auto counts = Ask<v1::CountVerdictsResponse>(v1::CountVerdictsRequest());
  ASSERT_TRUE(counts.has_value()) << counts.error().ToString();
  EXPECT_EQ(counts->allow() + counts->warn() + counts->deny() + counts->pending(), 3U);
  EXPECT_GE(counts->deny(), 1U);
  EXPECT_EQ(counts->coverage().endpoints(), 1U);

  v1::ListEventsRequest events;
  events.set_endpoint_id(
      Ask<v1::ListEndpointsResponse>(v1::ListEndpointsRequest())->endpoints(0).endpoint_id());
  events.set_filter("kind = sighting_appeared");
  events.set_order_by("number");
  const auto told = Ask<v1::ListEventsResponse>(events);
  ASSERT_TRUE(told.has_value()) << told.error().ToString();
  ASSERT_EQ(told->events_size(), 3);
  EXPECT_EQ(told->events(0).kind(), "sighting_appeared");
  EXPECT_LT(told->events(0).number(), told->events(1).number());
  EXPECT_TRUE(told->events(0).event().has_sighting_appeared());

  const std::string nobody(32, '0');
  events.set_endpoint_id(nobody);
  EXPECT_EQ(Ask<v1::ListEventsResponse>(events).error().code(), base::ErrorCode::kNotFound);
  v1::CountVerdictsRequest of_nobody;
  of_nobody.set_endpoint_id(nobody);
  EXPECT_EQ(Ask<v1::CountVerdictsResponse>(of_nobody).error().code(), base::ErrorCode::kNotFound);
  const auto policies = Ask<v1::ListPoliciesResponse>(v1::ListPoliciesRequest());
  ASSERT_TRUE(policies.has_value());
  EXPECT_EQ(policies->total(), 0U);
}

}  // namespace
}  // namespace weighmaster::server::api
