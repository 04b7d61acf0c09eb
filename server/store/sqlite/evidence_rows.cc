#include "server/store/sqlite/evidence_rows.h"

#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "server/store/sqlite/columns/rows.h"
#include "weighmaster/v1/batch.pb.h"
#include "weighmaster/v1/event.pb.h"

namespace weighmaster::server::store {
namespace {

namespace limits = base::limits;
using base::Result;
using base::Status;
using sqlite::Statement;

// Takes the next four parameters.
#define WM_IN_RANGE "number >= ? AND number <= ? AND received_us >= ? AND received_us <= ?"
void BindRange(Statement& statement, const BatchRange& range) {
  constexpr std::int64_t kFirst = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();
  statement.Bind(Column(range.first_number))
      .Bind(Column(range.last_number))
      .Bind(range.from ? Column(*range.from) : kFirst)
      .Bind(range.until ? Column(*range.until) : kLast);
}

base::Error TooMuch(std::string_view what) {
  return base::ResourceExhausted("this endpoint has too many " + std::string(what) +
                                 " for one file of evidence; ask for a narrower range");
}

Status ReadKeys(sqlite::Database& database, std::int64_t endpoint, EndpointEvidence& evidence) {
  WM_ASSIGN_OR_RETURN(Statement rows,
                      database.Prepare("SELECT spki, first_number, last_number, added_us, "
                                       "revoked_us FROM keys WHERE endpoint = ? ORDER BY id"));
  rows.Bind(endpoint);
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return {};
    if (evidence.keys.size() == limits::kMaxEvidenceKeys) return TooMuch("keys");
    WM_ASSIGN_OR_RETURN(auto key, Stored(openssl::PublicKey::FromSpki(rows.Blob(0)), "public key"));
    wire::EvidenceKey& out = evidence.keys.emplace_back(wire::EvidenceKey{
        std::move(key), Number(rows, 1), std::nullopt, Time(rows, 3), MaybeTime(rows, 4)});
    if (!rows.IsNull(2)) out.last_number = Number(rows, 2);
  }
}

// A chain's small number and the numbers of its events that lie in the range.
struct ChainRows {
  std::int64_t id = 0;
  std::int64_t first_event = 0;
  std::int64_t end_event = 0;
};

// The batches from the first to the last that the range has: by the server's clock, which may have
// been set back, some between them may lie outside, and a chain with gaps would prove less.
Status ReadChains(sqlite::Database& database, std::int64_t endpoint, const BatchRange& range,
                  EndpointEvidence& evidence, std::vector<ChainRows>& found) {
  WM_ASSIGN_OR_RETURN(
      Statement rows,
      database.Prepare(
          "SELECT c.id, c.chain_id, r.first, r.last, c.next_number - 1, c.superseded_us, "
          "f.first_event, l.first_event + l.event_count, l.header_digest FROM (SELECT chain, "
          "min(number) AS first, max(number) AS last FROM batches WHERE chain IN (SELECT id FROM "
          "chains WHERE endpoint = ?) AND " WM_IN_RANGE " GROUP BY chain) r "
          "JOIN chains c ON c.id = r.chain "
          "JOIN batches f ON f.chain = r.chain AND f.number = r.first "
          "JOIN batches l ON l.chain = r.chain AND l.number = r.last ORDER BY c.id"));
  rows.Bind(endpoint);
  BindRange(rows, range);
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return {};
    if (found.size() == limits::kMaxEvidenceChains) return TooMuch("chains");
    wire::EvidenceChain& chain = evidence.chains.emplace_back();
    WM_ASSIGN_OR_RETURN(chain.chain, Stored(model::IdFromBytes(rows.Blob(1)), "chain id"));
    chain.first_number = Number(rows, 2);
    chain.last_number = Number(rows, 3);
    chain.head_number = Number(rows, 4);
    chain.superseded = MaybeTime(rows, 5);
    WM_ASSIGN_OR_RETURN(const auto digest, Stored(model::Sha256FromBytes(rows.Blob(8)), "digest"));
    evidence.last_digests.push_back(digest);
    found.push_back({rows.Int(0), rows.Int(6), rows.Int(7)});
  }
}

