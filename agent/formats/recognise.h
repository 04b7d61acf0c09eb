#pragma once

#include <cstdint>

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "policy/base/bytes.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// How much of a file's head and tail Sniff wants; less where the file is smaller.
inline constexpr std::size_t kSniffHeadBytes = 4096;
inline constexpr std::size_t kSniffTailBytes = 64;

// Whether the file may be a model: compares bytes at fixed places, follows no length, allocates
// nothing. This is all that runs outside the cage. kUnknown: certainly none of ours. Any other
// format: worth handing to the cage, which may still find that it is no model.
model::Format Sniff(const FileEnds& file);

// Reads the facts and risks of a file, by content alone. Runs in the cage. Of several formats that
// begin alike it is of the first whose reader says so (readers.h). Facts::format is kUnknown when
// it is no model after all (a zip that is a document, a text that begins with GGUF). Hostile and
// damaged files are not errors: they come back with a `malformed` risk and whatever was read
// before; one that takes more than limits::kMaxParseWork is `opaque`. Allocates by what it has
// read, never by what a header claims.
model::Facts Parse(ByteSource& source);

// Where the tensors of a file lie, in the form that TensorMap::Decode reads, or why that can't be
// said; by the same reader, which may find other things in a file that changed meanwhile. Runs in
// the cage.
base::Bytes MapTensors(ByteSource& source);

}  // namespace weighmaster::agent::formats
