#include "agent/formats/packages/numpy_zip.h"

#include <algorithm>

#include "agent/formats/arrays/numpy.h"

namespace weighmaster::agent::formats {
namespace {

// Nothing but arrays: the test data of a library's archive make no model of it.
bool IsNumpyZip(ZipPackage& package) {
  return !package.members().empty() &&
         std::ranges::all_of(package.members(), [](const ZipMember& member) {
           return member.name.ends_with(".npy") && !member.encrypted;
         });
}

void Map(ZipPackage& package, const ZipMember& member, TensorMapWriter& map) {
  if (member.method != kZipStored) return map.Fail(model::WeightsReason::kPacked);
  const std::uint64_t left = package.source().size() - member.data;
  Cursor cursor(package.source(), package.budget(), member.data,
                member.data + std::min(left, member.stored_bytes));
  RiskList told_before;
  PickleTensors counted_before;
  ReadNumpy(cursor, "", told_before, counted_before, map);
}

void TellNumpyZip(ZipPackage& package, model::Facts& facts, TensorMapWriter& map) {
  for (const ZipPackage::Array& array : package.arrays()) package.Count(array.counts);
  TellTensors(package.tensors(), facts);
  map.Begin();
  if (package.arrays().size() != package.members().size()) {
    map.Fail(model::WeightsReason::kIncomplete);
  }
  if (!map.wanted()) return;
  for (const ZipMember& member : package.members()) Map(package, member, map);
}

}  // namespace

constinit const ZipKind kNumpyZip{model::Format::kNumpyZip, IsNumpyZip, TellNumpyZip};

}  // namespace weighmaster::agent::formats
