#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "policy/lang/diagnostics.h"
#include "policy/lang/yaml_tree.h"

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
// `true` or `false`, without quotes.
std::optional<bool> ReadBool(const YamlNode& node, std::string_view what, const Reporter& report);

}  // namespace weighmaster::lang
