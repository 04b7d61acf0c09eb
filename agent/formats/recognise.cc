#include "agent/formats/recognise.h"

#include <algorithm>
#include <utility>

#include "agent/formats/readers.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {

// Nothing that we know is recognised by its tail yet; callers read it for the formats that will be.
model::Format Sniff(base::ByteView head, base::ByteView /*tail*/, std::uint64_t file_size) {
  for (const Reader& reader : Readers()) {
    if (reader.looks_like(head, file_size)) return reader.format;
  }
  return model::Format::kUnknown;
}

namespace {

model::Facts ParseWith(ByteSource& source, TensorMapWriter& tensors) {
  WorkBudget budget;
  Cursor cursor(source, budget);
  const base::ByteView head = cursor.Peek(
      static_cast<std::size_t>(std::min<std::uint64_t>(Cursor::kPeekBytes, source.size())));
  for (const Reader& reader : Readers()) {
    if (!reader.looks_like(head, source.size())) continue;
    TensorMapWriter found(tensors.wanted());
    model::Facts facts = reader.parse(source, budget, found);
    if (facts.format == model::Format::kUnknown) continue;
    tensors = std::move(found);
    return facts;
  }
  return {};
}

}  // namespace

model::Facts Parse(ByteSource& source) {
  TensorMapWriter nobody_asks(false);
  return ParseWith(source, nobody_asks);
}

base::Bytes MapTensors(ByteSource& source) {
  TensorMapWriter tensors(true);
  const model::Facts facts = ParseWith(source, tensors);
  // A full list may have dropped one of them.
  if (facts.risks.size() >= base::limits::kMaxRisksPerFile) {
    tensors.Fail(model::WeightsReason::kIncomplete);
  }
  for (const model::Risk& risk : facts.risks) {
    const bool hides = risk.id == RiskName(RiskId::kMalformed) ||
                       risk.id == RiskName(RiskId::kOpaque) ||
                       risk.id == RiskName(RiskId::kUnsupportedVersion);
    if (hides) tensors.Fail(model::WeightsReason::kIncomplete);
  }
  return std::move(tensors).Take();
}

}  // namespace weighmaster::agent::formats
