#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/formats/reading/cursor.h"
#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {

enum class XmlToken : std::uint8_t {
  kElement,
  kEndElement,  // also of an element that ends with "/>"
  kEnd,         // the root has ended, and nothing but comments follows it
  kBroken,      // no XML from here on; or the cursor failed, see there
};

// Reads an XML document (https://www.w3.org/TR/xml/) in an encoding that extends ASCII, element by
// element, in constant memory whatever the text holds. Texts between elements, comments, processing
// instructions and the document type are passed over; a document type is not processed, so no
// entity is expanded and no other file named. Takes the cursor to its end. Not thread-safe; the
// cursor must outlive it.
class XmlReader {
 public:
  // Deeper nesting is kBroken.
  static constexpr std::size_t kMaxDepth = 256;
  // Further attributes of one element are passed over.
  static constexpr std::size_t kMaxAttributes = 64;
  static constexpr std::size_t kKeptNameBytes = 256;
  static constexpr std::size_t kKeptValueBytes = 1'024;

  explicit XmlReader(Cursor& cursor) : cursor_(cursor) {}

  XmlToken Next();

  // Of the last kElement, without a prefix.
  const std::string& name() const { return name_; }
  // Of the last kElement, as it is written, its beginning at most; empty where there is none.
  std::string_view Attribute(std::string_view name) const;
  // How many elements are open; after a kElement that one too.
  std::size_t depth() const { return open_.size(); }
  // How far the reading has come, in the source.
  std::uint64_t offset() const { return cursor_.offset() + at_; }

 private:
  struct AttributeText {
    std::string name;
    std::string value;
  };

  XmlToken Break();
  XmlToken Close();
  XmlToken AtEnd();
  XmlToken StartTag();
  XmlToken EndTag();
  bool ReadAttribute();
  // A name up to what can't be part of one, the hash of all of it in name_hash_.
  bool ReadName(std::string& name);
  bool ReadValue(std::string& value);
  // Moves behind the next '<'; false at the end, and where text stands outside the root.
  bool SkipText();
  bool SkipDeclaration();
  bool SkipDoctype();
  bool SkipTo(std::string_view end);
  bool TakeWord(std::string_view word);
  void SkipBlanks();

  // The next byte, or kNothing.
  static constexpr int kNothing = -1;
  int Take();
  // The next byte without moving.
  int Look();
  bool Refill();

  Cursor& cursor_;
  base::ByteView chunk_;  // lent by the cursor, which stands at its beginning
  std::size_t at_ = 0;    // in the chunk

  bool broken_ = false;
  bool has_root_ = false;
  bool closes_ = false;              // the element that was just told ended with "/>"
  std::vector<std::uint64_t> open_;  // hashes of the names of the open elements
  std::string name_;
  std::uint64_t name_hash_ = 0;
  std::vector<AttributeText> attributes_;
};

// A start tag in a text that the caller keeps alive.
struct XmlTag {
  std::string_view name;  // without a prefix
  std::string_view attributes;
  std::string_view rest;  // behind the tag
};

// The first tag of a text, past a declaration, comments and a document type. Nothing where there is
// anything else, or the text ends before. Allocates nothing.
std::optional<XmlTag> FirstXmlTag(std::string_view text);

// The value of one of the attributes of a tag; nothing when it has none of that name.
std::optional<std::string_view> XmlAttribute(std::string_view attributes, std::string_view name);

}  // namespace weighmaster::agent::formats
