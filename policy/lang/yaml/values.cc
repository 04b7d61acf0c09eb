#include "policy/lang/yaml/values.h"

#include <algorithm>
#include <span>
#include <vector>

#include "policy/base/bytes.h"

namespace weighmaster::lang {
namespace {

bool ExpectKind(const YamlNode& node, YamlNode::Kind kind, std::string_view what,
                const Reporter& report) {
  if (node.kind == kind) return true;
  if (node.kind != YamlNode::Kind::kRefused) {
    report.Error(node.at, std::string(what) + " must be " + std::string(KindName(kind)) +
                              ", and here stands " + std::string(KindName(node.kind)));
  }
  return false;
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

bool ExpectMap(const YamlNode& node, std::string_view what, const Reporter& report) {
  return ExpectKind(node, YamlNode::Kind::kMap, what, report);
}

bool ExpectSequence(const YamlNode& node, std::string_view what, const Reporter& report) {
  return ExpectKind(node, YamlNode::Kind::kSequence, what, report);
}

void CheckKeys(const YamlNode& map, std::initializer_list<std::string_view> known,
               const Reporter& report) {
  for (const YamlEntry& entry : map.entries) {
    if (std::ranges::find(known, entry.key) != known.end()) continue;
    report.Error(entry.key_at, "there is no key " + Quote(entry.key) + " here",
                 SpellingHint(entry.key, known, "keys"));
  }
}

std::optional<std::string> ReadText(const YamlNode& node, std::string_view what,
                                    const Reporter& report) {
  if (!ExpectKind(node, YamlNode::Kind::kScalar, what, report)) return std::nullopt;
  if (node.text.empty()) {
    report.Error(node.at, std::string(what) + " is empty");
    return std::nullopt;
  }
  return node.text;
}

std::vector<std::string> ReadTexts(const YamlNode& node, std::string_view what,
                                   const Reporter& report) {
  std::vector<std::string> texts;
  const std::span<const YamlNode> nodes =
      node.kind == YamlNode::Kind::kSequence ? std::span(node.items) : std::span(&node, 1);
  for (const YamlNode& one : nodes) {
    if (auto text = ReadText(one, what, report)) texts.push_back(*std::move(text));
  }
  return texts;
}

std::optional<model::Sha256> ReadDigest(const YamlNode& node, std::string_view what,
                                        const Reporter& report) {
  const std::optional<std::string> text = ReadText(node, what, report);
  if (!text) return std::nullopt;
  const base::Result<model::Sha256> digest = model::ParseSha256(*text);
  if (digest.has_value()) return *digest;
  report.Error(node.at, Quote(*text) + " is no digest: " + digest.error().message(),
               "write 64 hexadecimal digits, as sha256sum prints them");
  return std::nullopt;
}

std::optional<base::WallTime> ReadTime(const YamlNode& node, std::string_view what,
                                       const Reporter& report) {
  const std::optional<std::string> text = ReadText(node, what, report);
  if (!text) return std::nullopt;
  const auto time = base::ParseWallTimeOrDay(*text);
  if (time.has_value()) return *time;
  report.Error(node.at, Quote(*text) + " is no time", time.error().message());
  return std::nullopt;
}

std::optional<std::string> ReadSentence(const YamlNode& node, std::string_view what,
                                        std::size_t max_bytes, const Reporter& report) {
  const std::optional<std::string> text = ReadText(node, what, report);
  if (!text) return std::nullopt;
  const std::string sentence(Trimmed(*text));
  if (sentence.empty()) {
    report.Error(node.at, std::string(what) + " is empty");
    return std::nullopt;
  }
  if (sentence.size() > max_bytes) {
    report.Error(node.at,
                 std::string(what) + " is longer than " + std::to_string(max_bytes) + " bytes");
    return std::nullopt;
  }
  // Escaping for a terminal adds to a backslash, and otherwise only to what must not stand here.
  const auto backslashes = static_cast<std::size_t>(std::ranges::count(sentence, '\\'));
  const bool has_control = base::EscapeForDisplay(sentence).size() != sentence.size() + backslashes;
  if (has_control) {
    report.Error(node.at, std::string(what) + " must be one line without control characters",
                 "use \">-\" instead of \"|\" to write it over several lines");
    return std::nullopt;
  }
  return sentence;
}

std::optional<bool> ReadBool(const YamlNode& node, std::string_view what, const Reporter& report) {
  if (node.kind == YamlNode::Kind::kRefused) return std::nullopt;
  if (node.kind == YamlNode::Kind::kScalar && node.plain) {
    if (node.text == "true") return true;
    if (node.text == "false") return false;
  }
  report.Error(node.at, std::string(what) + " must be true or false",
               "without quotes; yes, no, on and off are not read as such");
  return std::nullopt;
}

}  // namespace weighmaster::lang
