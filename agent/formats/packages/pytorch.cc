#include "agent/formats/packages/pytorch.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weighmaster::agent::formats {
namespace {

// Those by which torch.load and torch.jit.load find their way.
constexpr std::string_view kRecords[] = {"data.pkl", "constants.pkl", ".data/serialization_id"};

bool IsTorchZip(ZipPackage& package) {
  for (const std::string_view record : kRecords) {
    if (package.FindInFolder(record).member != nullptr) return true;
  }
  return false;
}

// `model.json` is where it was described at first.
bool IsTorchScript(ZipPackage& package) {
  const ZipPackage::InFolder constants = package.FindInFolder("constants.pkl");
  if (constants.member != nullptr) {
    const std::string code = constants.folder + "code/";
    for (const ZipMember& member : package.members()) {
      if (member.name.starts_with(code) || member.other_name.starts_with(code)) return true;
    }
  }
  const ZipPackage::InFolder described = package.FindInFolder("model.json");
  return described.member != nullptr &&
         package.Find(described.folder + "attributes.pkl") != nullptr;
}

// Where the tensors of the pickles of one archive lie.
class TorchTensors {
 public:
  TorchTensors(ZipPackage& package, TensorMapWriter& map) : package_(package), map_(map) {}

  void Map();

 private:
  void MapPickle(ZipPackage::Pickle& pickle);
  void MapTensor(StoredTensor& stored, const std::string& folder);
  // By a member that torch looks for beside the pickle.
  bool IsBigEndian(const std::string& folder);

  ZipPackage& package_;
  TensorMapWriter& map_;
  std::map<std::string, bool> big_endian_;  // by folder
};

void TorchTensors::Map() {
  std::uint64_t found = 0;
  for (ZipPackage::Pickle& pickle : package_.pickles()) {
    found += pickle.tensors.count;
    MapPickle(pickle);
  }
  // The others lie in archives inside.
  if (found != package_.tensors().count) map_.Fail(model::WeightsReason::kIncomplete);
}

// Of the storages that "archive/data.pkl" names each is a member "archive/data/" and its key.
void TorchTensors::MapPickle(ZipPackage::Pickle& pickle) {
  constexpr std::string_view kEnd = ".pkl";
  if (pickle.tensors.gap != model::WeightsReason::kNone) map_.Fail(pickle.tensors.gap);
  if (pickle.tensors.stored.empty()) return;
  const std::string& name = pickle.member->name;
  if (!name.ends_with(kEnd)) return map_.Fail(model::WeightsReason::kIncomplete);
  const std::string storages = name.substr(0, name.size() - kEnd.size()) + "/";
  const std::string folder = name.substr(0, name.rfind('/') + 1);
  for (StoredTensor& stored : pickle.tensors.stored) {
    stored.key.insert(0, storages);
    MapTensor(stored, folder);
  }
}

void TorchTensors::MapTensor(StoredTensor& stored, const std::string& folder) {
  const ZipMember* const member = package_.Find(stored.key);
  if (member == nullptr) return map_.Fail(model::WeightsReason::kIncomplete);
  if (member->encrypted || member->method != kZipStored) {
    return map_.Fail(model::WeightsReason::kPacked);
  }
  const auto bytes = StorageBytes(stored);
  if (!bytes.has_value() || *bytes > member->stored_bytes) {
    return map_.Fail(model::WeightsReason::kIncomplete);
  }
  const auto [order, is_new] = big_endian_.try_emplace(folder, false);
  if (is_new) order->second = IsBigEndian(folder);
  stored.tensor.big_endian = order->second;
  AddStored(stored, member->data, map_);
}

bool TorchTensors::IsBigEndian(const std::string& folder) {
  constexpr std::string_view kBig = "big";
  const ZipMember* const member = package_.Find(folder + "byteorder");
  if (member == nullptr) return false;
  const auto order = package_.Read(*member, kBig.size() + 1);
  return order.has_value() && base::AsText(*order) == kBig;
}

void TellTorch(ZipPackage& package, model::Facts& facts, TensorMapWriter& map) {
  for (const std::string_view record : kRecords) {
    const ZipPackage::InFolder found = package.FindInFolder(record);
    if (found.member == nullptr) continue;
    // torch names the folder after the file, or "archive" when it was not told one.
    const std::string_view folder =
        std::string_view(found.folder).substr(0, found.folder.find('/'));
    if (folder != "archive") facts.name = CleanText(folder);
    break;
  }
  TellTensors(package.tensors(), facts);
  map.Begin();
  if (map.wanted()) TorchTensors(package, map).Map();
}

}  // namespace

constinit const ZipKind kPyTorchZip{model::Format::kPyTorchZip, IsTorchZip, TellTorch};
constinit const ZipKind kTorchScript{model::Format::kTorchScript, IsTorchScript, TellTorch};

}  // namespace weighmaster::agent::formats
