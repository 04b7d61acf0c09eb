#pragma once

#include "agent/formats/packages/zip_package.h"

namespace weighmaster::agent::formats {

// What torch.export.save writes, now (a PT2 archive: torch/export/pt2_archive/_package.py of
// https://github.com/pytorch/pytorch) and before 2.8, when the state lay in an archive of its own.
// Its weights are those of the exported state; constants and sample inputs are none.
extern const ZipKind kPyTorchExport;

}  // namespace weighmaster::agent::formats
