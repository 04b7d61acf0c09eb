#pragma once

#include "agent/formats/packages/zip_package.h"

namespace weighmaster::agent::formats {

// An estimator of scikit-learn as skops.io.dump writes it: a schema in JSON that names classes, and
// arrays beside it. https://github.com/skops-dev/skops, skops/io/_persist.py and _audit.py.
extern const ZipKind kSkops;

}  // namespace weighmaster::agent::formats
