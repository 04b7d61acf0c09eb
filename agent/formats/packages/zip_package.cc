#include "agent/formats/packages/zip_package.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/formats/arrays/numpy.h"
#include "agent/formats/pickle/opcodes.h"
#include "agent/formats/reading/leaves_folder.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxInflatedBytes;

constexpr std::size_t kProbeBytes = 512;
// NumPy's own writer makes a header of a few hundred bytes.
constexpr std::size_t kMaxArrayHeaderBytes = 64 * base::limits::kKiB;
// Archives in archives; real ones are two deep.
constexpr int kMaxDepth = 3;
constexpr model::Severity kDanger = model::Severity::kHigh;

bool IsNativeCode(std::string_view head) {
  constexpr std::string_view kMagics[] = {{"\x7f"
                                           "ELF",
                                           4},
                                          {"\xfe\xed\xfa\xce", 4},
                                          {"\xfe\xed\xfa\xcf", 4},
                                          {"\xce\xfa\xed\xfe", 4},
                                          {"\xcf\xfa\xed\xfe", 4},
                                          {"\xca\xfe\xba\xbe", 4}};
  for (const std::string_view magic : kMagics) {
    if (head.substr(0, magic.size()) == magic) return true;
  }
  return head.substr(0, 2) == "MZ" && head.find(std::string_view("PE\0\0", 4)) != head.npos;
}

}  // namespace

ZipPackage::ZipPackage(ByteSource& source, WorkBudget& budget, bool wants_tensors,
                       std::string place, int depth)
    : source_(source),
      budget_(budget),
      wants_tensors_(wants_tensors),
      place_(std::move(place)),
      depth_(depth),
      listing_(ListZipMembers(source, budget, risks_)) {
  CheckNames();
}

void ZipPackage::CheckNames() {
  for (const ZipMember& member : members()) {
    budget_.Take(work::kArchiveMember);
    for (const std::string_view name :
         {std::string_view(member.name), std::string_view(member.other_name)}) {
      if (name.empty()) continue;
      if (LeavesFolder(name)) risks_.Add(RiskId::kArchivePathEscapes, place_ + std::string(name));
      const ZipMember* const first = by_name_.emplace(name, &member).first->second;
      if (first->header != member.header) {
        risks_.Add(RiskId::kMalformed, place_ + "two members named \"" + std::string(name) + "\"");
      }
    }
  }
}

const ZipMember* ZipPackage::Find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

ZipPackage::InFolder ZipPackage::FindInFolder(std::string_view name) const {
  const std::string end = "/" + std::string(name);
  for (const auto& [known, member] : by_name_) {
    if (known != name && !known.ends_with(end)) continue;
    return {member, std::string(known.substr(0, known.size() - name.size()))};
  }
  return {};
}

std::optional<base::Bytes> ZipPackage::Read(const ZipMember& member, std::size_t most) {
  return ReadZipMember(source_, budget_, member, most);
}

void ZipPackage::Examine(bool is_known) {
  std::uint64_t read_to = 0;
  for (const ZipMember& member : members()) {
    if (budget_.spent()) break;
    read_to = member.header;
    ExamineMember(member, is_known);
  }
  if (!complete()) {
    risks_.Add(RiskId::kOpaque, place_ + "more members than the " +
                                    std::to_string(members().size()) + " that were listed");
  }
  if (budget_.spent()) risks_.AddSpent(read_to);
}

void ZipPackage::ExamineMember(const ZipMember& member, bool is_known) {
  const auto head = Read(member, kProbeBytes);
  if (!head.has_value()) {
    const std::string why =
        member.encrypted ? "is encrypted" : "is packed by method " + std::to_string(member.method);
    risks_.Add(RiskId::kOpaque, place_ + member.name + " " + why);
    return;
  }
  if (IsNativeCode(base::AsText(*head))) {
    risks_.Add(RiskId::kNativeCodeInside, place_ + member.name);
  }
  // How long a deflated member is shows only at its end.
  const std::uint64_t size = member.method == kZipStored  ? member.stored_bytes
                             : head->size() < kProbeBytes ? head->size()
                                                          : kMaxInflatedBytes;
  const FileEnds ends{*head, {}, size};
  if (LooksLikeZip(ends)) return LookInside(member);
  if (LooksLikeNumpy(ends)) return ReadArray(member);
  const bool must_be_pickle =
      is_known && (member.name.ends_with(".pkl") || member.other_name.ends_with(".pkl"));
  if (must_be_pickle || LooksLikePickle(*head, size)) WalkPickle(member, must_be_pickle);
}

