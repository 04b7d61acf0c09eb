#include "server/store/sqlite/columns/sightings_table.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proto/wire/convert.h"
#include "server/store/sqlite/columns/rows.h"
#include "server/store/sqlite/scope/snapshot.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::server::store {
namespace {

using base::Status;
using sqlite::Statement;

constexpr std::size_t kRowsAtOnce = 1'000;

std::optional<std::int64_t> WorstSeverity(const model::Facts& facts) {
  std::optional<std::int64_t> worst;
  for (const model::Risk& risk : facts.risks) {
    worst = std::max(worst.value_or(0), EnumColumn(risk.severity));
  }
  return worst;
}

// The next rows that are not filled yet; their statement is done before any is changed.
struct Unfilled {
  std::int64_t id;
  std::string path;
  std::int64_t encoding;
  std::string blob;
};
base::Result<std::vector<Unfilled>> NextUnfilled(sqlite::Database& database) {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database.Prepare("SELECT id, path, path_encoding, sighting FROM sightings "
                                       "WHERE format IS NULL LIMIT ?"));
  find.Bind(Column(kRowsAtOnce));
  std::vector<Unfilled> rows;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, find.Step());
    if (!more) return rows;
    rows.push_back(
        {find.Int(0), std::string(Chars(find, 1)), find.Int(2), std::string(Chars(find, 3))});
  }
}

Status FillSighting(sqlite::Database& database, const Unfilled& row) {
  WM_ASSIGN_OR_RETURN(const model::Sighting sighting,
                      ReadSightingBlob(base::AsBytes(row.blob), row.path, row.encoding));
  WM_ASSIGN_OR_RETURN(Statement put, database.Prepare("UPDATE sightings SET (" WM_FACT_COLUMNS
                                                      ") = (" WM_FACT_PARAMETERS ") WHERE id = ?"));
  BindFacts(put, sighting);
  return put.Bind(row.id).Run();
}

// Verdicts from before they had all of their columns.
struct UnfilledVerdict {
  std::int64_t endpoint;
  std::string path_sha256;
  std::int64_t judged_us;
  std::string blob;
};
base::Result<std::vector<UnfilledVerdict>> NextUnfilledVerdicts(sqlite::Database& database,
                                                                std::string_view select) {
  WM_ASSIGN_OR_RETURN(Statement find, database.Prepare(select));
  find.Bind(Column(kRowsAtOnce));
  std::vector<UnfilledVerdict> rows;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, find.Step());
    if (!more) return rows;
    rows.push_back(
        {find.Int(0), std::string(Chars(find, 1)), find.Int(2), std::string(Chars(find, 3))});
  }
}

base::Result<VerdictColumns> ColumnsOfBlob(const std::string& blob) {
  v1::Verdict message;
  if (!message.ParseFromString(blob)) {
    return base::DataLoss("the store holds a verdict that cannot be read");
  }
  WM_ASSIGN_OR_RETURN(const auto verdict, Stored(wire::FromProto(message), "verdict"));
  return ColumnsOf(verdict);
}

// Of one table of verdicts, which were judged at `judged`, and of the sightings whose last verdicts
// these are. What is present and what is not lie in different indices.
Status FillVerdicts(sqlite::Database& database, const std::string& table,
                    const std::string& judged) {
  const std::string set = " SET (" WM_VERDICT_COLUMNS ") = (" WM_VERDICT_PARAMETERS
                          ") WHERE endpoint = ? AND path_sha256 = ? AND ";
  const std::string select = "SELECT endpoint, path_sha256, " + judged + ", verdict FROM " + table +
                             " WHERE policy_version IS NULL LIMIT ?";
  const std::string updates[] = {
      "UPDATE " + table + set + judged + " = ?",
      "UPDATE sightings" + set + "judged_us = ? AND gone_us IS NULL",
      "UPDATE sightings" + set + "judged_us = ? AND gone_us IS NOT NULL",
  };
  while (true) {
    WM_ASSIGN_OR_RETURN(const auto rows, NextUnfilledVerdicts(database, select));
    if (rows.empty()) return {};
    for (const UnfilledVerdict& row : rows) {
      WM_ASSIGN_OR_RETURN(const VerdictColumns columns, ColumnsOfBlob(row.blob));
      for (const std::string& update : updates) {
        WM_ASSIGN_OR_RETURN(Statement put, database.Prepare(update));
        BindVerdictColumns(put, columns);
        put.Bind(row.endpoint).Bind(base::AsBytes(row.path_sha256)).Bind(row.judged_us);
        WM_RETURN_IF_ERROR(put.Run());
      }
    }
  }
}

