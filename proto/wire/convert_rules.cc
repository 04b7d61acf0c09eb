#include <limits>
#include <utility>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "proto/wire/fields.h"
#include "weighmaster/v1/rules.pb.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;
using model::Condition;

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

// A text of a rule is never cut: that would make another rule.
std::string RuleText(std::string_view text) { return WireText(text, kNoLimit); }

void WriteCondition(const Condition& condition, v1::Condition& out);

void WriteConditions(const Condition& condition, v1::ConditionList& out) {
  for (const Condition& inner : condition.conditions) WriteCondition(inner, *out.add_conditions());
}

// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
void WriteCondition(const Condition& condition, v1::Condition& out) {
  switch (condition.kind) {
    case Condition::Kind::kAll:
      return WriteConditions(condition, *out.mutable_all());
    case Condition::Kind::kAny:
      return WriteConditions(condition, *out.mutable_any());
    case Condition::Kind::kNot:
      for (const Condition& inner : condition.conditions) {
        WriteCondition(inner, *out.mutable_not_());
      }
      return;
    case Condition::Kind::kTest: {
      v1::FieldTest& test = *out.mutable_test();
      test.set_field(RuleText(condition.test.field));
      test.set_operator_(static_cast<v1::Operator>(condition.test.op));
      for (const std::string& text : condition.test.texts) test.add_texts(RuleText(text));
      test.set_number(condition.test.number);
      return;
    }
  }
}

// An agent that took a value for another would judge by another policy: what is not known is
// refused.
template <typename Enum>
base::Result<Enum> ReadKnown(int number, Enum least, Enum last, std::string_view what) {
  if (number < static_cast<int>(least) || number > static_cast<int>(last)) {
    return FieldError(what, "is " + std::to_string(number) + ", which this build does not know");
  }
  return static_cast<Enum>(number);
}

base::Result<model::Outcome> ReadOutcome(int number, std::string_view what) {
  return ReadKnown(number, model::Outcome::kAllow, model::Outcome::kDeny, what);
}

base::Result<model::Mode> ReadMode(int number, std::string_view what) {
  return ReadKnown(number, model::Mode::kObserve, model::Mode::kEnforce, what);
}

base::Result<std::optional<model::Severity>> ReadSeverity(int number, std::string_view what) {
  if (number == 0) return std::optional<model::Severity>();
  WM_ASSIGN_OR_RETURN(const model::Severity severity,
                      ReadKnown(number, model::Severity::kInfo, model::Severity::kCritical, what));
  return std::optional(severity);
}

base::Result<model::FieldTest> ReadTest(const v1::FieldTest& in) {
  model::FieldTest test;
  WM_ASSIGN_OR_RETURN(test.field, ReadText(in.field(), limits::kMaxNameBytes, "test.field"));
  if (test.field.empty()) return FieldError("test.field", "is empty");
  if (in.operator_() < static_cast<int>(model::Operator::kEquals) ||
      in.operator_() > static_cast<int>(model::Operator::kKnown)) {
    return FieldError("test.operator", "is one that this build does not know");
  }
  test.op = static_cast<model::Operator>(in.operator_());
  test.texts.assign(in.texts().begin(), in.texts().end());
  test.number = in.number();
  return test;
}

base::Result<Condition> ReadCondition(const v1::Condition& in, std::size_t depth);

base::Result<Condition> ReadConditions(Condition::Kind kind, const v1::ConditionList& in,
                                       std::size_t depth) {
  Condition condition;
  condition.kind = kind;
  for (const v1::Condition& proto : in.conditions()) {
    WM_ASSIGN_OR_RETURN(Condition inner, ReadCondition(proto, depth + 1));
    condition.conditions.push_back(std::move(inner));
  }
  return condition;
}

// NOLINTNEXTLINE(misc-no-recursion): refused past limits::kMaxConditionDepth.
base::Result<Condition> ReadCondition(const v1::Condition& in, std::size_t depth) {
  if (depth > limits::kMaxConditionDepth) return FieldError("when", "is nested too deep");
  Condition condition;
  switch (in.kind_case()) {
    case v1::Condition::kAll:
      return ReadConditions(Condition::Kind::kAll, in.all(), depth);
    case v1::Condition::kAny:
      return ReadConditions(Condition::Kind::kAny, in.any(), depth);
    case v1::Condition::kNot: {
      condition.kind = Condition::Kind::kNot;
      WM_ASSIGN_OR_RETURN(Condition inner, ReadCondition(in.not_(), depth + 1));
      condition.conditions.push_back(std::move(inner));
      return condition;
    }
    case v1::Condition::kTest: {
      condition.kind = Condition::Kind::kTest;
      WM_ASSIGN_OR_RETURN(condition.test, ReadTest(in.test()));
      return condition;
    }
    case v1::Condition::KIND_NOT_SET:
      break;
  }
  return FieldError("when", "is of a kind that this build does not know");
}

