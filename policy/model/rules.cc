#include "policy/model/rules.h"

#include "policy/model/named.h"

namespace weighmaster::model {
namespace {

constexpr Named<Operator> kOperators[] = {
    {Operator::kEquals, "is"},         {Operator::kGlob, "glob"},
    {Operator::kAtLeast, "at_least"},  {Operator::kAtMost, "at_most"},
    {Operator::kContains, "contains"}, {Operator::kKnown, "known"},
};

}  // namespace

std::string_view OperatorName(Operator op) { return NameOf(kOperators, op); }
base::Result<Operator> ParseOperator(std::string_view name) {
  return ValueOf(kOperators, name, "operator");
}

}  // namespace weighmaster::model
