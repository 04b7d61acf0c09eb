#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/model/lists/digest_lists.h"
#include "policy/model/rules.h"
#include "policy/model/sighting.h"

namespace weighmaster::engine {

// The one table of the fields that a condition may test. Judging, lint, the JSON Schema and the
// documentation all follow it.

enum class FieldType : std::uint8_t {
  kText,
  kNumber,
  kSeverity,  // a number of model::Severity; 0 where there is no risk at all
  kSet,       // texts; a test holds when it holds for one of them
  kDigest,    // 32 bytes; documents write 64 hexadecimal digits
  kFlag,      // true or false
};
// "text", "number", "severity", "set", "digest", "flag".
std::string_view FieldTypeName(FieldType type);

// What a condition is evaluated for. Both must outlive the evaluation.
struct Subject {
  const model::Sighting& sighting;
  const model::DigestListsView& lists;  // of the policy that judges
};

// What a number counts, and so which suffixes a document may write after it.
enum class FieldUnit : std::uint8_t { kNone, kBytes, kCount };

// A field of one subject. The texts point into it or live for ever; a digest is a text of its
// bytes, a flag the number 0 or 1.
struct FieldValue {
  std::variant<std::monostate, std::string_view, std::uint64_t, std::vector<std::string_view>>
      value;  // monostate: not known
  // Known now, and sure to be looked at again: the state of a digest that is still to be verified.
  bool may_change = false;

  bool known() const { return !std::holds_alternative<std::monostate>(value); }
};

struct Field {
  std::string_view name;
  FieldType type = FieldType::kText;
  FieldUnit unit = FieldUnit::kNone;
  bool can_be_unknown = false;
  std::span<const std::string_view> values;  // every text that it can have; empty: any text
  std::string_view description;
  FieldValue (*read)(const Subject& subject) = nullptr;
};

std::span<const Field> Fields();
// Null when there is none of this name.
const Field* FindField(std::string_view name);

// The operators that fit a type, in the order in which documentation lists them.
std::span<const model::Operator> OperatorsOf(FieldType type);
bool Fits(model::Operator op, FieldType type);

}  // namespace weighmaster::engine
