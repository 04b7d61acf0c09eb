#include "server/query/filter_value.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string>
#include <vector>

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

// Reads fixed pieces of a timestamp from the front.
class Pieces {
 public:
  explicit Pieces(std::string_view text) : rest_(text) {}

  bool Digits(std::size_t count, int& out) {
    if (rest_.size() < count) return false;
    const std::string_view digits = rest_.substr(0, count);
    if (!std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) return false;
    out = 0;
    for (const char c : digits) out = out * 10 + (c - '0');
    rest_.remove_prefix(count);
    return true;
  }
  bool Skip(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // ".5": up to nine digits, of which six count.
  bool Fraction(std::int64_t& microseconds) {
    std::int64_t digit_is_worth = kSecond / 10;
    std::size_t digits = 0;
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; ++digits) {
      microseconds += (rest_.front() - '0') * digit_is_worth;
      digit_is_worth /= 10;
      rest_.remove_prefix(1);
    }
    return digits >= 1 && digits <= 9;
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// What follows the date: "T11:30:00.5Z" or with an offset, "-04:00".
bool ReadTimeOfDay(Pieces& pieces, std::int64_t& microseconds) {
  int hour = 0;
  int minute = 0;
  int second = 0;
  if (!pieces.Skip('T') || !pieces.Digits(2, hour) || !pieces.Skip(':') ||
      !pieces.Digits(2, minute) || !pieces.Skip(':') || !pieces.Digits(2, second)) {
    return false;
  }
  if (hour > 23 || minute > 59 || second > 60) return false;
  microseconds += hour * 60 * kMinute + minute * kMinute + second * kSecond;
  if (pieces.Skip('.') && !pieces.Fraction(microseconds)) return false;
  if (pieces.Skip('Z')) return true;
  const bool east = pieces.Skip('+');
  if (!east && !pieces.Skip('-')) return false;
  if (!pieces.Digits(2, hour) || !pieces.Skip(':') || !pieces.Digits(2, minute)) return false;
  if (hour > 23 || minute > 59) return false;
  microseconds += (east ? -1 : 1) * (hour * 60 * kMinute + minute * kMinute);
  return true;
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

template <typename Bytes>
Result<Value> AsValue(const Result<Bytes>& bytes) {
  if (!bytes.has_value()) return bytes.error();
  return Value(std::string(base::AsText(bytes->view())));
}

}  // namespace

Result<std::int64_t> ParseTime(std::string_view text) {
  const auto wrong = InvalidArgument("expected a time, such as 2026-03-01T12:00:00Z or 2026-03-01");
  Pieces pieces(text);
  int year = 0;
  int month = 0;
  int day = 0;
  if (!pieces.Digits(4, year) || !pieces.Skip('-') || !pieces.Digits(2, month) ||
      !pieces.Skip('-') || !pieces.Digits(2, day)) {
    return wrong;
  }
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok()) return wrong;
  std::int64_t microseconds =
      std::chrono::sys_days(date).time_since_epoch().count() * 24 * 60 * kMinute;
  if (!pieces.empty() && !ReadTimeOfDay(pieces, microseconds)) return wrong;
  if (!pieces.empty()) return wrong;
  return microseconds;
}

Result<Value> ParseValue(const Field& field, std::string_view text) {
  switch (field.type) {
    case FieldType::kNumber:
      return ParseCounted(text, kNumberUnits,
                          InvalidArgument("expected a whole number, such as 12 or 5GB"));
    case FieldType::kTime: {
      WM_ASSIGN_OR_RETURN(const std::int64_t time, ParseTime(text));
      return Value(time);
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
    case FieldType::kText:
      break;
  }
  return Value(std::string(text));
}

}  // namespace weighmaster::server::query
