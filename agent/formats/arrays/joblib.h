#pragma once

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file may be what joblib.dump writes: a pickle that names joblib's wrapper of arrays
// soon, or a compressed stream whose first bytes, as far as they show, could be those of a pickle.
// Of gzip, zlib, xz and LZMA they do show; every stream of bzip2 passes.
bool LooksLikeJoblib(const FileEnds& file);

// A file of joblib, https://github.com/joblib/joblib, numpy_pickle.py, compressor.py and
// numpy_pickle_compat.py: a pickle with arrays among its opcodes, compressed by zlib, gzip, bzip2,
// xz or LZMA, or not at all; also any other pickle that is compressed so, which joblib loads as
// well. What it is compressed by is no matter: a stream of something else is kUnknown.
model::Facts ParseJoblib(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
