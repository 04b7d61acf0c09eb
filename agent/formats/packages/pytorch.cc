#include "agent/formats/packages/pytorch.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/archive/zip.h"
#include "agent/formats/pickle/walk.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxInflatedBytes;

constexpr std::size_t kProbeBytes = 512;

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// The members that make a zip a PyTorch file for torch.load and torch.jit.load.
bool IsTorchRecord(std::string_view name) {
  constexpr std::string_view kRecords[] = {"data.pkl", "constants.pkl", ".data/serialization_id"};
  return std::any_of(std::begin(kRecords), std::end(kRecords), [&](std::string_view record) {
    return name == record || EndsWith(name, "/" + std::string(record));
  });
}

bool Escapes(std::string_view name) {
  if (name.empty()) return false;
  if (name.front() == '/' || name.front() == '\\') return true;
  if (name.size() > 1 && name[1] == ':') return true;
  while (true) {
    const std::size_t end = name.find_first_of("/\\");
    if (name.substr(0, end) == "..") return true;
    if (end == std::string_view::npos) return false;
    name.remove_prefix(end + 1);
  }
}

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

// One archive. A zip is no model until one of its members shows that it is.
class TorchReader {
 public:
  TorchReader(ByteSource& source, WorkBudget& budget, TensorMapWriter& map)
      : source_(source), budget_(budget), map_(map) {}

  model::Facts Read() &&;

 private:
  void CheckNames(const std::vector<ZipMember>& members);
  void ReadMember(const ZipMember& member);
  void WalkMember(const ZipMember& member, bool must_be_pickle);
  void Count(const PickleTensors& tensors);
  void Keep(PickleTensors tensors, const std::string& member);
  void MapTensors(const std::vector<ZipMember>& members);
  // By a member that torch looks for beside the pickle.
  bool IsBigEndian(const ZipMember* byte_order);

  ByteSource& source_;
  WorkBudget& budget_;
  TensorMapWriter& map_;
  RiskList risks_;
  PickleTensors tensors_;
  struct MemberTensor : StoredTensor {
    std::string folder;  // of the pickle, with its '/'; the key is the name of a member
  };
  std::vector<MemberTensor> stored_;
  std::string folder_;
  bool recognised_ = false;
};

model::Facts TorchReader::Read() && {
  const ZipListing listing = ListZipMembers(source_, budget_, risks_);
  CheckNames(listing.members);
  std::uint64_t read_to = 0;
  for (const ZipMember& member : listing.members) {
    if (budget_.spent()) break;
    read_to = member.header;
    ReadMember(member);
  }
  if (!listing.complete) {
    risks_.Add(RiskId::kOpaque, "more members than the " + std::to_string(listing.members.size()) +
                                    " that were listed");
  }
  if (map_.wanted()) MapTensors(listing.members);
  if (budget_.spent()) risks_.AddSpent(read_to);
  // What was not looked at whole may well hide a pickle.
  if (!recognised_ && listing.complete && !budget_.spent()) return {};
  model::Facts facts;
  facts.format = model::Format::kPyTorchZip;
  // torch names the folder after the file, or "archive" when it was not told one.
  if (folder_ != "archive") facts.name = CleanText(folder_);
  TellTensors(tensors_, facts);
  facts.risks = std::move(risks_).Take();
  return facts;
}

void TorchReader::CheckNames(const std::vector<ZipMember>& members) {
  std::map<std::string_view, std::uint64_t> header_of;
  for (const ZipMember& member : members) {
    budget_.Take(work::kArchiveMember);
    for (const std::string_view name :
         {std::string_view(member.name), std::string_view(member.other_name)}) {
      if (name.empty()) continue;
      if (Escapes(name)) risks_.Add(RiskId::kArchivePathEscapes, name);
      if (header_of.emplace(name, member.header).first->second != member.header) {
        risks_.Add(RiskId::kMalformed, "two members named \"" + std::string(name) + "\"");
      }
      if (!IsTorchRecord(name)) continue;
      recognised_ = true;
      if (folder_.empty()) folder_ = std::string(name.substr(0, name.find('/')));
      if (folder_ == name) folder_.clear();
    }
  }
}

void TorchReader::ReadMember(const ZipMember& member) {
  const auto head = ReadZipMember(source_, budget_, member, kProbeBytes);
  if (!head.has_value()) {
    const std::string why =
        member.encrypted ? "is encrypted" : "is packed by method " + std::to_string(member.method);
    risks_.Add(RiskId::kOpaque, member.name + " " + why);
    return;
  }
  const std::string_view text = base::AsText(*head);
  if (IsNativeCode(text)) risks_.Add(RiskId::kNativeCodeInside, member.name);
  // How long a deflated member is shows only at its end.
  const std::uint64_t size = member.method == kZipStored  ? member.stored_bytes
                             : head->size() < kProbeBytes ? head->size()
                                                          : kMaxInflatedBytes;
  const bool named = EndsWith(member.name, ".pkl") || EndsWith(member.other_name, ".pkl");
  if (!LooksLikePickle(*head, size) && !(recognised_ && named)) return;
  WalkMember(member, recognised_ && named);
}

