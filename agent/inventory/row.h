#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/model/settings.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"

namespace weighmaster::agent::inventory {

// Sightings, verdicts and coverage as they stand in columns: the bytes of their messages
// (proto/weighmaster/v1/values.proto). What does not parse is DATA_LOSS.
std::string ToColumn(const model::Sighting& sighting);
std::string ToColumn(const model::Verdict& verdict);
std::string ToColumn(const model::Coverage& coverage);
base::Result<model::Sighting> SightingFromColumn(base::ByteView bytes);
base::Result<model::Verdict> VerdictFromColumn(base::ByteView bytes);
base::Result<model::Coverage> CoverageFromColumn(base::ByteView bytes);

// Withheld fields as a number: the bit of each field's number.
std::int64_t ToColumn(const model::WithheldFields& withheld);
model::WithheldFields WithheldFromColumn(std::int64_t bits);

}  // namespace weighmaster::agent::inventory
