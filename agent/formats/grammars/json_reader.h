#pragma once

#include <bitset>
#include <cstdint>
#include <string>

#include "agent/formats/reading/cursor.h"
#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {

enum class JsonToken : std::uint8_t {
  kObject,
  kEndObject,
  kArray,
  kEndArray,
  kKey,
  kText,
  kUnsigned,     // an integer that fits 64 bits
  kOtherNumber,  // negative, a fraction, with an exponent, or larger
  kBoolean,
  kNull,
  kEnd,     // the value is complete, and nothing but blanks follows it
  kBroken,  // no JSON from here on; or the cursor failed, see there
};

// Reads one JSON value (RFC 8259) token by token from a cursor, in constant memory whatever the
// text holds: of a key or text only the beginning is kept, and a hash of the whole of it. Stricter
// than many readers where they disagree: UTF-8 must be well formed, surrogates come in pairs,
// nothing follows the value. Takes the cursor to its end. Not thread-safe; the cursor must outlive
// it.
class JsonReader {
 public:
  // Deeper nesting is kBroken. Configurations of models nest a few dozen deep.
  static constexpr std::size_t kMaxDepth = 256;
  static constexpr std::size_t kKeptBytes = 1'024;

  explicit JsonReader(Cursor& cursor) : cursor_(cursor) {}

  JsonToken Next();

  // The last key or text, unescaped: its first kKeptBytes at most, so perhaps not all of its last
  // character.
  const std::string& text() const { return text_; }
  // Of all its bytes: the same for the same text, however it was escaped.
  std::uint64_t hash() const { return hash_; }
  // The last kUnsigned.
  std::uint64_t number() const { return number_; }
  // How far the reading has come, in the source.
  std::uint64_t offset() const { return cursor_.offset() + at_; }

 private:
  // Where the last token has left the reader.
  enum class Place : std::uint8_t { kBeforeValue, kOpened, kBeforeKey, kAfterValue };
  static constexpr int kNothing = -1;

  JsonToken Break();
  JsonToken Open(bool object);
  JsonToken Close();
  JsonToken Key(int first);
  JsonToken Value(int first);
  JsonToken Number(int first);
  JsonToken Word(std::string_view rest, JsonToken token);
  bool ReadText();
  bool ReadEscape();
  bool ReadHex4(std::uint32_t& value);
  bool CheckUtf8(std::uint8_t byte);
  void KeepCodePoint(std::uint32_t point);
  void Keep(std::uint8_t byte);
  bool SkipDigits();
  bool in_object() const { return objects_[depth_ - 1]; }

  // The next byte, or kNothing.
  int Take();
  int TakePastBlanks();
  // The next byte without moving.
  int Look();
  bool Refill();

  Cursor& cursor_;
  base::ByteView chunk_;  // lent by the cursor, which stands at its beginning
  std::size_t at_ = 0;    // in the chunk

  Place place_ = Place::kBeforeValue;
  bool broken_ = false;
  std::size_t depth_ = 0;
  std::bitset<kMaxDepth> objects_;  // of each open container: whether it is an object

  std::string text_;
  std::uint64_t hash_ = 0;
  std::uint64_t number_ = 0;
  // Of the character being read: how many bytes are missing, and what the next one may be.
  int utf8_missing_ = 0;
  std::uint8_t utf8_lowest_ = 0x80;
  std::uint8_t utf8_highest_ = 0xbf;
};

// Passes over what is left of the value whose first token was `first`.
void SkipValue(JsonReader& json, JsonToken first);

}  // namespace weighmaster::agent::formats
