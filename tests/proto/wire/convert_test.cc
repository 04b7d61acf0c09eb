#include "proto/wire/convert.h"

#include <gtest/gtest.h>

#include <iterator>
#include <limits>
#include <string>

#include "policy/base/limits.h"
#include "tests/support/keys.h"
#include "weighmaster/v1/event.pb.h"
#include "weighmaster/v1/rules.pb.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;

model::Sighting MakeSighting() {
  model::Sighting sighting;
  sighting.path.bytes = "/models/\xff\n<b>.gguf";
  sighting.identity.bytes = std::string("\x01\x00\x02", 3);
  sighting.size_bytes = 42;
  sighting.modified_at = tests::kTestEpoch;
  sighting.owner = {.id = "1000", .name = "ada"};
  sighting.facts.format = model::Format::kGguf;
  sighting.facts.name = "tiny";
  sighting.facts.parameters = 7;
  sighting.facts.risks = {{.id = "malformed",
                           .severity = model::Severity::kHigh,
                           .message = "bad",
                           .evidence = "offset 3"}};
  sighting.digest = {.state = model::DigestState::kVerified,
                     .sha256 = model::Sha256{},
                     .detail = "",
                     .verified_at = tests::kTestEpoch};
  return sighting;
}

model::Event MakeEvent(model::EventBody body) {
  model::Event event{.wall = tests::kTestEpoch,
                     .boot = {std::chrono::seconds(9)},
                     .boot_id = {},
                     .body = std::move(body)};
  event.boot_id.bytes.fill(1);
  return event;
}

// The value that comes back, after its bytes came back unchanged.
template <typename Body>
Body RoundTrip(const Body& body) {
  const std::string bytes = SerialiseEvent(MakeEvent(body));
  const auto event = ParseEvent(bytes);
  EXPECT_TRUE(event) << event.error().ToString();
  EXPECT_EQ(SerialiseEvent(*event), bytes);
  EXPECT_EQ(event->wall, tests::kTestEpoch);
  EXPECT_EQ(event->boot.since_boot, std::chrono::seconds(9));
  return std::get<Body>(event->body);
}

TEST(Event, EveryKindSurvivesSerialising) {
  EXPECT_EQ(RoundTrip(model::SightingAppeared{MakeSighting()}).sighting, MakeSighting());
  EXPECT_EQ(RoundTrip(model::SightingChanged{MakeSighting()}).sighting, MakeSighting());
  EXPECT_EQ(
      RoundTrip(model::SightingGone{.path = {.bytes = "/a"}, .reason = model::GoneReason::kNoModel})
          .reason,
      model::GoneReason::kNoModel);
  const model::Verdict verdict{.outcome = model::Outcome::kDeny,
                               .step = model::JudgementStep::kDenied,
                               .rule = "denied",
                               .reason = "It is on the list.",
                               .basis = model::Basis::kClaimed,
                               .until = tests::kTestEpoch,
                               .policy_version = 3,
                               .mode = model::Mode::kEnforce,
                               .severity = model::Severity::kLow,
                               .link = "https://models.example/",
                               .audits = {"a", "b"}};
  EXPECT_EQ(RoundTrip(model::SightingJudged{{.bytes = "/a"}, std::nullopt, verdict}).verdict,
            verdict);
  const model::Coverage coverage{.sensor = "artifacts",
                                 .root = {.bytes = "/"},
                                 .state = model::CoverageState::kPartly,
                                 .reason = model::CoverageReason::kLimit,
                                 .detail = "d",
                                 .detection = model::ChangeDetection::kEvents,
                                 .files_seen = 1,
                                 .files_failed = 2};
  EXPECT_EQ(RoundTrip(model::CoverageChanged{coverage}).coverage, coverage);
  const auto applied = RoundTrip(model::PolicyApplied{.version = 2,
                                                      .manifest = {},
                                                      .partly = true,
                                                      .missing_features = "x.v9",
                                                      .judged = 5,
                                                      .changed = 4,
                                                      .allow = 3,
                                                      .warn = 2,
                                                      .deny = 1});
  EXPECT_TRUE(applied.partly);
  EXPECT_EQ(applied.deny, 1U);
  EXPECT_EQ(RoundTrip(model::PolicyRefused{
                          .version = 2, .refusal = model::PolicyRefusal::kBadRoot, .detail = "why"})
                .detail,
            "why");
  model::ChainStarted started{.reason = model::ChainReason::kHeadUnknown,
                              .old_chain = {},
                              .old_number = 8,
                              .old_header = {}};
  EXPECT_TRUE(RoundTrip(started).old_chain.is_zero());
  started.old_chain.bytes.fill(2);
  started.old_header.bytes.fill(3);
  EXPECT_EQ(RoundTrip(started).old_header, started.old_header);
  EXPECT_EQ(
      RoundTrip(model::BodiesDropped{.priority = model::PriorityClass::kVerdict, .count = 6}).count,
      6U);
  EXPECT_EQ(RoundTrip(model::AgentStarted{
                          .version = "0.1.0", .os = "linux", .os_release = "12", .hostname = "h"})
                .hostname,
            "h");
}

