#include "agent/formats/arrays/python_literal.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace weighmaster::agent::formats {
namespace {

using Kind = PythonLiteral::Kind;

// Nested record types go a few levels down; Python itself gives up at some hundred.
constexpr int kMaxDepth = 16;

bool IsWordByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 36;
}

void AppendUtf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
    return;
  }
  const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  const std::uint32_t lead = more == 1 ? 0xc0 : more == 2 ? 0xe0 : 0xf0;
  out += static_cast<char>(lead | (point >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) {
    out += static_cast<char>(0x80U | ((point >> (6 * i)) & 0x3fU));
  }
}

class LiteralReader {
 public:
  explicit LiteralReader(std::string_view text) : rest_(text) {}

  std::optional<PythonLiteral> Read();

 private:
  // Each takes a value of its kind, or returns false.
  bool Value(PythonLiteral& value, int depth);
  bool Sequence(PythonLiteral& value, char close, int depth);
  bool Dict(PythonLiteral& value, int depth);
  bool Word(PythonLiteral& value);
  bool Number(PythonLiteral& value);
  bool Text(PythonLiteral& value);
  bool TextPiece(std::string& out, bool raw);
  bool Escape(std::string& out);
  bool CodePoint(std::string& out, std::size_t digits, int base);

  bool Take(char c);
  // The next byte that means something, or NUL at the end.
  char Look();

  std::string_view rest_;
};

std::optional<PythonLiteral> LiteralReader::Read() {
  PythonLiteral value;
  if (!Value(value, 0) || Look() != '\0' || !rest_.empty()) return std::nullopt;
  return value;
}

char LiteralReader::Look() {
  while (!rest_.empty()) {
    const char c = rest_.front();
    if (c == '#') {
      rest_.remove_prefix(std::min(rest_.size(), rest_.find('\n')));
    } else if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\\') {
      rest_.remove_prefix(1);  // a backslash: the line goes on
    } else {
      return c;
    }
  }
  return '\0';
}

