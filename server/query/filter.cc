#include "server/query/filter.h"

#include <algorithm>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "policy/lang/yaml/diagnostics.h"
#include "server/query/filter_value.h"

namespace weighmaster::server::query {
namespace {

using base::Result;
namespace limits = base::limits;

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}
// What may stand in a value without quotes.
bool IsValueChar(char c) {
  return !IsBlank(c) && c != '(' && c != ')' && c != '"' && c != '\'' && c != ',' &&
         static_cast<unsigned char>(c) >= 0x20;
}

// The right side of a comparison: its text, and whether a star that is a wildcard stands at either
// end.
struct Argument {
  std::size_t at = 0;
  std::string text;
  bool starts_with_star = false;
  bool ends_with_star = false;
  bool star_inside = false;

  bool only_star() const { return text.empty() && (starts_with_star || ends_with_star); }
};

enum class Sign : std::uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kHas
};

// Recursive descent; the depth is bounded. One use.
class Parser {
 public:
  Parser(const List& list, std::string_view text) : list_(list), text_(text) {}

  Result<std::optional<Filter>> Parse() {
    SkipBlanks();
    if (at_end()) return std::optional<Filter>();
    WM_ASSIGN_OR_RETURN(Filter filter, Expression(0));
    if (!at_end()) {
      return Wrong(at_, text_[at_] == ')' ? "there is no ( for this )"
                                          : "expected AND or OR between two comparisons");
    }
    return std::optional<Filter>(std::move(filter));
  }

 private:
  bool at_end() const { return at_ >= text_.size(); }

  base::Error Wrong(std::size_t at, const std::string& what) const {
    return base::InvalidArgument("filter, column " + std::to_string(at + 1) + ": " + what);
  }

  void SkipBlanks() {
    while (!at_end() && IsBlank(text_[at_])) ++at_;
  }

