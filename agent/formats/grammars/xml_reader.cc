#include "agent/formats/grammars/xml_reader.h"

#include <algorithm>
#include <utility>

#include "agent/formats/reading/work_budget.h"

namespace weighmaster::agent::formats {
namespace {

// FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
constexpr std::uint64_t kHashStart = 0xcbf29ce484222325;
constexpr std::uint64_t kHashPrime = 0x100000001b3;

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
// What no name holds; as strict as is needed to find its end.
constexpr std::string_view kNameEnds = " \t\r\n=/>\"'<&?!";

bool IsIn(std::string_view set, int c) {
  return c >= 0 && set.find(static_cast<char>(c)) != std::string_view::npos;
}

bool BeginsName(int c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || c >= 0x80;
}

std::string_view WithoutPrefix(std::string_view name) {
  const std::size_t colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

void SkipBlanksOf(std::string_view& text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(kBlanks)));
}

// Moves behind `end`; false where the text has none.
bool SkipBehind(std::string_view& text, std::string_view end) {
  const std::size_t at = text.find(end);
  if (at == std::string_view::npos) return false;
  text.remove_prefix(at + end.size());
  return true;
}

// Moves behind a document type with its internal subset.
bool SkipDoctypeOf(std::string_view& text) {
  std::size_t brackets = 0;
  while (!text.empty()) {
    const char c = text.front();
    if (text.substr(0, 4) == "<!--") {
      if (!SkipBehind(text, "-->")) return false;
      continue;
    }
    text.remove_prefix(1);
    if (c == '"' || c == '\'') {
      if (!SkipBehind(text, std::string_view(&c, 1))) return false;
    } else if (c == '[') {
      ++brackets;
    } else if (c == ']' && brackets > 0) {
      --brackets;
    } else if (c == '>' && brackets == 0) {
      return true;
    }
  }
  return false;
}

// Moves to the first start tag, past its '<'.
bool SkipProlog(std::string_view& text) {
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    text.remove_prefix(kByteOrderMark.size());
  }
  while (true) {
    SkipBlanksOf(text);
    if (text.substr(0, 2) == "<?") {
      if (!SkipBehind(text, "?>")) return false;
    } else if (text.substr(0, 4) == "<!--") {
      text.remove_prefix(4);
      if (!SkipBehind(text, "-->")) return false;
    } else if (text.substr(0, 9) == "<!DOCTYPE") {
      text.remove_prefix(9);
      if (!SkipDoctypeOf(text)) return false;
    } else {
      const bool tag = text.size() > 1 && text.front() == '<';
      if (tag) text.remove_prefix(1);
      return tag;
    }
  }
}

}  // namespace

XmlToken XmlReader::Next() {
  if (broken_) return XmlToken::kBroken;
  if (closes_) return Close();
  while (true) {
    if (!SkipText()) return AtEnd();
    switch (Look()) {
      case '?':
        if (!SkipTo("?>")) return Break();
        break;
      case '!':
        if (!SkipDeclaration()) return Break();
        break;
      case '/':
        return EndTag();
      default:
        return StartTag();
    }
  }
}

XmlToken XmlReader::Break() {
  broken_ = true;
  return XmlToken::kBroken;
}

XmlToken XmlReader::Close() {
  closes_ = false;
  open_.pop_back();
  return XmlToken::kEndElement;
}

XmlToken XmlReader::AtEnd() {
  const bool whole = Look() == kNothing && cursor_.remaining() == 0;
  return whole && has_root_ && open_.empty() ? XmlToken::kEnd : Break();
}

XmlToken XmlReader::StartTag() {
  const bool allowed = open_.empty() ? !has_root_ : open_.size() < kMaxDepth;
  if (!allowed || !BeginsName(Look()) || !ReadName(name_)) return Break();
  name_.erase(0, name_.size() - WithoutPrefix(name_).size());
  has_root_ = true;
  open_.push_back(name_hash_);
  attributes_.clear();
  while (true) {
    SkipBlanks();
    const int c = Look();
    if (c == '>') {
      ++at_;
      return XmlToken::kElement;
    }
    if (c == '/') {
      ++at_;
      closes_ = true;
      return Take() == '>' ? XmlToken::kElement : Break();
    }
    if (!ReadAttribute()) return Break();
  }
}

XmlToken XmlReader::EndTag() {
  ++at_;
  std::string name;
  if (open_.empty() || !ReadName(name) || name_hash_ != open_.back()) return Break();
  SkipBlanks();
  return Take() == '>' ? Close() : Break();
}

bool XmlReader::ReadAttribute() {
  AttributeText attribute;
  if (!BeginsName(Look()) || !ReadName(attribute.name)) return false;
  SkipBlanks();
  if (Take() != '=') return false;
  SkipBlanks();
  if (!ReadValue(attribute.value)) return false;
  if (attributes_.size() < kMaxAttributes) attributes_.push_back(std::move(attribute));
  return true;
}

bool XmlReader::ReadName(std::string& name) {
  name.clear();
  name_hash_ = kHashStart;
  for (int c = Look(); c != kNothing && !IsIn(kNameEnds, c); c = Look()) {
    ++at_;
    if (name.size() < kKeptNameBytes) name += static_cast<char>(c);
    name_hash_ = (name_hash_ ^ static_cast<std::uint64_t>(c)) * kHashPrime;
  }
  return !name.empty();
}

