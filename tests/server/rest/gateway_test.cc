#include "server/rest/gateway.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "policy/base/limits.h"
#include "server/rest/change_events.h"
#include "tests/server/api/api_world.h"
#include "tests/server/rest/metrics_reader.h"

namespace weighmaster::server::rest {
namespace {

namespace limits = base::limits;
using Json = nlohmann::json;

class GatewayTest : public ::testing::Test {
 protected:
  GatewayTest() {
    gateway_ = std::make_unique<Gateway>(
        world_.world_.loop_, world_.world_.loop_, world_.world_.executor_, world_.dispatch_,
        [this] { return writable_; }, [this] { return strangers_; });
  }

  RequestHead Head(std::string method, std::string target, bool has_body = false) const {
    return {std::move(method), std::move(target), authorization_, has_body ? content_type_ : "",
            has_body};
  }
  Gateway::Opening Open(const RequestHead& head) {
    std::optional<Gateway::Opening> opening;
    gateway_->Open(head, [&](Gateway::Opening made) { opening.emplace(std::move(made)); });
    world_.world_.loop_.RunReady();
    EXPECT_TRUE(opening.has_value());
    return *std::move(opening);
  }
  // Both steps, as a connection makes them.
  Answer Ask(const std::string& method, const std::string& target, const std::string& body = "") {
    Gateway::Opening opening = Open(Head(method, target, !body.empty()));
    if (auto* const answer = std::get_if<Answer>(&opening)) return std::move(*answer);
    std::optional<Answer> answer;
    gateway_->Call(std::get<Gateway::Admitted>(std::move(opening)), body,
                   [&](Answer made) { answer.emplace(std::move(made)); });
    world_.world_.loop_.RunReady();
    EXPECT_TRUE(answer.has_value());
    return *std::move(answer);
  }
  // An error's code, once it is held to be a google.rpc.Status.
  static int CodeOf(const Answer& answer) {
    const Json json = Json::parse(answer.body);
    EXPECT_EQ(answer.content_type, "application/json");
    EXPECT_EQ(json.size(), 3U);
    EXPECT_FALSE(json.at("message").get<std::string>().empty());
    EXPECT_EQ(json.at("details"), Json::array());
    return json.at("code");
  }
  static std::string MessageOf(const Answer& answer) {
    return Json::parse(answer.body).at("message");
  }
  static std::string Header(const Answer& answer, std::string_view name) {
    const auto found =
        std::ranges::find(answer.headers, name, &std::pair<std::string, std::string>::first);
    return found == answer.headers.end() ? "" : found->second;
  }

