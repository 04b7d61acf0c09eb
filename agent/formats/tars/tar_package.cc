#include "agent/formats/tars/tar_package.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/formats/archive/compressed_stream.h"
#include "agent/formats/archive/zip.h"
#include "agent/formats/packages/zip.h"
#include "agent/formats/pickle/opcodes.h"
#include "agent/formats/pickle/walk.h"
#include "agent/formats/reading/leaves_folder.h"
#include "agent/formats/tars/nemo.h"
#include "agent/formats/tars/pytorch_tar.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxInflatedBytes;

constexpr std::size_t kHeadBytes = 4 * base::limits::kKiB;
constexpr std::size_t kProbeBytes = 512;

constexpr const TarKind* kKinds[] = {&kPyTorchTar, &kNemo};

// Of the beginning of something, what only its end could be blamed for.
bool BlamesTheEnd(const model::Risk& risk) {
  return risk.id == RiskName(RiskId::kMalformed) || risk.id == RiskName(RiskId::kTrailingData);
}

model::Facts ReadTar(ByteSource& source, WorkBudget& budget, bool is_cut) {
  TarPackage package(source, budget, is_cut);
  const auto* const found = std::find_if(std::begin(kKinds), std::end(kKinds),
                                         [&](const TarKind* kind) { return kind->is(package); });
  if (found == std::end(kKinds)) return {};
  model::Facts facts;
  facts.format = (*found)->format;
  package.CheckListing();
  (*found)->tell(package, facts);
  package.TellTensors(facts);
  if (budget.spent()) package.risks().AddSpent(source.size());
  facts.risks = std::move(package.risks()).Take();
  return facts;
}

}  // namespace

TarPackage::TarPackage(ByteSource& source, WorkBudget& budget, bool is_cut)
    : source_(source), budget_(budget), is_cut_(is_cut) {
  RiskList risks;
  listing_ = ListTarMembers(source, budget, risks);
  std::vector<model::Risk> told = std::move(risks).Take();
  if (is_cut) std::erase_if(told, BlamesTheEnd);
  risks_.AddOfPart(std::move(told), "");
  for (const TarMember& member : listing_.members) {
    budget.Take(work::kArchiveMember);
    by_name_.emplace(PlainName(member), &member);
  }
}

std::string TarPackage::PlainName(const TarMember& member) {
  std::string plain;
  std::string_view name = member.name;
  while (!name.empty()) {
    const std::string_view part = name.substr(0, name.find('/'));
    if (!part.empty() && part != ".") {
      if (!plain.empty()) plain += '/';
      plain += part;
    }
    name.remove_prefix(std::min(name.size(), part.size() + 1));
  }
  return plain;
}

const TarMember* TarPackage::Find(std::string_view plain_name) const {
  const auto found = by_name_.find(plain_name);
  return found == by_name_.end() ? nullptr : found->second;
}

Cursor TarPackage::CursorOf(const TarMember& member) const {
  return {source_, budget_, member.data, member.data + member.bytes};
}

void TarPackage::CheckListing() {
  for (const TarMember& member : listing_.members) {
    budget_.Take(work::kArchiveMember);
    if (LeavesFolder(member.name)) risks_.Add(RiskId::kArchivePathEscapes, member.name);
    const bool twice = Find(PlainName(member)) != &member;
    if (twice && member.type != TarType::kFolder) {
      risks_.Add(RiskId::kMalformed, "two members named \"" + member.name + "\"");
    }
  }
  if (!listing_.complete) {
    risks_.Add(RiskId::kOpaque,
               "more members than the " + std::to_string(members().size()) + " that were listed");
  }
  if (is_cut_) {
    risks_.Add(RiskId::kOpaque, "more of the archive than the " + std::to_string(source_.size()) +
                                    " bytes that were inflated");
  }
}

bool TarPackage::IsCut(const TarMember& member) const {
  return is_cut_ && member.data + member.bytes == source_.size();
}

void TarPackage::AddOfMember(const TarMember& member, std::vector<model::Risk> risks) {
  if (IsCut(member)) std::erase_if(risks, BlamesTheEnd);
  risks_.AddOfPart(std::move(risks), member.name + ": ");
}

void TarPackage::Examine(const TarMember& member, bool must_be_pickle) {
  if (member.type == TarType::kSparseFile) {
    risks_.Add(RiskId::kOpaque, member.name + " is stored as a sparse file");
  }
  if (member.type != TarType::kFile || budget_.spent()) return;
  Cursor cursor = CursorOf(member);
  const base::ByteView head = cursor.Peek(kProbeBytes);
  if (LooksLikeZip({head, {}, member.bytes})) {
    RangeSource inside(source_, member.data, member.bytes);
    TensorMapWriter nobody_asks(false);
    model::Facts facts = ParseZip(inside, budget_, nobody_asks);
    if (facts.format == model::Format::kUnknown) return;
    Count(facts);
    AddOfMember(member, std::move(facts.risks));
    return;
  }
  if (!must_be_pickle && !LooksLikePickle(head, member.bytes)) return;
  RiskList found;
  const PickleWalk walk = WalkPickles(cursor, found, "", false);
  if (!must_be_pickle && !walk.IsPickle()) return;
  risks_.Add(RiskId::kPickleFormat, member.name);
  AddOfMember(member, std::move(found).Take());
  model::Facts facts;
  formats::TellTensors(walk.tensors, facts);
  Count(facts);
}

void TarPackage::Count(const model::Facts& part) {
  const auto add = [](std::optional<std::uint64_t>& sum, std::optional<std::uint64_t> more) {
    std::uint64_t total = 0;
    if (more.has_value() && !__builtin_add_overflow(sum.value_or(0), *more, &total)) sum = total;
  };
  add(counted_.tensor_count, part.tensor_count);
  add(counted_.parameters, part.parameters);
  if (part.parameters.value_or(0) < most_parameters_ || part.quantization.empty()) return;
  most_parameters_ = part.parameters.value_or(0);
  counted_.quantization = part.quantization;
}

void TarPackage::TellTensors(model::Facts& facts) const {
  facts.tensor_count = counted_.tensor_count;
  facts.parameters = counted_.parameters;
  facts.quantization = counted_.quantization;
}

model::Facts ParseTar(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  Cursor cursor(source, budget);
  const base::ByteView head = cursor.Peek(kHeadBytes);
  if (LooksLikeTar({head, {}, source.size()})) return ReadTar(source, budget, false);
  if (CompressionOf(head) != Compression::kGzip) return {};
  const Unpacked probe = Unpack(cursor, Compression::kGzip, kHeadBytes);
  if (!LooksLikeTar({probe.bytes, {}, probe.bytes.size()})) return {};
  cursor.Seek(0);
  const Unpacked content = Unpack(cursor, Compression::kGzip, kMaxInflatedBytes);
  MemorySource inflated(content.bytes);
  return ReadTar(inflated, budget, content.end == UnpackedEnd::kMost);
}

}  // namespace weighmaster::agent::formats
