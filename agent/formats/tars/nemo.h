#pragma once

#include "agent/formats/tars/tar_package.h"

namespace weighmaster::agent::formats {

// Whether the file is a tar archive, or one through gzip as far as its beginning shows.
bool LooksLikeNemo(const FileEnds& file);

// A checkpoint of NVIDIA NeMo: a tar, before NeMo 1.7 through gzip, of model_config.yaml,
// model_weights.ckpt and whatever belongs to the model. https://github.com/NVIDIA/NeMo,
// nemo/core/connectors/save_restore_connector.py. The configuration names classes that are imported
// and called (CVE-2025-23304): `target`, and wherever they stand `_target_` of Hydra and `cls`,
// nemo/core/classes/common.py, Serialization.from_config_dict.
extern const TarKind kNemo;

}  // namespace weighmaster::agent::formats