Result<std::uint64_t> CountBodies(sqlite::Database& database, const ChainRows& chain) {
  WM_ASSIGN_OR_RETURN(Statement count,
                      database.Prepare("SELECT count(body) FROM events WHERE chain = ? AND "
                                       "number >= ? AND number < ?"));
  count.Bind(chain.id).Bind(chain.first_event).Bind(chain.end_event);
  WM_RETURN_IF_ERROR(count.Step());
  return Number(count, 0);
}

// Each once, and no more at a time than may be told: an endpoint can say any number of them.
using AppliedPolicies = std::set<wire::EvidenceAppliedPolicy>;

Status AddPolicy(AppliedPolicies& policies, const wire::EvidenceAppliedPolicy& policy) {
  policies.insert(policy);
  if (policies.size() > limits::kMaxEvidencePolicies) return TooMuch("policies");
  return {};
}

Status ReadAppliedPolicies(sqlite::Database& database, const ChainRows& chain,
                           AppliedPolicies& policies) {
  WM_ASSIGN_OR_RETURN(Statement rows,
                      database.Prepare("SELECT body FROM events WHERE chain = ? AND number >= ? "
                                       "AND number < ? AND kind = ? AND body IS NOT NULL"));
  rows.Bind(chain.id)
      .Bind(chain.first_event)
      .Bind(chain.end_event)
      .Bind(std::int64_t{v1::Event::kPolicyAppliedFieldNumber});
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return {};
    WM_ASSIGN_OR_RETURN(const model::Event event,
                        Stored(wire::ParseEvent(Chars(rows, 0)), "event"));
    if (const auto* applied = std::get_if<model::PolicyApplied>(&event.body)) {
      WM_RETURN_IF_ERROR(AddPolicy(policies, {applied->version, applied->manifest}));
    }
  }
}

Status ReadEndpoint(sqlite::Database& database, std::int64_t endpoint, EndpointEvidence& evidence,
                    AppliedPolicies& policies) {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database.Prepare("SELECT hostname, policy_version, policy_manifest "
                                       "FROM endpoints WHERE id = ?"));
  WM_RETURN_IF_ERROR(find.Bind(endpoint).Step());
  evidence.hostname = find.Text(0);
  if (find.IsNull(2)) return {};
  WM_ASSIGN_OR_RETURN(const auto manifest, Stored(model::Sha256FromBytes(find.Blob(2)), "digest"));
  return AddPolicy(policies, {Number(find, 1), manifest});
}

Status ReadQuarantined(sqlite::Database& database, std::int64_t endpoint, const BatchRange& range,
                       EndpointEvidence& evidence) {
  WM_ASSIGN_OR_RETURN(
      Statement rows,
      database.Prepare("SELECT header_digest, reason, received_us FROM "
                       "quarantined_batches WHERE endpoint = ? AND " WM_IN_RANGE " ORDER BY id"));
  rows.Bind(endpoint);
  BindRange(rows, range);
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return {};
    WM_ASSIGN_OR_RETURN(const auto digest, Stored(model::Sha256FromBytes(rows.Blob(0)), "digest"));
    evidence.quarantined.push_back(
        {digest, static_cast<QuarantineReason>(rows.Int(1)), Time(rows, 2)});
  }
}

Status ReadEvents(sqlite::Database& database, std::int64_t chain, std::int64_t first,
                  std::int64_t end, wire::SealedBatch& batch) {
  WM_ASSIGN_OR_RETURN(Statement rows,
                      database.Prepare("SELECT salt, body, leaf FROM events WHERE chain = ? AND "
                                       "number >= ? AND number < ? ORDER BY number"));
  rows.Bind(chain).Bind(first).Bind(end);
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return {};
    wire::BatchEvent& event = batch.events.emplace_back();
    event.salt = Chars(rows, 0);
    event.body = Chars(rows, 1);
    if (!rows.IsNull(2)) {
      WM_ASSIGN_OR_RETURN(event.leaf, Stored(model::Sha256FromBytes(rows.Blob(2)), "leaf"));
    }
  }
}

