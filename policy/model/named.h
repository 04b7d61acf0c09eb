#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "policy/base/result.h"

namespace weighmaster::model {

// One row of a table that gives each value of an enum its stable text name.
template <typename Enum>
struct Named {
  Enum value;
  std::string_view name;
};

// The names alone, in the table's order.
template <typename Enum, std::size_t kCount>
constexpr std::array<std::string_view, kCount> NamesIn(const Named<Enum> (&table)[kCount]) {
  std::array<std::string_view, kCount> names;
  for (std::size_t i = 0; i < kCount; ++i) names[i] = table[i].name;
  return names;
}

// "unknown" for a value that the table does not have (a newer peer may send one).
template <typename Enum, std::size_t kCount>
std::string_view NameOf(const Named<Enum> (&table)[kCount], Enum value) {
  for (const Named<Enum>& row : table) {
    if (row.value == value) return row.name;
  }
  return "unknown";
}

// INVALID_ARGUMENT lists the names that there are.
template <typename Enum, std::size_t kCount>
base::Result<Enum> ValueOf(const Named<Enum> (&table)[kCount], std::string_view name,
                           std::string_view what) {
  std::string known;
  for (const Named<Enum>& row : table) {
    if (row.name == name) return row.value;
    known += known.empty() ? "" : ", ";
    known += row.name;
  }
  return base::InvalidArgument("\"" + std::string(name) + "\" is no " + std::string(what) +
                               "; there are " + known);
}

}  // namespace weighmaster::model
