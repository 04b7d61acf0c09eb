#include "agent/formats/packages/llamafile.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/archive/zip.h"
#include "agent/formats/reading/leaves_folder.h"
#include "agent/formats/reading/risks.h"
#include "agent/formats/weights/gguf.h"
#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::size_t kZipEndBytes = 22;
constexpr std::size_t kHeadBytes = 64;  // of a member
// A language model and its projectors; the rest of more are not read.
constexpr std::size_t kMaxModels = 16;

bool IsProgram(std::string_view head) {
  constexpr std::string_view kMarks[] = {
      "MZqFpD='",
      "jartsr='",
      "APEDBG='",  // APE
      "\x7f"
      "ELF",
      "MZ",  // PE
      "\xcf\xfa\xed\xfe",
      "\xce\xfa\xed\xfe",
      "\xca\xfe\xba\xbe",
      "\xca\xfe\xba\xbf"  // Mach-O
  };
  return std::any_of(std::begin(kMarks), std::end(kMarks),
                     [&](std::string_view mark) { return head.starts_with(mark); });
}

// One program and its archive.
class LlamafileReader {
 public:
  LlamafileReader(ByteSource& source, WorkBudget& budget) : source_(source), budget_(budget) {}

  model::Facts Read() &&;

 private:
  bool IsModel(const ZipMember& member);
  void ReadModel(const ZipMember& member);

  ByteSource& source_;
  WorkBudget& budget_;
  RiskList risks_;
  model::Facts facts_;  // of the largest model
  std::uint64_t most_bytes_ = 0;
  std::size_t models_ = 0;
};

model::Facts LlamafileReader::Read() && {
  const ZipListing listing = ListZipDirectory(source_, budget_, risks_);
  for (const ZipMember& member : listing.members) {
    if (budget_.spent()) break;
    budget_.Take(work::kArchiveMember);
    if (LeavesFolder(member.name)) risks_.Add(RiskId::kArchivePathEscapes, member.name);
    if (IsModel(member)) ReadModel(member);
  }
  if (models_ == 0) return {};
  if (models_ > kMaxModels) {
    risks_.Add(RiskId::kOpaque, std::to_string(models_) + " models, of which the first " +
                                    std::to_string(kMaxModels) + " were read");
  }
  if (!listing.complete) risks_.Add(RiskId::kOpaque, "more members than were listed");
  if (budget_.spent()) risks_.AddSpent(source_.size());
  // What the format is made for, and no secret of the file's.
  risks_.Add(RiskId::kNativeCodeInside, "the file is a program", model::Severity::kInfo);
  facts_.format = model::Format::kLlamafile;
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

bool LlamafileReader::IsModel(const ZipMember& member) {
  if (std::string_view(member.name).ends_with(".gguf")) return true;
  const auto head = ReadZipMember(source_, budget_, member, kHeadBytes);
  return head.has_value() && LooksLikeGguf({*head, {}, member.stored_bytes});
}

void LlamafileReader::ReadModel(const ZipMember& member) {
  if (++models_ > kMaxModels) return;
  // llamafile maps a model where it lies, which a packed one does not allow.
  if (member.encrypted || member.method != kZipStored) {
    risks_.Add(RiskId::kOpaque, member.name + (member.encrypted ? " is encrypted" : " is packed"));
    return;
  }
  RangeSource model(source_, member.data, member.stored_bytes);
  Cursor cursor(model, budget_);
  if (!LooksLikeGguf({cursor.Peek(kHeadBytes), {}, model.size()})) {
    risks_.Add(RiskId::kMalformed, member.name + " is no GGUF file");
    return;
  }
  TensorMapWriter nobody_asks(false);
  model::Facts facts = ParseGguf(model, budget_, nobody_asks);
  risks_.AddOfPart(std::move(facts.risks), member.name + ": ");
  facts.risks.clear();
  if (model.size() < most_bytes_) return;
  most_bytes_ = model.size();
  facts_ = std::move(facts);
}

}  // namespace

bool LooksLikeLlamafile(const FileEnds& file) {
  if (!IsProgram(base::AsText(file.head)) || file.tail.size() < kZipEndBytes) return false;
  const std::string_view end = base::AsText(file.tail.last(kZipEndBytes));
  return end.starts_with("PK\x05\x06") && end.ends_with(std::string_view("\0\0", 2));
}

model::Facts ParseLlamafile(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return LlamafileReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
