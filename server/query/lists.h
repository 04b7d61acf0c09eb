#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace weighmaster::server::query {

// The lists of the administrative API and the fields by which each can be filtered and put in
// order: the one table that the filter, the order, the store's queries and docs/formats/filters.md
// follow. The numbers of a choice are those that are stored.

enum class FieldType : std::uint8_t {
  kText,      // UTF-8, compared by bytes
  kSet,       // words of UTF-8 without blanks; a value is one of them
  kNumber,    // 0 to 2^63 - 1
  kTime,      // microseconds since 1970 UTC
  kDuration,  // microseconds; may be negative
  kFlag,      // 0 or 1
  kChoice,    // one of `choices`, in their order
  kId,        // 16 bytes, written as 32 hexadecimal digits
  kDigest,    // 32 bytes, written as 64 hexadecimal digits
};
std::string_view FieldTypeName(FieldType type);
// Texts, sets, ids and digests are strings of bytes, everything else is a number.
bool IsBytes(FieldType type);

struct Choice {
  std::string_view name;
  std::int64_t number;
};

struct Field {
  std::string_view name;
  FieldType type = FieldType::kText;
  bool orders = false;    // may stand in order_by
  bool can_lack = false;  // a row may have none; a text or set that is empty is such a one as well
  std::string_view means;
  std::span<const Choice> choices;
};

struct List {
  std::string_view name;  // as in the path of the API
  // How rows come when no order is asked for.
  std::string_view by_default;
  bool newest_first = false;
  std::span<const Field> fields;
};

const List& Endpoints();
const List& Sightings();
const List& Artifacts();
const List& Events();  // of one endpoint
const List& Policies();
const List& Exceptions();
const List& Findings();
const List& Changes();
const List& AdminTokens();
const List& AuditEntries();
std::span<const List* const> Lists();

// The field of endpoints that the store does not hold itself.
inline constexpr std::string_view kConnected = "connected";

// Null when the list has no such field.
const Field* FindField(const List& list, std::string_view name);

}  // namespace weighmaster::server::query
