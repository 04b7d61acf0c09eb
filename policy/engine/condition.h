#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/engine/fields.h"
#include "policy/engine/glob.h"
#include "policy/model/rules.h"

namespace weighmaster::engine {

// Kleene's three values, ordered so that "all" is the least and "any" the greatest.
// Source: S. C. Kleene, "Introduction to Metamathematics" (1952), section 64.
enum class Truth : std::uint8_t { kFalse = 0, kUnknown = 1, kTrue = 2 };

struct Evaluation {
  Truth now = Truth::kTrue;
  // The same with every field that may still change taken as unknown: not unknown means that
  // nothing which becomes known later can alter `now`.
  Truth lasting = Truth::kTrue;
};

// A condition made ready to be evaluated many times: fields looked up, globs compiled. Immutable; a
// value.
class CompiledCondition {
 public:
  // INVALID_ARGUMENT for an unknown field, an operator that does not fit its field, a test against
  // nothing, a bad digest, a glob over limits::kMaxGlobBytes, a `not` without exactly one
  // condition, or a depth over limits::kMaxConditionDepth.
  static base::Result<CompiledCondition> Compile(const model::Condition& condition);

  Evaluation Evaluate(const Subject& subject) const;

  // Of a test other than `known` alone: whether a known value of its field passes it.
  bool Holds(const FieldValue& value) const;

  // The fields that a test asks for and this subject does not know, each once.
  std::vector<std::string_view> UnknownFields(const Subject& subject) const;

 private:
  using Kind = model::Condition::Kind;

  static base::Result<CompiledCondition> CompileAt(const model::Condition& condition,
                                                   std::size_t depth);
  base::Status CompileTest(const model::FieldTest& test);
  Evaluation EvaluateTest(const Subject& subject) const;
  bool TextHolds(std::string_view text) const;
  base::Status ReadDigests();
  bool NumberHolds(std::uint64_t number) const;
  void CollectUnknown(const Subject& subject, std::vector<std::string_view>& names) const;

  Kind kind_ = Kind::kAll;
  std::vector<CompiledCondition> conditions_;
  const Field* field_ = nullptr;
  model::Operator op_ = model::Operator::kEquals;
  std::vector<std::string> texts_;  // of a digest: its bytes
  std::vector<Glob> globs_;
  std::uint64_t number_ = 0;
};

}  // namespace weighmaster::engine