struct Endpoint {
  model::Id id;
  std::string hostname;
};
// By their small numbers. In memory: to join them would look each up once a row.
using Endpoints = std::unordered_map<std::int64_t, Endpoint>;

base::Result<Endpoints> ReadEndpoints(const Snapshot& snapshot) {
  WM_ASSIGN_OR_RETURN(Statement rows,
                      snapshot.Prepare("SELECT id, endpoint_id, hostname FROM endpoints"));
  Endpoints endpoints;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return endpoints;
    WM_ASSIGN_OR_RETURN(const auto id, Stored(model::IdFromBytes(rows.Blob(1)), "endpoint id"));
    endpoints.emplace(rows.Int(0), Endpoint{id, rows.Text(2)});
  }
}

// By way of a message that may have served another; it keeps its memory.
base::Result<model::Sighting> ReadSightingBy(v1::Sighting& message, base::ByteView blob,
                                             std::string_view path, std::int64_t encoding) {
  if (!message.ParseFromArray(blob.data(), static_cast<int>(blob.size()))) {
    return base::DataLoss("the store holds a sighting that cannot be read");
  }
  message.mutable_path()->mutable_value()->assign(path);
  message.mutable_path()->set_encoding(static_cast<v1::PathEncoding>(encoding));
  return Stored(wire::FromProto(message), "sighting");
}

// A row of a present sighting, as it is stored.
struct PresentRow {
  const Endpoint* endpoint;
  std::string blob;
  std::string path;
  std::int64_t encoding;
  std::string rule;
  std::optional<PresentSighting::Judged> judged;  // all but its rule
};

// Fewer than kRowsAtOnce are the last.
base::Result<std::vector<PresentRow>> NextPresentRows(Statement& rows, const Endpoints& endpoints) {
  std::vector<PresentRow> next;
  while (next.size() < kRowsAtOnce) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) break;
    const auto endpoint = endpoints.find(rows.Int(0));
    if (endpoint == endpoints.end()) return base::DataLoss("the store has a sighting of nobody");
    PresentRow& row = next.emplace_back(PresentRow{&endpoint->second,
                                                   std::string(Chars(rows, 1)),
                                                   rows.Text(2),
                                                   rows.Int(3),
                                                   rows.Text(5),
                                                   {}});
    if (rows.IsNull(4)) continue;
    row.judged = {static_cast<model::Outcome>(rows.Int(4)),
                  {},
                  static_cast<model::Mode>(rows.Int(6)),
                  static_cast<model::Severity>(rows.Int(7))};
  }
  return next;
}

// Rows and the sightings that they hold. Several threads read them, each those that no other took:
// it takes longer than to step from row to row, or to judge what they say.
class PresentRows {
 public:
  // Replaces what was there, if no thread reads it.
  void Set(std::vector<PresentRow> rows) {
    rows_ = std::move(rows);
    sightings_.resize(rows_.size());
    taken_ = 0;
  }
  const std::vector<PresentRow>& rows() const { return rows_; }

  // Reads until every row was taken.
  void Read() {
    v1::Sighting message;
    for (std::size_t i = taken_++; i < rows_.size(); i = taken_++) {
      const PresentRow& row = rows_[i];
      sightings_[i] = ReadSightingBy(message, base::AsBytes(row.blob), row.path, row.encoding);
    }
  }
  // Read() on other processors, until the threads are joined; none where there can be none.
  std::vector<std::jthread> ReadOnOthers() {
    constexpr unsigned kMaxThreads = 4;
    std::vector<std::jthread> others;
    try {
      const unsigned threads = std::min(std::thread::hardware_concurrency(), kMaxThreads);
      for (unsigned i = 1; i < threads; ++i) others.emplace_back([this] { Read(); });
    } catch (const std::system_error&) {
      // There are as many as there can be.
    }
    return others;
  }

  // After all were read.
  Status Visit(const std::function<Status(const PresentSighting&)>& visit) const {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (!sightings_[i].has_value()) return sightings_[i].error();
      const PresentRow& row = rows_[i];
      PresentSighting present{row.endpoint->id, row.endpoint->hostname, *sightings_[i], row.judged};
      if (present.judged) present.judged->rule = row.rule;
      WM_RETURN_IF_ERROR(visit(present));
    }
    return {};
  }

 private:
  std::vector<PresentRow> rows_;
  std::vector<base::Result<model::Sighting>> sightings_;  // parallel
  std::atomic<std::size_t> taken_ = 0;
};

}  // namespace

