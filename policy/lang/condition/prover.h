#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "policy/base/limits.h"
#include "policy/engine/fields.h"
#include "policy/model/rules.h"

namespace weighmaster::lang {

// Proves what can be said of conditions without a subject. A yes holds for every subject; a no may
// only mean that it takes more thought than this. What people write can take long to compare:
// once the steps are used up, every answer is no. For one thread.
class Prover {
 public:
  explicit Prover(std::uint64_t steps = base::limits::kMaxLintSteps) : steps_left_(steps) {}

  // Whether the condition is false or unknown for every subject.
  bool IsNeverTrue(const model::Condition& condition);
  // Whether it is true or unknown for every subject.
  bool IsNeverFalse(const model::Condition& condition);
  bool IsAlwaysTrue(const model::Condition& condition);
  // Whether `wide` is true wherever `narrow` is.
  bool Implies(const model::Condition& narrow, const model::Condition& wide);

  // Whether the steps are used up.
  bool is_spent() const { return steps_left_ == 0; }

 private:
  // A value that a field may have: a text (of a digest its bytes) or a number.
  using Value = std::variant<std::string, std::uint64_t>;
  using Tests = std::vector<const model::FieldTest*>;

  static std::optional<std::vector<Value>> EveryValueOf(const engine::Field& field);
  static std::optional<std::vector<Value>> ValuesIn(const engine::Field& field,
                                                    const model::FieldTest& test);
  bool Spend(std::uint64_t steps);
  void Keep(std::vector<Value>& values, const model::FieldTest& test, bool passing);
  bool NoValueFits(const engine::Field& field, const Tests& holds, const Tests& fails);
  bool HasContradiction(const model::Condition& condition);
  bool NeverTrue(const model::Condition& condition);
  bool NeverFalse(const model::Condition& condition);
  bool AlwaysTrue(const model::Condition& condition);
  bool TestIsNeverFalse(const model::FieldTest& test);
  bool TestIsAlwaysTrue(const model::FieldTest& test);
  bool TestImplies(const model::FieldTest& narrow, const model::FieldTest& wide);
  bool ValuesImply(const engine::Field& field, const model::FieldTest& narrow,
                   const model::FieldTest& wide);
  bool ConditionImplies(const model::Condition& narrow, const model::Condition& wide);

  std::uint64_t steps_left_;
};

}  // namespace weighmaster::lang
