#pragma once

#include "agent/formats/tars/tar_package.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a tar archive whose first member is `sys_info`, as torch wrote it. A
// loader takes the members in any order, so ParseTar finds this kind in other archives as well.
bool LooksLikePyTorchTar(const FileEnds& file);

// What torch.save wrote in versions 0.1.1 to 0.1.5, and torch.load still reads: a tar of pickles,
// some of which have bytes of tensors between them. https://github.com/pytorch/pytorch,
// torch/serialization.py, _legacy_load.
extern const TarKind kPyTorchTar;

}  // namespace weighmaster::agent::formats