  tests::ApiWorld world_;
  std::string authorization_ = world_.bearer_;
  std::string content_type_ = "application/json";
  bool writable_ = true;
  StrangerCounts strangers_;
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(GatewayTest, AnswersACallAsJson) {
  const Answer answer = Ask("GET", "/v1/whoami");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(Json::parse(answer.body).at("admin_token").at("name"), "ada");
}

TEST_F(GatewayTest, KnowsWhomItRefusesByAGoodToken) {
  const auto known = [this] {
    return std::get<Answer>(Open(Head("POST", "/v1/enrolment_tokens"))).caller_is_known;
  };
  authorization_ = world_.MakeBearer(store::AdminRole::kViewer);
  for (int i = 0; i <= limits::kAdminCallBurst; ++i) EXPECT_TRUE(known()) << i;
  authorization_ = "Bearer wma1.AAAA";
  EXPECT_FALSE(known());
}

TEST_F(GatewayTest, TakesAPathWithItsHost) {
  EXPECT_EQ(Ask("GET", "http://server/v1/whoami").status, 200);
  EXPECT_EQ(Ask("GET", "HTTPS://server:8444/v1/endpoints?page_size=1").status, 200);
  EXPECT_EQ(Ask("GET", "https://[2001:db8::1]:8444/healthz").status, 200);
  for (const char* const target : {"https://server", "https://server?a=/healthz", "http://",
                                   "ftp://server/healthz", "server/healthz"}) {
    EXPECT_EQ(Ask("GET", target).status, 404) << target;
  }
}

TEST_F(GatewayTest, GivesPrometheusTheSumsOfTheFleetAndOfItsCalls) {
  world_.world_.Enrol(1);
  const model::Id second = world_.world_.Enrol(2);
  ASSERT_TRUE(world_.world_.sqlite_
                  ->Revoke(store::Scope::WholeFleet(), second, "lost", world_.world_.loop_.Now())
                  .has_value());
  store::FindingChange finding;
  finding.dedupe_key = finding.rule = "rule";
  finding.endpoint = tests::TestId(1);
  finding.severity = model::Severity::kHigh;
  ASSERT_TRUE(world_.world_.sqlite_->RecordFindings(std::vector{finding}).has_value());
  ASSERT_TRUE(world_.world_.Publish(world_.world_.Policy(7)).has_value());
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  const wire::SealedBatch start = script.Start();
  const wire::SealedBatch seen =
      script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)},
                   model::SightingAppeared{tests::TestSighting("/m/b", 2)}});
  for (const wire::SealedBatch& batch : {start, seen, seen}) {
    EXPECT_TRUE(world_.world_.ingest_.Submit(
        {tests::TestId(1), tests::TestKey(11).public_key(), {}}, batch, [](const auto&) {}));
  }
  Ask("GET", "/v1/whoami");
  Ask("GET", "/v1/endpoints/" + std::string(32, '0'));
  strangers_ = {3, {{"too_slow", 4}, {"crowded", 0}}, 5};

  const Answer answer = Ask("GET", "/metrics");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
  const tests::MetricsReader metrics(answer.body);
  using Labels = tests::MetricsReader::Labels;
  const std::tuple<const char*, Labels, const char*> expected[] = {
      {"weighmaster_build_info", {{"version", "0.1.0"}}, "1"},
      {"weighmaster_store_writable", {}, "1"},
      {"weighmaster_endpoints", {{"state", "active"}}, "1"},
      {"weighmaster_endpoints", {{"state", "revoked"}}, "1"},
      {"weighmaster_endpoints_connected", {}, "0"},
      {"weighmaster_sightings", {{"verdict", "pending"}}, "2"},
      {"weighmaster_coverage_endpoints", {{"state", "not"}}, "1"},
      {"weighmaster_findings", {{"state", "open"}, {"severity", "high"}}, "1"},
      {"weighmaster_policy_newest_version", {}, "7"},
      {"weighmaster_policy_endpoints_in_force", {}, "0"},
      {"weighmaster_policy_endpoints_partly", {}, "0"},
      {"weighmaster_policy_offers_total", {}, "0"},
      {"weighmaster_ingest_batches_total", {{"outcome", "stored"}}, "2"},
      {"weighmaster_ingest_batches_total", {{"outcome", "repeated"}}, "1"},
      {"weighmaster_ingest_events_total", {}, "3"},
      {"weighmaster_ingest_batches_waiting", {}, "0"},
      {"weighmaster_admin_calls_total", {{"method", "WhoAmI"}, {"code", "OK"}}, "1"},
      {"weighmaster_admin_calls_total", {{"method", "GetEndpoint"}, {"code", "NOT_FOUND"}}, "1"},
      {"weighmaster_rest_calls_waiting", {}, "1"},
      {"weighmaster_rest_event_streams", {}, "0"},
      {"weighmaster_rpc_strangers", {}, "3"},
      {"weighmaster_rpc_strangers_cut_total", {{"reason", "too_slow"}}, "4"},
      {"weighmaster_rpc_strangers_cut_total", {{"reason", "crowded"}}, "0"},
      {"weighmaster_rpc_accept_pauses_total", {}, "5"}};
  for (const auto& [name, labels, value] : expected) {
    EXPECT_EQ(metrics.Value(name, labels), value) << name;
  }
}

