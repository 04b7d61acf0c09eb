#include "agent/formats/trees/catboost.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/flat_buffer.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kMark = "CBM1";
constexpr std::string_view kCoreVersion = "FlabuffersModel_v1";  // as CatBoost spells it
constexpr std::size_t kMaxVersionBytes = 64;
// Mark, size and root, and what a table takes at least.
constexpr std::size_t kLeastBytes = 24;
// In place of a size that takes 64 bits.
constexpr std::uint32_t kLongSize = 0xffff'ffff;
// The root table is written last, so it stands among the first bytes.
constexpr std::uint32_t kMaxRootOffset = 4'096;
constexpr std::uint32_t kLeastRootOffset = 8;

// Fields of TModelCore, in its order.
constexpr std::uint32_t kFormatVersion = 0;
constexpr std::uint32_t kModelPartIds = 3;
constexpr std::uint32_t kOffsetBytes = 4;

std::uint32_t ReadLittle32(base::ByteView bytes) {
  return bytes[0] | (std::uint32_t{bytes[1]} << 8) | (std::uint32_t{bytes[2]} << 16) |
         (std::uint32_t{bytes[3]} << 24);
}

// Where the core begins, when the bytes look like a model.
std::optional<std::size_t> CoreBegin(base::ByteView head) {
  if (head.size() < kLeastBytes || base::AsText(head.first(4)) != kMark) return std::nullopt;
  const std::size_t begin = ReadLittle32(head.subspan(4)) == kLongSize ? 16 : 8;
  const std::uint32_t root = ReadLittle32(head.subspan(begin));
  const bool plausible = root >= kLeastRootOffset && root <= kMaxRootOffset && root % 4 == 0;
  return plausible ? std::optional(begin) : std::nullopt;
}

void ReadCore(FlatBuffer& core, std::uint64_t file_bytes, RiskList& risks) {
  const auto root = core.Root();
  if (!root.has_value()) return;
  const std::string version = core.Text(*root, kFormatVersion, kMaxVersionBytes);
  const FlatVector parts = core.Vector(*root, kModelPartIds, kOffsetBytes);
  if (!core.going()) return;
  if (core.Has(*root, kFormatVersion) && version != kCoreVersion) {
    risks.Add(RiskId::kUnsupportedVersion, "CatBoost core " + version);
  }
  if (parts.count == 0 && core.end() < file_bytes) {
    risks.Add(RiskId::kTrailingData,
              std::to_string(file_bytes - core.end()) + " bytes from " + AtOffset(core.end()));
  }
}

}  // namespace

bool LooksLikeCatBoost(const FileEnds& file) { return CoreBegin(file.head).has_value(); }

model::Facts ParseCatBoost(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  Cursor cursor(source, budget);
  const auto begin = CoreBegin(cursor.Peek(kLeastBytes));
  if (!begin.has_value()) return {};
  model::Facts facts;
  facts.format = model::Format::kCatBoost;
  RiskList risks;
  cursor.Seek(kMark.size());
  std::uint64_t size = cursor.U32().value_or(0);
  if (size == kLongSize) size = cursor.U64().value_or(0);
  if (size > cursor.remaining()) {
    risks.Add(RiskId::kMalformed, "a core of " + std::to_string(size) + " bytes in a file of " +
                                      std::to_string(source.size()));
  } else {
    FlatBuffer core(source, budget, *begin, *begin + size);
    ReadCore(core, source.size(), risks);
    if (!core.broken().empty()) risks.Add(RiskId::kMalformed, core.broken());
  }
  if (budget.spent()) risks.AddSpent(*begin);
  facts.risks = std::move(risks).Take();
  return facts;
}

}  // namespace weighmaster::agent::formats
