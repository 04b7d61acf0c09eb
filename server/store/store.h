#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/base/result.h"
#include "server/store/values.h"

namespace weighmaster::server::store {

// What can be asked of the store. Every call is one consistent read; a list or count that takes
// longer than limits::kMaxQueryTime is FAILED_PRECONDITION. An instance belongs to one
// thread at a time and must not outlive the Store it came from; a server may open several. With a
// scope it is as if only the endpoints in it existed; what has none is the server's own to ask, or
// of the fleet as a whole.
class Queries {
 public:
  virtual ~Queries() = default;

  virtual base::Result<FleetRecord> Fleet() = 0;
  // All root documents, by version, 1 first.
  virtual base::Result<std::vector<wire::SignedDocument>> Roots() = 0;

  // NOT_FOUND when there is no such endpoint.
  virtual base::Result<EndpointIdentity> FindEndpoint(const model::Id& id) = 0;
  // Number 0 when nothing of this chain is stored, or it is another endpoint's.
  virtual base::Result<ChainHead> FindChain(const model::Id& endpoint, const model::Id& chain) = 0;
  // Also one that expired or was revoked: that is the caller's to judge.
  virtual base::Result<AdminTokenRecord> FindAdminToken(const model::Sha256& secret_sha256) = 0;
  // Those that ask for all that the scope does.
  virtual base::Result<Page<AdminTokenRecord>> ListAdminTokens(const Scope& scope,
                                                               const PageQuery& page) = 0;
  // Oldest first.
  virtual base::Result<Page<AuditEntry>> ListAuditEntries(const PageQuery& page) = 0;

  // 0: the newest. NOT_FOUND when there is none.
  virtual base::Result<StoredBundle> FindBundle(const Scope& scope, std::uint64_t version) = 0;
  virtual base::Result<bool> HasPart(const model::Sha256& sha256) = 0;
  // NOT_FOUND when there is no such part; OUT_OF_RANGE past its end.
  virtual base::Result<PartPiece> ReadPart(const model::Sha256& sha256, std::uint64_t offset) = 0;

  // The newest set of the endpoint, or of the fleet. NOT_FOUND when there is none.
  virtual base::Result<ExceptionSetRecord> FindExceptions(
      const Scope& scope, const std::optional<model::Id>& endpoint) = 0;
  // In the order in which they were granted.
  virtual base::Result<Page<ExceptionRow>> ListExceptions(const Scope& scope,
                                                          const ExceptionQuery& query) = 0;
  // The newest set of each endpoint and of the fleet.
  virtual base::Result<std::vector<model::ExceptionSet>> ExceptionSets(const Scope& scope) = 0;

  // What has to be known beside its batches of this range. NOT_FOUND when there is no such
  // endpoint. RESOURCE_EXHAUSTED past limits::kMaxEvidence…. Reads through the events of the range.
  virtual base::Result<EndpointEvidence> FindEvidence(const Scope& scope, const model::Id& endpoint,
                                                      const BatchRange& range) = 0;
  // Up to limits::kMaxBatchesPerAnswer and kMaxBatchesAnswerBytes, the first one in any case. None
  // where the endpoint has no such chain. NOT_FOUND when there is no such endpoint.
  virtual base::Result<BatchPage> ListBatches(const Scope& scope, const BatchQuery& query) = 0;

  virtual base::Result<Page<EndpointRow>> ListEndpoints(const Scope& scope,
                                                        const EndpointQuery& query) = 0;
  // NOT_FOUND when there is no such endpoint, or was not yet; so for CountVerdicts.
  virtual base::Result<EndpointRow> GetEndpoint(const Scope& scope, const model::Id& id,
                                                std::optional<base::WallTime> as_of) = 0;
  virtual base::Result<SightingPage> ListSightings(const Scope& scope,
                                                   const SightingQuery& query) = 0;
  // Shows every sighting that is present, in no order. Takes seconds for a million. An error of
  // `visit` ends it and comes back.
  virtual base::Status VisitPresent(
      const Scope& scope, const std::function<base::Status(const PresentSighting&)>& visit) = 0;
  virtual base::Result<Page<ArtifactRow>> ListArtifacts(const Scope& scope,
                                                        const PageQuery& page) = 0;
  // NOT_FOUND when there is no such endpoint.
  virtual base::Result<Page<EventRow>> ListEvents(const Scope& scope, const model::Id& endpoint,
                                                  const PageQuery& page) = 0;
  virtual base::Result<VerdictCounts> CountVerdicts(const Scope& scope,
                                                    const std::optional<model::Id>& endpoint,
                                                    std::optional<base::WallTime> as_of) = 0;
  virtual base::Result<store::Statistics> Statistics(const Scope& scope) = 0;
  virtual base::Result<Page<PolicyRow>> ListPolicies(const Scope& scope, const PageQuery& page) = 0;
  virtual base::Result<FleetCoverage> Coverage(const Scope& scope) = 0;
  // Newest first. Those that are resolved or dismissed only when they are asked for.
  virtual base::Result<Page<FindingRow>> ListFindings(const Scope& scope, bool include_resolved,
                                                      const PageQuery& page) = 0;
  // NOT_FOUND when there is no such finding.
  virtual base::Result<FindingDetails> GetFinding(const Scope& scope, std::uint64_t id) = 0;
  // Oldest first. OUT_OF_RANGE: so much has changed since `after` that it is not kept any more, or
  // the position is not of this store.
  virtual base::Result<ChangePage> ListChanges(const Scope& scope, const ChangeQuery& query) = 0;
};

// The server's memory. Every call is one whole transaction: when it returns an error nothing of it
// was stored, and it may be tried again. RESOURCE_EXHAUSTED (a full disk) and UNAVAILABLE pass by
// themselves. An instance belongs to one thread at a time: a server gives it an executor of one
// thread. With a scope, what belongs to an endpoint outside is NOT_FOUND.
class Store {
 public:
  virtual ~Store() = default;

