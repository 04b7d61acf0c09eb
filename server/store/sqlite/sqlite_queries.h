#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/store/store.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// Queries over one SQLite connection: one of its own, read-only, or the writer's where the database
// lives in memory. Each call is one read transaction, so rows, totals and coverage agree.
class SqliteQueries final : public Queries {
 public:
  // Over a connection of its own.
  explicit SqliteQueries(std::unique_ptr<sqlite::Database> database)
      : owned_(std::move(database)), database_(*owned_) {}
  // Over one that must outlive it.
  explicit SqliteQueries(sqlite::Database& database) : database_(database) {}

  base::Result<FleetRecord> Fleet() override;
  base::Result<std::vector<wire::SignedDocument>> Roots() override;
  base::Result<EndpointIdentity> FindEndpoint(const model::Id& id) override;
  base::Result<ChainHead> FindChain(const model::Id& endpoint, const model::Id& chain) override;
  base::Result<AdminTokenRecord> FindAdminToken(const model::Sha256& secret_sha256) override;
  base::Result<Page<AdminTokenRecord>> ListAdminTokens(const Scope& scope,
                                                       const PageQuery& page) override;
  base::Result<Page<AuditEntry>> ListAuditEntries(const PageQuery& page) override;
  base::Result<StoredBundle> FindBundle(const Scope& scope, std::uint64_t version) override;
  base::Result<bool> HasPart(const model::Sha256& sha256) override;
  base::Result<PartPiece> ReadPart(const model::Sha256& sha256, std::uint64_t offset) override;
  base::Result<ExceptionSetRecord> FindExceptions(
      const Scope& scope, const std::optional<model::Id>& endpoint) override;
  base::Result<Page<ExceptionRow>> ListExceptions(const Scope& scope,
                                                  const ExceptionQuery& query) override;
  base::Result<std::vector<model::ExceptionSet>> ExceptionSets(const Scope& scope) override;
  base::Result<EndpointEvidence> FindEvidence(const Scope& scope, const model::Id& endpoint,
                                              const BatchRange& range) override;
  base::Result<BatchPage> ListBatches(const Scope& scope, const BatchQuery& query) override;
  base::Result<Page<EndpointRow>> ListEndpoints(const Scope& scope,
                                                const EndpointQuery& query) override;
  base::Result<EndpointRow> GetEndpoint(const Scope& scope, const model::Id& id,
                                        std::optional<base::WallTime> as_of) override;
  base::Result<SightingPage> ListSightings(const Scope& scope, const SightingQuery& query) override;
  base::Status VisitPresent(
      const Scope& scope,
      const std::function<base::Status(const PresentSighting&)>& visit) override;
  base::Result<Page<ArtifactRow>> ListArtifacts(const Scope& scope, const PageQuery& page) override;
  base::Result<Page<EventRow>> ListEvents(const Scope& scope, const model::Id& endpoint,
                                          const PageQuery& page) override;
  base::Result<VerdictCounts> CountVerdicts(const Scope& scope,
                                            const std::optional<model::Id>& endpoint,
                                            std::optional<base::WallTime> as_of) override;
  base::Result<store::Statistics> Statistics(const Scope& scope) override;
  base::Result<Page<PolicyRow>> ListPolicies(const Scope& scope, const PageQuery& page) override;
  base::Result<FleetCoverage> Coverage(const Scope& scope) override;
  base::Result<Page<FindingRow>> ListFindings(const Scope& scope, bool include_resolved,
                                              const PageQuery& page) override;
  base::Result<FindingDetails> GetFinding(const Scope& scope, std::uint64_t id) override;
  base::Result<ChangePage> ListChanges(const Scope& scope, const ChangeQuery& query) override;

 private:
  std::unique_ptr<sqlite::Database> owned_;
  sqlite::Database& database_;
};

}  // namespace weighmaster::server::store
