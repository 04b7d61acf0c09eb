#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"
#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

class Snapshot;

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

// The columns that repeat what a verdict's blob says: of `verdicts`, of `past_verdicts`, and, of
// its last verdict, of `sightings`.
struct VerdictColumns {
  model::Outcome outcome = model::Outcome::kAllow;
  std::string rule;
  model::Basis basis = model::Basis::kVerified;
  model::JudgementStep step = model::JudgementStep::kDefault;
  model::Mode mode = model::Mode::kObserve;
  model::Severity severity = model::Severity::kInfo;
  std::string audits;  // the ids, each between blanks; "" for none
  std::uint64_t policy_version = 0;
};
VerdictColumns ColumnsOf(const model::Verdict& verdict);

#define WM_VERDICT_COLUMNS "outcome, rule, basis, step, mode, severity, audits, policy_version"
#define WM_VERDICT_PARAMETERS "?, ?, ?, ?, ?, ?, ?, ?"
#define WM_EXCLUDED_VERDICT_COLUMNS                                                 \
  "excluded.outcome, excluded.rule, excluded.basis, excluded.step, excluded.mode, " \
  "excluded.severity, excluded.audits, excluded.policy_version"
void BindVerdictColumns(sqlite::Statement& statement, const VerdictColumns& columns);
// Of a sighting that is not judged yet.
void BindNoVerdict(sqlite::Statement& statement);
// From the first of them on.
VerdictColumns ReadVerdictColumns(const sqlite::Statement& row, int column);

// Fills the columns of rows from before there were any, and those of verdicts. At each start; when
// it fails nothing was written.
base::Status FillFacts(sqlite::Database& database);

// Queries::VisitPresent.
base::Status VisitPresentSightings(
    const Snapshot& snapshot, const std::function<base::Status(const PresentSighting&)>& visit);

}  // namespace weighmaster::server::store