Result<wire::SealedBatch> ReadBatch(sqlite::Database& database, const Statement& row) {
  wire::SealedBatch batch;
  batch.header = Chars(row, 1);
  WM_ASSIGN_OR_RETURN(batch.signature,
                      Stored(openssl::SignatureFromBytes(row.Blob(2)), "signature"));
  WM_RETURN_IF_ERROR(ReadEvents(database, row.Int(3), row.Int(4), row.Int(4) + row.Int(5), batch));
  return batch;
}

Result<wire::SealedBatch> ReadQuarantinedBatch(sqlite::Database&, const Statement& row) {
  v1::SealedBatch message;
  const base::ByteView bytes = row.Blob(1);
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::DataLoss("the store holds a quarantined batch that cannot be read");
  }
  return Stored(wire::FromProto(message), "quarantined batch");
}

constexpr std::string_view kBatchRows =
    "SELECT number, header, signature, chain, first_event, event_count FROM batches "
    "WHERE chain = ? AND number >= ? AND " WM_IN_RANGE " ORDER BY number";
constexpr std::string_view kQuarantinedRows =
    "SELECT id, sealed_batch FROM quarantined_batches "
    "WHERE endpoint = ? AND id >= ? AND " WM_IN_RANGE " ORDER BY id";

}  // namespace

Result<EndpointEvidence> ReadEvidence(sqlite::Database& database, std::int64_t endpoint,
                                      const BatchRange& range) {
  EndpointEvidence evidence;
  AppliedPolicies policies;
  WM_RETURN_IF_ERROR(ReadEndpoint(database, endpoint, evidence, policies));
  WM_RETURN_IF_ERROR(ReadKeys(database, endpoint, evidence));
  std::vector<ChainRows> chains;
  WM_RETURN_IF_ERROR(ReadChains(database, endpoint, range, evidence, chains));
  for (std::size_t i = 0; i < chains.size(); ++i) {
    WM_ASSIGN_OR_RETURN(evidence.chains[i].bodies, CountBodies(database, chains[i]));
    WM_RETURN_IF_ERROR(ReadAppliedPolicies(database, chains[i], policies));
  }
  WM_RETURN_IF_ERROR(ReadQuarantined(database, endpoint, range, evidence));
  evidence.policies.assign(policies.begin(), policies.end());
  return evidence;
}

Result<BatchPage> ReadBatches(sqlite::Database& database, std::int64_t endpoint,
                              const BatchQuery& query) {
  BatchPage page;
  std::int64_t owner = endpoint;
  if (query.chain) {
    WM_ASSIGN_OR_RETURN(
        Statement find,
        database.Prepare("SELECT id FROM chains WHERE chain_id = ? AND endpoint = ?"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(query.chain->view()).Bind(endpoint).Step());
    if (!found) return page;
    owner = find.Int(0);
  }
  WM_ASSIGN_OR_RETURN(Statement rows,
                      database.Prepare(query.chain ? kBatchRows : kQuarantinedRows));
  rows.Bind(owner).Bind(Column(query.from));
  BindRange(rows, query.range);
  std::size_t bytes = 0;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return page;
    WM_ASSIGN_OR_RETURN(wire::SealedBatch batch, query.chain
                                                     ? ReadBatch(database, rows)
                                                     : ReadQuarantinedBatch(database, rows));
    bytes += batch.ByteSize();
    const bool full = page.batches.size() == limits::kMaxBatchesPerAnswer ||
                      bytes > limits::kMaxBatchesAnswerBytes;
    if (full && !page.batches.empty()) {
      page.next = Number(rows, 0);
      return page;
    }
    page.batches.push_back(std::move(batch));
  }
}

}  // namespace weighmaster::server::store
