#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/lang/yaml/diagnostics.h"
#include "policy/lang/yaml/tree.h"
#include "policy/model/digest.h"

namespace weighmaster::lang {

// Small readers of one value each. Every one of them reports what is wrong and then returns
// nothing; none reports a node that was refused before.

// Whether the node is a map. `what` names it in the message: "the policy", "a rule".
bool ExpectMap(const YamlNode& node, std::string_view what, const Reporter& report);
bool ExpectSequence(const YamlNode& node, std::string_view what, const Reporter& report);

// Reports every key that is not one of these, with the nearest.
void CheckKeys(const YamlNode& map, std::initializer_list<std::string_view> known,
               const Reporter& report);

// A text that is not empty.
std::optional<std::string> ReadText(const YamlNode& node, std::string_view what,
                                    const Reporter& report);
// A text for people: one line once the white space at its ends is off, no control characters, at
// most `max_bytes`.
std::optional<std::string> ReadSentence(const YamlNode& node, std::string_view what,
                                        std::size_t max_bytes, const Reporter& report);
// A text or a list of texts, none of them empty.
std::vector<std::string> ReadTexts(const YamlNode& node, std::string_view what,
                                   const Reporter& report);
// A digest as sha256sum prints it.
std::optional<model::Sha256> ReadDigest(const YamlNode& node, std::string_view what,
                                        const Reporter& report);
// A day, 2027-01-31, which stands for its first moment in UTC, or a time, 2027-01-31T12:00:00Z.
std::optional<base::WallTime> ReadTime(const YamlNode& node, std::string_view what,
                                       const Reporter& report);
// The value of one of a few names.
template <typename T>
std::optional<T> ReadNamed(const YamlNode& node, std::string_view what,
                           base::Result<T> (*parse)(std::string_view name),
                           const std::vector<std::string_view>& names, const Reporter& report) {
  const std::optional<std::string> text = ReadText(node, what, report);
  if (!text) return std::nullopt;
  const base::Result<T> value = parse(*text);
  if (value.has_value()) return *value;
  report.Error(node.at, std::string(what) + " can't be " + Quote(*text),
               SpellingHint(*text, names, "values"));
  return std::nullopt;
}
inline const std::vector<std::string_view> kOutcomeNames = {"allow", "warn", "deny"};
inline const std::vector<std::string_view> kModeNames = {"observe", "warn", "enforce"};
inline const std::vector<std::string_view> kSeverityNames = {"info", "low", "medium", "high",
                                                             "critical"};
// `true` or `false`, without quotes.
std::optional<bool> ReadBool(const YamlNode& node, std::string_view what, const Reporter& report);

}  // namespace weighmaster::lang
