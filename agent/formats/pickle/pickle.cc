#include "agent/formats/pickle/pickle.h"

#include <string>
#include <utility>

#include "agent/formats/pickle/legacy_storages.h"
#include "agent/formats/pickle/walk.h"

namespace weighmaster::agent::formats {

bool LooksLikePyTorchLegacy(const FileEnds& file) { return BeginsLegacyTorch(file.head); }

model::Facts ParsePickle(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  RiskList risks;
  Cursor cursor(source, budget);
  const PickleWalk walk = WalkPickles(cursor, risks, "", tensors.wanted());
  if (!walk.IsPickle() && !budget.spent()) return {};
  model::Facts facts;
  facts.format = walk.storages_begin.has_value() ? model::Format::kPyTorchLegacy
                 : walk.joblib                   ? model::Format::kJoblib
                                                 : model::Format::kPickle;
  TellTensors(walk.tensors, facts);
  risks.Add(RiskId::kPickleFormat, std::to_string(walk.streams) + " streams");
  // Of other pickles it is not known where tensors lie.
  if (tensors.wanted() && walk.storages_begin.has_value()) {
    tensors.Begin();
    if (walk.tensors.gap != model::WeightsReason::kNone) tensors.Fail(walk.tensors.gap);
    MapLegacyStorages(walk.tensors, cursor, *walk.storages_begin, tensors);
  }
  if (budget.spent()) risks.AddSpent(cursor.offset());
  facts.risks = std::move(risks).Take();
  return facts;
}

}  // namespace weighmaster::agent::formats
