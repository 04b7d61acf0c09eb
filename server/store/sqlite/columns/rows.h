#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "policy/model/path.h"
#include "proto/wire/trust.h"
#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// How values become columns and come back. What this room wrote itself and can't read again is
// DATA_LOSS: the file was changed by somebody else.

// Numbers past int64 do not occur where they are compared; where they are only shown, the largest
// int64 stands for them.
inline std::int64_t Column(std::uint64_t number) {
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(number, kLargest));
}
inline std::int64_t Column(base::WallTime time) { return base::ToMicroseconds(time); }
template <typename Enum>
std::int64_t EnumColumn(Enum value) {
  return static_cast<std::int64_t>(value);
}

inline std::uint64_t Number(const sqlite::Statement& row, int column) {
  return static_cast<std::uint64_t>(row.Int(column));
}
inline base::WallTime Time(const sqlite::Statement& row, int column) {
  return base::WallTimeFromMicroseconds(row.Int(column));
}
inline std::optional<base::WallTime> MaybeTime(const sqlite::Statement& row, int column) {
  if (row.IsNull(column)) return std::nullopt;
  return Time(row, column);
}

inline std::string_view Chars(const sqlite::Statement& row, int column) {
  return base::AsText(row.Blob(column));
}

template <typename Message>
base::Result<Message> ParseColumn(const sqlite::Statement& row, int column, std::string_view what) {
  Message message;
  const base::ByteView bytes = row.Blob(column);
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::DataLoss("the store holds a " + std::string(what) + " that cannot be read");
  }
  return message;
}

template <typename T>
base::Result<T> Stored(base::Result<T> parsed, std::string_view what) {
  if (parsed.has_value()) return parsed;
  return base::DataLoss("the store holds a " + std::string(what) +
                        " that cannot be read: " + parsed.error().message());
}

// A set is a text of its words, each between blanks; "" for none.
inline std::string SetColumn(const std::vector<std::string>& words) {
  std::string set;
  for (const std::string& word : words) set += (set.empty() ? " " : "") + word + " ";
  return set;
}
inline std::vector<std::string_view> WordsOf(std::string_view set) {
  std::vector<std::string_view> words;
  while (!set.empty()) {
    const std::string_view word = set.substr(0, set.find(' '));
    if (!word.empty()) words.push_back(word);
    set.remove_prefix(std::min(word.size() + 1, set.size()));
  }
  return words;
}

inline base::Result<Labels> ReadLabels(const sqlite::Statement& row, int column) {
  return Stored(ParseLabels(WordsOf(Chars(row, column))), "label");
}

// Of two columns: the token's id and its name.
inline base::Result<std::optional<Actor>> ReadActor(const sqlite::Statement& row, int column) {
  if (row.Blob(column).empty()) return std::optional<Actor>();
  WM_ASSIGN_OR_RETURN(const auto id, Stored(model::IdFromBytes(row.Blob(column)), "token id"));
  return std::optional(Actor{id, row.Text(column + 1)});
}

}  // namespace weighmaster::server::store
