#pragma once

#include <cstdint>
#include <optional>

#include "agent/formats/reading/cursor.h"
#include "agent/formats/tensors/element_type.h"

namespace weighmaster::agent::formats {

// What the elements of a dataset or an attribute are; section IV.A.2.d of the specification that
// hdf5.h names.
struct Hdf5Type {
  enum class Kind : std::uint8_t {
    kNumber,        // integers, floating point, and the truth values that h5py writes
    kText,          // of a fixed length
    kVariableText,  // in the global heap
    kOpaque,        // bytes without a meaning: how h5py keeps a bfloat16
    kOther,
  };
  Kind kind = Kind::kOther;
  std::uint64_t bytes = 0;            // of one element
  const ElementType* type = nullptr;  // of a number; null: none that is known
  bool big_endian = false;
};

// The datatype that the cursor stands at. Nothing where the file ends in it.
std::optional<Hdf5Type> ReadHdf5Type(Cursor& cursor);

}  // namespace weighmaster::agent::formats
