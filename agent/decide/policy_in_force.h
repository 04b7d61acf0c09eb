#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/decide/exception_sets.h"
#include "agent/decide/judge.h"
#include "agent/decide/subjects.h"
#include "agent/decide/vault.h"
#include "agent/journal/event_log.h"
#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/event.h"
#include "policy/model/settings.h"
#include "proto/wire/trust.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::agent::decide {

// What is to be done with a bundle that a server offers.
enum class OfferNeeds : std::uint8_t {
  kNothing,  // it is in force already
  kParts,    // `missing` have to be fetched first
  kApply,    // everything is here
  kRefused,  // it changes nothing; the event that says why is written
};
struct Considered {
  OfferNeeds needs = OfferNeeds::kNothing;
  std::vector<wire::PartReference> missing;
  wire::BundleManifest manifest;  // unless refused
  std::string detail;             // when refused: why
};

// The policy of this endpoint over its life: which root it trusts, which bundle is in force, what
// becomes of the next one. Nothing but a verified bundle with whole, verified parts changes
// anything; the last good one stays in force until then, also past its expiry.
//
// A bundle comes into force in this order: record committed in the vault; Judge set; subjects
// judged again; one PolicyApplied event, in one transaction with the note that it was told. An
// agent that dies in between finds the note missing at its next start and goes on from the judging.
// When something in the policy expires, subjects are judged again, and nothing but the verdicts
// that change is told.
//
// A refused bundle is told once, and at most limits::kMaxRefusalsToldPerHour are told in an hour.
//
// Loop-owned; everything passed to Open() must outlive it. A returned Error is the storage's (a
// full disk): nothing has changed and the same call may be made again.
class PolicyInForce {
 public:
  struct Rooms {
    PolicyVault& vault;
    Judge& judge;
    Subjects& subjects;
    journal::EventLog& events;
    sqlite::Database& database;
    base::Loop& loop;
    const base::Clock& clock;
  };

  // Brings the last good bundle into force again, verified anew against the root that it was
  // accepted under. One that can't be read any more leaves the endpoint without policy until the
  // server offers it again; last_error() says so, and what it withholds stays withheld.
  static base::Result<std::unique_ptr<PolicyInForce>> Open(Rooms rooms, std::string line);

  // Takes up what an earlier run began: judges again where a bundle came into force without having
  // been told, or where exceptions are stored. Once, after Open, when `subjects` can judge.
  void Resume();

  // The first root, pinned by digest in the enrolment token or by MDM. FAILED_PRECONDITION when
  // there is another one already: from then on only VerifyNextRoot leads on.
  base::Status InstallRoot(const wire::SignedDocument& document);
  // The next root after ours comes into force; any other is refused and told. An older or the same
  // one is nothing new.
  base::Status ConsiderRoot(const wire::SignedDocument& document);
  const std::optional<wire::Root>& root() const { return root_; }

  // A set of exceptions of the fleet, or of this endpoint. A newer one is stored at once and comes
  // into force as soon as nothing else is being applied; any other changes nothing, and one that
  // can't be trusted is refused and told.
  base::Status ConsiderExceptions(const wire::SignedDocument& document, const model::Id& endpoint);
  const ExceptionSets& exceptions() const { return exceptions_; }

  base::Result<Considered> Consider(const wire::SignedDocument& bundle);
  base::Result<std::unique_ptr<PartWriter>> Begin(const wire::PartReference& part);
  // The lists in force, from which a delta may lead to others.
  const std::optional<model::Sha256>& held_lists() const { return rooms_.vault.record().lists; }
  // `part` as the delta makes it of the lists in force. A server gives it and nobody signs it, so
  // what comes out must have the part's size and digest. An Error says what was wrong; nothing has
  // changed.
  base::Result<base::Bytes> ApplyDelta(const wire::PartReference& part, base::ByteView delta) const;
  // A part of it can't be had: refused and told as PolicyRefusal::kPartMissing.
  base::Status RefuseForPart(const wire::SignedDocument& bundle, const std::string& detail);
  // A bundle that Consider() found complete. `done` is called on the loop when it has been told.
  base::Status Apply(const wire::SignedDocument& bundle, std::function<void()> done);
  bool applying() const { return applying_.has_value(); }
  // Calls when what is being applied now, by whomever it was begun, has been told. While applying()
  // only.
  void WhenApplied(std::function<void()> then);

  // What the policy in force asks for beside judging. `then` is called on the loop each time that a
  // policy has come into force, before anything is judged by it.
  const model::Settings& settings() const { return rooms_.judge.policy()->rules().settings; }
  void set_on_settings(std::function<void()> then) { on_settings_ = std::move(then); }

  // The exceptions in force that are for this file.
  std::vector<model::Exception> ExceptionsFor(const model::Sighting& sighting) const {
    return rooms_.judge.ExceptionsFor(sighting);
  }

  // A time that a trusted key has signed. Only such times make a bundle stale.
  void NoteVerifiedTime(base::WallTime time);

  std::uint64_t version() const { return manifest_.has_value() ? manifest_->version : 0; }
  // Of the manifest in force; none before the first.
  const std::optional<model::Sha256>& manifest_digest() const { return manifest_digest_; }
  const std::string& line() const { return line_; }
  bool stale() const;
  const std::string& missing_features() const { return missing_features_; }
  // One line for people: the last refusal or damage; "" once a bundle was applied after it.
  const std::string& last_error() const { return last_error_; }

 private:
  // A bundle read as far as this build can.
  struct Loaded {
    std::shared_ptr<const engine::Policy> policy;
    VaultRecord record;  // what the vault holds once it is in force
    std::string missing_features;
  };
  struct Applying {
    RejudgeCounts counts;
    std::function<void()> done;
    bool tells = true;  // a policy that came into force, and not merely an expiry
  };
  struct Refusal {
    model::PolicyRefusal refusal = model::PolicyRefusal::kMalformed;
    std::string detail;
  };

  PolicyInForce(Rooms rooms, std::string line);

  base::Status LoadRoot();
  base::Status LoadBundle();
  base::Result<bool> ToldInForce();

  base::Status NoteVerified(const wire::BundleManifest& manifest);
  base::Result<Loaded> Load(const wire::BundleManifest& manifest) const;
  base::Result<Considered> Refused(const wire::SignedDocument& document, Refusal refusal);
  base::Status Refuse(const model::Sha256& digest, std::uint64_t version, Refusal refusal);
  base::Result<bool> MayTell(const model::Sha256& digest, model::PolicyRefusal refusal);
  void Adopt(const wire::BundleManifest& manifest, const model::Sha256& digest, Loaded loaded);
  void Rejudge(Applying applying);
  void Tell();
  void FinishApplying();
  void CheckExpiry();
  void RebuildSoon();
  void Rebuild();
  base::Status TryTell();

  // Constant after construction.
  const Rooms rooms_;
  const std::string line_;

  // Owned by the loop.
  std::optional<wire::Root> root_;
  std::optional<wire::BundleManifest> manifest_;
  std::optional<model::Sha256> manifest_digest_;
  std::string missing_features_;
  std::string last_error_;
  ExceptionSets exceptions_;
  bool rebuild_ = false;          // the policy in force was made with other exceptions
  base::WallTime verified_time_;  // at or after the record's, which is written less often
  std::optional<Applying> applying_;
  base::WallTime judged_from_;  // when the judging of all began that was the last to finish
  base::WallTime judging_from_;
  std::function<void()> on_settings_ = [] {};
  base::Timer tell_again_;
  base::Timer expiry_;
};

}  // namespace weighmaster::agent::decide
