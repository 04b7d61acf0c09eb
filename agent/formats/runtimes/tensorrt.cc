#include "agent/formats/runtimes/tensorrt.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/json_reader.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

// Mark, version and what follows them, up to the plan.
constexpr std::size_t kHeaderBytes = 24;
constexpr std::size_t kLeastSeen = 8;
// What is known of every file before it is followed.
constexpr std::size_t kHeadBytes = 4'096;
constexpr std::size_t kLengthBytes = 4;
// How the metadata begin; for those behind which the engine is too far off to be seen.
constexpr std::string_view kMetadataStart = "{\"description\": \"";
// Ours: those of a model with 600 classes are of some 15,000.
constexpr std::uint32_t kMaxMetadataBytes = 1 * base::limits::kMiB;

std::uint32_t ReadLittle32(base::ByteView bytes) {
  return bytes[0] | (std::uint32_t{bytes[1]} << 8) | (std::uint32_t{bytes[2]} << 16) |
         (std::uint32_t{bytes[3]} << 24);
}

// The versions that were seen are below 1,000; in a text that begins with these letters the highest
// byte would be a letter.
bool BeginsEngine(base::ByteView head) {
  if (head.size() < kLeastSeen) return false;
  const std::string_view mark = base::AsText(head.first(4));
  return (mark == "ptrt" || mark == "ftrt") && head[6] == 0 && head[7] == 0;
}

// The length of the metadata before the engine.
std::optional<std::uint32_t> MetadataLength(base::ByteView head) {
  if (head.size() < kLengthBytes + 2 || head[kLengthBytes] != '{') return std::nullopt;
  const std::uint32_t length = ReadLittle32(head);
  if (length < 2 || length > kMaxMetadataBytes) return std::nullopt;
  return length;
}

void ReadMetadata(Cursor& cursor, model::Facts& facts, RiskList& risks) {
  JsonReader json(cursor);
  std::size_t depth = 0;
  std::string key;
  JsonToken token = json.Next();
  for (; token != JsonToken::kEnd && token != JsonToken::kBroken; token = json.Next()) {
    if (token == JsonToken::kObject || token == JsonToken::kArray) ++depth;
    if (token == JsonToken::kEndObject || token == JsonToken::kEndArray) --depth;
    if (depth != 1) continue;
    if (token == JsonToken::kKey) key = json.text();
    if (token != JsonToken::kText) continue;
    cursor.budget().Take(json.text().size() * work::kTextByte);
    if (key == "description") facts.name = CleanText(json.text());
    if (key == "license") facts.license = CleanText(json.text());
  }
  if (token == JsonToken::kBroken && !cursor.budget().spent()) {
    risks.Add(RiskId::kMalformed, "metadata that is no JSON at " + AtOffset(json.offset()));
  }
}

}  // namespace

bool LooksLikeTensorRt(const FileEnds& file) {
  if (file.size < kHeaderBytes) return false;
  const base::ByteView head = file.head.first(std::min(file.head.size(), kHeadBytes));
  if (BeginsEngine(head)) return true;
  const auto length = MetadataLength(head);
  if (!length.has_value()) return false;
  const std::size_t engine = kLengthBytes + *length;
  if (engine + kLeastSeen <= head.size()) return BeginsEngine(head.subspan(engine));
  const std::string_view text = base::AsText(head.subspan(kLengthBytes));
  return text.substr(0, kMetadataStart.size()) == kMetadataStart && engine < file.size;
}

model::Facts ParseTensorRt(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  Cursor cursor(source, budget);
  std::uint64_t begin = 0;
  if (!BeginsEngine(cursor.Peek(kHeaderBytes))) {
    const auto length = MetadataLength(cursor.Peek(kHeaderBytes));
    if (!length.has_value()) return {};
    begin = kLengthBytes + *length;
    if (!cursor.Seek(begin) || !BeginsEngine(cursor.Peek(kHeaderBytes))) return {};
  }
  model::Facts facts;
  facts.format = model::Format::kTensorRt;
  RiskList risks;
  if (begin > 0) {
    Cursor metadata(source, budget, kLengthBytes, begin);
    ReadMetadata(metadata, facts, risks);
  }
  if (source.size() - begin < kHeaderBytes) {
    risks.Add(RiskId::kMalformed, "an engine that ends at " + AtOffset(source.size()));
  }
  if (budget.spent()) risks.AddSpent(begin);
  facts.risks = std::move(risks).Take();
  return facts;
}

}  // namespace weighmaster::agent::formats
