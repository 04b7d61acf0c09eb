#include "agent/formats/readers.h"

#include "agent/formats/archive/zip.h"
#include "agent/formats/graphs/onnx.h"
#include "agent/formats/packages/pytorch.h"
#include "agent/formats/pickle/opcodes.h"
#include "agent/formats/pickle/pickle.h"
#include "agent/formats/weights/gguf.h"
#include "agent/formats/weights/safetensors.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;

// Those with a mark of their own first, those that have to be guessed from their grammar last.
constexpr Reader kReaders[] = {
    {Format::kGguf, LooksLikeGguf, ParseGguf},
    {Format::kSafetensors, LooksLikeSafetensors, ParseSafetensors},
    {Format::kPyTorchZip, LooksLikeZip, ParsePyTorchZip},
    {Format::kPickle, LooksLikePickle, ParsePickle},
    {Format::kOnnx, LooksLikeOnnx, ParseOnnx},
};

}  // namespace

std::span<const Reader> Readers() { return kReaders; }

}  // namespace weighmaster::agent::formats
