#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace weighmaster::agent::formats {

// A key of a YAML mapping and its value, where that is a scalar.
struct YamlEntry {
  std::string key;
  std::string value;
  std::size_t column = 0;   // of the key in its line, from 0
  std::size_t offset = 0;   // of the key in the text, its line breaks counted as one byte each
  bool is_unknown = false;  // the value is an alias of something that is no scalar read before
};

// Goes through a YAML document, https://yaml.org/spec/1.1/ with the readings of PyYAML, and gives
// every entry of every mapping whose value is a scalar, in block or flow style, plain or quoted,
// whatever it is nested in. It builds nothing of the document and is content with texts that a YAML
// reader would refuse: of one that it would read, all entries are found.
class YamlEntries {
 public:
  explicit YamlEntries(std::string_view text);

  // Nothing at the end.
  std::optional<YamlEntry> Next();

  // Whether a tag asked for an object of Python's, up to here.
  bool names_python_tag() const { return names_python_tag_; }

 private:
  enum class Mark : std::uint8_t { kScalar, kAlias, kColon, kBreak, kEnd };
  struct Token {
    Mark mark = Mark::kEnd;
    std::string text;
    std::size_t offset = 0;
    std::size_t column = 0;
    std::size_t indent = 0;  // of its line, the dashes of a list counted in
  };

  Token NextToken();
  Token Lex();
  bool SkipBlanks();
  std::string Quoted();
  std::string DoubleQuoted();
  std::string Plain();
  std::string BlockScalar();
  std::string_view TagWord();
  std::string_view AnchorName();
  bool ContinuesPlain(std::size_t parent_indent);
  // How deep that is indented which what comes next is the content of.
  std::size_t ParentIndent() const { return key_.has_value() ? key_->indent : spaces_; }
  void Escape(std::string& out);

  char At(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }
  bool EndsWordAt(std::size_t at) const;
  // Takes the members that speak of a line to the one of at_.
  void MoveToLine();
  void Keep(const std::string& scalar);

  std::string text_;  // every line break of YAML as '\n'
  std::size_t at_ = 0;
  std::size_t flow_depth_ = 0;  // of [ and {
  std::size_t line_ = 0;        // where the line of the last token begins
  std::size_t next_line_ = 0;   // and the one behind it
  std::size_t spaces_ = 0;      // that its line begins with
  std::size_t indent_ = 0;      // those and dashes
  std::optional<Token> pushed_back_;
  std::optional<Token> key_;  // whose value is still to come
  std::string anchor_;        // of the scalar that comes next
  std::map<std::string, std::string, std::less<>> anchored_;
  bool names_python_tag_ = false;
};

}  // namespace weighmaster::agent::formats
