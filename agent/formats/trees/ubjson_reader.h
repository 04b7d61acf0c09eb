#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/formats/grammars/json_reader.h"
#include "agent/formats/reading/cursor.h"

namespace weighmaster::agent::formats {

// Reads one UBJSON value (https://ubjson.org, draft 12) token by token from a cursor, as JsonReader
// reads JSON and in its tokens. Arrays of one type are told without their elements, which are
// passed over by seeking. Not thread-safe; the cursor must outlive it.
class UbjsonReader {
 public:
  // Deeper nesting is kBroken.
  static constexpr std::size_t kMaxDepth = 64;
  static constexpr std::size_t kKeptBytes = 1'024;

  explicit UbjsonReader(Cursor& cursor) : cursor_(cursor) {}

  // kEnd once the value is complete, whatever follows it.
  JsonToken Next();

  // The last key or text: its first kKeptBytes at most.
  const std::string& text() const { return text_; }
  std::uint64_t offset() const { return cursor_.offset(); }

 private:
  struct Container {
    bool object = false;
    // How many members are still to come; nothing where a mark ends them.
    std::optional<std::uint64_t> left;
  };

  JsonToken Break();
  JsonToken Close();
  JsonToken Value(std::uint8_t marker);
  JsonToken Open(bool object);
  bool ReadText();
  // A length or count: an integer with its marker.
  std::optional<std::uint64_t> ReadCount();
  // The next marker past what means nothing.
  std::optional<std::uint8_t> Marker();

  Cursor& cursor_;
  std::vector<Container> open_;
  bool begun_ = false;
  bool broken_ = false;
  bool after_key_ = false;
  bool closes_ = false;  // an array that was told was passed over whole
  std::string text_;
};

}  // namespace weighmaster::agent::formats
