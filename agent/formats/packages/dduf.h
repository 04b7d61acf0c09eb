#pragma once

#include "agent/formats/packages/zip_package.h"

namespace weighmaster::agent::formats {

// The folder of a pipeline of Diffusers in one archive whose members are stored as they are:
// https://huggingface.co/docs/hub/dduf.
extern const ZipKind kDduf;

}  // namespace weighmaster::agent::formats
