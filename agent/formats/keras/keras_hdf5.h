#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin an HDF5 file; only its objects tell whether Keras wrote it.
bool LooksLikeKerasHdf5(const FileEnds& file);

// A model or weights of Keras in HDF5, as its loaders find them
// (https://github.com/keras-team/keras, keras/src/legacy/saving/legacy_h5_format.py and
// keras/src/saving/saving_lib.py): the root says `model_config`, `layer_names` or `keras_version`,
// or a dataset is "…/vars/NUMBER". Any other HDF5 file is no model. The state of an optimizer,
// which lies in groups of its own, is not among the tensors.
model::Facts ParseKerasHdf5(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
