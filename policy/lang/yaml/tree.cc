#include "policy/lang/yaml/tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <streambuf>
#include <unordered_map>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"

namespace weighmaster::lang {
namespace {

// Thrown through the parser when reading on makes no sense; the reason is reported already.
struct Stop {};

Location ToLocation(const YAML::Mark& mark) {
  if (mark.line < 0) return {};
  return {static_cast<std::uint32_t>(mark.line) + 1, static_cast<std::uint32_t>(mark.column) + 1};
}

std::string At(Location at) {
  return "line " + std::to_string(at.line) + ", column " + std::to_string(at.column);
}

// Reads from a text that is there already, without a copy.
class TextBuffer final : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* const begin = const_cast<char*>(text.data());  // a get area is never written to
    setg(begin, begin, begin + text.size());
  }
};

// Makes nodes of the parser's events. Lives for one document.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const Reporter& report) : report_(report) {}

  std::optional<YamlNode> TakeRoot() { return std::move(root_); }

  // The innermost list or map in brackets that is still open: where an error that the parser
  // notices late most likely began.
  std::optional<Location> OpenBracket() const {
    if (open_.empty() || !open_.back().in_brackets) return std::nullopt;
    return open_.back().node.at;
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ == 0) return;
    report_.Error(ToLocation(mark), "a second document begins here",
                  "keep one policy a file, and remove the \"---\"");
    throw Stop{};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
    // The parser gives an empty value the place of whatever follows it.
    const bool is_value = !open_.empty() && open_.back().has_key;
    Place(MakeNode(YamlNode::Kind::kNull, is_value ? open_.back().key_at : ToLocation(mark)));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    report_.Error(ToLocation(mark), "aliases (*name) are not allowed",
                  "write the value out in both places");
    Place(MakeNode(YamlNode::Kind::kRefused, ToLocation(mark)));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    YamlNode node = MakeNode(YamlNode::Kind::kScalar, ToLocation(mark));
    node.text = value;
    node.plain = tag == "?";
    Place(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    Open(YamlNode::Kind::kSequence, mark, tag, anchor, style);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor, style);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapEnd() override { Close(); }

 private:
  struct OpenNode {
    YamlNode node;
    bool in_brackets = false;
    // Of a map: the key that waits for its value, and the keys so far.
    bool has_key = false;
    bool key_refused = false;
    std::string key;
    Location key_at;
    std::unordered_map<std::string, Location> keys;
  };

  static YamlNode MakeNode(YamlNode::Kind kind, Location at) {
    YamlNode node;
    node.kind = kind;
    node.at = at;
    return node;
  }

  void RefuseAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor == YAML::NullAnchor) return;
    report_.Error(ToLocation(mark), "anchors (&name) are not allowed",
                  "write the value out wherever it is needed");
  }

  void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    report_.Error(ToLocation(mark), "tags (!name) are not allowed", "remove the tag");
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor, YAML::EmitterStyle::value style) {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (open_.size() >= base::limits::kMaxDocumentDepth) {
      report_.Error(ToLocation(mark),
                    "lists and maps are nested deeper than " +
                        std::to_string(base::limits::kMaxDocumentDepth),
                    "no policy needs that; flatten it");
      throw Stop{};
    }
    OpenNode open;
    open.node = MakeNode(kind, ToLocation(mark));
    open.in_brackets = style == YAML::EmitterStyle::Flow;
    open_.push_back(std::move(open));
  }

  void Close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    Place(std::move(node));
  }

  void Place(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    OpenNode& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kSequence) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.has_key) {
      PlaceKey(parent, std::move(node));
    } else {
      if (!parent.key_refused) {
        parent.node.entries.push_back({std::move(parent.key), parent.key_at, std::move(node)});
      }
      parent.has_key = false;
    }
  }

  void PlaceKey(OpenNode& parent, YamlNode key) {
    parent.has_key = true;
    parent.key_at = key.at;
    parent.key_refused = true;
    if (key.kind != YamlNode::Kind::kScalar) {
      if (key.kind != YamlNode::Kind::kRefused) {
        report_.Error(key.at,
                      "a key must be a text, and here stands " + std::string(KindName(key.kind)));
      }
      return;
    }
    const auto [first, is_new] = parent.keys.try_emplace(key.text, key.at);
    if (!is_new) {
      report_.Error(key.at, "the key " + Quote(key.text) + " stands twice in this map",
                    "the first is at " + At(first->second));
      return;
    }
    parent.key_refused = false;
    parent.key = std::move(key.text);
  }

  const Reporter& report_;
  std::vector<OpenNode> open_;
  std::optional<YamlNode> root_;
  int documents_ = 0;
};

// Where the text stops being UTF-8, or holds a NUL.
std::optional<Location> FindBadByte(std::string_view text) {
  Location at{1, 1};
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const bool bad = !base::IsUtf8(line) || line.find('\0') != std::string_view::npos;
    if (bad) return at;
    if (line.size() == text.size()) return std::nullopt;
    text.remove_prefix(line.size() + 1);
    ++at.line;
  }
  return std::nullopt;
}

void ReportParserError(const YAML::ParserException& error, const TreeBuilder& builder,
                       const Reporter& report) {
  // What yaml-cpp 0.7 says when its own guard against deep recursion stops it.
  if (error.msg == YAML::ErrorMsg::BAD_FILE) {
    report.Error(ToLocation(error.mark), "lists and maps are nested far too deeply");
    return;
  }
  std::string hint;
  if (const std::optional<Location> bracket = builder.OpenBracket()) {
    hint = "the bracket at " + At(*bracket) + " may not be closed";
  } else if (error.msg == YAML::ErrorMsg::MAP_VALUE) {
    hint = "put a text that holds \": \" in quotes, and indent with spaces, not tabs";
  }
  report.Error(ToLocation(error.mark), "this is not YAML: " + error.msg, hint);
}

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  const auto found = std::ranges::find(entries, key, &YamlEntry::key);
  return found == entries.end() ? nullptr : &found->value;
}

std::string_view KindName(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return "a text";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kRefused:
      return "something that was refused";
  }
  return "something else";
}

std::optional<YamlNode> ReadYaml(std::string_view text, const Reporter& report) {
  if (const std::optional<Location> bad = FindBadByte(text)) {
    report.Error(*bad, "this line is not UTF-8 text", "save the file as UTF-8");
    return std::nullopt;
  }
  TreeBuilder builder(report);
  try {
    TextBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    // The second call finds what follows the document, if anything does.
    if (parser.HandleNextDocument(builder)) parser.HandleNextDocument(builder);
  } catch (const Stop&) {
    return std::nullopt;
  } catch (const YAML::ParserException& error) {
    ReportParserError(error, builder, report);
    return std::nullopt;
  } catch (const std::exception& error) {
    report.Error({}, "this is not YAML: " + std::string(error.what()));
    return std::nullopt;
  }
  std::optional<YamlNode> root = builder.TakeRoot();
  if (!root) report.Error({1, 1}, "the document is empty");
  return root;
}

}  // namespace weighmaster::lang
