#include "agent/formats/tensorflow/tf_graph.h"

#include <utility>

#include "agent/formats/grammars/protobuf_probe.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"
#include "agent/formats/tensorflow/graph_def.h"

namespace weighmaster::agent::formats {

bool LooksLikeTfGraph(const FileEnds& file) { return LooksLikeGraphDef(ProtobufProbe(file)); }

model::Facts ParseTfGraph(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  Cursor cursor(source, budget);
  RiskList risks;
  GraphDefReader graph(cursor, risks);
  const bool only_known = graph.Read(0, cursor.end(), {});
  if (!only_known || !graph.has_common_operator()) return {};
  model::Facts facts;
  facts.format = model::Format::kTfGraph;
  graph.constants().Tell(facts);
  if (budget.spent()) {
    facts.parameters.reset();
    risks.AddSpent(cursor.offset());
  }
  facts.risks = std::move(risks).Take();
  return facts;
}

}  // namespace weighmaster::agent::formats
