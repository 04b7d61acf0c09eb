#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin the XML file of an OpenVINO model: a <net> with a whole number for a
// version, whose first element is <layers>. Other documents have a <net> too (road networks, Petri
// nets).
bool LooksLikeOpenVino(const FileEnds& file);

// OpenVINO IR, versions 2 to 11:
// https://docs.openvino.ai/2025/documentation/openvino-ir-format.html, with what the reader checks
// (https://github.com/openvinotoolkit/openvino, src/frontends/ir). The weights lie in the .bin file
// of the same name, which the XML does not name; their types and shapes stand here since version
// 10.
model::Facts ParseOpenVino(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
