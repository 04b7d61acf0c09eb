#include "agent/formats/graphs/litert_lm.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/grammars/flat_buffer.h"
#include "agent/formats/graphs/tensor_count.h"
#include "agent/formats/graphs/tflite.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxFactBytes;

// The magic number, three numbers of a version, four bytes of padding, where the header ends.
constexpr std::string_view kMagic = "LITERTLM";
constexpr std::uint64_t kVersionAt = 8;
constexpr std::uint64_t kHeaderEndAt = 24;
constexpr std::uint64_t kHeaderAt = 32;
// By the rules of semantic versioning: only another first number is another format.
constexpr std::uint32_t kNewestVersion = 1;
constexpr std::uint32_t kVersions = 256;
// Sections begin at multiples of this, at the latest one block behind the end of the one before.
constexpr std::uint64_t kBlockBytes = 16 * base::limits::kKiB;

// Fields of litertlm_header_schema.fbs.
namespace root_field {
constexpr std::uint32_t kSystem = 0, kSections = 1;
}
namespace entry_field {
constexpr std::uint32_t kKey = 0, kValueType = 1, kValue = 2;
}
namespace section_field {
constexpr std::uint32_t kBegin = 1, kEnd = 2, kType = 3;
}
constexpr std::uint32_t kSystemEntries = 0;
constexpr std::uint32_t kSectionObjects = 0;
constexpr std::uint8_t kTextValue = 9;
constexpr std::uint32_t kText = 0;
constexpr std::uint8_t kTfliteSection = 3;

constexpr std::size_t kMaxKeyBytes = 256;
// Today's have about ten.
constexpr std::uint32_t kMaxSections = 4'096;

class LitertLmReader {
 public:
  LitertLmReader(ByteSource& source, WorkBudget& budget)
      : source_(source), budget_(budget), cursor_(source, budget) {}

  model::Facts Read() &&;

 private:
  struct Section {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint8_t type = 0;
  };

  // Each says whether to go on; if not, why is among the risks.
  bool ReadVersion();
  bool ReadHeader();
  bool ReadSections(FlatBuffer& header, const FlatTable& root);
  void ReadEntry(FlatBuffer& header, const FlatTable& entry);
  bool CheckSections();
  void ReadModels();
  bool Break(std::string_view what);

  ByteSource& source_;
  WorkBudget& budget_;
  Cursor cursor_;
  model::Facts facts_;
  RiskList risks_;
  TensorCount constants_;
  std::uint64_t header_end_ = 0;
  std::vector<Section> sections_;
};

bool LitertLmReader::Break(std::string_view what) {
  budget_.Take(work::kRisk);
  if (!budget_.spent()) risks_.Add(RiskId::kMalformed, what);
  return false;
}

