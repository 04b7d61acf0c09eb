#pragma once

#include "agent/formats/packages/zip_package.h"

namespace weighmaster::agent::formats {

// Arrays of NumPy and nothing else, as numpy.savez writes them; MLX keeps weights so as well:
// https://github.com/numpy/numpy, numpy/lib/_npyio_impl.py.
extern const ZipKind kNumpyZip;

}  // namespace weighmaster::agent::formats
