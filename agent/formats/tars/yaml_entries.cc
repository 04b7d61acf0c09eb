#include "agent/formats/tars/yaml_entries.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace weighmaster::agent::formats {
namespace {

constexpr std::size_t kMaxScalarBytes = 1'024;  // kept of one; names and facts are shorter
constexpr std::size_t kMaxAnchors = 4'096;
constexpr std::string_view kFlowMarks = ",[]{}";

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsFlowMark(char c) { return kFlowMarks.find(c) != std::string_view::npos; }

bool IsAnchorCharacter(char c) {
  return c == '_' || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z');
}

void Put(std::string& out, char c) {
  if (out.size() < kMaxScalarBytes) out += c;
}

void PutCodePoint(std::string& out, std::uint32_t point) {
  const auto put = [&](std::uint32_t byte) { Put(out, static_cast<char>(byte)); };
  if (point < 0x80) return put(point);
  if (point < 0x800) {
    put(0xc0U | (point >> 6));
  } else {
    if (point < 0x10000) put(0xe0U | (point >> 12));
    if (point >= 0x10000) put(0xf0U | ((point >> 18) & 0x07U));
    if (point >= 0x10000) put(0x80U | ((point >> 12) & 0x3fU));
    put(0x80U | ((point >> 6) & 0x3fU));
  }
  put(0x80U | (point & 0x3fU));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void TrimEnd(std::string& text) {
  while (!text.empty() && IsBlank(text.back())) text.pop_back();
}

}  // namespace

YamlEntries::YamlEntries(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  constexpr std::string_view kBreaks[] = {"\r\n", "\r", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  text_.reserve(text.size());
  while (!text.empty()) {
    const auto* const found =
        std::find_if(std::begin(kBreaks), std::end(kBreaks),
                     [&](std::string_view line_break) { return text.starts_with(line_break); });
    const bool line_break = found != std::end(kBreaks);
    text_ += line_break ? '\n' : text.front();
    text.remove_prefix(line_break ? found->size() : 1);
  }
}

std::optional<YamlEntry> YamlEntries::Next() {
  while (true) {
    Token token = NextToken();
    switch (token.mark) {
      case Mark::kEnd:
        return std::nullopt;
      case Mark::kBreak:
        key_.reset();
        break;
      case Mark::kColon:
        break;
      case Mark::kScalar:
      case Mark::kAlias: {
        Token after = NextToken();
        if (after.mark == Mark::kColon) {
          key_ = std::move(token);
          break;
        }
        pushed_back_ = std::move(after);
        if (!key_.has_value()) break;
        YamlEntry entry{std::move(key_->text), std::move(token.text), key_->column, key_->offset,
                        token.mark == Mark::kAlias};
        key_.reset();
        return entry;
      }
    }
  }
}

YamlEntries::Token YamlEntries::NextToken() {
  if (pushed_back_.has_value()) return *std::exchange(pushed_back_, std::nullopt);
  return Lex();
}

// False: nothing is left.
bool YamlEntries::SkipBlanks() {
  while (at_ < text_.size()) {
    if (text_[at_] == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (IsBlank(text_[at_])) {
      ++at_;
    } else {
      return true;
    }
  }
  return false;
}

bool YamlEntries::EndsWordAt(std::size_t at) const {
  return at >= text_.size() || IsBlank(text_[at]) || (flow_depth_ > 0 && IsFlowMark(text_[at]));
}

// Without its first character, as is the next.
std::string_view YamlEntries::TagWord() {
  const std::size_t begin = ++at_;
  while (!EndsWordAt(at_)) ++at_;
  return std::string_view(text_).substr(begin, at_ - begin);
}

std::string_view YamlEntries::AnchorName() {
  const std::size_t begin = ++at_;
  while (IsAnchorCharacter(At(at_))) ++at_;
  return std::string_view(text_).substr(begin, at_ - begin);
}

YamlEntries::Token YamlEntries::Lex() {
  while (SkipBlanks()) {
    MoveToLine();
    const std::size_t begin = at_;
    const std::size_t column = begin - line_;
    const char c = text_[at_];
    const bool stands_alone = flow_depth_ > 0 || EndsWordAt(at_ + 1);
    if (c == ':' && stands_alone) {
      ++at_;
      return {Mark::kColon, {}, begin, column, indent_};
    }
    if (c == '?' && stands_alone) {
      ++at_;
      continue;
    }
    if (c == '-' && EndsWordAt(at_ + 1)) {
      ++at_;
      return {Mark::kBreak, {}, begin, column, indent_};
    }
    if (c == '[' || c == '{') {
      ++at_;
      ++flow_depth_;
      continue;
    }
    if (flow_depth_ > 0 && IsFlowMark(c)) {
      ++at_;
      if (c != ',') --flow_depth_;
      return {Mark::kBreak, {}, begin, column, indent_};
    }
    if (c == '!') {
      names_python_tag_ = TagWord().find("python/") != std::string_view::npos || names_python_tag_;
      continue;
    }
    if (c == '&') {
      anchor_ = std::string(AnchorName().substr(0, kMaxScalarBytes));
      continue;
    }
    if (c == '*') {
      const auto known = anchored_.find(AnchorName());
      if (known == anchored_.end()) return {Mark::kAlias, {}, begin, column, indent_};
      return {Mark::kScalar, known->second, begin, column, indent_};
    }
    Token token{Mark::kScalar, {}, begin, column, indent_};
    if (c == '"') {
      token.text = DoubleQuoted();
    } else if (c == '\'') {
      token.text = Quoted();
    } else if ((c == '|' || c == '>') && flow_depth_ == 0) {
      token.text = BlockScalar();
    } else {
      token.text = Plain();
    }
    Keep(token.text);
    return token;
  }
  return {};
}

void YamlEntries::Keep(const std::string& scalar) {
  if (anchor_.empty()) return;
  if (anchored_.size() < kMaxAnchors) anchored_[anchor_] = scalar;
  anchor_.clear();
}

std::string YamlEntries::Quoted() {
  std::string out;
  for (++at_; at_ < text_.size(); ++at_) {
    if (text_[at_] == '\'' && At(at_ + 1) != '\'') {
      ++at_;
      break;
    }
    if (text_[at_] == '\'') ++at_;
    Put(out, text_[at_]);
  }
  return out;
}

std::string YamlEntries::DoubleQuoted() {
  std::string out;
  ++at_;
  while (at_ < text_.size() && text_[at_] != '"') {
    if (text_[at_] == '\\') {
      Escape(out);
    } else {
      Put(out, text_[at_++]);
    }
  }
  ++at_;
  return out;
}

// The cursor is on the backslash.
void YamlEntries::Escape(std::string& out) {
  const char c = At(at_ + 1);
  at_ = std::min(at_ + 2, text_.size());
  const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits == 0) {
    // Of the others only those matter that leave nothing: a line that is folded.
    if (c == '\n') {
      while (IsBlank(At(at_))) ++at_;
    } else {
      Put(out, c == 't' ? '\t' : c == 'n' ? '\n' : c);
    }
    return;
  }
  std::uint32_t point = 0;
  for (std::size_t i = 0; i < digits && HexDigit(At(at_)) >= 0; ++i, ++at_) {
    point = (point << 4) | static_cast<std::uint32_t>(HexDigit(At(at_)));
  }
  PutCodePoint(out, point);
}

void YamlEntries::MoveToLine() {
  while (at_ >= next_line_ && next_line_ < text_.size()) {
    line_ = next_line_;
    next_line_ = std::min(text_.find('\n', line_), text_.size()) + 1;
    spaces_ = std::min(text_.find_first_not_of(' ', line_), text_.size()) - line_;
    indent_ = std::min(text_.find_first_not_of(" -", line_), text_.size()) - line_;
  }
}

// At the end of a line of a plain scalar: whether the next line goes on with it, which is moved to.
// What looks like a quote there is none.
bool YamlEntries::ContinuesPlain(std::size_t parent_indent) {
  std::size_t line = at_ + 1;
  std::size_t first = line;
  while (IsBlank(At(first))) {
    if (text_[first++] == '\n') line = first;
  }
  if (first >= text_.size() || text_[first] == '#') return false;
  if (flow_depth_ == 0 && first - line <= parent_indent) return false;
  at_ = first;
  return true;
}

std::string YamlEntries::Plain() {
  const std::size_t parent_indent = ParentIndent();
  std::string out;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '\n') {
      if (!ContinuesPlain(parent_indent)) break;
      Put(out, ' ');
      continue;
    }
    if (c == ':' && EndsWordAt(at_ + 1)) break;
    if (c == '#' && at_ > 0 && IsBlank(text_[at_ - 1])) break;
    if (flow_depth_ > 0 && IsFlowMark(c)) break;
    Put(out, c);
    ++at_;
  }
  TrimEnd(out);
  return out;
}

// The lines that are indented deeper than what they belong to.
std::string YamlEntries::BlockScalar() {
  const std::size_t indent = ParentIndent();
  std::string out;
  at_ = std::min(text_.find('\n', at_), text_.size());
  while (at_ < text_.size()) {
    const std::size_t line = at_ + 1;
    std::size_t first = line;
    while (At(first) == ' ') ++first;
    const bool empty = At(first) == '\n' || first >= text_.size();
    if (!empty && first - line <= indent) break;
    at_ = std::min(text_.find('\n', line), text_.size());
    if (empty) continue;
    if (!out.empty()) Put(out, ' ');
    for (std::size_t i = first; i < at_; ++i) Put(out, text_[i]);
    TrimEnd(out);
  }
  return out;
}

}  // namespace weighmaster::agent::formats
