#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/formats/arrays/numpy_dtype.h"
#include "agent/formats/pickle/walk.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/risks.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// The header of an array as numpy.save writes it, versions 1 to 3:
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
struct NumpyHeader {
  NumpyDtype dtype;
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;  // outermost first
  std::uint64_t elements = 0;
};

// Whether the bytes begin an array: its magic, a version, and a header that begins with a dict.
bool LooksLikeNumpy(const FileEnds& file);

// Reads the header that the cursor stands at and leaves it at the first byte behind it, where the
// elements (or the pickle of objects) begin. Nothing where it breaks a rule; then `broken` says
// which, and the cursor stands behind the header if its length could be believed.
std::optional<NumpyHeader> ReadNumpyHeader(Cursor& cursor, std::string& broken);

// Adds the array as a tensor, if its elements are numbers.
void CountArray(const NumpyHeader& header, PickleTensors& counts);

// One array from the cursor's place to its end: a file, or a member of an archive. Adds what is
// wrong with it and what its pickle does to `risks`, each evidence beginning with `place`
// ("weights/a.npy: ", or nothing); counts its tensor in `counts`; and tells `map` where it lies,
// by the cursor's own source: who inflated it first has failed the map as packed before.
void ReadNumpy(Cursor& cursor, const std::string& place, RiskList& risks, PickleTensors& counts,
               TensorMapWriter& map);

// A file that is one array. Often data and no model, but it may hold a pickle.
model::Facts ParseNumpy(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
