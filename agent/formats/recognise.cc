#include "agent/formats/recognise.h"

#include <algorithm>
#include <string_view>

#include "agent/formats/graphs/onnx.h"
#include "agent/formats/packages/pytorch.h"
#include "agent/formats/pickle/opcodes.h"
#include "agent/formats/pickle/pickle.h"
#include "agent/formats/weights/gguf.h"
#include "agent/formats/weights/safetensors.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;

bool LooksLikeZip(base::ByteView head) {
  return head.size() >= 30 && base::AsText(head.first(4)) == "PK\x03\x04";
}

}  // namespace

// Nothing that we know is recognised by its tail yet; callers read it for the formats that will be.
Format Sniff(base::ByteView head, base::ByteView /*tail*/, std::uint64_t file_size) {
  if (LooksLikeGguf(head)) return Format::kGguf;
  if (LooksLikeSafetensors(head, file_size)) return Format::kSafetensors;
  if (LooksLikeZip(head)) return Format::kPyTorchZip;
  if (LooksLikePickle(head, file_size)) return Format::kPickle;
  return LooksLikeOnnx(head, file_size) ? Format::kOnnx : Format::kUnknown;
}

model::Facts Parse(ByteSource& source) {
  WorkBudget budget;
  Cursor cursor(source, budget);
  const base::ByteView head = cursor.Peek(
      static_cast<std::size_t>(std::min<std::uint64_t>(Cursor::kPeekBytes, source.size())));
  switch (Sniff(head, {}, source.size())) {
    case Format::kGguf:
      return ParseGguf(source, budget);
    case Format::kSafetensors:
      return ParseSafetensors(source, budget);
    case Format::kPyTorchZip:
      return ParsePyTorchZip(source, budget);
    case Format::kPickle:
      return ParsePickle(source, budget);
    case Format::kOnnx:
      return ParseOnnx(source, budget);
    case Format::kUnknown:
      return {};
  }
  return {};
}

}  // namespace weighmaster::agent::formats