base::Result<model::Sighting> ReadSightingBlob(base::ByteView blob, std::string_view path,
                                               std::int64_t encoding) {
  v1::Sighting message;
  return ReadSightingBy(message, blob, path, encoding);
}

void BindContent(Statement& statement, const model::Sighting& sighting) {
  const model::Facts& facts = sighting.facts;
  std::optional<std::int64_t> parameters;
  if (facts.parameters.has_value()) parameters = Column(*facts.parameters);
  statement.Bind(Column(sighting.size_bytes))
      .Bind(Column(sighting.modified_at))
      .Bind(sighting.owner.name)
      .Bind(EnumColumn(facts.format))
      .Bind(facts.name)
      .Bind(facts.architecture)
      .Bind(facts.license)
      .Bind(facts.quantization)
      .Bind(parameters)
      .Bind(WorstSeverity(facts));
}

void BindFacts(Statement& statement, const model::Sighting& sighting) {
  BindContent(statement, sighting);
  statement.Bind(EnumColumn(sighting.digest.state));
}

VerdictColumns ColumnsOf(const model::Verdict& verdict) {
  VerdictColumns columns{verdict.outcome,
                         verdict.rule,
                         verdict.basis,
                         verdict.step,
                         verdict.mode,
                         verdict.severity,
                         SetColumn(verdict.audits),
                         verdict.policy_version};
  return columns;
}

void BindVerdictColumns(Statement& statement, const VerdictColumns& columns) {
  statement.Bind(EnumColumn(columns.outcome))
      .Bind(columns.rule)
      .Bind(EnumColumn(columns.basis))
      .Bind(EnumColumn(columns.step))
      .Bind(EnumColumn(columns.mode))
      .Bind(EnumColumn(columns.severity))
      .Bind(columns.audits)
      .Bind(Column(columns.policy_version));
}

void BindNoVerdict(Statement& statement) {
  statement.BindNull().BindNull().BindNull().BindNull().BindNull().BindNull();
  statement.Bind(std::string_view()).BindNull();
}

VerdictColumns ReadVerdictColumns(const Statement& row, int column) {
  return {static_cast<model::Outcome>(row.Int(column)),
          row.Text(column + 1),
          static_cast<model::Basis>(row.Int(column + 2)),
          static_cast<model::JudgementStep>(row.Int(column + 3)),
          static_cast<model::Mode>(row.Int(column + 4)),
          static_cast<model::Severity>(row.Int(column + 5)),
          row.Text(column + 6),
          Number(row, column + 7)};
}

Status VisitPresentSightings(const Snapshot& snapshot,
                             const std::function<base::Status(const PresentSighting&)>& visit) {
  WM_ASSIGN_OR_RETURN(const Endpoints endpoints, ReadEndpoints(snapshot));
  // In the order in which the rows lie: by an index each would be looked for.
  WM_ASSIGN_OR_RETURN(
      Statement rows,
      snapshot.Prepare("SELECT endpoint, sighting, path, path_encoding, outcome, rule, mode, "
                       "severity FROM sightings NOT INDEXED WHERE gone_us IS NULL"));
  // While others read some rows, those before them are visited and those behind them fetched.
  PresentRows batches[2];
  PresentRows* reading = &batches[0];
  PresentRows* visiting = &batches[1];
  WM_ASSIGN_OR_RETURN(std::vector<PresentRow> next, NextPresentRows(rows, endpoints));
  while (!next.empty() || !visiting->rows().empty()) {
    reading->Set(std::move(next));
    next.clear();
    const std::vector<std::jthread> others = reading->ReadOnOthers();
    WM_RETURN_IF_ERROR(visiting->Visit(visit));
    if (reading->rows().size() == kRowsAtOnce) {
      WM_ASSIGN_OR_RETURN(next, NextPresentRows(rows, endpoints));
    }
    reading->Read();
    std::swap(reading, visiting);
  }
  return {};
}

Status FillFacts(sqlite::Database& database) {
  WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(database));
  while (true) {
    WM_ASSIGN_OR_RETURN(const auto rows, NextUnfilled(database));
    if (rows.empty()) break;
    for (const Unfilled& row : rows) WM_RETURN_IF_ERROR(FillSighting(database, row));
  }
  WM_RETURN_IF_ERROR(FillVerdicts(database, "verdicts", "judged_us"));
  WM_RETURN_IF_ERROR(FillVerdicts(database, "past_verdicts", "from_us"));
  return transaction.Commit();
}

}  // namespace weighmaster::server::store
