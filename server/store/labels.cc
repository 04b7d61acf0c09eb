#include "server/store/labels.h"

#include <algorithm>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"

namespace weighmaster::server::store {
namespace {

namespace limits = base::limits;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsOfAKey(char c) {
  return IsLower(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}
bool IsOfAValue(char c) { return IsOfAKey(c) || (c >= 'A' && c <= 'Z'); }

bool IsKey(std::string_view text) {
  return !text.empty() && text.size() <= limits::kMaxLabelKeyBytes && IsLower(text.front()) &&
         std::ranges::all_of(text, IsOfAKey);
}
bool IsValue(std::string_view text) {
  return !text.empty() && text.size() <= limits::kMaxLabelValueBytes &&
         std::ranges::all_of(text, IsOfAValue);
}

base::Error NoLabel(std::string_view word) {
  constexpr std::size_t kShownBytes = 160;  // a foreign text of any length
  return base::InvalidArgument(
      "\"" + base::EscapeForDisplay(base::CutText(std::string(word), kShownBytes)) +
      "\" is no label: KEY=VALUE, a key of up to " + std::to_string(limits::kMaxLabelKeyBytes) +
      " of a-z, 0-9 and . _ - that begins with a letter, a value of up to " +
      std::to_string(limits::kMaxLabelValueBytes) + " of A-Z, a-z, 0-9 and . _ -");
}

base::Result<Labels> ParseUpTo(std::size_t most, std::span<const std::string_view> words) {
  if (words.size() > most) {
    return base::InvalidArgument("there are more than " + std::to_string(most) + " labels");
  }
  Labels labels;
  for (const std::string_view word : words) {
    const std::size_t equals = word.find('=');
    if (equals == word.npos) return NoLabel(word);
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = word.substr(equals + 1);
    if (!IsKey(key) || !IsValue(value)) return NoLabel(word);
    if (!labels.emplace(key, value).second) {
      return base::InvalidArgument("the label " + std::string(key) + " comes twice");
    }
  }
  return labels;
}

}  // namespace

base::Result<Labels> ParseLabels(std::span<const std::string_view> words) {
  return ParseUpTo(limits::kMaxLabels, words);
}

std::vector<std::string> LabelWords(const Labels& labels) {
  std::vector<std::string> words;
  words.reserve(labels.size());
  for (const auto& [key, value] : labels) words.push_back(key + "=" + value);
  return words;
}

base::Result<Scope> Scope::Parse(std::string_view text) {
  if (text.empty()) return WholeFleet();
  std::vector<std::string_view> words;
  // One past the limit is enough to know that there are too many.
  while (words.size() <= limits::kMaxScopeLabels) {
    const std::size_t comma = text.find(',');
    words.push_back(text.substr(0, comma));
    if (comma == text.npos) break;
    text.remove_prefix(comma + 1);
  }
  WM_ASSIGN_OR_RETURN(Labels labels, ParseUpTo(limits::kMaxScopeLabels, words));
  return Scope(std::move(labels));
}

std::string Scope::ToText() const {
  std::string text;
  for (const std::string& word : LabelWords(labels_)) text += (text.empty() ? "" : ",") + word;
  return text;
}

bool Scope::Has(const Labels& labels) const {
  return std::ranges::all_of(labels_, [&](const auto& asked) {
    const auto found = labels.find(asked.first);
    return found != labels.end() && found->second == asked.second;
  });
}

}  // namespace weighmaster::server::store
