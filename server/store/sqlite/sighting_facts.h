#pragma once

#include "policy/base/result.h"
#include "policy/model/sighting.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// The columns of `sightings` that repeat what its blob says, so that lists can be filtered by it.
#define WM_CONTENT_COLUMNS                                                              \
  "size_bytes, modified_us, owner, format, name, architecture, license, quantization, " \
  "parameters, risk_severity"
#define WM_CONTENT_PARAMETERS "?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
#define WM_FACT_COLUMNS WM_CONTENT_COLUMNS ", digest_state"
#define WM_FACT_PARAMETERS WM_CONTENT_PARAMETERS ", ?"

// Bind the parameters of this name.
void BindContent(sqlite::Statement& statement, const model::Sighting& sighting);
void BindFacts(sqlite::Statement& statement, const model::Sighting& sighting);

// Fills the columns of rows from before there were any, and those of verdicts. At each start; when
// it fails nothing was written.
base::Status FillFacts(sqlite::Database& database);

}  // namespace weighmaster::server::store