void ZipPackage::WithContent(const ZipMember& member,
                             const std::function<void(ByteSource& content, bool is_packed)>& read) {
  if (member.encrypted) return;
  if (member.method == kZipStored) {
    RangeSource content(source_, member.data, member.stored_bytes);
    return read(content, false);
  }
  const auto bytes = Read(member, kMaxInflatedBytes);
  if (!bytes.has_value()) return;
  if (bytes->size() == kMaxInflatedBytes) {
    risks_.Add(RiskId::kOpaque, PlaceOf(member) + "larger than can be inflated");
  }
  MemorySource content(*bytes);
  read(content, true);
}

void ZipPackage::WalkPickle(const ZipMember& member, bool must_be_pickle) {
  WithContent(member, [&](ByteSource& content, bool) {
    RiskList risks;
    Cursor cursor(content, budget_);
    PickleWalk walk = WalkPickles(cursor, risks, PlaceOf(member), wants_tensors_);
    if (!must_be_pickle && !walk.IsPickle()) return;
    holds_danger_ = holds_danger_ || risks.worst() >= kDanger;
    risks_.Add(RiskId::kPickleFormat, place_ + member.name);
    risks_.Add(std::move(risks));
    Count(walk.tensors);
    pickles_.push_back({&member, std::move(walk.tensors)});
  });
}

// An array of objects is a pickle. Of one that is packed the header is enough otherwise.
void ZipPackage::ReadArray(const ZipMember& member) {
  Array array{&member, {}};
  RiskList risks;
  TensorMapWriter nobody_asks(false);
  const auto read = [&](ByteSource& content, bool) {
    Cursor cursor(content, budget_);
    ReadNumpy(cursor, PlaceOf(member), risks, array.counts, nobody_asks);
  };
  std::optional<NumpyHeader> header;
  if (member.method != kZipStored) {
    const auto head = Read(member, kMaxArrayHeaderBytes).value_or(base::Bytes());
    MemorySource content(head);
    Cursor cursor(content, budget_);
    std::string broken;
    header = ReadNumpyHeader(cursor, broken);
  }
  if (header.has_value() && !header->dtype.has_objects) {
    CountArray(*header, array.counts);
  } else {
    WithContent(member, read);
  }
  holds_danger_ = holds_danger_ || risks.worst() >= kDanger;
  risks_.Add(std::move(risks));
  arrays_.push_back(std::move(array));
}

// What lies in an archive that is no model is of no more interest than the archive.
void ZipPackage::LookInside(const ZipMember& member) {
  if (depth_ == kMaxDepth) {
    risks_.Add(RiskId::kOpaque, PlaceOf(member) + "archives that are nested too deeply");
    return;
  }
  WithContent(member, [&](ByteSource& content, bool) {
    ZipPackage inside(content, budget_, false, PlaceOf(member), depth_ + 1);
    TensorMapWriter nobody_asks(false);
    if (FactsOf(inside, nobody_asks).format == model::Format::kUnknown) return;
    holds_danger_ = holds_danger_ || inside.holds_danger();
    risks_.Add(std::move(inside.risks()));
    Count(inside.tensors());
  });
}

void ZipPackage::Count(const PickleTensors& tensors) {
  tensors_.count += tensors.count;
  tensors_.parameters_known =
      tensors_.parameters_known && tensors.parameters_known &&
      !__builtin_add_overflow(tensors_.parameters, tensors.parameters, &tensors_.parameters);
  for (const auto& [type, elements] : tensors.elements_by_type) {
    tensors_.elements_by_type[type] += elements;
  }
}

}  // namespace weighmaster::agent::formats
