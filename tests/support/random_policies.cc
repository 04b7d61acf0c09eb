#include "tests/support/random_policies.h"

#include <algorithm>
#include <utility>

namespace weighmaster::tests {

using model::Condition;
using model::DigestState;
using model::FieldTest;
using model::Operator;
using model::Rule;

namespace {

model::Sha256 Digest(std::uint8_t fill) {
  model::Sha256 digest;
  digest.bytes.fill(fill);
  return digest;
}

}  // namespace

model::RuleSet RandomPolicies::Rules(bool may_ask_known) {
  model::RuleSet rules;
  rules.policy_name = "random";
  const std::size_t count = random_.Below(6);
  for (std::size_t i = 0; i < count; ++i) {
    Rule rule;
    rule.id = "r" + std::to_string(i);
    rule.always = Chance(3);
    rule.when = MakeCondition(3, may_ask_known);
    rule.outcome = AnyOutcome();
    rule.fire_when_unknown = Chance(4);
    if (Chance(4)) rule.severity = AnySeverity();
    if (Chance(4)) rule.link = "https://models.example/" + rule.id;
    if (Chance(4)) rule.expires = AnyTime();
    if (Chance(4)) rule.mode = AnyMode();
    rule.audit = Chance(5);
    rules.rules.push_back(std::move(rule));
  }
  rules.default_outcome = AnyOutcome();
  if (Chance(3)) rules.default_severity = AnySeverity();
  if (Chance(3)) rules.default_link = "https://models.example/";
  rules.mode = AnyMode();
  return rules;
}

model::DigestLists RandomPolicies::Lists() {
  model::DigestLists lists;
  for (std::uint8_t digest = 0; digest < 8; ++digest) {
    if (Chance(6)) lists.blocked.push_back(Digest(digest));
    if (Chance(6)) lists.denied.push_back(Digest(digest));
    if (Chance(4)) lists.approved.push_back(Digest(digest));
    if (Chance(12)) lists.denied_weights.push_back(Digest(digest));
    if (Chance(4)) lists.approved_weights.push_back(Digest(digest));
  }
  return lists;
}

std::vector<model::Exception> RandomPolicies::Exceptions() {
  std::vector<model::Exception> exceptions;
  for (std::size_t i = random_.Below(2) * random_.Below(60); i > 0; --i) {
    model::Exception exception;
    exception.id.bytes[0] = static_cast<std::uint8_t>(i);
    exception.digest = AnyDigest();
    exception.of_weights = Chance(3);
    exception.user = Pick({"", "", "", "ada", "1000"});
    exception.overrides =
        Pick({"denied", "default", "default", "blocked", "approved", "r0", "r1", "r2", "r3"});
    exception.reason = "why";
    exception.expires = base::WallTimeFromMicroseconds(static_cast<std::int64_t>(i));
    exceptions.push_back(std::move(exception));
  }
  return exceptions;
}

model::Sighting RandomPolicies::Sighting() {
  model::Sighting s;
  s.path.bytes = Pick({"/tmp/a.gguf", "/home/ada/models/b", "/home/models/c", "/x/y/z/model.bin"});
  s.size_bytes = random_.Below(5);
  s.facts.format = static_cast<model::Format>(random_.Below(6));
  if (Chance(2)) s.facts.name = Name();
  if (Chance(2)) s.facts.license = License();
  if (Chance(2)) s.facts.parameters = random_.Below(5);
  if (Chance(2)) s.facts.tensor_count = random_.Below(5);
  if (Chance(2)) s.weights_digest = AnyDigest();
  if (!s.weights_digest && Chance(2)) s.weights_reason = model::WeightsReason::kIncomplete;
  if (Chance(2)) s.owner = Owner();
  for (std::size_t i = random_.Below(3); i > 0; --i) {
    s.facts.risks.push_back({Pick({"malformed", "opaque", "pickle_executes_code"}),
                             static_cast<model::Severity>(1 + random_.Below(5)), "", ""});
  }
  s.digest.state = static_cast<DigestState>(1 + random_.Below(4));
  if (s.digest.state == DigestState::kClaimed || s.digest.state == DigestState::kVerified) {
    s.digest.sha256 = AnyDigest();
  }
  return s;
}

model::Sighting RandomPolicies::Completed(model::Sighting s) {
  if (s.facts.name.empty()) s.facts.name = Name();
  if (s.facts.license.empty()) s.facts.license = License();
  if (!s.facts.parameters) s.facts.parameters = random_.Below(5);
  if (!s.facts.tensor_count) s.facts.tensor_count = random_.Below(5);
  if (!s.weights_digest) s.weights_digest = AnyDigest();
  s.weights_reason = model::WeightsReason::kNone;
  if (s.owner.id.empty() && s.owner.name.empty()) s.owner = Owner();
  return s;
}

base::WallTime RandomPolicies::AnyTime() {
  return base::WallTimeFromMicroseconds(static_cast<std::int64_t>(random_.Below(5)));
}

Condition RandomPolicies::MakeCondition(int depth, bool may_ask_known) {
  Condition condition;
  const std::uint64_t kind = depth == 0 ? 3 : random_.Below(5);
  condition.kind = static_cast<Condition::Kind>(std::min<std::uint64_t>(kind, 3));
  if (condition.kind == Condition::Kind::kTest) {
    condition.test = MakeTest(may_ask_known);
    return condition;
  }
  const std::size_t count = condition.kind == Condition::Kind::kNot ? 1 : random_.Below(4);
  for (std::size_t i = 0; i < count; ++i) {
    condition.conditions.push_back(MakeCondition(depth - 1, may_ask_known));
  }
  return condition;
}

FieldTest RandomPolicies::MakeTest(bool may_ask_known) {
  FieldTest test;
  test.field = Pick({"format", "name", "license", "path", "file_name", "owner", "size",
                     "parameters", "tensor_count", "risk", "risk_severity", "digest_state",
                     "sha256", "weights", "weights_approved"});
  const bool is_number = test.field == "size" || test.field == "parameters" ||
                         test.field == "tensor_count" || test.field == "risk_severity";
  if (may_ask_known && Chance(8)) {
    test.op = Operator::kKnown;
    test.number = random_.Below(2);
  } else if (is_number && (test.field != "risk_severity" || Chance(2))) {
    test.op = Chance(2) ? Operator::kAtLeast : Operator::kAtMost;
    test.number = random_.Below(5);
  } else if (is_number) {
    test.op = Operator::kEquals;
    test.texts = {Pick({"info", "HIGH", "critical"})};
  } else if (test.field == "weights_approved") {
    test.number = random_.Below(2);
  } else if (test.field == "sha256" || test.field == "weights") {
    for (std::size_t i = 1 + random_.Below(3); i > 0; --i) {
      test.texts.push_back(AnyDigest().ToHex());
    }
  } else {
    const Operator ops[] = {Operator::kEquals, Operator::kGlob, Operator::kContains};
    test.op = ops[random_.Below(3)];
    for (std::size_t i = 1 + random_.Below(2); i > 0; --i) test.texts.push_back(Text(test.op));
  }
  return test;
}

std::string RandomPolicies::Text(Operator op) {
  if (op == Operator::kGlob && Chance(2)) {
    std::string glob;
    for (std::size_t i = 1 + random_.Below(7); i > 0; --i) {
      glob += Pick({"*", "**", "**/", "?", "/", "a", "M", "models", "l", "-"});
    }
    return glob;
  }
  if (op == Operator::kContains) return Pick({"i", "a", "NC", "/tmp", "l"});
  return Pick({"MIT", "apache-2.0", "cc-by-nc-4.0", "llama-3", "qwen2", "gguf", "pickle", "ada",
               "0", "malformed", "OPAQUE", "pending", "verified", "/tmp/a.gguf", "b"});
}

model::Sha256 RandomPolicies::AnyDigest() {
  return Digest(static_cast<std::uint8_t>(random_.Below(8)));
}

}  // namespace weighmaster::tests
