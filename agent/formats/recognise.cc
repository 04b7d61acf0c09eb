#include "agent/formats/recognise.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "agent/formats/readers.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {

model::Format Sniff(const FileEnds& file) {
  for (const Reader& reader : Readers()) {
    if (reader.looks_like(file)) return reader.format;
  }
  return model::Format::kUnknown;
}

namespace {

model::Facts ParseWith(ByteSource& source, TensorMapWriter& tensors) {
  WorkBudget budget;
  Cursor cursor(source, budget);
  std::array<std::uint8_t, kSniffTailBytes> tail{};
  const std::uint64_t tail_bytes = std::min<std::uint64_t>(tail.size(), source.size());
  if (cursor.Seek(source.size() - tail_bytes)) cursor.Read(std::span(tail).first(tail_bytes));
  cursor.Seek(0);
  const FileEnds file{cursor.Peek(Cursor::kPeekBytes), base::ByteView(tail).first(tail_bytes),
                      source.size()};
  for (const Reader& reader : Readers()) {
    if (!reader.looks_like(file)) continue;
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
