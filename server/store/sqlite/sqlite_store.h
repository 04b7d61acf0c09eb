#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "server/store/sqlite/batch_writer.h"
#include "server/store/store.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// The store of a server that is one machine: one SQLite file. All writing goes through one
// connection, on ONE thread (an executor of one thread in the programs, the loop itself in the
// simulator). OpenQueries gives connections of their own, read-only, each for a thread of its own:
// in WAL mode a reader sees the last commit and never stops the writer, so dashboards do not stop
// ingest. ":memory:" has one connection only; then store and queries belong to the same thread.
//
// A full disk (RESOURCE_EXHAUSTED) or a busy file (UNAVAILABLE) leaves the store as it was and
// usable; a commit that returned success survives a power cut (synchronous=FULL).
class SqliteStore final : public Store {
 public:
  // Creates the file and brings its tables up to date. FAILED_PRECONDITION when a newer program
  // wrote it.
  static base::Result<std::unique_ptr<SqliteStore>> Open(const std::string& path);

  base::Result<std::unique_ptr<Queries>> OpenQueries() override;
  base::Status AdoptFleet(const std::string& fleet_id, const model::Id& lineage,
                          std::uint64_t root_version, const wire::SignedDocument& root) override;
  base::Status AddToken(const EnrolmentTokenRecord& token) override;
  base::Status AddAdminToken(const AdminTokenRecord& token) override;
  base::Status RevokeAdminToken(const Scope& scope, const model::Id& token,
                                base::WallTime now) override;
  base::Result<std::uint64_t> AppendAudit(const wire::AuditRow& row) override;
  base::Result<model::Id> Enrol(const model::Sha256& token, base::WallTime now,
                                const NewEndpoint& endpoint) override;
  base::Status Revoke(const Scope& scope, const model::Id& endpoint, const std::string& reason,
                      base::WallTime now) override;
  base::Status SetLabels(const Scope& scope, const model::Id& endpoint, const Labels& labels,
                         base::WallTime now) override;
  base::Result<std::vector<BatchOutcome>> CommitBatches(std::span<const BatchWrite> batches,
                                                        const FindingRules& rules) override;
  base::Status UpdateFinding(const Scope& scope, std::uint64_t id,
                             const FindingComment& comment) override;
  base::Status RecordFindings(std::span<const FindingChange> changes) override;
  base::Status RecordContacts(std::span<const Contact> contacts) override;
  base::Status Publish(const NewBundle& bundle) override;
  base::Status PublishExceptions(const Scope& scope, const ExceptionSetRecord& exceptions) override;

 private:
  SqliteStore(std::string path, std::unique_ptr<sqlite::Database> database)
      : path_(std::move(path)), database_(std::move(database)) {}

  struct KnownKey {
    std::int64_t token = 0;
    model::Id endpoint;
    bool revoked = false;
  };
  base::Status AdoptRoot(std::uint64_t version, const wire::SignedDocument& root);
  base::Result<std::optional<wire::Root>> NewestRoot();
  base::Status CheckStoredRoot(std::uint64_t version, const wire::SignedDocument& root);
  base::Status GoBackToTrusted(const wire::Root& root);
  base::Result<std::optional<KnownKey>> FindKey(const model::Sha256& key_id);
  // The token's small number, when it may be used now or was used for this key before.
  base::Result<std::int64_t> SpendToken(const model::Sha256& token, base::WallTime now,
                                        const std::optional<KnownKey>& known);
  // With the labels of the token.
  base::Status AddEndpoint(std::int64_t token, base::WallTime now, const NewEndpoint& endpoint);
  // NOT_FOUND when there is no such endpoint in the scope.
  base::Status CheckInScope(const Scope& scope, const model::Id& endpoint);

  // All of them or, where one can't be stored, none and an error.
  base::Result<std::vector<BatchOutcome>> CommitTogether(std::span<const BatchWrite> batches,
                                                         const FindingRules& rules);
  // Each by itself, so that one that can't be stored is refused without the others: slower.
  base::Result<std::vector<BatchOutcome>> CommitApart(std::span<const BatchWrite> batches,
                                                      const FindingRules& rules);
  base::Result<BatchOutcome> CommitOne(BatchWriter& writer, const BatchWrite& batch);

  base::Status EndSightings(const model::Id& endpoint, base::WallTime now);
  base::Status AddPart(const BundlePart& part);
  base::Status CheckParts(const wire::BundleManifest& manifest);

  base::Result<std::int64_t> Count(std::string_view sql, std::optional<base::WallTime> now);

  const std::string path_;
  const std::unique_ptr<sqlite::Database> database_;
};

}  // namespace weighmaster::server::store