TEST_F(GatewayTest, CountsCallsThatItCouldNotReadOrHadNoRoomFor) {
  EXPECT_EQ(Ask("GET", "/v1/whoami?x=1").status, 400);
  EXPECT_EQ(Ask("POST", "/v1/policies", "nonsense").status, 400);
  {
    std::vector<Answer> being_written;
    for (std::size_t i = 0; i < limits::kMaxRestCallsWaiting; ++i) {
      being_written.push_back(Ask("GET", "/v1/fleet"));
      world_.world_.loop_.RunFor(std::chrono::seconds(1));  // the rate is not what is tested here
    }
    EXPECT_EQ(Ask("GET", "/v1/whoami").status, 429);
  }
  const tests::MetricsReader metrics(Ask("GET", "/metrics").body);
  const auto calls = [&metrics](const char* method, const char* code) {
    return metrics.Value("weighmaster_admin_calls_total", {{"method", method}, {"code", code}});
  };
  EXPECT_EQ(calls("WhoAmI", "INVALID_ARGUMENT"), "1");
  EXPECT_EQ(calls("PublishPolicy", "INVALID_ARGUMENT"), "1");
  EXPECT_EQ(calls("WhoAmI", "RESOURCE_EXHAUSTED"), "1");
  EXPECT_EQ(metrics.Value("weighmaster_admin_calls_rate_limited_total"), "0");
}

TEST_F(GatewayTest, GivesMetricsToNobodyWithoutAToken) {
  authorization_.clear();
  EXPECT_EQ(Ask("GET", "/metrics").status, 401);
  authorization_ = world_.bearer_;
  EXPECT_EQ(Ask("POST", "/metrics").status, 405);
}

// Who follows what changes.
class ChangeEventsTest : public GatewayTest {
 protected:
  Answer Follow(const std::string& target, const std::string& last_event_id = "") {
    RequestHead head = Head("GET", target);
    head.accept = "text/event-stream";
    head.last_event_id = last_event_id;
    Gateway::Opening opening = Open(head);
    if (auto* const answer = std::get_if<Answer>(&opening)) return std::move(*answer);
    std::optional<Answer> answer;
    gateway_->Call(std::get<Gateway::Admitted>(std::move(opening)), "",
                   [&](Answer made) { answer.emplace(std::move(made)); });
    world_.world_.loop_.RunReady();
    EXPECT_TRUE(answer.has_value());
    return *std::move(answer);
  }
  // What comes within the time; "": nothing yet. "end": the end.
  std::string Next(ChangeEvents& events, base::Duration within) {
    std::string said;
    events.Next([&said](std::optional<std::string> text) { said = text.value_or("end"); });
    world_.world_.loop_.RunFor(within);
    return said;
  }
};

TEST_F(ChangeEventsTest, TellWhatChangesFromNowOnAndThatTheyAreThere) {
  world_.world_.Enrol(1);
  const Answer answer = Follow("/v1/changes");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.content_type, "text/event-stream");
  ASSERT_NE(answer.events, nullptr);
  EXPECT_EQ(Next(*answer.events, std::chrono::milliseconds(1)), "retry: 2000\nid: 1\n\n");
  std::string said = "nothing";
  answer.events->Next([&said](std::optional<std::string> text) { said = text.value_or("end"); });
  world_.world_.loop_.RunFor(std::chrono::seconds(5));
  EXPECT_EQ(said, "nothing");
  const model::Id second = world_.world_.Enrol(2);
  world_.world_.loop_.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(said.find("id: 2\nevent: endpoint\ndata: {\"position\":\"2\""), 0U) << said;
  EXPECT_NE(said.find(second.ToHex()), std::string::npos);
  EXPECT_TRUE(said.ends_with("}\n\n"));
  EXPECT_EQ(Next(*answer.events, limits::kRestEventHeartbeat + limits::kRestEventPause),
            "id: 2\n: nothing changed\n\n");
}