TEST(Event, OfAKindOfTheFutureIsUnimplementedAndNotMalformed) {
  v1::Event proto;
  ASSERT_TRUE(proto.ParseFromString(SerialiseEvent(MakeEvent(model::BodiesDropped{}))));
  proto.clear_body();
  EXPECT_EQ(ParseEvent(proto.SerializeAsString()).error().code(), base::ErrorCode::kUnimplemented);
  EXPECT_EQ(ParseEvent("\xff").error().code(), base::ErrorCode::kInvalidArgument);
}

TEST(Event, WithTheLongestPathAndEveryRiskStillFitsAndSaysWhatWasCut) {
  model::Sighting sighting = MakeSighting();
  sighting.path.bytes.assign(limits::kMaxPathBytes, 'p');
  sighting.facts.risks.assign(limits::kMaxRisksPerFile,
                              {.id = "malformed",
                               .severity = model::Severity::kHigh,
                               .message = std::string(limits::kMaxSentenceBytes, 'm'),
                               .evidence = std::string(limits::kMaxEvidenceBytes, 'e')});
  const std::string bytes = SerialiseEvent(MakeEvent(model::SightingAppeared{sighting}));
  EXPECT_LE(bytes.size(), limits::kMaxEventBytes);
  const auto event = ParseEvent(bytes);
  ASSERT_TRUE(event) << event.error().ToString();
  const auto& risks = std::get<model::SightingAppeared>(event->body).sighting.facts.risks;
  EXPECT_GT(risks.size(), 1U);
  EXPECT_EQ(risks.front().id, "malformed");
  EXPECT_EQ(risks.back().id, "risks_cut");
}

TEST(Event, TextsThatAreNotUtf8AreEscapedAndLongOnesCutAtACharacter) {
  model::Sighting sighting = MakeSighting();
  sighting.facts.name = "caf\xe9";
  sighting.facts.license = std::string(limits::kMaxFactBytes - 1, 'x') + "\xc3\xa9";
  const auto back = RoundTrip(model::SightingAppeared{sighting}).sighting;
  EXPECT_EQ(back.facts.name, "caf\\xe9");
  EXPECT_EQ(back.facts.license, std::string(limits::kMaxFactBytes - 1, 'x'));
  EXPECT_EQ(back.path, sighting.path);
}

TEST(Event, NumbersAndTimesThatNoStoreKeepsAreWrittenAsOnesItDoes) {
  model::Sighting sighting = MakeSighting();
  sighting.facts.parameters = std::numeric_limits<std::uint64_t>::max();
  sighting.modified_at = base::WallTime::max();
  const auto back = RoundTrip(model::SightingAppeared{sighting}).sighting;
  EXPECT_EQ(back.facts.parameters, std::nullopt);
  EXPECT_EQ(base::FormatWallTime(back.modified_at), "9999-12-31T23:59:59.999999Z");
}

// The refusal of a sighting after a change to its serialised form.
std::string SightingProblem(void (*change)(v1::Sighting&)) {
  v1::Sighting proto;
  ToProto(MakeSighting(), proto);
  change(proto);
  const auto sighting = FromProto(proto);
  return sighting ? "" : sighting.error().message();
}

