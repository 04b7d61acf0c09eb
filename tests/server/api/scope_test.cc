// What a caller whose token is for some endpoints only sees and does through the API.

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "proto/wire/convert.h"
#include "tests/server/api/api_world.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

using base::ErrorCode;

// Endpoint 1 is in Berlin, endpoint 2 in Paris; each has a denied model. `berlin_` is an admin of
// the former.
class ScopeTest : public ::testing::Test {
 protected:
  ScopeTest() {
    for (const std::uint8_t n : {std::uint8_t{1}, std::uint8_t{2}}) {
      world_.world_.Enrol(n);
      SetLabels(n, {n == 1 ? "site=berlin" : "site=paris"});
      tests::EndpointScript script(tests::TestKey(10 + n), tests::TestId(n), n);
      Send(n, script.Start());
      Send(n, script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", n)}}));
      Send(n, script.Seal({model::SightingJudged{
                  {"/m/a"}, tests::TestDigest(n), tests::TestVerdict(model::Outcome::kDeny)}}));
    }
  }
  void Send(std::uint8_t n, wire::SealedBatch batch) {
    EXPECT_TRUE(
        world_.world_.ingest_.Submit({tests::TestId(n), tests::TestKey(10 + n).public_key(), {}},
                                     std::move(batch), [](const ingest::Outcome&) {}));
    world_.world_.loop_.RunReady();
  }
  base::Result<v1::SetEndpointLabelsResponse> Label(std::uint8_t n,
                                                    const std::vector<std::string>& labels,
                                                    const std::string& bearer) {
    v1::SetEndpointLabelsRequest request;
    request.set_endpoint_id(tests::TestId(n).ToHex());
    for (const std::string& label : labels) request.add_labels(label);
    return world_.Ask<v1::SetEndpointLabelsResponse>(request, bearer);
  }
  void SetLabels(std::uint8_t n, const std::vector<std::string>& labels) {
    EXPECT_TRUE(Label(n, labels, world_.bearer_).has_value());
  }
  template <typename Response, typename Request>
  base::Result<Response> Ask(const Request& request) {
    return world_.Ask<Response>(request, berlin_);
  }
  template <typename Response, typename Request>
  ErrorCode Refusal(const Request& request) {
    const auto answer = Ask<Response>(request);
    return answer.has_value() ? ErrorCode::kUnknown : answer.error().code();
  }
  // A request about endpoint `n`.
  template <typename Request>
  static Request About(std::uint8_t n) {
    Request request;
    request.set_endpoint_id(tests::TestId(n).ToHex());
    return request;
  }

  tests::ApiWorld world_;
  const std::string berlin_ = world_.MakeBearer(store::AdminRole::kAdmin, {}, "bea", "site=berlin");
};

TEST_F(ScopeTest, SeesItsEndpointsAlone) {
  const auto endpoints = Ask<v1::ListEndpointsResponse>(v1::ListEndpointsRequest());
  ASSERT_TRUE(endpoints.has_value()) << endpoints.error().ToString();
  ASSERT_EQ(endpoints->endpoints_size(), 1);
  EXPECT_EQ(endpoints->total(), 1U);
  EXPECT_EQ(endpoints->endpoints(0).endpoint_id(), tests::TestId(1).ToHex());
  EXPECT_EQ(endpoints->endpoints(0).labels(0), "site=berlin");
  const auto sightings = Ask<v1::ListSightingsResponse>(v1::ListSightingsRequest());
  EXPECT_EQ(sightings->total(), 1U);
  EXPECT_EQ(sightings->coverage().endpoints(), 1U);
  EXPECT_EQ(Ask<v1::ListArtifactsResponse>(v1::ListArtifactsRequest())->total(), 1U);
  EXPECT_EQ(Ask<v1::ListFindingsResponse>(v1::ListFindingsRequest())->total(), 1U);
  EXPECT_EQ(Ask<v1::CountVerdictsResponse>(v1::CountVerdictsRequest())->deny(), 1U);
  v1::WhereRequest where;
  where.set_sha256(tests::TestDigest(2).ToHex());
  EXPECT_EQ(Ask<v1::WhereResponse>(where)->total(), 0U);
  v1::ListChangesRequest changes;
  changes.set_position("0");
  const auto changed = Ask<v1::ListChangesResponse>(changes);
  ASSERT_TRUE(changed.has_value());
  EXPECT_GT(changed->changes_size(), 0);
  for (const v1::Change& change : changed->changes()) {
    EXPECT_EQ(change.endpoint_id(), tests::TestId(1).ToHex());
  }
}

TEST_F(ScopeTest, FindsNoOtherEndpointAndDoesNothingToIt) {
  constexpr auto kNo = ErrorCode::kNotFound;
  EXPECT_EQ(Refusal<v1::Endpoint>(About<v1::GetEndpointRequest>(2)), kNo);
  EXPECT_EQ(Refusal<v1::ListSightingsResponse>(About<v1::ListSightingsRequest>(2)), kNo);
  EXPECT_EQ(Refusal<v1::ListEventsResponse>(About<v1::ListEventsRequest>(2)), kNo);
  EXPECT_EQ(Refusal<v1::CountVerdictsResponse>(About<v1::CountVerdictsRequest>(2)), kNo);
  EXPECT_EQ(Refusal<v1::GetEvidenceResponse>(About<v1::GetEvidenceRequest>(2)), kNo);
  EXPECT_EQ(Refusal<v1::ListBatchesResponse>(About<v1::ListBatchesRequest>(2)), kNo);
  EXPECT_EQ(Refusal<v1::RevokeEndpointResponse>(About<v1::RevokeEndpointRequest>(2)), kNo);
  EXPECT_EQ(Label(2, {"site=berlin"}, berlin_).error().code(), kNo);
  v1::GetFindingRequest finding;
  finding.set_finding_id(2);
  EXPECT_EQ(Refusal<v1::GetFindingResponse>(finding), kNo);
  v1::UpdateFindingRequest update;
  update.set_finding_id(2);
  update.set_comment("x");
  EXPECT_EQ(Refusal<v1::UpdateFindingResponse>(update), kNo);

  EXPECT_TRUE(Ask<v1::GetEvidenceResponse>(About<v1::GetEvidenceRequest>(1)).has_value());
  update.set_finding_id(1);
  EXPECT_TRUE(Ask<v1::UpdateFindingResponse>(update).has_value());
  EXPECT_TRUE(Ask<v1::RevokeEndpointResponse>(About<v1::RevokeEndpointRequest>(1)).has_value());
}

TEST_F(ScopeTest, PublishesExceptionsOfItsEndpointsAlone) {
  const auto publish = [&](const std::optional<model::Id>& endpoint) {
    model::ExceptionSet set = tests::MakeExceptionSet(1, {});
    set.endpoint = endpoint;
    v1::PublishExceptionsRequest request;
    wire::ToProto(tests::SignExceptions(set), *request.mutable_signed_exceptions());
    return Refusal<v1::PublishExceptionsResponse>(request);
  };
  EXPECT_EQ(publish(std::nullopt), ErrorCode::kPermissionDenied);
  EXPECT_EQ(publish(tests::TestId(2)), ErrorCode::kNotFound);
  EXPECT_EQ(publish(tests::TestId(1)), ErrorCode::kUnknown) << "it is published";
}

TEST_F(ScopeTest, SimulatesOnItsEndpointsAlone) {
  v1::PolicyDraft draft;
  v1::Part& part = *draft.add_parts();
  const std::string rules = wire::SerialiseRules(model::RuleSet());
  part.mutable_reference()->set_kind(v1::PART_KIND_RULES);
  part.mutable_reference()->set_sha256(
      std::string(base::AsText(openssl::Sha256Of(base::AsBytes(rules)).view())));
  part.set_content(rules);
  const auto simulated = Ask<v1::SimulatePolicyResponse>(draft);
  ASSERT_TRUE(simulated.has_value()) << simulated.error().ToString();
  EXPECT_EQ(simulated->sightings(), 1U);
  EXPECT_EQ(simulated->coverage().endpoints(), 1U);
}

TEST_F(ScopeTest, CountsNothingOfTheWholeServer) {
  const auto whole = world_.Ask<v1::GetStatisticsResponse>(v1::GetStatisticsRequest());
  ASSERT_TRUE(whole.has_value());
  EXPECT_GT(whole->batches_stored(), 0U);
  EXPECT_EQ(whole->endpoints(0).endpoints(), 2U);
  const auto scoped = Ask<v1::GetStatisticsResponse>(v1::GetStatisticsRequest());
  ASSERT_TRUE(scoped.has_value());
  EXPECT_EQ(scoped->batches_stored(), 0U);
  EXPECT_EQ(scoped->events_stored(), 0U);
  EXPECT_EQ(scoped->endpoints(0).endpoints(), 1U);
  EXPECT_EQ(scoped->verdicts().deny(), 1U);
  EXPECT_EQ(scoped->findings(0).findings(), 1U);
  EXPECT_TRUE(scoped->store_writable());
}

TEST_F(ScopeTest, LetsEndpointsInWithItsLabelsAlone) {
  v1::CreateTokenRequest request;
  request.set_uses(1);
  request.set_valid_for_ms(60'000);
  EXPECT_EQ(Refusal<v1::CreateTokenResponse>(request), ErrorCode::kPermissionDenied);
  request.add_labels("site=paris");
  EXPECT_EQ(Refusal<v1::CreateTokenResponse>(request), ErrorCode::kPermissionDenied);
  request.set_labels(0, "site=berlin");
  request.add_labels("team=ml");
  EXPECT_TRUE(Ask<v1::CreateTokenResponse>(request).has_value());
  request.add_labels("Team=ml");
  EXPECT_EQ(Refusal<v1::CreateTokenResponse>(request), ErrorCode::kInvalidArgument);
}

TEST_F(ScopeTest, KeepsItsLabelsOnItsEndpoints) {
  EXPECT_EQ(Label(1, {"team=ml"}, berlin_).error().code(), ErrorCode::kPermissionDenied);
  const auto labelled = Label(1, {"team=ml", "site=berlin"}, berlin_);
  ASSERT_TRUE(labelled.has_value()) << labelled.error().ToString();
  ASSERT_EQ(labelled->labels_size(), 2);
  EXPECT_EQ(labelled->labels(0), "site=berlin");
  EXPECT_EQ(labelled->labels(1), "team=ml");
}

TEST_F(ScopeTest, IsGoneWithTheLabelThatGaveIt) {
  SetLabels(1, {});
  EXPECT_EQ(Ask<v1::ListEndpointsResponse>(v1::ListEndpointsRequest())->total(), 0U);
  EXPECT_EQ(Refusal<v1::Endpoint>(About<v1::GetEndpointRequest>(1)), ErrorCode::kNotFound);
}

TEST_F(ScopeTest, IsFilteredByLabelsLikeTheWholeFleet) {
  SetLabels(1, {"site=berlin", "team=ml"});
  for (const auto& [filter, count] : {std::pair("label = \"team=ml\"", 1U),
                                      {"label = \"team=m\"", 0U},
                                      {"NOT label = \"site=berlin\"", 1U},
                                      {"label:*", 2U}}) {
    v1::ListSightingsRequest sightings;
    sightings.set_filter(filter);
    const auto found = world_.Ask<v1::ListSightingsResponse>(sightings);
    ASSERT_TRUE(found.has_value()) << found.error().ToString();
    EXPECT_EQ(found->total(), count) << filter;
    v1::ListFindingsRequest findings;
    findings.set_filter(filter);
    EXPECT_EQ(world_.Ask<v1::ListFindingsResponse>(findings)->total(), count) << filter;
    v1::ListEndpointsRequest endpoints;
    endpoints.set_filter(filter);
    EXPECT_EQ(world_.Ask<v1::ListEndpointsResponse>(endpoints)->total(), count) << filter;
  }
}

}  // namespace
}  // namespace weighmaster::server::api
