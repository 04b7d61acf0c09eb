#pragma once

#include "agent/formats/packages/zip_package.h"

namespace weighmaster::agent::formats {

// A model with the handler that serves it, as torch-model-archiver packs them:
// https://github.com/pytorch/serve, model-archiver/README.md.
extern const ZipKind kTorchServe;

}  // namespace weighmaster::agent::formats