TEST_F(ChangeEventsTest, GoOnFromWhereTheReaderWas) {
  for (const int n : {1, 2, 3}) world_.world_.Enrol(static_cast<std::uint8_t>(n));
  const Answer answer = Follow("/v1/changes?position=0", "2");
  ASSERT_NE(answer.events, nullptr);
  const std::string said = Next(*answer.events, std::chrono::milliseconds(1));
  EXPECT_EQ(said.find("retry: 2000\n\nid: 3\nevent: endpoint\n"), 0U) << said;
  EXPECT_EQ(said.find("id: 2\n"), std::string::npos);
}

TEST_F(ChangeEventsTest, AreOnlyThoseThatTheReaderAsksFor) {
  const model::Id first = world_.world_.Enrol(1);
  world_.world_.Enrol(2);
  const std::string target = "/v1/changes?position=0&filter=endpoint_id%3D" + first.ToHex();
  for (const std::string last_event_id : {"", "0"}) {
    const Answer answer = Follow(target, last_event_id);
    ASSERT_NE(answer.events, nullptr) << answer.body;
    const std::string said = Next(*answer.events, std::chrono::milliseconds(1));
    EXPECT_NE(said.find("id: 1\nevent: endpoint\n"), std::string::npos) << said;
    EXPECT_EQ(said.find("id: 2\n"), std::string::npos) << said;
    world_.world_.Enrol(static_cast<std::uint8_t>(last_event_id.empty() ? 3 : 4));
    EXPECT_EQ(Next(*answer.events, limits::kRestEventHeartbeat + limits::kRestEventPause),
              "id: " + std::string(last_event_id.empty() ? "3" : "4") + "\n: nothing changed\n\n")
        << "past what the filter leaves out";
  }
  EXPECT_EQ(Follow("/v1/changes?filter=no_such%3D1").status, 400);
}

TEST_F(ChangeEventsTest, RefuseWhatIsNoPositionBeforeTheyBegin) {
  for (const char* const bad : {"x", "1&page_size=2", "99999999999999999999", "7"}) {
    const Answer answer = Follow("/v1/changes", bad);
    EXPECT_EQ(answer.status, 400) << bad;
    EXPECT_EQ(answer.events, nullptr);
  }
}

TEST_F(ChangeEventsTest, EndWithTheTokenThatAskedForThem) {
  authorization_ = world_.MakeBearer(store::AdminRole::kViewer);
  const Answer answer = Follow("/v1/changes");
  ASSERT_NE(answer.events, nullptr);
  Next(*answer.events, std::chrono::milliseconds(1));
  std::string said;
  answer.events->Next([&said](std::optional<std::string> text) { said = text.value_or("end"); });
  ASSERT_TRUE(
      world_.world_.store_
          ->RevokeAdminToken(store::Scope::WholeFleet(), world_.last_id_, world_.world_.loop_.Now())
          .has_value());
  world_.world_.loop_.RunFor(std::chrono::minutes(5));
  EXPECT_EQ(said.find("event: error\ndata: {\"code\":16,"), 0U) << said;
  EXPECT_EQ(Next(*answer.events, std::chrono::milliseconds(1)), "end");
}

TEST_F(ChangeEventsTest, AreOnlySoManyAndMakeRoomWhenTheyGo) {
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < limits::kMaxRestEventStreams; ++i) {
    if (i % limits::kMaxRestEventStreamsOfToken == 0) {
      authorization_ = world_.MakeBearer(store::AdminRole::kViewer);
    }
    answers.push_back(Follow("/v1/changes"));
    ASSERT_EQ(answers.back().status, 200);
  }
  authorization_ = world_.bearer_;
  const Answer refused = Follow("/v1/changes");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(MessageOf(refused),
            "all tokens together have 64 streams of changes, and can't have more at a time");
  EXPECT_EQ(Ask("GET", "/v1/changes").status, 200) << "the same as JSON ends at once";
  answers.pop_back();
  EXPECT_EQ(Follow("/v1/changes").status, 200);
}

