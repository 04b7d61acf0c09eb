#include "server/query/filter_value.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "policy/base/time.h"
#include "policy/lang/yaml/diagnostics.h"
#include "policy/model/digest.h"

namespace weighmaster::server::query {
namespace {

using base::InvalidArgument;
using base::Result;

constexpr std::int64_t kMicrosecond = 1;
constexpr std::int64_t kSecond = 1'000'000 * kMicrosecond;
constexpr std::int64_t kMinute = 60 * kSecond;

struct Unit {
  std::string_view name;
  std::int64_t times;
};
constexpr Unit kDurationUnits[] = {{"us", kMicrosecond}, {"ms", 1'000 * kMicrosecond},
                                   {"s", kSecond},       {"m", kMinute},
                                   {"h", 60 * kMinute},  {"d", 24 * 60 * kMinute}};
constexpr Unit kNumberUnits[] = {{"", 1},
                                 {"kB", 1'000},
                                 {"MB", 1'000'000},
                                 {"GB", 1'000'000'000},
                                 {"TB", 1'000'000'000'000},
                                 {"KiB", std::int64_t{1} << 10},
                                 {"MiB", std::int64_t{1} << 20},
                                 {"GiB", std::int64_t{1} << 30},
                                 {"TiB", std::int64_t{1} << 40}};

// A whole number, perhaps with a sign, and one of the units.
template <std::size_t kCount>
Result<Value> ParseCounted(std::string_view text, const Unit (&units)[kCount],
                           const base::Error& otherwise) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return otherwise;
  const std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  const auto* const unit = std::ranges::find(units, rest, &Unit::name);
  if (unit == std::end(units)) return otherwise;
  std::int64_t product = 0;
  if (__builtin_mul_overflow(number, unit->times, &product)) return otherwise;
  return Value(product);
}

Result<Value> ParseChoice(const Field& field, std::string_view text) {
  std::vector<std::string_view> names;
  for (const Choice& choice : field.choices) {
    if (choice.name == text) return Value(choice.number);
    names.push_back(choice.name);
  }
  return InvalidArgument(lang::Quote(text) + " is no " + std::string(field.name) + "; " +
                         lang::SpellingHint(text, names, "values"));
}

// A blank would be found between two words.
Result<Value> ParseWord(std::string_view text) {
  const bool is_word = !text.empty() && base::IsUtf8(text) &&
                       text.find_first_of(std::string_view("\0 ", 2)) == std::string_view::npos;
  if (!is_word) return InvalidArgument("expected a word: UTF-8 without blanks");
  return Value(std::string(text));
}

template <typename Bytes>
Result<Value> AsValue(const Result<Bytes>& bytes) {
  if (!bytes.has_value()) return bytes.error();
  return Value(std::string(base::AsText(bytes->view())));
}

}  // namespace

Result<Value> ParseValue(const Field& field, std::string_view text) {
  switch (field.type) {
    case FieldType::kNumber:
      return ParseCounted(text, kNumberUnits,
                          InvalidArgument("expected a whole number, such as 12 or 5GB"));
    case FieldType::kTime: {
      WM_ASSIGN_OR_RETURN(const base::WallTime time, base::ParseWallTimeOrDay(text));
      return Value(base::ToMicroseconds(time));
    }
    case FieldType::kDuration:
      return ParseCounted(text, kDurationUnits,
                          InvalidArgument("expected a duration, such as 90s, -20ms or 7d"));
    case FieldType::kFlag:
      if (text == "true" || text == "false") return Value(std::int64_t{text == "true"});
      return InvalidArgument("expected true or false");
    case FieldType::kChoice:
      return ParseChoice(field, text);
    case FieldType::kId:
      return AsValue(model::ParseId(text));
    case FieldType::kDigest:
      return AsValue(model::ParseSha256(text));
    case FieldType::kSet:
      return ParseWord(text);
    case FieldType::kText:
      break;
  }
  return Value(std::string(text));
}

}  // namespace weighmaster::server::query
