#include "policy/engine/condition.h"

#include <algorithm>
#include <utility>

#include "policy/base/limits.h"
#include "policy/engine/text.h"

namespace weighmaster::engine {
namespace {

using model::Operator;

Truth Not(Truth truth) {
  return static_cast<Truth>(static_cast<int>(Truth::kTrue) - static_cast<int>(truth));
}

std::string Quoted(std::string_view text) { return "\"" + base::EscapeForDisplay(text) + "\""; }

bool ComparesTexts(Operator op) {
  return op == Operator::kEquals || op == Operator::kGlob || op == Operator::kContains;
}

}  // namespace

base::Result<CompiledCondition> CompiledCondition::Compile(const model::Condition& condition) {
  return CompileAt(condition, 1);
}

base::Result<CompiledCondition> CompiledCondition::CompileAt(const model::Condition& condition,
                                                             std::size_t depth) {
  if (depth > base::limits::kMaxConditionDepth) {
    return base::InvalidArgument("conditions are nested deeper than " +
                                 std::to_string(base::limits::kMaxConditionDepth));
  }
  CompiledCondition compiled;
  compiled.kind_ = condition.kind;
  switch (condition.kind) {
    case Kind::kTest:
      WM_RETURN_IF_ERROR(compiled.CompileTest(condition.test));
      return compiled;
    case Kind::kNot:
      if (condition.conditions.size() != 1) {
        return base::InvalidArgument("a `not` holds " +
                                     std::to_string(condition.conditions.size()) +
                                     " conditions instead of one");
      }
      break;
    case Kind::kAll:
    case Kind::kAny:
      break;
    default:
      return base::InvalidArgument("a condition is of an unknown kind");
  }
  compiled.conditions_.reserve(condition.conditions.size());
  for (const model::Condition& child : condition.conditions) {
    WM_ASSIGN_OR_RETURN(CompiledCondition compiled_child, CompileAt(child, depth + 1));
    compiled.conditions_.push_back(std::move(compiled_child));
  }
  return compiled;
}

base::Status CompiledCondition::CompileTest(const model::FieldTest& test) {
  field_ = FindField(test.field);
  if (field_ == nullptr) return base::InvalidArgument("there is no field " + Quoted(test.field));
  if (!Fits(test.op, field_->type)) {
    return base::InvalidArgument("the operator \"" + std::string(model::OperatorName(test.op)) +
                                 "\" does not fit the field " + Quoted(test.field));
  }
  op_ = test.op;
  number_ = test.number;
  const bool is_flag = field_->type == FieldType::kFlag;
  if (ComparesTexts(op_) && !is_flag && test.texts.empty()) {
    return base::InvalidArgument("the field " + Quoted(test.field) + " is compared with nothing");
  }
  if ((op_ == Operator::kKnown || is_flag) && number_ > 1) {
    return base::InvalidArgument("what the field " + Quoted(test.field) +
                                 " is compared with is neither 0 nor 1");
  }
  if (op_ != Operator::kGlob) {
    texts_ = test.texts;
    return field_->type == FieldType::kDigest ? ReadDigests() : base::Status{};
  }
  for (const std::string& pattern : test.texts) {
    if (pattern.size() > base::limits::kMaxGlobBytes) {
      return base::InvalidArgument("a glob of the field " + Quoted(test.field) +
                                   " is longer than " +
                                   std::to_string(base::limits::kMaxGlobBytes) + " bytes");
    }
    globs_.emplace_back(pattern);
  }
  return {};
}

base::Status CompiledCondition::ReadDigests() {
  for (std::string& text : texts_) {
    WM_ASSIGN_OR_RETURN(const model::Sha256 digest, model::ParseSha256(text));
    text = base::AsText(digest.view());
  }
  return {};
}

Evaluation CompiledCondition::Evaluate(const Subject& subject) const {
  if (kind_ == Kind::kTest) return EvaluateTest(subject);
  if (kind_ == Kind::kNot) {
    const Evaluation inner = conditions_.front().Evaluate(subject);
    return {Not(inner.now), Not(inner.lasting)};
  }
  const bool all = kind_ == Kind::kAll;
  const Truth neutral = all ? Truth::kTrue : Truth::kFalse;
  const Truth deciding = Not(neutral);
  Evaluation result{neutral, neutral};
  for (const CompiledCondition& condition : conditions_) {
    const Evaluation one = condition.Evaluate(subject);
    result.now = all ? std::min(result.now, one.now) : std::max(result.now, one.now);
    result.lasting =
        all ? std::min(result.lasting, one.lasting) : std::max(result.lasting, one.lasting);
    if (result.lasting == deciding) break;
  }
  return result;
}

Evaluation CompiledCondition::EvaluateTest(const Subject& subject) const {
  const FieldValue value = field_->read(subject);
  if (op_ == Operator::kKnown) {
    const Truth truth = value.known() == (number_ == 1) ? Truth::kTrue : Truth::kFalse;
    return {truth, truth};
  }
  if (!value.known()) return {Truth::kUnknown, Truth::kUnknown};
  const Truth truth = Holds(value) ? Truth::kTrue : Truth::kFalse;
  return {truth, value.may_change ? Truth::kUnknown : truth};
}

bool CompiledCondition::Holds(const FieldValue& value) const {
  if (const auto* number = std::get_if<std::uint64_t>(&value.value)) return NumberHolds(*number);
  if (const auto* text = std::get_if<std::string_view>(&value.value)) return TextHolds(*text);
  const auto& texts = std::get<std::vector<std::string_view>>(value.value);
  return std::ranges::any_of(texts, [this](std::string_view text) { return TextHolds(text); });
}

bool CompiledCondition::NumberHolds(std::uint64_t number) const {
  if (op_ == Operator::kAtLeast) return number >= number_;
  if (op_ == Operator::kAtMost) return number <= number_;
  if (field_->type == FieldType::kFlag) return number == number_;
  // A severity is compared by its name.
  return number != 0 && TextHolds(model::SeverityName(static_cast<model::Severity>(number)));
}

bool CompiledCondition::TextHolds(std::string_view text) const {
  if (field_->type == FieldType::kDigest) return std::ranges::find(texts_, text) != texts_.end();
  if (op_ == Operator::kGlob) {
    return std::ranges::any_of(globs_, [&](const Glob& glob) { return glob.Matches(text); });
  }
  return std::ranges::any_of(texts_, [&](const std::string& wanted) {
    return op_ == Operator::kContains ? ContainsIgnoringCase(text, wanted)
                                      : EqualIgnoringCase(text, wanted);
  });
}

std::vector<std::string_view> CompiledCondition::UnknownFields(const Subject& subject) const {
  std::vector<std::string_view> names;
  CollectUnknown(subject, names);
  return names;
}

void CompiledCondition::CollectUnknown(const Subject& subject,
                                       std::vector<std::string_view>& names) const {
  for (const CompiledCondition& condition : conditions_) condition.CollectUnknown(subject, names);
  if (kind_ != Kind::kTest || op_ == Operator::kKnown || field_->read(subject).known()) return;
  if (std::ranges::find(names, field_->name) == names.end()) names.push_back(field_->name);
}

}  // namespace weighmaster::engine
