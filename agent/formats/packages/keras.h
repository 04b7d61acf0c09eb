#pragma once

#include "agent/formats/packages/zip_package.h"

namespace weighmaster::agent::formats {

// A model as Keras 3 saves it, its configuration and its weights each a member:
// https://github.com/keras-team/keras, keras/src/saving/saving_lib.py. Its tensors are those of the
// weights' HDF5 file.
extern const ZipKind kKerasPackage;

}  // namespace weighmaster::agent::formats
