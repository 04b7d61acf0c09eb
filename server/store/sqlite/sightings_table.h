#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/model/sighting.h"
#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// A sighting from its three columns: `sighting`, `path`, `path_encoding`.
base::Result<model::Sighting> ReadSightingBlob(base::ByteView blob, std::string_view path,
                                               std::int64_t encoding);

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

// Queries::VisitPresent, inside the caller's transaction.
base::Status VisitPresentSightings(
    sqlite::Database& database, const std::function<base::Status(const PresentSighting&)>& visit);

}  // namespace weighmaster::server::store