TEST(Sighting, RefusesForeignValuesOutOfBounds) {
  const std::pair<const char*, void (*)(v1::Sighting&)> changes[] = {
      {"path", [](v1::Sighting& s) { s.clear_path(); }},
      {"path",
       [](v1::Sighting& s) {
         s.mutable_path()->set_value(std::string(limits::kMaxPathBytes + 1, 'p'));
       }},
      {"NUL", [](v1::Sighting& s) { s.mutable_path()->mutable_value()->push_back('\0'); }},
      {"encoding", [](v1::Sighting& s) { s.mutable_path()->clear_encoding(); }},
      {"file_identity", [](v1::Sighting& s) { s.set_file_identity(std::string(257, 'i')); }},
      {"size_bytes", [](v1::Sighting& s) { s.set_size_bytes(std::uint64_t{1} << 63); }},
      {"modified", [](v1::Sighting& s) { s.set_modified_time_us(INT64_MIN); }},
      {"name", [](v1::Sighting& s) { s.mutable_facts()->set_name(std::string(513, 'n')); }},
      {"name", [](v1::Sighting& s) { s.mutable_facts()->set_name("\xff"); }},
      {"parameters", [](v1::Sighting& s) { s.mutable_facts()->set_parameters(UINT64_MAX); }},
      {"risk.id", [](v1::Sighting& s) { s.mutable_facts()->mutable_risks(0)->clear_id(); }},
      {"severity", [](v1::Sighting& s) { s.mutable_facts()->mutable_risks(0)->clear_severity(); }},
      {"risks",
       [](v1::Sighting& s) {
         for (int i = 0; i < 64; ++i) *s.mutable_facts()->add_risks() = s.facts().risks(0);
       }},
      {"state", [](v1::Sighting& s) { s.mutable_digest()->clear_state(); }},
      {"digest.sha256", [](v1::Sighting& s) { s.mutable_digest()->clear_sha256(); }},
      {"digest.sha256", [](v1::Sighting& s) { s.mutable_digest()->set_sha256("short"); }},
      {"verified", [](v1::Sighting& s) { s.mutable_digest()->clear_verified_time_us(); }},
  };
  EXPECT_EQ(SightingProblem([](v1::Sighting&) {}), "");
  for (std::size_t i = 0; i < std::size(changes); ++i) {
    EXPECT_NE(SightingProblem(changes[i].second).find(changes[i].first), std::string::npos)
        << "change " << i << ": " << SightingProblem(changes[i].second);
  }
}

TEST(Sighting, HasItsFormatByNumberAndNameInTheMessagesToo) {
  for (const auto& [format, name] : model::kFormats) {
    std::string upper = "FORMAT_" + std::string(name);
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    EXPECT_EQ(v1::Format_Name(static_cast<v1::Format>(format)), upper);
  }
  EXPECT_EQ(v1::Format_descriptor()->value_count(), int{std::size(model::kFormats)});
}

TEST(Sighting, KeepsAFormatOfTheFuture) {
  v1::Sighting proto;
  ToProto(MakeSighting(), proto);
  proto.mutable_facts()->set_format(static_cast<v1::Format>(999));
  const auto sighting = FromProto(proto);
  ASSERT_TRUE(sighting);
  EXPECT_EQ(static_cast<int>(sighting->facts.format), 999);
}

model::Condition TestOf(std::string field, model::Operator op, std::vector<std::string> texts) {
  return {.kind = model::Condition::Kind::kTest,
          .conditions = {},
          .test = {.field = std::move(field), .op = op, .texts = std::move(texts), .number = 4}};
}

model::RuleSet MakeRules() {
  using Kind = model::Condition::Kind;
  const model::Condition not_known{
      .kind = Kind::kNot, .conditions = {TestOf("name", model::Operator::kKnown, {})}, .test = {}};
  const model::Condition any{
      .kind = Kind::kAny,
      .conditions = {not_known, TestOf("path", model::Operator::kGlob, {"/tmp/**", "*.gguf"})},
      .test = {}};
  return {.policy_name = "starter",
          .rules = {{.id = "r1",
                     .always = true,
                     .when = {.kind = Kind::kAll, .conditions = {any}, .test = {}},
                     .outcome = model::Outcome::kDeny,
                     .message = "no",
                     .fire_when_unknown = true,
                     .severity = model::Severity::kCritical,
                     .link = "https://models.example/r1",
                     .expires = tests::kTestEpoch,
                     .mode = model::Mode::kObserve,
                     .audit = true}},
          .default_outcome = model::Outcome::kWarn,
          .default_message = "unknown",
          .default_severity = model::Severity::kInfo,
          .default_link = "https://models.example/",
          .mode = model::Mode::kEnforce,
          .settings = {.scan = {.min_size_bytes = 0,
                                .read_per_second_bytes = 1U << 20,
                                .cpu_percent = 7,
                                .pause_on_battery = false,
                                .pause_above_load = 0},
                       .withheld = {model::Withheld::kOwner, model::Withheld::kRiskEvidence}}};
}

