#include "agent/formats/tars/pytorch_tar.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/pickle/walk.h"
#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::uint32_t kMaxDimensions = 64;

// What torch calls a storage and a tensor of it, without their last word.
struct ElementRow {
  std::string_view name;
  std::string_view type;
  std::uint64_t bytes;
};
constexpr ElementRow kElements[] = {
    {"Double", "F64", 8}, {"Float", "F32", 4}, {"Half", "F16", 2}, {"Long", "I64", 8},
    {"Int", "I32", 4},    {"Short", "I16", 2}, {"Char", "I8", 1},  {"Byte", "U8", 1},
};

// The element of "torch.FloatStorage" or "torch.cuda.FloatTensor", by the one thing that a pickle
// imports; null: it is none, or not the only one.
const ElementRow* ElementOf(const PickleWalk& walk, std::string_view last_word) {
  if (walk.imports.size() != 1) return nullptr;
  const PickleImport& import = walk.imports.front();
  const std::string_view name = import.name;
  if ((import.module != "torch" && import.module != "torch.cuda") || !name.ends_with(last_word)) {
    return nullptr;
  }
  const auto* const row = std::ranges::find(
      kElements, name.substr(0, name.size() - last_word.size()), &ElementRow::name);
  return row == std::end(kElements) ? nullptr : row;
}

// One of the two members that have other bytes between their pickles: how many records follow, then
// of each a pickle that names a type, and what belongs to it.
class MixedMember {
 public:
  MixedMember(TarPackage& package, const TarMember& member)
      : package_(package), cursor_(package.CursorOf(member)), place_(member.name + ": ") {}

  // `pass` goes over what follows a pickle; false: it can't.
  template <typename Pass>
  void Walk(std::string_view last_word, Pass pass) {
    while (cursor_.remaining() > 0 && !package_.budget().spent()) {
      package_.budget().Take(work::kArchiveMember);
      const std::uint64_t begin = cursor_.offset();
      const PickleWalk walk = WalkOnePickle(cursor_, package_.risks(), place_);
      if (!walk.complete) return;
      // The number of records, and behind them the list of views.
      if (walk.imports.empty()) continue;
      const ElementRow* const element = ElementOf(walk, last_word);
      if (element == nullptr) {
        package_.risks().Add(RiskId::kOpaque,
                             place_ + "what follows the pickle at " + AtOffset(begin));
        return;
      }
      if (pass(cursor_, *element)) continue;
      if (!package_.budget().spent()) {
        package_.risks().Add(RiskId::kMalformed,
                             place_ + std::string(ReadFailureText(cursor_.failure())) +
                                 " behind the pickle at " + AtOffset(begin));
      }
      return;
    }
  }

 private:
  TarPackage& package_;
  Cursor cursor_;
  const std::string place_;
};

// The number of the elements, then the elements.
void WalkStorages(TarPackage& package, const TarMember& member) {
  MixedMember(package, member).Walk("Storage", [](Cursor& cursor, const ElementRow& element) {
    const auto elements = cursor.U64();
    std::uint64_t bytes = 0;
    if (!elements.has_value()) return false;
    if (__builtin_mul_overflow(*elements, element.bytes, &bytes)) bytes = ~std::uint64_t{0};
    return cursor.Skip(bytes);
  });
}

// The number of dimensions in 64 bits, of which 32 count, the extents, the strides and the offset
// in the storage.
void WalkTensors(TarPackage& package, const TarMember& member) {
  MixedMember(package, member).Walk("Tensor", [&](Cursor& cursor, const ElementRow& element) {
    package.budget().Take(work::kTensor);
    const auto dimensions = cursor.U32();
    if (!dimensions.has_value() || !cursor.Skip(4)) return false;
    if (*dimensions > kMaxDimensions) return cursor.Skip(~std::uint64_t{0});
    model::Facts facts;
    facts.tensor_count = 1;
    std::uint64_t elements = *dimensions == 0 ? 0 : 1;
    bool counted = true;
    for (std::uint32_t i = 0; i < *dimensions; ++i) {
      const auto extent = cursor.U64();
      if (!extent.has_value()) return false;
      counted = counted && !__builtin_mul_overflow(elements, *extent, &elements);
    }
    if (counted) facts.parameters = elements;
    facts.quantization = std::string(element.type);
    package.Count(facts);
    return cursor.Skip(std::uint64_t{8} * *dimensions + 8);
  });
}

bool IsPyTorchTar(TarPackage& package) {
  return package.Find("pickle") != nullptr && package.Find("storages") != nullptr &&
         package.Find("tensors") != nullptr;
}

void TellPyTorchTar(TarPackage& package, model::Facts& /*facts*/) {
  for (const TarMember& member : package.members()) {
    if (package.budget().spent()) return;
    const std::string name = TarPackage::PlainName(member);
    const bool mixed = name == "storages" || name == "tensors";
    const bool pickle = name == "pickle" || name == "sys_info";
    const bool link = member.type == TarType::kSymbolicLink || member.type == TarType::kHardLink;
    if (link && (mixed || pickle)) {
      package.risks().Add(RiskId::kOpaque, member.name + " is a link to " + member.link);
    }
    if (!mixed || member.type != TarType::kFile) {
      package.Examine(member, pickle);
      continue;
    }
    package.risks().Add(RiskId::kPickleFormat, member.name);
    if (name == "storages") WalkStorages(package, member);
    if (name == "tensors") WalkTensors(package, member);
  }
}

}  // namespace

const TarKind kPyTorchTar = {model::Format::kPyTorchTar, IsPyTorchTar, TellPyTorchTar};

bool LooksLikePyTorchTar(const FileEnds& file) {
  constexpr std::string_view kFirst{"sys_info\0", 9};
  // Where times have fractions, Python puts an extended header of one block before the member's.
  constexpr std::size_t kTypeAt = 156;
  constexpr std::size_t kSecond = 1'024;
  if (!LooksLikeTar(file)) return false;
  const std::string_view head = base::AsText(file.head);
  return head.starts_with(kFirst) || (head[kTypeAt] == 'x' && head.size() > kSecond &&
                                      head.substr(kSecond).starts_with(kFirst));
}

}  // namespace weighmaster::agent::formats
