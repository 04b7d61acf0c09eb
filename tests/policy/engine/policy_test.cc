#include "policy/engine/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "policy/base/limits.h"

namespace weighmaster::engine {
namespace {

using model::Basis;
using model::Condition;
using model::DigestState;
using model::JudgementStep;
using model::Operator;
using model::Outcome;
using model::Rule;
using ::testing::HasSubstr;

model::Sha256 Digest(std::uint8_t fill) {
  model::Sha256 digest;
  digest.bytes.fill(fill);
  return digest;
}

model::Sighting SightingWith(DigestState state, std::uint8_t digest = 1) {
  model::Sighting sighting;
  sighting.path.bytes = "/models/a.gguf";
  sighting.size_bytes = 1000;
  sighting.facts.format = model::Format::kGguf;
  sighting.digest.state = state;
  if (state == DigestState::kClaimed || state == DigestState::kVerified) {
    sighting.digest.sha256 = Digest(digest);
  }
  return sighting;
}

Condition TestOf(std::string field, Operator op, std::vector<std::string> texts,
                 std::uint64_t number = 0) {
  Condition condition;
  condition.kind = Condition::Kind::kTest;
  condition.test = {std::move(field), op, std::move(texts), number};
  return condition;
}

Condition Not(Condition inner) {
  Condition condition;
  condition.kind = Condition::Kind::kNot;
  condition.conditions.push_back(std::move(inner));
  return condition;
}

Condition LicenseIs(std::string license) {
  return TestOf("license", Operator::kEquals, {std::move(license)});
}

Rule RuleWhen(std::string id, Condition when, Outcome outcome, bool always = false) {
  Rule rule;
  rule.id = std::move(id);
  rule.when = std::move(when);
  rule.outcome = outcome;
  rule.always = always;
  return rule;
}

Rule Everything(std::string id, Outcome outcome, bool always = false) {
  return RuleWhen(std::move(id), Condition{}, outcome, always);
}

std::shared_ptr<const Policy> MakePolicy(std::vector<Rule> rules,
                                         const model::DigestLists& lists = {}) {
  model::RuleSet set;
  set.policy_name = "test";
  set.rules = std::move(rules);
  auto policy = Policy::Make(7, std::move(set), ListsInMemory(model::EncodeDigestLists(lists)));
  EXPECT_TRUE(policy.has_value()) << policy.error().ToString();
  return *policy;
}

base::Error ErrorOf(std::vector<Rule> rules) {
  model::RuleSet set;
  set.rules = std::move(rules);
  auto policy = Policy::Make(7, std::move(set), nullptr);
  return policy.has_value() ? base::Internal("there is no error") : policy.error();
}

TEST(Policy, NoneAllowsAndSaysThatThereIsNoPolicyYet) {
  const model::Verdict verdict = Policy::None()->Judge(SightingWith(DigestState::kVerified), {});
  EXPECT_EQ(verdict.outcome, Outcome::kAllow);
  EXPECT_EQ(verdict.step, JudgementStep::kDefault);
  EXPECT_EQ(verdict.rule, "default");
  EXPECT_EQ(verdict.reason, "No policy has been applied yet.");
  EXPECT_EQ(verdict.policy_version, 0U);
}

TEST(Policy, BlockedBeatsEverythingElse) {
  const auto policy = MakePolicy({Everything("always-allow", Outcome::kAllow, true)},
                                 {{Digest(1)}, {}, {Digest(1)}});
  const model::Verdict verdict = policy->Judge(SightingWith(DigestState::kVerified), {});
  EXPECT_EQ(verdict.outcome, Outcome::kDeny);
  EXPECT_EQ(verdict.step, JudgementStep::kBlocked);
  EXPECT_EQ(verdict.rule, "blocked");
  EXPECT_EQ(verdict.basis, Basis::kVerified);
  EXPECT_EQ(verdict.policy_version, 7U);
}

TEST(Policy, DeniedBeatsAlwaysRulesAndTheApprovedList) {
  const auto policy = MakePolicy({Everything("always-allow", Outcome::kAllow, true)},
                                 {{}, {Digest(1)}, {Digest(1)}});
  EXPECT_EQ(policy->Judge(SightingWith(DigestState::kVerified), {}).step, JudgementStep::kDenied);
}

TEST(Policy, AnAlwaysRuleBeatsTheApprovedListWhereverItStands) {
  const auto policy =
      MakePolicy({Everything("other", Outcome::kAllow), Everything("danger", Outcome::kDeny, true)},
                 {{}, {}, {Digest(1)}});
  const model::Verdict verdict = policy->Judge(SightingWith(DigestState::kVerified), {});
  EXPECT_EQ(verdict.step, JudgementStep::kAlwaysRule);
  EXPECT_EQ(verdict.rule, "danger");
}

TEST(Policy, ApprovedBeatsTheOtherRules) {
  const auto policy = MakePolicy({Everything("deny-all", Outcome::kDeny)}, {{}, {}, {Digest(1)}});
  EXPECT_EQ(policy->Judge(SightingWith(DigestState::kVerified), {}).step, JudgementStep::kApproved);
  EXPECT_EQ(policy->Judge(SightingWith(DigestState::kVerified, 2), {}).rule, "deny-all");
}

TEST(Policy, DeniedWeightsDenyEveryPackingOfThem) {
  model::DigestLists lists;
  lists.approved = {Digest(1)};
  lists.denied_weights = {Digest(9)};
  const auto policy = MakePolicy({}, lists);
  model::Sighting sighting = SightingWith(DigestState::kVerified);
  const model::Verdict open = policy->Judge(sighting, {});
  EXPECT_EQ(open.rule, "approved");
  EXPECT_EQ(open.basis, Basis::kPartial) << "its weights may yet turn out to be denied";
  sighting.weights_digest = Digest(8);
  EXPECT_EQ(policy->Judge(sighting, {}).basis, Basis::kVerified);
  sighting.weights_digest = Digest(9);
  sighting.digest = {};
  const model::Verdict denied = policy->Judge(sighting, {});
  EXPECT_EQ(denied.rule, "denied");
  EXPECT_EQ(denied.basis, Basis::kVerified) << "the weights were read, whatever the file's digest";
  EXPECT_THAT(denied.reason, HasSubstr("weights"));
}

TEST(Policy, ARuleIsNotAskedFromItsExpiryOn) {
  Rule rule = Everything("for-now", Outcome::kDeny);
  rule.expires = base::WallTimeFromMicroseconds(1'000);
  const auto policy = MakePolicy({rule});
  const model::Sighting sighting = SightingWith(DigestState::kVerified);
  const model::Verdict before = policy->Judge(sighting, base::WallTimeFromMicroseconds(999));
  EXPECT_EQ(before.rule, "for-now");
  EXPECT_EQ(before.until, rule.expires);
  const model::Verdict after = policy->Judge(sighting, *rule.expires);
  EXPECT_EQ(after.rule, "default");
  EXPECT_EQ(after.until, std::nullopt);
}

TEST(Policy, TheNextExpiryIsTheEarliestAfterNow) {
  std::vector<Rule> rules = {Everything("a", Outcome::kWarn), Everything("b", Outcome::kWarn),
                             Everything("c", Outcome::kWarn)};
  rules[0].expires = base::WallTimeFromMicroseconds(20);
  rules[2].expires = base::WallTimeFromMicroseconds(10);
  const auto policy = MakePolicy(rules);
  EXPECT_EQ(policy->NextExpiry({}), rules[2].expires);
  EXPECT_EQ(policy->NextExpiry(*rules[2].expires), rules[0].expires);
  EXPECT_EQ(policy->NextExpiry(*rules[0].expires), std::nullopt);
}

TEST(Policy, AnAuditRuleIsNamedWhereItWouldDecideAndDecidesNothing) {
  std::vector<Rule> rules = {Everything("watch", Outcome::kDeny),
                             Everything("rest", Outcome::kWarn),
                             Everything("unreached", Outcome::kDeny)};
  rules[0].audit = true;
  rules[2].audit = true;
  const model::Verdict verdict = MakePolicy(rules)->Judge(SightingWith(DigestState::kVerified), {});
  EXPECT_EQ(verdict.rule, "rest");
  EXPECT_EQ(verdict.audits, std::vector<std::string>{"watch"});
}

TEST(Policy, AVerdictNamesAtMostSixteenAuditRules) {
  std::vector<Rule> rules;
  for (std::size_t i = 0; i <= base::limits::kMaxAuditsInVerdict; ++i) {
    rules.push_back(Everything("r" + std::to_string(i), Outcome::kDeny));
    rules.back().audit = true;
  }
  const model::Verdict verdict = MakePolicy(rules)->Judge(SightingWith(DigestState::kVerified), {});
  ASSERT_EQ(verdict.audits.size(), base::limits::kMaxAuditsInVerdict);
  EXPECT_EQ(verdict.audits.back(), "r15");
}

model::Exception ExceptionFrom(std::string overrides, std::uint8_t digest, int expires_us) {
  model::Exception exception;
  exception.id.bytes[0] = digest;
  exception.digest = Digest(digest);
  exception.overrides = std::move(overrides);
  exception.reason = "Legal has looked at it.";
  exception.expires = base::WallTimeFromMicroseconds(expires_us);
  return exception;
}

std::shared_ptr<const Policy> WithExceptions(std::vector<Rule> rules,
                                             std::vector<model::Exception> exceptions,
                                             const model::DigestLists& lists = {}) {
  model::RuleSet set;
  set.rules = std::move(rules);
  set.default_outcome = Outcome::kDeny;
  auto encoded = ListsInMemory(model::EncodeDigestLists(lists));
  return Policy::Make(7, std::move(set), std::move(encoded), std::move(exceptions)).value();
}

TEST(PolicyException, TakesAFileOutOfTheReachOfWhatItNamesUntilItExpires) {
  const auto policy = WithExceptions({}, {ExceptionFrom("default", 1, 10)});
  const model::Sighting sighting = SightingWith(DigestState::kVerified);
  const model::Verdict excepted = policy->Judge(sighting, {});
  EXPECT_EQ(excepted.outcome, Outcome::kAllow);
  EXPECT_EQ(excepted.step, JudgementStep::kException);
  EXPECT_EQ(excepted.rule, policy->exceptions()[0].id.ToHex());
  EXPECT_EQ(excepted.reason, "Legal has looked at it.");
  EXPECT_EQ(excepted.until, policy->exceptions()[0].expires);
  EXPECT_EQ(policy->NextExpiry({}), policy->exceptions()[0].expires);
  EXPECT_EQ(policy->Judge(sighting, base::WallTimeFromMicroseconds(10)).rule, "default");
  EXPECT_EQ(policy->Judge(SightingWith(DigestState::kVerified, 2), {}).rule, "default");
  EXPECT_EQ(policy->Judge(SightingWith(DigestState::kClaimed), {}).rule, "default")
      << "a name that claims a digest has no exception";
}

TEST(PolicyException, WhateverElseSpeaksAgainstTheFileStillDoes) {
  Rule license = RuleWhen("no-licence", TestOf("license", Operator::kKnown, {}, 0), Outcome::kDeny);
  Rule big = RuleWhen("big", TestOf("size", Operator::kAtLeast, {}, 1), Outcome::kWarn);
  const model::Sighting sighting = SightingWith(DigestState::kVerified);
  const auto one = WithExceptions({license, big}, {ExceptionFrom("no-licence", 1, 10)});
  const model::Verdict warned = one->Judge(sighting, {});
  EXPECT_EQ(warned.rule, "big");
  EXPECT_EQ(warned.until, one->exceptions()[0].expires) << "for then the other rule is back";
  const auto all =
      WithExceptions({license, big}, {ExceptionFrom("no-licence", 1, 10),
                                      ExceptionFrom("big", 1, 9), ExceptionFrom("default", 1, 11)});
  const model::Verdict excepted = all->Judge(sighting, {});
  EXPECT_EQ(excepted.step, JudgementStep::kException);
  EXPECT_EQ(excepted.until, all->exceptions()[1].expires) << "the first that ends";
}

TEST(PolicyException, OverridesDeniedListsAndNeverBlocked) {
  model::DigestLists lists;
  lists.denied = {Digest(1)};
  lists.denied_weights = {Digest(5)};
  model::Sighting sighting = SightingWith(DigestState::kVerified);
  sighting.weights_digest = Digest(5);
  const std::vector<model::Exception> exceptions = {ExceptionFrom("denied", 1, 10),
                                                    ExceptionFrom("default", 1, 10),
                                                    ExceptionFrom("blocked", 1, 10)};
  EXPECT_EQ(WithExceptions({}, exceptions, lists)->Judge(sighting, {}).outcome, Outcome::kAllow);
  lists.blocked = {Digest(1)};
  EXPECT_EQ(WithExceptions({}, exceptions, lists)->Judge(sighting, {}).rule, "blocked");
}

TEST(PolicyException, ThatIsForAFileIsFoundWhetherOrNotItsJudgementNeedsIt) {
  model::DigestLists lists;
  lists.blocked = {Digest(1)};
  model::Exception of_ada = ExceptionFrom("default", 1, 10);
  of_ada.user = "ada";
  const auto policy = WithExceptions(
      {}, {ExceptionFrom("denied", 1, 10), ExceptionFrom("denied", 2, 10), of_ada}, lists);
  model::Sighting sighting = SightingWith(DigestState::kVerified);
  EXPECT_EQ(policy->Judge(sighting, {}).rule, "blocked");
  sighting.owner = {"1000", "ada"};
  EXPECT_EQ(policy->ExceptionsFor(sighting, {}),
            (std::vector{policy->exceptions()[0], policy->exceptions()[2]}));
  sighting.owner = {"1001", "bob"};
  EXPECT_EQ(policy->ExceptionsFor(sighting, {}), (std::vector{policy->exceptions()[0]}));
  EXPECT_TRUE(policy->ExceptionsFor(sighting, base::WallTimeFromMicroseconds(10)).empty())
      << "it has expired";
  EXPECT_TRUE(policy->ExceptionsFor(SightingWith(DigestState::kClaimed), {}).empty());
}

TEST(PolicyException, OfAUserIsForHisFilesAlone) {
  model::Exception exception = ExceptionFrom("default", 1, 10);
  exception.user = "ada";
  const auto policy = WithExceptions({}, {exception});
  model::Sighting sighting = SightingWith(DigestState::kVerified);
  EXPECT_EQ(policy->Judge(sighting, {}).basis, Basis::kPartial) << "whose it is, is not known";
  sighting.owner = {"1001", "bob"};
  EXPECT_EQ(policy->Judge(sighting, {}).outcome, Outcome::kDeny);
  sighting.owner = {"1000", "ada"};
  EXPECT_EQ(policy->Judge(sighting, {}).outcome, Outcome::kAllow);
}

TEST(PolicyException, OfWeightsIsForEveryPackingOfThem) {
  model::Exception exception = ExceptionFrom("default", 5, 10);
  exception.of_weights = true;
  const auto policy = WithExceptions({}, {exception});
  model::Sighting sighting = SightingWith(DigestState::kVerified);
  EXPECT_EQ(policy->Judge(sighting, {}).basis, Basis::kPartial);
  sighting.weights_digest = Digest(5);
  EXPECT_EQ(policy->Judge(sighting, {}).outcome, Outcome::kAllow);
}

TEST(Policy, SeverityModeAndLinkAreTheRulesOrThePolicys) {
  Rule rule = RuleWhen("mit", LicenseIs("mit"), Outcome::kWarn);
  rule.severity = model::Severity::kCritical;
  rule.mode = model::Mode::kEnforce;
  rule.link = "https://models.example/mit";
  model::RuleSet set;
  set.rules = {rule};
  set.default_outcome = Outcome::kDeny;
  set.default_link = "https://models.example/";
  set.mode = model::Mode::kWarn;
  const auto policy = Policy::Make(1, set, nullptr).value();
  model::Sighting sighting = SightingWith(DigestState::kVerified);
  const model::Verdict by_default = policy->Judge(sighting, {});
  EXPECT_EQ(by_default.severity, model::Severity::kHigh) << "what a denial usually is";
  EXPECT_EQ(by_default.mode, model::Mode::kWarn);
  EXPECT_EQ(by_default.link, "https://models.example/");
  sighting.facts.license = "mit";
  const model::Verdict by_rule = policy->Judge(sighting, {});
  EXPECT_EQ(by_rule.severity, model::Severity::kCritical);
  EXPECT_EQ(by_rule.mode, model::Mode::kEnforce);
  EXPECT_EQ(by_rule.link, "https://models.example/mit");
}

TEST(Policy, ALinkIsAnHttpsAddressThatBreaksOutOfNothing) {
  EXPECT_TRUE(IsLink("https://models.example/why?rule=a&b=%20#c"));
  for (const char* link : {"", "https://", "https:///x", "http://models.example", "javascript:x",
                           "https://models.example/ x", "https://models.example/\"x",
                           "https://models.example/<b>", "https://models.example/\x1b[31m",
                           "https://m\xc3\xb6"
                           "del.example/"}) {
    EXPECT_FALSE(IsLink(link)) << link;
    Rule rule = Everything("r", Outcome::kDeny);
    rule.link = link;
    EXPECT_EQ(ErrorOf({rule}).message().find("link") == std::string::npos, rule.link.empty())
        << link;
  }
  EXPECT_FALSE(IsLink("https://" + std::string(base::limits::kMaxLinkBytes, 'a')));
}

TEST(Policy, TheFirstRuleThatFiresDecides) {
  const auto policy =
      MakePolicy({RuleWhen("mit", LicenseIs("mit"), Outcome::kAllow),
                  Everything("rest", Outcome::kWarn), Everything("never", Outcome::kDeny)});
  model::Sighting sighting = SightingWith(DigestState::kVerified);
  sighting.facts.license = "MIT";
  EXPECT_EQ(policy->Judge(sighting, {}).rule, "mit");
  sighting.facts.license = "gpl-3.0";
  EXPECT_EQ(policy->Judge(sighting, {}).rule, "rest");
}

TEST(Policy, AClaimedDigestDeniesButNeverApproves) {
  const auto policy = MakePolicy({}, {{}, {Digest(1)}, {Digest(2)}});
  model::Sighting sighting = SightingWith(DigestState::kClaimed);
  sighting.digest.detail = "ollama\nmanifest";
  const model::Verdict denied = policy->Judge(sighting, {});
  EXPECT_EQ(denied.step, JudgementStep::kDenied);
  EXPECT_EQ(denied.basis, Basis::kClaimed);
  EXPECT_EQ(denied.reason,
            "The file's SHA-256, as claimed by ollama\\x0amanifest, is on the denied list.");
  const model::Verdict approved = policy->Judge(SightingWith(DigestState::kClaimed, 2), {});
  EXPECT_EQ(approved.step, JudgementStep::kDefault);
  EXPECT_EQ(approved.basis, Basis::kPartial);
}

TEST(Policy, AVerdictWithoutAVerifiedDigestIsPartial) {
  const auto policy = MakePolicy({});
  EXPECT_EQ(policy->Judge(SightingWith(DigestState::kPending), {}).basis, Basis::kPartial);
  EXPECT_EQ(policy->Judge(SightingWith(DigestState::kFailed), {}).basis, Basis::kPartial);
  EXPECT_EQ(policy->Judge(SightingWith(DigestState::kVerified), {}).basis, Basis::kVerified);
}

TEST(Policy, ARuleDoesNotFireOnUnknownButMakesTheVerdictPartial) {
  const auto policy = MakePolicy({RuleWhen("mit", LicenseIs("mit"), Outcome::kDeny)});
  const model::Verdict verdict = policy->Judge(SightingWith(DigestState::kVerified), {});
  EXPECT_EQ(verdict.rule, "default");
  EXPECT_EQ(verdict.basis, Basis::kPartial);
}

TEST(Policy, ARuleAfterTheDecidingOneDoesNotMakeItPartial) {
  const auto policy = MakePolicy(
      {Everything("all", Outcome::kWarn), RuleWhen("mit", LicenseIs("mit"), Outcome::kDeny)});
  EXPECT_EQ(policy->Judge(SightingWith(DigestState::kVerified), {}).basis, Basis::kVerified);
}

TEST(Policy, ANotOverAnUnknownFieldIsUnknownToo) {
  const auto policy = MakePolicy({RuleWhen("not-mit", Not(LicenseIs("mit")), Outcome::kDeny)});
  EXPECT_EQ(policy->Judge(SightingWith(DigestState::kVerified), {}).rule, "default");
}

TEST(Policy, ARuleMayAskToFireWhenUnknownAndSaysWhatIsNotKnown) {
  Rule rule = RuleWhen("not-mit", Not(LicenseIs("mit")), Outcome::kDeny);
  rule.fire_when_unknown = true;
  rule.message = "Only MIT.";
  const auto policy = MakePolicy({rule});
  model::Sighting sighting = SightingWith(DigestState::kVerified);
  const model::Verdict blind = policy->Judge(sighting, {});
  EXPECT_EQ(blind.outcome, Outcome::kDeny);
  EXPECT_EQ(blind.basis, Basis::kPartial);
  EXPECT_EQ(blind.reason, "Only MIT. (not known: license)");
  sighting.facts.license = "gpl-3.0";
  EXPECT_EQ(policy->Judge(sighting, {}).reason, "Only MIT.");
  sighting.facts.license = "mit";
  EXPECT_EQ(policy->Judge(sighting, {}).rule, "default");
}

TEST(Policy, AskingWhetherAFieldIsKnownIsAlwaysAnswered) {
  const auto policy =
      MakePolicy({RuleWhen("unknown", TestOf("license", Operator::kKnown, {}, 0), Outcome::kWarn)});
  const model::Verdict verdict = policy->Judge(SightingWith(DigestState::kVerified), {});
  EXPECT_EQ(verdict.rule, "unknown");
  EXPECT_EQ(verdict.basis, Basis::kVerified);
}

TEST(Policy, SeveritiesCompareByRankAndByName) {
  model::Sighting sighting = SightingWith(DigestState::kVerified);
  const auto at_least_high = MakePolicy(
      {RuleWhen("danger", TestOf("risk_severity", Operator::kAtLeast, {}, 4), Outcome::kDeny)});
  const auto is_low = MakePolicy(
      {RuleWhen("low", TestOf("risk_severity", Operator::kEquals, {"Low"}), Outcome::kWarn)});
  EXPECT_EQ(at_least_high->Judge(sighting, {}).rule, "default");
  EXPECT_EQ(is_low->Judge(sighting, {}).rule, "default");
  sighting.facts.risks = {{"opaque", model::Severity::kLow, "", ""}};
  EXPECT_EQ(is_low->Judge(sighting, {}).rule, "low");
  sighting.facts.risks.push_back({"pickle", model::Severity::kCritical, "", ""});
  EXPECT_EQ(at_least_high->Judge(sighting, {}).rule, "danger");
}

TEST(Policy, ASetHoldsWhenOneOfItsTextsDoes) {
  model::Sighting sighting = SightingWith(DigestState::kVerified);
  sighting.facts.risks = {{"opaque", model::Severity::kLow, "", ""},
                          {"pickle_executes_code", model::Severity::kHigh, "", ""}};
  const auto policy = MakePolicy(
      {RuleWhen("pickle", TestOf("risk", Operator::kGlob, {"pickle_*"}), Outcome::kDeny)});
  EXPECT_EQ(policy->Judge(sighting, {}).rule, "pickle");
}

TEST(PolicyMake, NamesTheRuleThatIsWrong) {
  const std::vector<Rule> rules = {
      Everything("fine", Outcome::kAllow),
      RuleWhen("bad", TestOf("colour", Operator::kEquals, {"red"}), Outcome::kDeny)};
  const base::Error error = ErrorOf(rules);
  EXPECT_EQ(error.code(), base::ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("colour"));
  EXPECT_THAT(error.message(), HasSubstr("rule 2 (bad)"));
}

TEST(PolicyMake, RefusesAnOperatorThatDoesNotFit) {
  EXPECT_THAT(
      ErrorOf({RuleWhen("r", TestOf("size", Operator::kGlob, {"*"}), Outcome::kDeny)}).message(),
      HasSubstr("does not fit"));
  EXPECT_THAT(
      ErrorOf({RuleWhen("r", TestOf("name", static_cast<Operator>(99), {"*"}), Outcome::kDeny)})
          .message(),
      HasSubstr("does not fit"));
}

TEST(PolicyMake, RefusesRepeatedReservedAndMisspeltIds) {
  EXPECT_THAT(
      ErrorOf({Everything("a", Outcome::kAllow), Everything("a", Outcome::kDeny)}).message(),
      HasSubstr("same id"));
  for (const std::string_view id : {"", "default", "approved", "A", "-a", "a b"}) {
    EXPECT_THAT(ErrorOf({Everything(std::string(id), Outcome::kAllow)}).message(),
                HasSubstr("the id is not allowed"))
        << id;
  }
}

TEST(PolicyMake, RefusesADepthOverTheLimitAndTakesTheLimit) {
  Condition condition = LicenseIs("mit");
  for (std::size_t depth = 1; depth < base::limits::kMaxConditionDepth; ++depth) {
    condition = Not(std::move(condition));
  }
  MakePolicy({RuleWhen("deep", condition, Outcome::kDeny)});
  EXPECT_THAT(ErrorOf({RuleWhen("deep", Not(condition), Outcome::kDeny)}).message(),
              HasSubstr("nested deeper"));
}

TEST(PolicyMake, RefusesListsThatAreBroken) {
  EXPECT_FALSE(Policy::Make(1, {}, ListsInMemory({1, 2, 3})).has_value());
}

TEST(PolicyMake, RefusesOutcomesThatItDoesNotKnow) {
  EXPECT_THAT(ErrorOf({Everything("a", static_cast<Outcome>(9))}).message(), HasSubstr("outcome"));
}

TEST(PolicyMake, RefusesSettingsOutOfTheirBounds) {
  const auto is_made = [](const model::ScanSettings& scan) {
    model::RuleSet rules;
    rules.settings.scan = scan;
    return Policy::Make(1, rules, nullptr).has_value();
  };
  namespace limits = base::limits;
  EXPECT_TRUE(is_made({.min_size_bytes = limits::kMaxMinFileBytes,
                       .read_per_second_bytes = limits::kLeastReadPerSecondBytes,
                       .cpu_percent = 1,
                       .pause_above_load = limits::kMaxPauseAboveLoad}));
  EXPECT_TRUE(is_made({.read_per_second_bytes = limits::kMaxReadPerSecondBytes}));
  EXPECT_FALSE(is_made({.min_size_bytes = limits::kMaxMinFileBytes + 1}));
  EXPECT_FALSE(is_made({.read_per_second_bytes = limits::kLeastReadPerSecondBytes - 1}));
  EXPECT_FALSE(is_made({.read_per_second_bytes = limits::kMaxReadPerSecondBytes + 1}));
  EXPECT_FALSE(is_made({.cpu_percent = 0}));
  EXPECT_FALSE(is_made({.cpu_percent = 101}));
  EXPECT_FALSE(is_made({.pause_above_load = limits::kMaxPauseAboveLoad + 1}));
}

}  // namespace
}  // namespace weighmaster::engine
