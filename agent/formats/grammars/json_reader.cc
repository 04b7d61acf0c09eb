#include "agent/formats/grammars/json_reader.h"

#include <algorithm>

#include "agent/formats/reading/work_budget.h"

namespace weighmaster::agent::formats {
namespace {

// FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
constexpr std::uint64_t kHashStart = 0xcbf29ce484222325;
constexpr std::uint64_t kHashPrime = 0x100000001b3;

bool IsDigit(int c) { return c >= '0' && c <= '9'; }
bool IsBlank(int c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace

JsonToken JsonReader::Next() {
  if (broken_) return JsonToken::kBroken;
  int first = TakePastBlanks();
  switch (place_) {
    case Place::kBeforeValue:
      return Value(first);
    case Place::kBeforeKey:
      return Key(first);
    case Place::kOpened:
      if (first == (in_object() ? '}' : ']')) return Close();
      return in_object() ? Key(first) : Value(first);
    case Place::kAfterValue:
      break;
  }
  if (depth_ == 0) {
    const bool whole = first == kNothing && cursor_.remaining() == 0;
    return whole ? JsonToken::kEnd : Break();
  }
  if (first == (in_object() ? '}' : ']')) return Close();
  if (first != ',') return Break();
  first = TakePastBlanks();
  return in_object() ? Key(first) : Value(first);
}

JsonToken JsonReader::Break() {
  broken_ = true;
  return JsonToken::kBroken;
}

JsonToken JsonReader::Open(bool object) {
  if (depth_ == kMaxDepth) return Break();
  objects_[depth_] = object;
  ++depth_;
  place_ = Place::kOpened;
  return object ? JsonToken::kObject : JsonToken::kArray;
}

JsonToken JsonReader::Close() {
  const bool object = in_object();
  --depth_;
  place_ = Place::kAfterValue;
  return object ? JsonToken::kEndObject : JsonToken::kEndArray;
}

JsonToken JsonReader::Key(int first) {
  if (first != '"' || !ReadText() || TakePastBlanks() != ':') return Break();
  place_ = Place::kBeforeValue;
  return JsonToken::kKey;
}

JsonToken JsonReader::Value(int first) {
  place_ = Place::kAfterValue;
  switch (first) {
    case '{':
      return Open(true);
    case '[':
      return Open(false);
    case '"':
      return ReadText() ? JsonToken::kText : Break();
    case 't':
      return Word("rue", JsonToken::kBoolean);
    case 'f':
      return Word("alse", JsonToken::kBoolean);
    case 'n':
      return Word("ull", JsonToken::kNull);
    default:
      return Number(first);
  }
}

JsonToken JsonReader::Word(std::string_view rest, JsonToken token) {
  for (const char c : rest) {
    if (Take() != c) return Break();
  }
  return token;
}

bool JsonReader::SkipDigits() {
  if (!IsDigit(Look())) return false;
  while (IsDigit(Look())) ++at_;
  return true;
}

JsonToken JsonReader::Number(int first) {
  bool fits = first != '-';
  if (first == '-') first = Take();
  if (!IsDigit(first)) return Break();
  std::uint64_t value = static_cast<std::uint64_t>(first - '0');
  // No number but 0 begins with a 0.
  while (first != '0' && IsDigit(Look())) {
    const auto digit = static_cast<std::uint64_t>(Take() - '0');
    fits = fits && !__builtin_mul_overflow(value, std::uint64_t{10}, &value) &&
           !__builtin_add_overflow(value, digit, &value);
  }
  if (Look() == '.') {
    fits = false;
    ++at_;
    if (!SkipDigits()) return Break();
  }
  if (Look() == 'e' || Look() == 'E') {
    fits = false;
    ++at_;
    if (Look() == '+' || Look() == '-') ++at_;
    if (!SkipDigits()) return Break();
  }
  number_ = value;
  return fits ? JsonToken::kUnsigned : JsonToken::kOtherNumber;
}

bool JsonReader::ReadText() {
  text_.clear();
  hash_ = kHashStart;
  utf8_missing_ = 0;
  while (true) {
    const int next = Take();
    if (next < 0x20) return false;  // a control character, or nothing
    const auto byte = static_cast<std::uint8_t>(next);
    if (byte >= 0x80 || utf8_missing_ > 0) {
      if (!CheckUtf8(byte)) return false;
    } else if (byte == '"') {
      return true;
    } else if (byte == '\\') {
      if (!ReadEscape()) return false;
      continue;
    }
    Keep(byte);
  }
}

// The Unicode Standard, table 3-7: which byte may follow which.
bool JsonReader::CheckUtf8(std::uint8_t byte) {
  if (utf8_missing_ > 0) {
    const bool good = byte >= utf8_lowest_ && byte <= utf8_highest_;
    --utf8_missing_;
    utf8_lowest_ = 0x80;
    utf8_highest_ = 0xbf;
    return good;
  }
  if (byte < 0xc2 || byte > 0xf4) return false;
  utf8_missing_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
  if (byte == 0xe0) utf8_lowest_ = 0xa0;
  if (byte == 0xed) utf8_highest_ = 0x9f;
  if (byte == 0xf0) utf8_lowest_ = 0x90;
  if (byte == 0xf4) utf8_highest_ = 0x8f;
  return true;
}

bool JsonReader::ReadHex4(std::uint32_t& value) {
  value = 0;
  for (int i = 0; i < 4; ++i) {
    const int c = Take();
    const int lower = c | 0x20;
    if (!IsDigit(c) && (lower < 'a' || lower > 'f')) return false;
    value = (value << 4) | static_cast<std::uint32_t>(IsDigit(c) ? c - '0' : lower - 'a' + 10);
  }
  return true;
}

bool JsonReader::ReadEscape() {
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const int kind = Take();
  if (kind == kNothing) return false;
  if (kind != 'u') {
    const std::size_t at = kEscapes.find(static_cast<char>(kind));
    if (at == std::string_view::npos) return false;
    Keep(static_cast<std::uint8_t>(kMeanings[at]));
    return true;
  }
  std::uint32_t point = 0;
  if (!ReadHex4(point) || (point >= 0xdc00 && point < 0xe000)) return false;
  if (point >= 0xd800 && point < 0xdc00) {
    std::uint32_t low = 0;
    if (Take() != '\\' || Take() != 'u' || !ReadHex4(low) || low < 0xdc00 || low >= 0xe000) {
      return false;
    }
    point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
  }
  KeepCodePoint(point);
  return true;
}

void JsonReader::KeepCodePoint(std::uint32_t point) {
  if (point < 0x80) return Keep(static_cast<std::uint8_t>(point));
  const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  const std::uint32_t lead = more == 1 ? 0xc0 : more == 2 ? 0xe0 : 0xf0;
  Keep(static_cast<std::uint8_t>(lead | (point >> (6 * more))));
  for (int i = more - 1; i >= 0; --i) {
    Keep(static_cast<std::uint8_t>(0x80U | ((point >> (6 * i)) & 0x3fU)));
  }
}

void JsonReader::Keep(std::uint8_t byte) {
  if (text_.size() < kKeptBytes) text_ += static_cast<char>(byte);
  hash_ = (hash_ ^ byte) * kHashPrime;
}

int JsonReader::Take() {
  if (at_ == chunk_.size() && !Refill()) return kNothing;
  return chunk_[at_++];
}

int JsonReader::Look() {
  if (at_ == chunk_.size() && !Refill()) return kNothing;
  return chunk_[at_];
}

int JsonReader::TakePastBlanks() {
  int c = Take();
  while (IsBlank(c)) c = Take();
  return c;
}

bool JsonReader::Refill() {
  cursor_.Skip(at_);
  at_ = 0;
  chunk_ = cursor_.Peek(Cursor::kPeekBytes);
  cursor_.budget().Take(chunk_.size() * work::kJsonByte);
  return !chunk_.empty();
}

void SkipValue(JsonReader& json, JsonToken first) {
  std::size_t open = first == JsonToken::kObject || first == JsonToken::kArray ? 1 : 0;
  while (open > 0) {
    switch (json.Next()) {
      case JsonToken::kObject:
      case JsonToken::kArray:
        ++open;
        break;
      case JsonToken::kEndObject:
      case JsonToken::kEndArray:
        --open;
        break;
      case JsonToken::kBroken:
      case JsonToken::kEnd:
        return;
      default:
        break;
    }
  }
}

}  // namespace weighmaster::agent::formats