void TorchReader::WalkMember(const ZipMember& member, bool must_be_pickle) {
  const std::string place = member.name + ": ";
  RiskList risks;
  PickleWalk walk;
  if (member.method == kZipStored) {
    const std::uint64_t left = source_.size() - member.data;
    Cursor cursor(source_, budget_, member.data, member.data + std::min(left, member.stored_bytes));
    walk = WalkPickles(cursor, risks, place, map_.wanted());
  } else {
    const auto bytes = ReadZipMember(source_, budget_, member, kMaxInflatedBytes);
    if (!bytes.has_value()) return;
    if (bytes->size() == kMaxInflatedBytes) {
      risks.Add(RiskId::kOpaque, place + "larger than can be inflated");
    }
    MemorySource inflated(*bytes);
    Cursor cursor(inflated, budget_);
    walk = WalkPickles(cursor, risks, place, map_.wanted());
  }
  if (!must_be_pickle && !walk.IsPickle()) return;
  recognised_ = true;
  risks_.Add(RiskId::kPickleFormat, member.name);
  risks_.Add(std::move(risks));
  Count(walk.tensors);
  if (map_.wanted()) Keep(std::move(walk.tensors), member.name);
}

void TorchReader::Count(const PickleTensors& tensors) {
  tensors_.count += tensors.count;
  tensors_.parameters_known =
      tensors_.parameters_known && tensors.parameters_known &&
      !__builtin_add_overflow(tensors_.parameters, tensors.parameters, &tensors_.parameters);
  for (const auto& [type, elements] : tensors.elements_by_type) {
    tensors_.elements_by_type[type] += elements;
  }
}

// Of the storages that "archive/data.pkl" names each is a member "archive/data/" and its key.
void TorchReader::Keep(PickleTensors tensors, const std::string& member) {
  constexpr std::string_view kEnd = ".pkl";
  if (tensors.gap != model::WeightsReason::kNone) map_.Fail(tensors.gap);
  if (tensors.stored.empty()) return;
  if (!EndsWith(member, kEnd)) return map_.Fail(model::WeightsReason::kIncomplete);
  const std::string storages = member.substr(0, member.size() - kEnd.size()) + "/";
  const std::string folder = member.substr(0, member.rfind('/') + 1);
  for (StoredTensor& stored : tensors.stored) {
    stored.key.insert(0, storages);
    stored_.push_back({std::move(stored), folder});
  }
}

void TorchReader::MapTensors(const std::vector<ZipMember>& members) {
  std::map<std::string_view, const ZipMember*> by_name;
  for (const ZipMember& member : members) by_name.emplace(member.name, &member);
  const auto find = [&](const std::string& name) {
    const auto found = by_name.find(name);
    return found == by_name.end() ? nullptr : found->second;
  };
  std::map<std::string, bool> big_endian;  // by the folder of the pickle
  for (MemberTensor& stored : stored_) {
    const ZipMember* const found = find(stored.key);
    if (found == nullptr) return map_.Fail(model::WeightsReason::kIncomplete);
    const ZipMember& member = *found;
    if (member.encrypted || member.method != kZipStored) {
      return map_.Fail(model::WeightsReason::kPacked);
    }
    const auto bytes = StorageBytes(stored);
    if (!bytes.has_value() || *bytes > member.stored_bytes) {
      return map_.Fail(model::WeightsReason::kIncomplete);
    }
    const auto [folder, is_new] = big_endian.try_emplace(stored.folder, false);
    if (is_new) folder->second = IsBigEndian(find(stored.folder + "byteorder"));
    stored.tensor.big_endian = folder->second;
    AddStored(stored, member.data, map_);
  }
}

bool TorchReader::IsBigEndian(const ZipMember* byte_order) {
  constexpr std::string_view kBig = "big";
  if (byte_order == nullptr) return false;
  const auto order = ReadZipMember(source_, budget_, *byte_order, kBig.size() + 1);
  return order.has_value() && base::AsText(*order) == kBig;
}

}  // namespace

model::Facts ParsePyTorchZip(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  tensors.Begin();
  return TorchReader(source, budget, tensors).Read();
}

}  // namespace weighmaster::agent::formats