base::Result<model::Rule> ReadRule(const v1::Rule& in) {
  model::Rule rule;
  if (in.id().empty()) return FieldError("rule.id", "is empty");
  rule.id = in.id();
  rule.always = in.always();
  WM_ASSIGN_OR_RETURN(rule.when, ReadCondition(in.when(), 1));
  WM_ASSIGN_OR_RETURN(rule.outcome, ReadOutcome(in.outcome(), "rule.outcome"));
  rule.message = in.message();
  rule.fire_when_unknown = in.fire_when_unknown();
  WM_ASSIGN_OR_RETURN(rule.severity, ReadSeverity(in.severity(), "rule.severity"));
  rule.link = in.link();
  if (in.expires_time_us() != 0) {
    WM_ASSIGN_OR_RETURN(rule.expires, ReadTime(in.expires_time_us(), "rule.expires_time_us"));
  }
  if (in.has_mode()) {
    WM_ASSIGN_OR_RETURN(rule.mode, ReadMode(in.mode(), "rule.mode"));
  }
  rule.audit = in.audit();
  return rule;
}

void WriteSettings(const model::Settings& settings, v1::Settings& out) {
  const model::ScanSettings& scan = settings.scan;
  if (scan.min_size_bytes) out.set_min_size_bytes(*scan.min_size_bytes);
  if (scan.read_per_second_bytes) out.set_read_per_second_bytes(*scan.read_per_second_bytes);
  if (scan.cpu_percent) out.set_cpu_percent(*scan.cpu_percent);
  if (scan.pause_on_battery) out.set_pause_on_battery(*scan.pause_on_battery);
  if (scan.pause_above_load) out.set_pause_above_load(*scan.pause_above_load);
  for (const model::Withheld field : settings.withheld) {
    out.add_withheld(static_cast<v1::Withheld>(field));
  }
}

// A field that this build does not know would be sent although it shall not be: refused as well.
base::Result<model::Settings> ReadSettings(const v1::Settings& in) {
  model::Settings settings;
  model::ScanSettings& scan = settings.scan;
  if (in.has_min_size_bytes()) scan.min_size_bytes = in.min_size_bytes();
  if (in.has_read_per_second_bytes()) scan.read_per_second_bytes = in.read_per_second_bytes();
  if (in.has_cpu_percent()) scan.cpu_percent = in.cpu_percent();
  if (in.has_pause_on_battery()) scan.pause_on_battery = in.pause_on_battery();
  if (in.has_pause_above_load()) scan.pause_above_load = in.pause_above_load();
  for (const int number : in.withheld()) {
    WM_ASSIGN_OR_RETURN(const model::Withheld field,
                        ReadKnown(number, model::Withheld::kOwner, model::Withheld::kRiskEvidence,
                                  "settings.withheld"));
    if (!settings.withheld.empty() && field <= *settings.withheld.rbegin()) {
      return FieldError("settings.withheld", "is not in ascending order");
    }
    settings.withheld.insert(field);
  }
  return settings;
}

}  // namespace

std::string SerialiseRules(const model::RuleSet& rules) {
  v1::RulesPart proto;
  proto.set_policy_name(RuleText(rules.policy_name));
  for (const model::Rule& rule : rules.rules) {
    v1::Rule& out = *proto.add_rules();
    out.set_id(RuleText(rule.id));
    out.set_always(rule.always);
    WriteCondition(rule.when, *out.mutable_when());
    out.set_outcome(static_cast<v1::Outcome>(rule.outcome));
    out.set_message(RuleText(rule.message));
    out.set_fire_when_unknown(rule.fire_when_unknown);
    if (rule.severity) out.set_severity(static_cast<v1::Severity>(*rule.severity));
    out.set_link(RuleText(rule.link));
    if (rule.expires) out.set_expires_time_us(WireTime(*rule.expires));
    if (rule.mode) out.set_mode(static_cast<v1::Mode>(*rule.mode));
    out.set_audit(rule.audit);
  }
  proto.set_default_outcome(static_cast<v1::Outcome>(rules.default_outcome));
  proto.set_default_message(RuleText(rules.default_message));
  if (rules.default_severity) {
    proto.set_default_severity(static_cast<v1::Severity>(*rules.default_severity));
  }
  proto.set_default_link(RuleText(rules.default_link));
  proto.set_mode(static_cast<v1::Mode>(rules.mode));
  if (rules.settings != model::Settings{}) {
    WriteSettings(rules.settings, *proto.mutable_settings());
  }
  return proto.SerializeAsString();
}

base::Result<model::RuleSet> ParseRules(std::string_view bytes) {
  v1::RulesPart proto;
  if (bytes.size() > limits::kMaxPartBytes ||
      !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("the rules part can't be read");
  }
  if (std::size_t(proto.rules_size()) > limits::kMaxRules) {
    return FieldError("rules", "holds more than " + std::to_string(limits::kMaxRules));
  }
  model::RuleSet rules;
  rules.policy_name = proto.policy_name();
  for (const v1::Rule& proto_rule : proto.rules()) {
    WM_ASSIGN_OR_RETURN(model::Rule rule, ReadRule(proto_rule));
    rules.rules.push_back(std::move(rule));
  }
  WM_ASSIGN_OR_RETURN(rules.default_outcome,
                      ReadOutcome(proto.default_outcome(), "default_outcome"));
  rules.default_message = proto.default_message();
  WM_ASSIGN_OR_RETURN(rules.default_severity,
                      ReadSeverity(proto.default_severity(), "default_severity"));
  rules.default_link = proto.default_link();
  WM_ASSIGN_OR_RETURN(rules.mode, ReadMode(proto.mode(), "mode"));
  WM_ASSIGN_OR_RETURN(rules.settings, ReadSettings(proto.settings()));
  return rules;
}

}  // namespace weighmaster::wire