TEST(Verdict, SaysNothingOfWhatFollowsFromItsOutcome) {
  for (const model::Outcome outcome :
       {model::Outcome::kAllow, model::Outcome::kWarn, model::Outcome::kDeny}) {
    model::Verdict verdict;
    verdict.outcome = outcome;
    verdict.severity = model::SeverityOf(outcome);
    v1::Verdict proto;
    ToProto(verdict, proto);
    EXPECT_EQ(proto.severity(), 0);
    EXPECT_EQ(FromProto(proto).value(), verdict);
  }
}

TEST(Verdict, WithMoreAuditsThanItMayNameIsRefused) {
  v1::Verdict proto;
  ToProto(model::Verdict{}, proto);
  for (std::size_t i = 0; i < limits::kMaxAuditsInVerdict; ++i) proto.add_audits("a");
  EXPECT_TRUE(FromProto(proto));
  proto.add_audits("a");
  EXPECT_FALSE(FromProto(proto));
}

TEST(Rules, SurviveSerialisingAndGiveTheSameBytes) {
  const std::string bytes = SerialiseRules(MakeRules());
  const auto rules = ParseRules(bytes);
  ASSERT_TRUE(rules) << rules.error().ToString();
  EXPECT_EQ(*rules, MakeRules());
  EXPECT_EQ(SerialiseRules(*rules), bytes);
}

TEST(Rules, WithoutSettingsHaveTheBytesThatTheyHadBeforeThereWereAny) {
  model::RuleSet rules = MakeRules();
  rules.settings = {};
  v1::RulesPart part;
  ASSERT_TRUE(part.ParseFromString(SerialiseRules(rules)));
  EXPECT_FALSE(part.has_settings());
}

TEST(Rules, AreNestedToTheLimitAndNoDeeper) {
  model::RuleSet rules = MakeRules();
  rules.rules[0].when = TestOf("name", model::Operator::kKnown, {});
  for (std::size_t depth = 1; depth < limits::kMaxConditionDepth; ++depth) {
    rules.rules[0].when = {
        .kind = model::Condition::Kind::kNot, .conditions = {rules.rules[0].when}, .test = {}};
  }
  EXPECT_TRUE(ParseRules(SerialiseRules(rules)));
  rules.rules[0].when = {
      .kind = model::Condition::Kind::kAll, .conditions = {rules.rules[0].when}, .test = {}};
  EXPECT_FALSE(ParseRules(SerialiseRules(rules)));
}

TEST(Rules, WithAnythingThatThisBuildDoesNotKnowAreRefusedWhole) {
  void (*const changes[])(v1::RulesPart&) = {
      [](v1::RulesPart& p) { p.clear_default_outcome(); },
      [](v1::RulesPart& p) { p.mutable_rules(0)->set_outcome(static_cast<v1::Outcome>(9)); },
      [](v1::RulesPart& p) { p.mutable_rules(0)->set_mode(static_cast<v1::Mode>(3)); },
      [](v1::RulesPart& p) { p.set_mode(static_cast<v1::Mode>(-1)); },
      [](v1::RulesPart& p) { p.mutable_rules(0)->set_severity(static_cast<v1::Severity>(6)); },
      [](v1::RulesPart& p) { p.set_default_severity(static_cast<v1::Severity>(6)); },
      [](v1::RulesPart& p) { p.mutable_settings()->add_withheld(static_cast<v1::Withheld>(9)); },
      [](v1::RulesPart& p) { p.mutable_settings()->add_withheld(v1::WITHHELD_RISK_EVIDENCE); },
      [](v1::RulesPart& p) { p.mutable_settings()->set_withheld(0, v1::WITHHELD_UNSPECIFIED); },
      [](v1::RulesPart& p) { p.mutable_rules(0)->set_expires_time_us(INT64_MAX); },
      [](v1::RulesPart& p) { p.mutable_rules(0)->clear_when(); },
      [](v1::RulesPart& p) { p.mutable_rules(0)->clear_id(); },
      [](v1::RulesPart& p) {
        v1::FieldTest& test = *p.mutable_rules(0)->mutable_when()->mutable_test();
        test.set_field("name");
        test.set_operator_(static_cast<v1::Operator>(7));
      },
      [](v1::RulesPart& p) {
        p.mutable_rules(0)->mutable_when()->mutable_test()->set_operator_(v1::OPERATOR_KNOWN);
      },
  };
  for (std::size_t i = 0; i < std::size(changes); ++i) {
    v1::RulesPart proto;
    ASSERT_TRUE(proto.ParseFromString(SerialiseRules(MakeRules())));
    changes[i](proto);
    EXPECT_FALSE(ParseRules(proto.SerializeAsString())) << "change " << i;
  }
}

}  // namespace
}  // namespace weighmaster::wire
