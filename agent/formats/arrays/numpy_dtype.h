#pragma once

#include <cstdint>
#include <optional>

#include "agent/formats/arrays/python_literal.h"
#include "agent/formats/tensors/element_type.h"

namespace weighmaster::agent::formats {

// What an array's elements are, by the `descr` of its header:
// https://numpy.org/doc/stable/reference/arrays.dtypes.html
struct NumpyDtype {
  // Null: a record, a text, a time, raw bytes, or nothing that is known.
  const ElementType* type = nullptr;
  // Of one element; nothing where it is not known.
  std::optional<std::uint64_t> bytes;
  bool big_endian = false;
  // Python objects are in it, anywhere: a pickle takes the place of the elements.
  bool has_objects = false;
};

// Nothing where numpy takes it for no dtype.
std::optional<NumpyDtype> ReadNumpyDtype(const PythonLiteral& descr);

// Of a shape that is written as a tuple of integers (or one integer); nothing where it is none, or
// its product passes 64 bits.
std::optional<std::uint64_t> ElementsOfShape(const PythonLiteral& shape);

}  // namespace weighmaster::agent::formats
