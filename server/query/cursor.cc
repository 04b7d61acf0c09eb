#include "server/query/cursor.h"

#include <charconv>
#include <optional>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"

namespace weighmaster::server::query {
namespace {

constexpr std::string_view kPrefix = "c1";
constexpr char kSeparator = '.';
constexpr std::size_t kQuestionDigits = 16;
constexpr char kText = 'x';   // Base64url follows
constexpr char kLeast = '+';  // after a total that is only a lower bound

std::string Bound(const model::Sha256& question) {
  return question.ToHex().substr(0, kQuestionDigits);
}

// Takes what stands before the next separator.
std::string_view TakePiece(std::string_view& rest) {
  const auto end = rest.find(kSeparator);
  const std::string_view piece = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return piece;
}

template <typename Number>
std::optional<Number> ReadNumber(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Value> ReadValue(std::string_view piece, FieldType type) {
  if (!IsBytes(type)) return ReadNumber<std::int64_t>(piece);
  if (!piece.starts_with(kText)) return std::nullopt;
  const auto bytes = base::Base64UrlDecode(piece.substr(1));
  if (!bytes.has_value()) return std::nullopt;
  return std::string(base::AsText(*bytes));
}

std::optional<Position> Read(std::string_view rest, const Order& order) {
  Position position;
  std::string_view total = TakePiece(rest);
  position.total_is_least = total.ends_with(kLeast);
  if (position.total_is_least) total.remove_suffix(1);
  const auto counted = ReadNumber<std::uint64_t>(total);
  const auto key = ReadNumber<std::int64_t>(TakePiece(rest));
  if (!counted.has_value() || !key.has_value()) return std::nullopt;
  position.total = *counted;
  position.key = *key;
  for (const OrderTerm& term : order) {
    auto value = ReadValue(TakePiece(rest), term.field->type);
    if (!value.has_value()) return std::nullopt;
    position.values.push_back(*std::move(value));
  }
  return position;
}

}  // namespace

std::string WriteCursor(const Position& position, const model::Sha256& question) {
  std::string token(kPrefix);
  token += kSeparator + Bound(question);
  token += kSeparator + std::to_string(position.total);
  if (position.total_is_least) token += kLeast;
  token += kSeparator + std::to_string(position.key);
  for (const Value& value : position.values) {
    token += kSeparator;
    if (const auto* const text = std::get_if<std::string>(&value)) {
      token += kText + base::Base64UrlEncode(base::AsBytes(*text));
    } else {
      token += std::to_string(std::get<std::int64_t>(value));
    }
  }
  return token;
}

base::Result<Position> ReadCursor(std::string_view token, const model::Sha256& question,
                                  const Order& order) {
  const auto unknown = base::InvalidArgument("page_token is not one that this server made");
  if (token.size() > base::limits::kMaxPageTokenBytes) return unknown;
  std::string_view rest = token;
  if (TakePiece(rest) != kPrefix) return unknown;
  const std::string_view bound = TakePiece(rest);
  if (bound.size() != kQuestionDigits) return unknown;
  if (bound != Bound(question)) {
    return base::InvalidArgument(
        "page_token belongs to another question: filter, order and all else must stay the same "
        "from page to page");
  }
  const auto position = Read(rest, order);
  // Written again it must be the same, so there is one token for a position.
  if (!position.has_value() || WriteCursor(*position, question) != token) return unknown;
  return *position;
}

}  // namespace weighmaster::server::query
