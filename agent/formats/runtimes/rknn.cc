#include "agent/formats/runtimes/rknn.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/json_reader.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kEncryptedMark = "CYPTRKNN";
constexpr std::string_view kMark = "RKNN";
constexpr std::string_view kNewerMark = "RKNX";
// Mark, four bytes, version, length of the data.
constexpr std::size_t kHeaderBytes = 24;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kRknxHeaderBytes = 0x50;
// Since version 2 these bytes stand before data that is not empty.
constexpr std::uint64_t kDataHeaderBytes = 40;
// The FlatBuffer's root is near its beginning; in a text the offset of it would be far off.
constexpr std::uint32_t kMaxRootOffset = 4'096;
constexpr std::uint32_t kLeastRootOffset = 8;

enum class Form : std::uint8_t { kNone, kContainer, kNewer, kFlatBuffer, kEncrypted };

std::uint64_t ReadLittle(base::ByteView bytes, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = count; i > 0; --i) value = (value << 8) | bytes[i - 1];
  return value;
}

Form FormOf(base::ByteView head) {
  if (head.size() < kHeaderBytes) return Form::kNone;
  const std::string_view text = base::AsText(head);
  if (text.substr(0, kEncryptedMark.size()) == kEncryptedMark) return Form::kEncrypted;
  // Numbers, and no text that goes on after these letters.
  if (text.substr(0, 4) == kMark && ReadLittle(head.subspan(kVersionAt), 8) <= 0xffff) {
    return Form::kContainer;
  }
  if (text.substr(0, 4) == kNewerMark) {
    return std::find(head.begin() + 4, head.begin() + kHeaderBytes, 0) !=
                   head.begin() + kHeaderBytes
               ? Form::kNewer
               : Form::kNone;
  }
  const std::uint64_t root = ReadLittle(head, 4);
  const bool tables = root >= kLeastRootOffset && root <= kMaxRootOffset && root % 4 == 0;
  return text.substr(4, 4) == kMark && tables ? Form::kFlatBuffer : Form::kNone;
}

class RknnReader {
 public:
  RknnReader(ByteSource& source, WorkBudget& budget) : cursor_(source, budget), source_(source) {}

  model::Facts Read() &&;

 private:
  void ReadContainer();
  void ReadDescription(std::uint64_t begin, std::uint64_t length);
  void Broken(std::string_view what);

  Cursor cursor_;
  ByteSource& source_;
  model::Facts facts_;
  RiskList risks_;
};

void RknnReader::Broken(std::string_view what) {
  if (cursor_.budget().spent()) return;
  risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(cursor_.offset()));
}

model::Facts RknnReader::Read() && {
  const Form form = FormOf(cursor_.Peek(kHeaderBytes));
  if (form == Form::kNone) return {};
  facts_.format = model::Format::kRknn;
  if (form == Form::kEncrypted) risks_.Add(RiskId::kOpaque, "an encrypted model");
  if (form == Form::kContainer) ReadContainer();
  if (form == Form::kNewer && source_.size() < kRknxHeaderBytes) Broken("a header that ends");
  if (cursor_.budget().spent()) risks_.AddSpent(cursor_.offset());
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

void RknnReader::ReadContainer() {
  cursor_.Seek(kVersionAt);
  const std::uint64_t version = cursor_.U64().value_or(0);
  const std::uint64_t data = cursor_.U64().value_or(0);
  const std::uint64_t kind = version >> 8;
  if (kind != 0 && kind != 0x10) {
    risks_.Add(RiskId::kUnsupportedVersion, "RKNN container version " + std::to_string(version));
    return;
  }
  const bool has_header = (version & 0xff) > 1 && data > 0;
  if (has_header && !cursor_.Skip(kDataHeaderBytes)) return Broken("a header that ends");
  if (!cursor_.Skip(data)) return Broken("data of " + std::to_string(data) + " bytes");
  const auto length = cursor_.U64();
  if (!length.has_value() || *length > cursor_.remaining()) {
    return Broken("a description of " + std::to_string(length.value_or(0)) + " bytes");
  }
  ReadDescription(cursor_.offset(), *length);
}

void RknnReader::ReadDescription(std::uint64_t begin, std::uint64_t length) {
  Cursor description(source_, cursor_.budget(), begin, begin + length);
  JsonReader json(description);
  std::size_t depth = 0;
  std::string key;
  JsonToken token = json.Next();
  for (; token != JsonToken::kEnd && token != JsonToken::kBroken; token = json.Next()) {
    if (token == JsonToken::kObject || token == JsonToken::kArray) ++depth;
    if (token == JsonToken::kEndObject || token == JsonToken::kEndArray) --depth;
    if (depth == 0) return;  // padding may follow
    if (depth != 1) continue;
    if (token == JsonToken::kKey) key = json.text();
    if (token != JsonToken::kText || key != "name") continue;
    cursor_.budget().Take(json.text().size() * work::kTextByte);
    facts_.name = CleanText(json.text());
  }
  Broken("a description that is no JSON");
}

}  // namespace

bool LooksLikeRknn(const FileEnds& file) { return FormOf(file.head) != Form::kNone; }

model::Facts ParseRknn(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return RknnReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
