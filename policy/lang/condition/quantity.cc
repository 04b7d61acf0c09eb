#include "policy/lang/condition/quantity.h"

#include <limits>
#include <span>
#include <string>

#include "policy/lang/yaml/values.h"

namespace weighmaster::lang {
namespace {

struct Suffix {
  std::string_view text;
  std::uint64_t factor;
};

constexpr std::uint64_t kKibi = 1024;
constexpr std::uint64_t kKilo = 1000;
constexpr Suffix kByteSuffixes[] = {
    {"", 1},
    {"B", 1},
    {"kB", kKilo},
    {"MB", kKilo* kKilo},
    {"GB", kKilo* kKilo* kKilo},
    {"TB", kKilo* kKilo* kKilo* kKilo},
    {"KiB", kKibi},
    {"MiB", kKibi* kKibi},
    {"GiB", kKibi* kKibi* kKibi},
    {"TiB", kKibi* kKibi* kKibi* kKibi},
};
constexpr Suffix kCountSuffixes[] = {
    {"", 1},
    {"K", kKilo},
    {"M", kKilo* kKilo},
    {"B", kKilo* kKilo* kKilo},
    {"T", kKilo* kKilo* kKilo* kKilo},
};
constexpr Suffix kNoSuffixes[] = {{"", 1}};
constexpr std::size_t kMaxDecimals = 9;

std::span<const Suffix> SuffixesOf(engine::FieldUnit unit) {
  switch (unit) {
    case engine::FieldUnit::kBytes:
      return kByteSuffixes;
    case engine::FieldUnit::kCount:
      return kCountSuffixes;
    case engine::FieldUnit::kNone:
      return kNoSuffixes;
  }
  return kNoSuffixes;
}

std::string_view ExamplesOf(engine::FieldUnit unit) {
  switch (unit) {
    case engine::FieldUnit::kBytes:
      return "write e.g. 500MB (powers of 1000) or 1.5GiB (of 1024)";
    case engine::FieldUnit::kCount:
      return "write e.g. 8000000000, 8B or 350M";
    case engine::FieldUnit::kNone:
      return "write a whole number";
  }
  return "";
}

// Takes the digits at the start of the text.
std::string_view TakeDigits(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && text[length] >= '0' && text[length] <= '9') ++length;
  const std::string_view digits = text.substr(0, length);
  text.remove_prefix(length);
  return digits;
}

}  // namespace

base::Result<std::uint64_t> ParseQuantity(std::string_view text, engine::FieldUnit unit) {
  const base::Error bad = base::InvalidArgument(std::string(ExamplesOf(unit)));
  const base::Error too_large = base::OutOfRange("the number must be below 2 to the power of 64");
  const std::string_view whole = TakeDigits(text);
  std::string_view decimals;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    decimals = TakeDigits(text);
    if (decimals.empty() || decimals.size() > kMaxDecimals) return bad;
  }
  if (whole.empty()) return bad;
  if (text.starts_with(' ')) text.remove_prefix(1);
  std::uint64_t factor = 0;
  for (const Suffix& suffix : SuffixesOf(unit)) {
    if (suffix.text == text) factor = suffix.factor;
  }
  if (factor == 0 || (factor == 1 && !decimals.empty())) return bad;

  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t value = 0;
  for (const char c : whole) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (kMax - digit) / 10) return too_large;
    value = value * 10 + digit;
  }
  if (value > kMax / factor) return too_large;
  value *= factor;
  // Each decimal adds a tenth of the one before. Whole numbers throughout: 1.1TB is exact, and the
  // remainder carries what a division leaves.
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 1;
  for (const char c : decimals) {
    numerator = numerator * 10 + static_cast<std::uint64_t>(c - '0');
    denominator *= 10;
  }
  const std::uint64_t fraction =
      factor / denominator * numerator + factor % denominator * numerator / denominator;
  if (value > kMax - fraction) return too_large;
  return value + fraction;
}

std::string QuantityText(std::uint64_t number, engine::FieldUnit unit) {
  const bool is_bytes = unit == engine::FieldUnit::kBytes;
  Suffix best = {is_bytes ? "B" : "", 1};
  for (const Suffix& suffix : SuffixesOf(unit)) {
    if (number > 0 && number % suffix.factor == 0 && suffix.factor > best.factor) best = suffix;
  }
  return std::to_string(number / best.factor) + (is_bytes ? " " : "") + std::string(best.text);
}

std::string BytesText(std::uint64_t bytes) {
  return QuantityText(bytes, engine::FieldUnit::kBytes);
}

std::optional<std::uint64_t> ReadBytes(const YamlNode& node, std::string_view what,
                                       std::uint64_t least, std::uint64_t most,
                                       const Reporter& report) {
  const std::optional<std::string> text = ReadText(node, what, report);
  if (!text) return std::nullopt;
  const auto bytes = ParseQuantity(*text, engine::FieldUnit::kBytes);
  if (!bytes.has_value()) {
    report.Error(node.at, std::string(what) + " is no size", bytes.error().message());
    return std::nullopt;
  }
  if (*bytes >= least && *bytes <= most) return *bytes;
  report.Error(node.at,
               std::string(what) + " must be from " + BytesText(least) + " to " + BytesText(most));
  return std::nullopt;
}

std::optional<std::uint32_t> ReadNumber(const YamlNode& node, std::string_view what,
                                        std::uint32_t least, std::uint32_t most,
                                        const Reporter& report) {
  const std::optional<std::string> text = ReadText(node, what, report);
  if (!text) return std::nullopt;
  const auto number = ParseQuantity(*text, engine::FieldUnit::kNone);
  if (number.has_value() && *number >= least && *number <= most) {
    return static_cast<std::uint32_t>(*number);
  }
  report.Error(node.at, std::string(what) + " must be a number from " + std::to_string(least) +
                            " to " + std::to_string(most));
  return std::nullopt;
}

}  // namespace weighmaster::lang
