#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/lang/yaml/diagnostics.h"

namespace weighmaster::lang {

struct YamlEntry;

// One value of a YAML document with its place. A value; as deep as limits::kMaxDocumentDepth at
// most.
struct YamlNode {
  enum class Kind : std::uint8_t {
    kNull,
    kScalar,
    kSequence,
    kMap,
    kRefused,  // reported already; readers pass over it in silence
  };
  Kind kind = Kind::kNull;
  Location at;
  std::string text;                // kScalar
  bool plain = false;              // kScalar: written without quotes, and not as a block
  std::vector<YamlNode> items;     // kSequence
  std::vector<YamlEntry> entries;  // kMap, in the order of the document, no key twice

  // Null when the map has no such key.
  const YamlNode* Find(std::string_view key) const;
};

struct YamlEntry {
  std::string key;
  Location key_at;
  YamlNode value;
};

// "a text", "a list", "a map", "nothing".
std::string_view KindName(YamlNode::Kind kind);

// Reads the one document in the text, by yaml-cpp's events: its nodes accept repeated keys silently
// and lose places. Refused beyond broken YAML: text that is not UTF-8, a second document, repeated
// keys, keys that are no text, anchors, aliases, tags, and deep nesting. Everything is reported;
// nothing is returned only when there is no tree at all.
std::optional<YamlNode> ReadYaml(std::string_view text, const Reporter& report);

}  // namespace weighmaster::lang
