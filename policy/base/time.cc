#include "policy/base/time.h"

#include <cstdio>
#include <optional>

namespace weighmaster::base {
namespace {

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes a text apart from its front. Once something was not as expected, it is not good any more.
class TimeReader {
 public:
  explicit TimeReader(std::string_view text) : rest_(text) {}

  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }

  int Number(std::size_t digits) {
    int number = 0;
    for (; digits > 0; --digits) {
      if (rest_.empty() || !IsDigit(rest_.front())) {
        good_ = false;
        return 0;
      }
      number = number * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return number;
  }
  // The next character, when it is one of these.
  std::optional<char> OneOf(std::string_view characters) {
    if (rest_.empty() || characters.find(rest_.front()) == std::string_view::npos) {
      return std::nullopt;
    }
    const char taken = rest_.front();
    rest_.remove_prefix(1);
    return taken;
  }
  void Expect(std::string_view characters) { good_ = OneOf(characters).has_value() && good_; }
  // After the point of a fraction of a second.
  Duration Fraction() {
    Duration fraction{0};
    std::int64_t unit = 100'000;
    good_ = good_ && !rest_.empty() && IsDigit(rest_.front());
    for (; !rest_.empty() && IsDigit(rest_.front()); rest_.remove_prefix(1)) {
      fraction += Duration((rest_.front() - '0') * unit);
      unit /= 10;
    }
    return fraction;
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

std::optional<WallTime> ReadTime(TimeReader& in) {
  using std::chrono::hours;
  using std::chrono::minutes;
  using std::chrono::seconds;
  const std::chrono::year year(in.Number(4));
  in.Expect("-");
  const std::chrono::month month(static_cast<unsigned>(in.Number(2)));
  in.Expect("-");
  const std::chrono::day day(static_cast<unsigned>(in.Number(2)));
  in.Expect("Tt ");
  const hours hour(in.Number(2));
  in.Expect(":");
  const minutes minute(in.Number(2));
  in.Expect(":");
  const seconds second(in.Number(2));
  const Duration fraction = in.OneOf(".") ? in.Fraction() : Duration(0);
  Duration offset{0};
  if (!in.OneOf("Zz")) {
    const std::optional<char> sign = in.OneOf("+-");
    const hours offset_hours(in.Number(2));
    in.Expect(":");
    const minutes offset_minutes(in.Number(2));
    if (!sign || offset_hours >= hours(24) || offset_minutes >= minutes(60)) return std::nullopt;
    offset = *sign == '+' ? offset_hours + offset_minutes : -(offset_hours + offset_minutes);
  }
  const std::chrono::year_month_day date(year, month, day);
  const bool fits = date.ok() && hour < hours(24) && minute < minutes(60) && second <= seconds(60);
  if (!in.good() || !in.at_end() || !fits) return std::nullopt;
  return std::chrono::sys_days(date) + hour + minute + second + fraction - offset;
}

}  // namespace

std::string FormatWallTime(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss<Duration> clock(time - day);
  char text[64];
  std::snprintf(
      text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

Result<WallTime> ParseWallTime(std::string_view text) {
  TimeReader in(text);
  const std::optional<WallTime> time = ReadTime(in);
  if (!time) return InvalidArgument("write a time like 2026-03-01T12:00:00Z");
  return *time;
}

Result<WallTime> ParseWallTimeOrDay(std::string_view text) {
  constexpr std::size_t kDayLength = 10;
  const bool is_day = text.size() == kDayLength;
  auto time = ParseWallTime(is_day ? std::string(text) + "T00:00:00Z" : std::string(text));
  if (time.has_value()) return time;
  return InvalidArgument("write a day, 2026-03-01, or a time, 2026-03-01T12:00:00Z");
}

}  // namespace weighmaster::base