  // Takes the word when it stands here by itself.
  bool Take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    const std::size_t end = at_ + word.size();
    if (end < text_.size() && IsNameChar(text_[end])) return false;
    at_ = end;
    SkipBlanks();
    return true;
  }

  Result<Filter> Expression(std::size_t depth) { return Series(depth, Filter::Kind::kAll, "AND"); }

  // AND binds less than OR, as AIP-160 has it.
  Result<Filter> Series(std::size_t depth, Filter::Kind kind, std::string_view word) {
    Filter series;
    series.kind = kind;
    do {
      auto part =
          kind == Filter::Kind::kAll ? Series(depth, Filter::Kind::kAny, "OR") : Operand(depth);
      if (!part.has_value()) return part;
      series.parts.push_back(*std::move(part));
    } while (Take(word));
    if (series.parts.size() > 1) return series;
    return std::move(series.parts.front());
  }

  Result<Filter> Operand(std::size_t depth) {
    if (depth >= limits::kMaxFilterDepth) {
      return Wrong(
          at_, "a filter is nested at most " + std::to_string(limits::kMaxFilterDepth) + " deep");
    }
    if (Take("NOT")) return Negated(depth);
    if (!at_end() && text_[at_] == '-') {
      ++at_;
      return Negated(depth);
    }
    if (at_end()) return Wrong(at_, "expected a comparison, such as " + Example());
    if (text_[at_] != '(') return Comparison();
    const std::size_t opened = at_++;
    SkipBlanks();
    WM_ASSIGN_OR_RETURN(Filter inner, Expression(depth + 1));
    if (at_end() || text_[at_] != ')') {
      if (at_end()) return Wrong(opened, "there is no ) for this (");
      return Wrong(at_, "expected AND, OR or )");
    }
    ++at_;
    SkipBlanks();
    return inner;
  }

  Result<Filter> Negated(std::size_t depth) {
    Filter negated;
    negated.kind = Filter::Kind::kNot;
    WM_ASSIGN_OR_RETURN(Filter inner, Operand(depth + 1));
    negated.parts.push_back(std::move(inner));
    return negated;
  }

  std::string Example() const { return std::string(list_.fields.front().name) + " = …"; }

  Result<const Field*> FieldHere() {
    const std::size_t start = at_;
    while (!at_end() && IsNameChar(text_[at_])) ++at_;
    const std::string_view name = text_.substr(start, at_ - start);
    if (name.empty()) {
      return Wrong(start, "expected the name of a field, as in " + Example());
    }
    const Field* const field = FindField(list_, name);
    if (field != nullptr) return field;
    std::vector<std::string_view> names;
    for (const Field& known : list_.fields) names.push_back(known.name);
    return Wrong(start, "there is no field " + lang::Quote(name) + "; " +
                            lang::SpellingHint(name, names, "fields"));
  }

  Result<Filter> Comparison() {
    if (++terms_ > limits::kMaxFilterTerms) {
      return Wrong(
          at_, "a filter has at most " + std::to_string(limits::kMaxFilterTerms) + " comparisons");
    }
    WM_ASSIGN_OR_RETURN(const Field* const field, FieldHere());
    SkipBlanks();
    const std::size_t sign_at = at_;
    const std::optional<Sign> sign = TakeSign();
    if (!sign.has_value()) {
      if (field->type == FieldType::kFlag)
        return Leaf(*field, Comparison_::kEqual, std::int64_t{1});
      return Wrong(sign_at, "expected =, !=, <, <=, >, >= or : after " + std::string(field->name));
    }
    SkipBlanks();
    WM_ASSIGN_OR_RETURN(Argument argument, ArgumentHere());
    SkipBlanks();
    if (*sign != Sign::kNotEqual) return Compare(*field, *sign, std::move(argument), sign_at);
    WM_ASSIGN_OR_RETURN(Filter equal, Compare(*field, Sign::kEqual, std::move(argument), sign_at));
    Filter negated;
    negated.kind = Filter::Kind::kNot;
    negated.parts.push_back(std::move(equal));
    return negated;
  }

  std::optional<Sign> TakeSign() {
    constexpr std::pair<std::string_view, Sign> kSigns[] = {
        {"!=", Sign::kNotEqual}, {"<=", Sign::kLessOrEqual}, {">=", Sign::kGreaterOrEqual},
        {"=", Sign::kEqual},     {"<", Sign::kLess},         {">", Sign::kGreater},
        {":", Sign::kHas}};
    for (const auto& [text, sign] : kSigns) {
      if (!text_.substr(at_).starts_with(text)) continue;
      at_ += text.size();
      return sign;
    }
    return std::nullopt;
  }

  Result<Argument> ArgumentHere() {
    if (!at_end() && (text_[at_] == '"' || text_[at_] == '\'')) return Quoted();
    Argument argument;
    argument.at = at_;
    const std::size_t start = at_;
    while (!at_end() && IsValueChar(text_[at_])) ++at_;
    const std::string_view text = text_.substr(start, at_ - start);
    if (text.empty()) return Wrong(start, "expected a value; one with blanks stands in quotes");
    for (std::size_t i = 0; i < text.size(); ++i) AddChar(argument, text, i);
    return argument;
  }

  static void AddChar(Argument& argument, std::string_view text, std::size_t i) {
    if (text[i] != '*') {
      argument.text += text[i];
    } else if (i == 0) {
      argument.starts_with_star = true;
    } else if (i + 1 == text.size()) {
      argument.ends_with_star = true;
    } else {
      argument.star_inside = true;
    }
  }

  // A backslash takes the next character as it is, a star among them.
  Result<Argument> Quoted() {
    Argument argument;
    argument.at = at_;
    const char quote = text_[at_++];
    const std::size_t start = at_;
    while (!at_end() && text_[at_] != quote) {
      if (text_[at_] == '\\') {
        if (++at_ >= text_.size()) break;
        argument.text += text_[at_++];
        continue;
      }
      if (text_[at_] != '*') {
        argument.text += text_[at_];
      } else if (at_ == start) {
        argument.starts_with_star = true;
      } else if (at_ + 1 < text_.size() && text_[at_ + 1] == quote) {
        argument.ends_with_star = true;
      } else {
        argument.star_inside = true;
      }
      ++at_;
    }
    if (at_end()) return Wrong(argument.at, "this quote is not closed");
    ++at_;
    return argument;
  }

  using Comparison_ = query::Comparison;

  static Filter Leaf(const Field& field, Comparison_ comparison, Value value) {
    Filter leaf;
    leaf.term = {&field, comparison, std::move(value)};
    return leaf;
  }

  Result<Filter> Compare(const Field& field, Sign sign, Argument argument, std::size_t sign_at) {
    if (argument.only_star()) {
      if (sign == Sign::kEqual || sign == Sign::kHas) {
        return Leaf(field, Comparison_::kPresent, std::int64_t{0});
      }
      return Wrong(argument.at, "a * alone goes with = and : only");
    }
    const bool starred =
        argument.starts_with_star || argument.ends_with_star || argument.star_inside;
    if (field.type == FieldType::kText) {
      return CompareText(field, sign, std::move(argument), starred);
    }
    if (starred) return Wrong(argument.at, "a * goes with texts only");
    const bool orders = sign != Sign::kEqual && sign != Sign::kHas;
    if (orders && (field.type == FieldType::kFlag || IsBytes(field.type))) {
      return Wrong(sign_at, std::string(field.name) + " is compared by = and != only");
    }
    auto value = ParseValue(field, argument.text);
    if (!value.has_value()) return Wrong(argument.at, value.error().message());
    return Leaf(field, ComparisonOf(sign), *std::move(value));
  }

  Result<Filter> CompareText(const Field& field, Sign sign, Argument argument, bool starred) {
    if (argument.star_inside) {
      return Wrong(argument.at, "a * stands at the beginning or the end; \\* is the character");
    }
    if (!base::IsUtf8(argument.text) || argument.text.find('\0') != std::string::npos) {
      return Wrong(argument.at, "a text is UTF-8 without NUL");
    }
    if (starred && sign != Sign::kEqual && sign != Sign::kHas) {
      return Wrong(argument.at, "a * goes with = and : only");
    }
    Comparison_ comparison = ComparisonOf(sign);
    if (starred) {
      comparison = !argument.ends_with_star     ? Comparison_::kEnds
                   : !argument.starts_with_star ? Comparison_::kStarts
                                                : Comparison_::kContains;
    } else if (sign == Sign::kHas) {
      comparison = Comparison_::kContains;
    }
    return Leaf(field, comparison, std::move(argument.text));
  }

  static Comparison_ ComparisonOf(Sign sign) {
    switch (sign) {
      case Sign::kLess:
        return Comparison_::kLess;
      case Sign::kLessOrEqual:
        return Comparison_::kLessOrEqual;
      case Sign::kGreater:
        return Comparison_::kGreater;
      case Sign::kGreaterOrEqual:
        return Comparison_::kGreaterOrEqual;
      case Sign::kEqual:
      case Sign::kNotEqual:
      case Sign::kHas:
        break;
    }
    return Comparison_::kEqual;
  }

  const List& list_;
  const std::string_view text_;
  std::size_t at_ = 0;
  std::size_t terms_ = 0;
};

}  // namespace

Result<std::optional<Filter>> ParseFilter(const List& list, std::string_view text) {
  if (text.size() > limits::kMaxFilterBytes) {
    return base::InvalidArgument("a filter has at most " + std::to_string(limits::kMaxFilterBytes) +
                                 " bytes");
  }
  return Parser(list, text).Parse();
}

bool Names(const Filter& filter, std::string_view field) {
  if (filter.kind == Filter::Kind::kTerm) return filter.term.field->name == field;
  return std::ranges::any_of(filter.parts, [&](const Filter& part) { return Names(part, field); });
}

}  // namespace weighmaster::server::query