bool LiteralReader::Take(char c) {
  if (Look() != c || rest_.empty()) return false;
  rest_.remove_prefix(1);
  return true;
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
bool LiteralReader::Value(PythonLiteral& value, int depth) {
  if (depth > kMaxDepth) return false;
  const char first = Look();
  if (first == '(') return Sequence(value, ')', depth);
  if (first == '[') return Sequence(value, ']', depth);
  if (first == '{') return Dict(value, depth);
  if (first == '\'' || first == '"') return Text(value);
  if ((first >= '0' && first <= '9') || first == '-' || first == '+') return Number(value);
  return Word(value);
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
bool LiteralReader::Sequence(PythonLiteral& value, char close, int depth) {
  rest_.remove_prefix(1);
  value.kind = close == ')' ? Kind::kTuple : Kind::kList;
  bool comma = true;
  while (!Take(close)) {
    PythonLiteral item;
    if (!comma || !Value(item, depth + 1)) return false;
    value.items.push_back(std::move(item));
    comma = Take(',');
  }
  // ("a") is a text, and ("a",) a tuple.
  if (close == ')' && value.items.size() == 1 && !comma) {
    PythonLiteral only = std::move(value.items.front());
    value = std::move(only);
  }
  return true;
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
bool LiteralReader::Dict(PythonLiteral& value, int depth) {
  rest_.remove_prefix(1);
  value.kind = Kind::kDict;
  bool comma = true;
  while (!Take('}')) {
    PythonLiteral key;
    PythonLiteral item;
    if (!comma || !Value(key, depth + 1) || !Take(':') || !Value(item, depth + 1)) return false;
    value.items.push_back(std::move(key));
    value.items.push_back(std::move(item));
    comma = Take(',');
  }
  return true;
}

bool LiteralReader::Word(PythonLiteral& value) {
  const auto end = std::find_if_not(rest_.begin(), rest_.end(), IsWordByte);
  const std::string_view word = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
  const std::string_view after = rest_.substr(word.size());
  // u'…', r'…', b'…' and their like.
  const bool quoted = !after.empty() && (after.front() == '\'' || after.front() == '"');
  if (quoted && word.size() <= 2 && !word.empty()) return Text(value);
  if (word == "None") {
    value.kind = Kind::kNone;
  } else if (word == "True" || word == "False") {
    value.kind = Kind::kBoolean;
    value.number = word == "True" ? 1 : 0;
  } else {
    return false;
  }
  rest_ = after;
  return true;
}

bool LiteralReader::Number(PythonLiteral& value) {
  value.kind = Kind::kInteger;
  while (Look() == '-' || Look() == '+') {
    if (rest_.front() == '-') value.kind = Kind::kOther;
    rest_.remove_prefix(1);
  }
  Look();
  const auto end = std::find_if_not(rest_.begin(), rest_.end(), IsWordByte);
  std::string_view word = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
  rest_.remove_prefix(word.size());
  if (word.empty()) return false;
  int base = 10;
  if (word.size() > 2 && word.front() == '0') {
    const char mark = static_cast<char>(word[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    if (base != 10) word.remove_prefix(2);
  }
  if (word.size() > 1 && (word.back() == 'L' || word.back() == 'l')) word.remove_suffix(1);
  for (const char c : word) {
    if (c == '_') continue;
    const int digit = DigitValue(c);
    if (digit >= base) return false;
    if (__builtin_mul_overflow(value.number, static_cast<std::uint64_t>(base), &value.number) ||
        __builtin_add_overflow(value.number, static_cast<std::uint64_t>(digit), &value.number)) {
      value.kind = Kind::kOther;
    }
  }
  return true;
}

// One text, or several beside one another, which are one.
bool LiteralReader::Text(PythonLiteral& value) {
  value.kind = Kind::kText;
  while (true) {
    bool raw = false;
    bool bytes = false;
    std::size_t at = 0;
    for (; at < std::min<std::size_t>(rest_.size(), 2) && IsWordByte(rest_[at]); ++at) {
      const char prefix = static_cast<char>(rest_[at] | 0x20);
      if (prefix != 'u' && prefix != 'r' && prefix != 'b') return false;
      raw = raw || prefix == 'r';
      bytes = bytes || prefix == 'b';
    }
    rest_.remove_prefix(at);
    if (bytes) value.kind = Kind::kOther;
    if (!TextPiece(value.text, raw)) return false;
    const char next = Look();
    const std::size_t quote = rest_.find_first_of("'\"");
    const bool more =
        next == '\'' || next == '"' ||
        (quote <= 2 && std::all_of(rest_.begin(),
                                   rest_.begin() + static_cast<std::ptrdiff_t>(quote), IsWordByte));
    if (!more) return true;
  }
}

bool LiteralReader::TextPiece(std::string& out, bool raw) {
  if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return false;
  const char quote = rest_.front();
  const std::string triple(3, quote);
  const bool is_triple = rest_.substr(0, 3) == triple;
  const std::string_view close = is_triple ? std::string_view(triple) : rest_.substr(0, 1);
  rest_.remove_prefix(close.size());
  while (!rest_.empty()) {
    if (rest_.substr(0, close.size()) == close) {
      rest_.remove_prefix(close.size());
      return true;
    }
    const char c = rest_.front();
    if (c == '\n' && !is_triple) return false;
    rest_.remove_prefix(1);
    if (c != '\\') {
      out += c;
    } else if (raw) {
      out += c;
      if (rest_.empty()) return false;
      out += rest_.front();
      rest_.remove_prefix(1);
    } else if (!Escape(out)) {
      return false;
    }
  }
  return false;
}

bool LiteralReader::Escape(std::string& out) {
  constexpr std::string_view kLetters = "\\'\"abfnrtv";
  constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
  if (rest_.empty()) return false;
  const char kind = rest_.front();
  if (kind >= '0' && kind <= '7') {
    std::size_t digits = 1;
    while (digits < std::min<std::size_t>(rest_.size(), 3) && DigitValue(rest_[digits]) < 8) {
      ++digits;
    }
    return CodePoint(out, digits, 8);
  }
  rest_.remove_prefix(1);
  if (kind == 'x') return CodePoint(out, 2, 16);
  if (kind == 'u') return CodePoint(out, 4, 16);
  if (kind == 'U') return CodePoint(out, 8, 16);
  if (kind == 'N') return false;  // by its name in the Unicode Standard; no dtype is written so
  if (kind == '\n') return true;
  const std::size_t at = kLetters.find(kind);
  if (at == std::string_view::npos) {
    out += '\\';
    out += kind;
  } else {
    out += kMeanings[at];
  }
  return true;
}

bool LiteralReader::CodePoint(std::string& out, std::size_t digits, int base) {
  if (rest_.size() < digits) return false;
  std::uint32_t point = 0;
  for (const char c : rest_.substr(0, digits)) {
    const int digit = DigitValue(c);
    if (digit >= base) return false;
    point = point * static_cast<std::uint32_t>(base) + static_cast<std::uint32_t>(digit);
  }
  rest_.remove_prefix(digits);
  if (point > 0x10ffff) return false;
  AppendUtf8(out, point);
  return true;
}

}  // namespace

std::optional<PythonLiteral> ReadPythonLiteral(std::string_view text) {
  return LiteralReader(text).Read();
}

}  // namespace weighmaster::agent::formats
