#pragma once

#include <string>
#include <string_view>

#include "agent/decide/vault.h"
#include "policy/base/result.h"

namespace weighmaster::agent::decide {

// The file `in_force` (docs/formats/policy-vault.md): lines of a name and a value, the first of
// them "weighmaster-policy 1", the last "end 1", so that a cut file is seen.
std::string FormatVaultRecord(const VaultRecord& record);
// Every line once and nothing else; otherwise INVALID_ARGUMENT.
base::Result<VaultRecord> ParseVaultRecord(std::string_view text);

}  // namespace weighmaster::agent::decide