bool XmlReader::ReadValue(std::string& value) {
  const int quote = Take();
  if (quote != '"' && quote != '\'') return false;
  for (int c = Take(); c != kNothing && c != '<'; c = Take()) {
    if (c == quote) return true;
    if (value.size() < kKeptValueBytes) value += static_cast<char>(c);
  }
  return false;
}

std::string_view XmlReader::Attribute(std::string_view name) const {
  for (const AttributeText& attribute : attributes_) {
    if (attribute.name == name) return attribute.value;
  }
  return {};
}

bool XmlReader::SkipText() {
  if (offset() == 0 && Look() == 0xef && !TakeWord(kByteOrderMark)) return false;
  for (int c = Look(); c != kNothing; c = Look()) {
    if (c != '<' && open_.empty() && !IsIn(kBlanks, c)) return false;
    ++at_;
    if (c == '<') return true;
  }
  return false;
}

bool XmlReader::SkipDeclaration() {
  ++at_;
  const int kind = Take();
  if (kind == '-') return Take() == '-' && SkipTo("-->");
  if (kind == '[') return !open_.empty() && TakeWord("CDATA[") && SkipTo("]]>");
  return kind == 'D' && !has_root_ && TakeWord("OCTYPE") && SkipDoctype();
}

bool XmlReader::SkipDoctype() {
  std::size_t brackets = 0;
  for (int c = Take(); c != kNothing; c = Take()) {
    if (c == '"' || c == '\'') {
      while (Look() != c && Look() != kNothing) ++at_;
      if (Take() == kNothing) return false;
    } else if (c == '<' && Look() == '!') {
      ++at_;
      if (Look() != '-') continue;
      ++at_;
      if (Take() != '-' || !SkipTo("-->")) return false;
    } else if (c == '[') {
      ++brackets;
    } else if (c == ']' && brackets > 0) {
      --brackets;
    } else if (c == '>' && brackets == 0) {
      return true;
    }
  }
  return false;
}

// `end` is two or three bytes long.
bool XmlReader::SkipTo(std::string_view end) {
  std::uint32_t wanted = 0;
  for (const char c : end) wanted = (wanted << 8) | static_cast<unsigned char>(c);
  const std::uint32_t mask = end.size() == 2 ? 0xffffU : 0xffffffU;
  std::uint32_t last = 0;
  for (int c = Take(); c != kNothing; c = Take()) {
    last = (last << 8) | static_cast<std::uint32_t>(c);
    if ((last & mask) == wanted) return true;
  }
  return false;
}

bool XmlReader::TakeWord(std::string_view word) {
  return std::all_of(word.begin(), word.end(),
                     [&](char c) { return Take() == static_cast<unsigned char>(c); });
}

void XmlReader::SkipBlanks() {
  while (IsIn(kBlanks, Look())) ++at_;
}

int XmlReader::Take() {
  if (at_ == chunk_.size() && !Refill()) return kNothing;
  return chunk_[at_++];
}

int XmlReader::Look() {
  if (at_ == chunk_.size() && !Refill()) return kNothing;
  return chunk_[at_];
}

bool XmlReader::Refill() {
  cursor_.Skip(at_);
  at_ = 0;
  chunk_ = cursor_.Peek(Cursor::kPeekBytes);
  cursor_.budget().Take(chunk_.size() * work::kJsonByte);
  return !chunk_.empty();
}

std::optional<XmlTag> FirstXmlTag(std::string_view text) {
  if (!SkipProlog(text) || !BeginsName(static_cast<unsigned char>(text.front()))) {
    return std::nullopt;
  }
  XmlTag tag;
  tag.name = text.substr(0, text.find_first_of(kNameEnds));
  text.remove_prefix(tag.name.size());
  tag.name = WithoutPrefix(tag.name);
  tag.attributes = text;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '>') {
      tag.attributes.remove_suffix(text.size() + 1);
      tag.rest = text;
      return tag;
    }
    if (c != '"' && c != '\'') continue;
    if (!SkipBehind(text, std::string_view(&c, 1))) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::string_view> XmlAttribute(std::string_view attributes, std::string_view name) {
  while (true) {
    SkipBlanksOf(attributes);
    const std::string_view found = attributes.substr(0, attributes.find_first_of(kNameEnds));
    if (found.empty()) return std::nullopt;
    attributes.remove_prefix(found.size());
    SkipBlanksOf(attributes);
    if (attributes.empty() || attributes.front() != '=') return std::nullopt;
    attributes.remove_prefix(1);
    SkipBlanksOf(attributes);
    if (attributes.empty()) return std::nullopt;
    const char quote = attributes.front();
    if (quote != '"' && quote != '\'') return std::nullopt;
    attributes.remove_prefix(1);
    const std::size_t end = attributes.find(quote);
    if (end == std::string_view::npos) return std::nullopt;
    if (found == name) return attributes.substr(0, end);
    attributes.remove_prefix(end + 1);
  }
}

}  // namespace weighmaster::agent::formats
