#include "agent/formats/pickle/pickle.h"

#include <string>
#include <utility>

#include "agent/formats/pickle/walk.h"

namespace weighmaster::agent::formats {

model::Facts ParsePickle(ByteSource& source, WorkBudget& budget) {
  RiskList risks;
  Cursor cursor(source, budget);
  const PickleWalk walk = WalkPickles(cursor, risks, "");
  if (!walk.IsPickle() && !budget.spent()) return {};
  model::Facts facts;
  facts.format = model::Format::kPickle;
  TellTensors(walk.tensors, facts);
  risks.Add(RiskId::kPickleFormat, std::to_string(walk.streams) + " streams");
  if (budget.spent()) risks.AddSpent(cursor.offset());
  facts.risks = std::move(risks).Take();
  return facts;
}

}  // namespace weighmaster::agent::formats