  // A new connection for reading, for a thread of its own where the store can.
  virtual base::Result<std::unique_ptr<Queries>> OpenQueries() = 0;

  // At each start. The first time it makes this the store of the fleet, with this lineage; later it
  // only checks: FAILED_PRECONDITION when the store is another fleet's. `root` is stored when it is
  // newer than those that are there; it must then be the next one, signed by the keys of the newest
  // (wire::VerifyNextRoot), or nothing is stored. One that takes a key of the role `policy` away
  // makes the newest policy that it still trusts, and that one's floor, those of the fleet.
  // FAILED_PRECONDITION: another root of this version is there.
  virtual base::Status AdoptFleet(const std::string& fleet_id, const model::Id& lineage,
                                  std::uint64_t root_version, const wire::SignedDocument& root) = 0;

  virtual base::Status AddToken(const EnrolmentTokenRecord& token) = 0;
  // RESOURCE_EXHAUSTED: limits::kMaxAdminTokens are there that are not revoked.
  virtual base::Status AddAdminToken(const AdminTokenRecord& token) = 0;
  // Again is fine. NOT_FOUND when there is no such token that asks for all that the scope does.
  // FAILED_PRECONDITION: no token of the role admin and for the whole fleet would be good at `now`,
  // and nobody could make another.
  virtual base::Status RevokeAdminToken(const Scope& scope, const model::Id& token,
                                        base::WallTime now) = 0;
  // Puts the row at the end of the audit log: its number and digest are given here. The number.
  virtual base::Result<std::uint64_t> AppendAudit(const wire::AuditRow& row) = 0;

  // Spends one use of the token and adds the endpoint. An agent that lost the answer and asks again
  // with the same token and key gets the id that it got, and no use is spent. UNAUTHENTICATED: the
  // token is unknown, used up or expired, and the message says which. PERMISSION_DENIED: this key
  // was revoked.
  virtual base::Result<model::Id> Enrol(const model::Sha256& token, base::WallTime now,
                                        const NewEndpoint& endpoint) = 0;
  // Whatever was present on it ends at `now`. Again is fine. NOT_FOUND when there is no such
  // endpoint.
  virtual base::Status Revoke(const Scope& scope, const model::Id& endpoint,
                              const std::string& reason, base::WallTime now) = 0;

  // All that it has from now on. NOT_FOUND when there is no such endpoint. PERMISSION_DENIED: the
  // scope would not have it any more.
  virtual base::Status SetLabels(const Scope& scope, const model::Id& endpoint,
                                 const Labels& labels, base::WallTime now) = 0;

  // Group commit: one transaction, one outcome a batch, in order. Each batch is checked against its
  // endpoint, key and chain, stored or kept apart, and projected (sightings, verdicts, coverage,
  // policy in force); its findings are stored with it. A batch that cannot be stored never fails
  // the others. Endpoints are taken in the order in which they come, so the caller decides what
  // waits.
  virtual base::Result<std::vector<BatchOutcome>> CommitBatches(std::span<const BatchWrite> batches,
                                                                const FindingRules& rules) = 0;
  // What an administrator does with a finding, or says of it. NOT_FOUND when there is no such
  // finding. Past limits::kMaxFindingComments nobody is remembered for a state, and whoever says
  // something gets RESOURCE_EXHAUSTED.
  virtual base::Status UpdateFinding(const Scope& scope, std::uint64_t id,
                                     const FindingComment& comment) = 0;
  virtual base::Status RecordFindings(std::span<const FindingChange> changes) = 0;
  // Endpoints that are not there are passed over.
  virtual base::Status RecordContacts(std::span<const Contact> contacts) = 0;

  // FAILED_PRECONDITION: the version is not above the newest, is more than
  // limits::kMaxPolicyVersionStep above it, or was published before; the floor would sink, or a
  // part is missing. The same bundle again is fine. That it is signed is the caller's to know.
  virtual base::Status Publish(const NewBundle& bundle) = 0;
  // PERMISSION_DENIED: the set is the fleet's, and the scope is narrower. ABORTED: the version is
  // not the one after the newest of its endpoint or of the fleet, since somebody else has
  // published one meanwhile. NOT_FOUND: there is no such endpoint. The same set again is fine.
  virtual base::Status PublishExceptions(const Scope& scope,
                                         const ExceptionSetRecord& exceptions) = 0;
};

}  // namespace weighmaster::server::store
