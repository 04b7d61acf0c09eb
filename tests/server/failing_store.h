#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/store/store.h"

namespace weighmaster::tests {

// A store whose commits fail when it is told to: before anything is written (a full disk), or after
// the commit went through and the answer was lost (a crash between the two).
class FailingStore final : public server::store::Store {
 public:
  enum class Mode : std::uint8_t { kWell, kBeforeCommit, kAfterCommit };

  explicit FailingStore(server::store::Store& real) : real_(real) {}

  // The next `times` commits fail so.
  void Fail(Mode mode, int times) {
    mode_ = mode;
    left_ = times;
  }
  int commits() const { return commits_; }

  base::Result<std::vector<server::store::BatchOutcome>> CommitBatches(
      std::span<const server::store::BatchWrite> batches,
      const server::store::FindingRules& rules) override {
    ++commits_;
    if (left_ == 0) return real_.CommitBatches(batches, rules);
    --left_;
    if (mode_ == Mode::kAfterCommit) static_cast<void>(real_.CommitBatches(batches, rules));
    return base::ResourceExhausted("SQLite: database or disk is full");
  }

  base::Result<std::unique_ptr<server::store::Queries>> OpenQueries() override {
    return real_.OpenQueries();
  }
  base::Status AdoptFleet(const std::string& fleet_id, const model::Id& lineage,
                          std::uint64_t root_version, const wire::SignedDocument& root) override {
    return real_.AdoptFleet(fleet_id, lineage, root_version, root);
  }
  base::Status AddToken(const server::store::EnrolmentTokenRecord& token) override {
    return real_.AddToken(token);
  }
  base::Status AddAdminToken(const server::store::AdminTokenRecord& token) override {
    return real_.AddAdminToken(token);
  }
  base::Status RevokeAdminToken(const server::store::Scope& scope, const model::Id& token,
                                base::WallTime now) override {
    return real_.RevokeAdminToken(scope, token, now);
  }
  // After so many rows of the audit log the next `times` fail.
  void FailAudit(int after, int times) {
    audits_well_ = after;
    audits_left_ = times;
  }
  base::Result<std::uint64_t> AppendAudit(const wire::AuditRow& row) override {
    if (audits_well_ > 0) {
      --audits_well_;
    } else if (audits_left_ > 0) {
      --audits_left_;
      return base::ResourceExhausted("SQLite: database or disk is full");
    }
    return real_.AppendAudit(row);
  }
  base::Result<model::Id> Enrol(const model::Sha256& token, base::WallTime now,
                                const server::store::NewEndpoint& endpoint) override {
    return real_.Enrol(token, now, endpoint);
  }
  base::Status Revoke(const server::store::Scope& scope, const model::Id& endpoint,
                      const std::string& reason, base::WallTime now) override {
    return real_.Revoke(scope, endpoint, reason, now);
  }
  base::Status SetLabels(const server::store::Scope& scope, const model::Id& endpoint,
                         const server::store::Labels& labels, base::WallTime now) override {
    return real_.SetLabels(scope, endpoint, labels, now);
  }
  base::Status UpdateFinding(const server::store::Scope& scope, std::uint64_t id,
                             const server::store::FindingComment& comment) override {
    return real_.UpdateFinding(scope, id, comment);
  }
  base::Status RecordFindings(std::span<const server::store::FindingChange> changes) override {
    return real_.RecordFindings(changes);
  }
  base::Status RecordContacts(std::span<const server::store::Contact> contacts) override {
    return real_.RecordContacts(contacts);
  }
  base::Status PublishExceptions(const server::store::Scope& scope,
                                 const server::store::ExceptionSetRecord& exceptions) override {
    return real_.PublishExceptions(scope, exceptions);
  }
  base::Status Publish(const server::store::NewBundle& bundle) override {
    return real_.Publish(bundle);
  }

 private:
  server::store::Store& real_;
  Mode mode_ = Mode::kWell;
  int left_ = 0;
  int commits_ = 0;
  int audits_left_ = 0;
  int audits_well_ = 0;
};

}  // namespace weighmaster::tests
