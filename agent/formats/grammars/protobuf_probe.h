#pragma once

#include <cstdint>
#include <optional>

#include "agent/formats/grammars/protobuf_wire.h"
#include "agent/formats/reading/file_ends.h"
#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {

// One field of a protobuf message of which perhaps only the beginning is known.
struct ProbedField {
  std::uint32_t number = 0;
  WireType type = WireType::kVarint;
  std::uint64_t value = 0;   // of a varint
  std::uint64_t length = 0;  // for all other types: how many bytes the field says it has
  base::ByteView content;    // those of them that lie in the head
  bool fits = true;          // whether the message is long enough for them

  bool is_whole() const { return content.size() == length; }
};

// Goes over the fields that begin within the head of a file, for those who look at a file outside
// the cage: nothing is read, followed or allocated.
// https://protobuf.dev/programming-guides/encoding/
class ProtobufProbe {
 public:
  enum class End : std::uint8_t {
    kNone,     // there may be another field
    kWhole,    // the message ends behind the last field
    kHead,     // the head ends first
    kCutOff,   // the last field does not fit
    kNoField,  // what follows is no field: number 0, a group, or a type that does not exist
    kNumber,   // a number that is cut off or has more than ten bytes
  };

  explicit ProtobufProbe(const FileEnds& file) : head_(file.head), left_(file.size) {}
  // The message that a field holds.
  explicit ProtobufProbe(const ProbedField& field) : head_(field.content), left_(field.length) {}

  std::optional<ProbedField> Next();
  // Why there was no further field.
  End end() const { return end_; }
  // Whether the fields may go on where the head ends, or there are no more.
  bool holds() const { return end_ != End::kNoField && end_ != End::kNumber; }

 private:
  bool ReadVarint(std::uint64_t& value);

  base::ByteView head_;  // what was not looked at yet
  std::uint64_t left_;   // of the message, in bytes
  End end_ = End::kNone;
};

// Whether a text is a name or a sentence rather than the bytes of a message: UTF-8 without control
// characters but tabulators and ends of lines. One that the head cuts off may end in half a
// character.
bool LooksLikeText(const ProbedField& field);

}  // namespace weighmaster::agent::formats
