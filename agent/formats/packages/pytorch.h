#pragma once

#include "agent/formats/packages/zip_package.h"

namespace weighmaster::agent::formats {

// What torch.save writes since 1.6: https://github.com/pytorch/pytorch, torch/serialization.py and
// caffe2/serialize/inline_container.h.
extern const ZipKind kPyTorchZip;
// The same with a program beside the pickles, as torch.jit.save writes:
// torch/csrc/jit/docs/serialization.md.
extern const ZipKind kTorchScript;

}  // namespace weighmaster::agent::formats