TEST_F(ChangeEventsTest, AreOnlySoManyOfATokenAndLeaveRoomForOthers) {
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < limits::kMaxRestEventStreamsOfToken; ++i) {
    answers.push_back(Follow("/v1/changes"));
    ASSERT_EQ(answers.back().status, 200);
  }
  const Answer refused = Follow("/v1/changes");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(CodeOf(refused), 8);
  EXPECT_EQ(Header(refused, "Retry-After"), "1");
  EXPECT_EQ(MessageOf(refused),
            "this token has 8 streams of changes, and can't have more at a time");
  authorization_ = world_.MakeBearer(store::AdminRole::kViewer);
  EXPECT_EQ(Follow("/v1/changes").status, 200);
  authorization_ = world_.bearer_;
  answers.pop_back();
  answers.push_back(Follow("/v1/changes"));
  EXPECT_EQ(answers.back().status, 200);
  EXPECT_EQ(Follow("/v1/changes").status, 429) << "the room of one is that of one";
}

TEST_F(GatewayTest, TakesFieldsFromPathQueryAndBody) {
  world_.world_.Enrol(1);
  const std::string id = tests::TestId(1).ToHex();
  EXPECT_EQ(Json::parse(Ask("GET", "/v1/endpoints?page_size=1").body).at("total"), "1");
  EXPECT_EQ(Json::parse(Ask("GET", "/v1/endpoints/" + id).body).at("endpoint_id"), id);
  const Answer revoked = Ask("POST", "/v1/endpoints/" + id + ":revoke", R"({"reason": "lost"})");
  EXPECT_EQ(revoked.status, 200) << revoked.body;
  EXPECT_EQ(Json::parse(Ask("GET", "/v1/endpoints/" + id).body).at("state"),
            "ENDPOINT_STATE_REVOKED");
}

TEST_F(GatewayTest, AnswersAHeadLikeAGet) {
  EXPECT_EQ(Ask("HEAD", "/v1/whoami").body, Ask("GET", "/v1/whoami").body);
  EXPECT_EQ(Ask("HEAD", "/healthz").status, 200);
}

TEST_F(GatewayTest, SaysWhatIsWrongWithARequest) {
  EXPECT_EQ(CodeOf(Ask("GET", "/v1/nothing")), 5);
  EXPECT_EQ(Ask("GET", "/v1/nothing").status, 404);
  EXPECT_EQ(Ask("GET", "*").status, 404);
  EXPECT_EQ(Ask("GET", "/v1/whoami?x=1").status, 400);
  EXPECT_EQ(CodeOf(Ask("POST", "/v1/enrolment_tokens", "nonsense")), 3);
  EXPECT_EQ(Ask("GET", "/v1/policies/7").status, 404);
  EXPECT_EQ(Ask("GET", "/v1/" + std::string(limits::kMaxRestTargetBytes, 'x')).status, 414);
  content_type_ = "text/plain";
  EXPECT_EQ(Ask("POST", "/v1/enrolment_tokens", "{}").status, 415);
  content_type_ = "Application/JSON ; charset=utf-8";
  EXPECT_EQ(Ask("POST", "/v1/enrolment_tokens", "{}").status, 400) << "it has no uses";
}

TEST_F(GatewayTest, SaysWhatElseAPathHas) {
  const Answer answer = Ask("DELETE", "/v1/admin_tokens");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(CodeOf(answer), 12);
  const std::string allow = Header(answer, "Allow");
  EXPECT_NE(allow.find("GET, HEAD"), std::string::npos) << allow;
  EXPECT_NE(allow.find("POST"), std::string::npos) << allow;
  EXPECT_EQ(Header(Ask("HEAD", "/v1/enrolment_tokens"), "Allow"), "POST");
  EXPECT_EQ(Header(Ask("POST", "/healthz"), "Allow"), "GET, HEAD");
}