model::Facts LitertLmReader::Read() && {
  facts_.format = model::Format::kLitertLm;
  if (ReadVersion() && ReadHeader() && CheckSections()) {
    ReadModels();
    if (budget_.spent()) constants_.Miss();
    constants_.Tell(facts_);
  }
  if (budget_.spent()) risks_.AddSpent(cursor_.offset());
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

bool LitertLmReader::ReadVersion() {
  cursor_.Seek(kVersionAt);
  const auto version = cursor_.U32();
  if (!version.has_value() || *version == 0) return Break("no version");
  if (*version <= kNewestVersion) return true;
  budget_.Take(work::kRisk);
  risks_.Add(RiskId::kUnsupportedVersion, "version " + std::to_string(*version));
  return false;
}

bool LitertLmReader::ReadHeader() {
  cursor_.Seek(kHeaderEndAt);
  const auto end = cursor_.U64();
  if (!end.has_value()) return Break(ReadFailureText(cursor_.failure()));
  if (*end < kHeaderAt || *end > cursor_.end()) {
    return Break("a header up to " + AtOffset(*end) + " in a file of " +
                 std::to_string(cursor_.end()) + " bytes");
  }
  header_end_ = *end;
  FlatBuffer header(source_, budget_, kHeaderAt, header_end_);
  const auto root = header.Root();
  const bool sections = root.has_value() && ReadSections(header, *root);
  const auto system =
      sections ? header.Table(*root, root_field::kSystem) : std::optional<FlatTable>();
  if (system.has_value()) {
    const FlatVector entries = header.Vector(*system, kSystemEntries, 4);
    for (std::uint32_t i = 0; i < entries.count && header.going(); ++i) {
      if (const auto entry = header.TableAt(entries, i)) ReadEntry(header, *entry);
    }
  }
  return header.broken().empty() ? sections : Break(header.broken());
}

bool LitertLmReader::ReadSections(FlatBuffer& header, const FlatTable& root) {
  const auto table = header.Table(root, root_field::kSections);
  if (!table.has_value()) return header.going() && Break("no sections");
  const FlatVector objects = header.Vector(*table, kSectionObjects, 4);
  if (objects.count > kMaxSections) {
    return Break("a count of " + std::to_string(objects.count) + " sections");
  }
  for (std::uint32_t i = 0; i < objects.count && header.going(); ++i) {
    const auto object = header.TableAt(objects, i);
    if (!object.has_value()) return false;
    sections_.push_back({header.U64(*object, section_field::kBegin),
                         header.U64(*object, section_field::kEnd),
                         header.U8(*object, section_field::kType)});
  }
  return header.going();
}

// Keys are whatever the builder of the file gave; these are common words for what they say.
void LitertLmReader::ReadEntry(FlatBuffer& header, const FlatTable& entry) {
  if (header.U8(entry, entry_field::kValueType) != kTextValue) return;
  const auto value = header.Table(entry, entry_field::kValue);
  if (!value.has_value()) return;
  const std::string key = header.Text(entry, entry_field::kKey, kMaxKeyBytes);
  const std::string text = header.Text(*value, kText, kMaxFactBytes + 4);
  budget_.Take(text.size() * work::kTextByte);
  if (key == "name" || key == "model_name") facts_.name = CleanText(text);
  if (key == "license") facts_.license = CleanText(text);
  if (key == "architecture" || key == "model_type") facts_.architecture = CleanText(text);
}

bool LitertLmReader::CheckSections() {
  std::sort(sections_.begin(), sections_.end(), [](const Section& left, const Section& right) {
    return std::pair(left.begin, left.end) < std::pair(right.begin, right.end);
  });
  std::uint64_t reached = header_end_;
  for (const Section& section : sections_) {
    if (section.end < section.begin || section.end > cursor_.end()) {
      return Break("a section from " + AtOffset(section.begin) + " to " + AtOffset(section.end) +
                   " in a file of " + std::to_string(cursor_.end()) + " bytes");
    }
    if (section.begin == section.end) continue;
    if (section.begin < reached) {
      return Break("a section at " + AtOffset(section.begin) + " inside of what ends at " +
                   AtOffset(reached));
    }
    reached = section.end;
  }
  // Writers fill the last block.
  const std::uint64_t padded = (reached / kBlockBytes + 1) * kBlockBytes;
  if (cursor_.end() > padded) {
    risks_.Add(RiskId::kTrailingData,
               std::to_string(cursor_.end() - reached) + " bytes from " + AtOffset(reached));
  }
  return true;
}

void LitertLmReader::ReadModels() {
  TensorMapWriter nobody_asks(false);
  for (const Section& section : sections_) {
    if (section.type != kTfliteSection || budget_.spent()) continue;
    const TfliteModel model =
        ReadTfliteModel(source_, budget_, section.begin, section.end, risks_, nobody_asks);
    cursor_.Seek(model.read_to);
    constants_.Add(model.constants);
  }
}

}  // namespace

bool LooksLikeLitertLm(const FileEnds& file) {
  const base::ByteView head = file.head;
  if (head.size() < kHeaderAt) return false;
  if (base::AsText(head.first(kMagic.size())) != kMagic) return false;
  const std::uint32_t version = head[kVersionAt] | (std::uint32_t{head[kVersionAt + 1]} << 8) |
                                (std::uint32_t{head[kVersionAt + 2]} << 16) |
                                (std::uint32_t{head[kVersionAt + 3]} << 24);
  return version < kVersions;
}

model::Facts ParseLitertLm(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return LitertLmReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
