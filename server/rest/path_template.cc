#include "server/rest/path_template.h"

#include "policy/base/bytes.h"
#include "policy/base/check.h"

namespace weighmaster::server::rest {
namespace {

std::vector<std::string_view> Segments(std::string_view path) {
  std::vector<std::string_view> segments;
  while (true) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

// Cuts the verb off the last segment.
std::string_view TakeVerb(std::string_view& path) {
  const std::size_t colon = path.rfind(':');
  if (colon == std::string_view::npos || path.find('/', colon) != std::string_view::npos) return "";
  const std::string_view verb = path.substr(colon + 1);
  path = path.substr(0, colon);
  return verb;
}

}  // namespace

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const auto byte = base::HexDecode(text.substr(i + 1, 2));
    if (!byte.has_value()) return std::nullopt;
    decoded += base::AsText(*byte);
    i += 2;
  }
  return decoded;
}

PathTemplate::PathTemplate(std::string_view text) {
  WM_CHECK(text.starts_with('/'));
  text.remove_prefix(1);
  verb_ = TakeVerb(text);
  for (const std::string_view segment : Segments(text)) {
    WM_CHECK(!segment.empty());
    const bool is_variable = segment.front() == '{';
    WM_CHECK(!is_variable || (segment.back() == '}' && segment.size() > 2));
    segments_.push_back(
        {std::string(is_variable ? segment.substr(1, segment.size() - 2) : segment), is_variable});
  }
}

std::optional<PathTemplate::Variables> PathTemplate::Match(std::string_view path) const {
  if (!path.starts_with('/')) return std::nullopt;
  path.remove_prefix(1);
  const bool has_verb = path.rfind(':') != std::string_view::npos;
  if (has_verb == verb_.empty() || TakeVerb(path) != verb_) return std::nullopt;
  const std::vector<std::string_view> segments = Segments(path);
  if (segments.size() != segments_.size()) return std::nullopt;
  Variables variables;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (!segments_[i].is_variable) {
      if (segments[i] != segments_[i].text) return std::nullopt;
      continue;
    }
    auto value = PercentDecode(segments[i]);
    if (!value.has_value() || value->empty()) return std::nullopt;
    variables.emplace_back(segments_[i].text, *std::move(value));
  }
  return variables;
}

std::vector<std::string> PathTemplate::variables() const {
  std::vector<std::string> names;
  for (const Segment& segment : segments_) {
    if (segment.is_variable) names.push_back(segment.text);
  }
  return names;
}

}  // namespace weighmaster::server::rest