TEST_F(GatewayTest, WantsNoBodyOfWhomItDoesNotKnow) {
  const std::string path = "/v1/policies";
  for (const std::string& other : {std::string(), std::string("Bearer wma1.AAAA"),
                                   authorization_.substr(0, authorization_.size() - 1)}) {
    authorization_ = other;
    const Gateway::Opening opening = Open(Head("POST", path, true));
    ASSERT_TRUE(std::holds_alternative<Answer>(opening)) << other;
    const Answer& answer = std::get<Answer>(opening);
    EXPECT_EQ(answer.status, 401);
    EXPECT_EQ(CodeOf(answer), 16);
    EXPECT_EQ(Header(answer, "WWW-Authenticate"), "Bearer");
  }
  authorization_ = world_.MakeBearer(store::AdminRole::kViewer);
  const Gateway::Opening opening = Open(Head("POST", path, true));
  ASSERT_TRUE(std::holds_alternative<Answer>(opening));
  EXPECT_EQ(std::get<Answer>(opening).status, 403);
  EXPECT_EQ(CodeOf(std::get<Answer>(opening)), 7);
}

TEST_F(GatewayTest, LimitsABodyByItsMethod) {
  const auto limit_of = [this](const std::string& target) {
    return std::get<Gateway::Admitted>(Open(Head("POST", target, true))).body_limit_bytes;
  };
  EXPECT_EQ(limit_of("/v1/enrolment_tokens"), limits::kMaxAdminRequestBytes);
  EXPECT_EQ(limit_of("/v1/policies"), limits::kMaxRestPublicationBytes);
}

TEST_F(GatewayTest, TellsEverybodyOfItsHealthAndItsPage) {
  authorization_.clear();
  EXPECT_EQ(Ask("GET", "/healthz").body, R"({"status":"ok"})");
  writable_ = false;
  EXPECT_EQ(Ask("GET", "/healthz").status, 503);
  EXPECT_EQ(Ask("GET", "/healthz").body, R"({"status":"store_unwritable"})");
  EXPECT_EQ(Json::parse(Ask("GET", "/v1/openapi.json").body).at("info").at("title"), "Weighmaster");
}

TEST_F(GatewayTest, MakesSoManyAnswersAtATimeAndNoMore) {
  std::vector<Answer> being_written;
  for (std::size_t i = 0; i < limits::kMaxRestCallsWaiting; ++i) {
    being_written.push_back(Ask("GET", "/v1/whoami"));
    ASSERT_EQ(being_written.back().status, 200) << i;
  }
  const Answer refused = Ask("GET", "/v1/whoami");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(Header(refused, "Retry-After"), "1");
  being_written.pop_back();
  EXPECT_EQ(Ask("GET", "/v1/whoami").status, 200);
}

TEST_F(GatewayTest, MakesRoomForAPublicationOnceOneIsRefused) {
  for (const char* const bad : {"nonsense", "{}"}) {
    EXPECT_EQ(Ask("POST", "/v1/policies", bad).status, 400) << bad;
  }
}

TEST_F(GatewayTest, RepliesToNobodyOnceItIsGone) {
  bool replied = false;
  gateway_->Open(Head("GET", "/v1/whoami"), [&](const auto&) { replied = true; });
  Gateway::Opening opening = Open(Head("GET", "/v1/endpoints"));
  gateway_->Call(std::get<Gateway::Admitted>(std::move(opening)), "",
                 [&](const auto&) { replied = true; });
  replied = false;
  gateway_.reset();
  world_.world_.loop_.RunReady();
  EXPECT_FALSE(replied);
}

TEST_F(GatewayTest, TellsBrowsersWhatTheyMayNot) {
  std::vector<std::string> names;
  for (const auto& [name, value] : SecurityHeaders()) names.push_back(name);
  EXPECT_NE(std::ranges::find(names, "Cache-Control"), names.end());
  EXPECT_NE(std::ranges::find(names, "X-Content-Type-Options"), names.end());
}

}  // namespace
}  // namespace weighmaster::server::rest
