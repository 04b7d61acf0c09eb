#include "agent/decide/policy_in_force.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/decide/bundle_parts.h"
#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "policy/model/lists/lists_delta.h"
#include "proto/wire/convert.h"
#include "third_party/openssl/sha256.h"
#include "third_party/spdlog/log.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::agent::decide {
namespace {

constexpr std::string_view kSchema[] = {
    R"(
CREATE TABLE policy_told (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  manifest_sha256 BLOB NOT NULL,
  missing_features TEXT NOT NULL
) STRICT;
CREATE TABLE policy_refusals (
  manifest_sha256 BLOB NOT NULL,
  refusal INTEGER NOT NULL,
  told_time_us INTEGER NOT NULL,
  PRIMARY KEY (manifest_sha256, refusal)
) STRICT;
CREATE INDEX policy_refusals_by_time ON policy_refusals (told_time_us);
)"};

// The verified time is written when it has advanced by this much, not at every acknowledgement.
constexpr std::chrono::hours kVerifiedTimeStep{1};

model::Sha256 DigestOf(const std::string& bytes) { return openssl::Sha256Of(base::AsBytes(bytes)); }

template <typename Proto>
std::string SerialiseDocument(const wire::SignedDocument& document) {
  Proto proto;
  wire::ToProto(document, proto);
  return proto.SerializeAsString();
}

template <typename Proto>
base::Result<wire::SignedDocument> ReadDocument(const PolicyVault& vault,
                                                const model::Sha256& sha256) {
  WM_ASSIGN_OR_RETURN(const std::string bytes, vault.Read(sha256));
  Proto proto;
  if (!proto.ParseFromString(bytes)) return base::DataLoss("a document in the vault is damaged");
  return wire::FromProto(proto);
}

std::uint64_t VersionOf(const wire::SignedDocument& bundle) {
  const auto manifest = wire::ParseManifest(bundle.bytes);
  return manifest.has_value() ? manifest->version : 0;
}

}  // namespace

PolicyInForce::PolicyInForce(Rooms rooms, std::string line)
    : rooms_(rooms),
      line_(std::move(line)),
      exceptions_(rooms.vault),
      verified_time_(rooms.vault.record().verified_time),
      tell_again_(rooms.loop),
      expiry_(rooms.loop) {
  rooms.judge.NoteVerifiedTime(verified_time_);
}

base::Result<std::unique_ptr<PolicyInForce>> PolicyInForce::Open(Rooms rooms, std::string line) {
  WM_RETURN_IF_ERROR(rooms.database.Migrate("decide", kSchema));
  std::unique_ptr<PolicyInForce> policy(new PolicyInForce(rooms, std::move(line)));
  WM_RETURN_IF_ERROR(policy->LoadRoot());
  if (auto loaded = policy->LoadBundle(); !loaded.has_value()) {
    policy->last_error_ =
        "the stored policy can't be used and will be fetched again: " + loaded.error().message();
    rooms.judge.Set(engine::Policy::None(rooms.vault.record().withheld));
  }
  return policy;
}

base::Status PolicyInForce::LoadRoot() {
  const std::optional<model::Sha256>& root = rooms_.vault.record().root;
  if (!root.has_value()) return {};
  WM_ASSIGN_OR_RETURN(const wire::SignedDocument document,
                      ReadDocument<v1::SignedRoot>(rooms_.vault, *root));
  WM_ASSIGN_OR_RETURN(root_, wire::VerifyRoot(document));
  exceptions_.Load(*root_);
  return {};
}

base::Status PolicyInForce::LoadBundle() {
  const VaultRecord& record = rooms_.vault.record();
  if (!record.bundle.has_value() || !record.bundle_root.has_value()) return {};
  WM_ASSIGN_OR_RETURN(const wire::SignedDocument root_document,
                      ReadDocument<v1::SignedRoot>(rooms_.vault, *record.bundle_root));
  WM_ASSIGN_OR_RETURN(const wire::Root root, wire::VerifyRoot(root_document));
  WM_ASSIGN_OR_RETURN(const wire::SignedDocument bundle,
                      ReadDocument<v1::SignedBundle>(rooms_.vault, *record.bundle));
  // Its own line and no floor: the line may have been set anew and the floor risen since, and
  // neither takes a bundle out of force.
  WM_ASSIGN_OR_RETURN(const wire::BundleManifest manifest, wire::ParseManifest(bundle.bytes));
  const wire::BundleCheck check = wire::CheckBundle(bundle, root, manifest.line, 0);
  if (check.refusal != model::PolicyRefusal::kNone) return base::DataLoss(check.detail);
  WM_ASSIGN_OR_RETURN(Loaded loaded, Load(check.manifest));
  Adopt(check.manifest, DigestOf(bundle.bytes), std::move(loaded));
  return {};
}

base::Result<bool> PolicyInForce::ToldInForce() {
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement find,
      rooms_.database.Prepare("SELECT manifest_sha256, missing_features FROM policy_told"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Step());
  if (!found) return false;
  return base::AsText(find.Blob(0)) == base::AsText(manifest_digest_->view()) &&
         find.Text(1) == missing_features_;
}

void PolicyInForce::Resume() {
  if (!manifest_digest_.has_value() || applying()) return;
  const auto told = ToldInForce();
  // When that can't be read, judging once more is harmless.
  if (!told.has_value() || !told.value()) return Rejudge({{}, [] {}, true});
  // Nothing says whether the judging by the newest exceptions came to its end.
  if (exceptions_.any_stored()) return Rejudge({{}, [] {}, false});
  CheckExpiry();
}

base::Status PolicyInForce::InstallRoot(const wire::SignedDocument& document) {
  WM_ASSIGN_OR_RETURN(wire::Root root, wire::VerifyRoot(document));
  WM_ASSIGN_OR_RETURN(const model::Sha256 sha256,
                      rooms_.vault.Put(SerialiseDocument<v1::SignedRoot>(document)));
  VaultRecord record = rooms_.vault.record();
  if (record.root == sha256) return {};
  if (record.root.has_value()) {
    return base::FailedPrecondition(
        "this endpoint already trusts the root of a fleet; remove its "
        "policy folder to enrol it in another");
  }
  record.root = sha256;
  WM_RETURN_IF_ERROR(rooms_.vault.Commit(record));
  root_ = std::move(root);
  return {};
}

base::Status PolicyInForce::ConsiderRoot(const wire::SignedDocument& document) {
  if (!root_.has_value()) return base::FailedPrecondition("this endpoint has no root yet");
  const auto offered = wire::ParseRoot(document.bytes);
  if (offered.has_value() && offered->fleet_id == root_->fleet_id &&
      offered->version <= root_->version) {
    return {};
  }
  auto next = wire::VerifyNextRoot(*root_, document);
  if (next.has_value() && next->expires < verified_time_) {
    next = base::FailedPrecondition("the offered root has expired");
  }
  if (!next.has_value()) {
    return Refuse(DigestOf(document.bytes), 0,
                  {model::PolicyRefusal::kBadRoot, next.error().message()});
  }
  VaultRecord record = rooms_.vault.record();
  WM_ASSIGN_OR_RETURN(record.root, rooms_.vault.Put(SerialiseDocument<v1::SignedRoot>(document)));
  if (wire::TakesAPolicyKeyAway(*root_, *next)) record.floor = 0;
  WM_RETURN_IF_ERROR(rooms_.vault.Commit(record));
  root_ = std::move(next).value();
  const std::vector<model::Exception> before = exceptions_.all();
  exceptions_.Load(*root_);
  if (exceptions_.all() != before) RebuildSoon();
  return {};
}

base::Status PolicyInForce::ConsiderExceptions(const wire::SignedDocument& document,
                                               const model::Id& endpoint) {
  if (!root_.has_value()) return base::FailedPrecondition("this endpoint has no root yet");
  WM_ASSIGN_OR_RETURN(const ExceptionSets::Taken taken,
                      exceptions_.Take(document, *root_, endpoint));
  if (taken.refusal != model::PolicyRefusal::kNone) {
    return Refuse(DigestOf(document.bytes), 0, {taken.refusal, taken.detail});
  }
  if (!taken.is_new) return {};
  NoteVerifiedTime(taken.issued);
  RebuildSoon();
  return {};
}

void PolicyInForce::RebuildSoon() {
  rebuild_ = true;
  if (!applying()) Rebuild();
}

// The policy in force once more, with the exceptions that there are now.
void PolicyInForce::Rebuild() {
  rebuild_ = false;
  if (!manifest_.has_value()) return;
  auto loaded = Load(*manifest_);
  if (!loaded.has_value()) {
    logging::Warning("policy",
                     "exceptions wait for the next policy, because the one in force can't "
                     "be read: " +
                         loaded.error().message());
    return;
  }
  rooms_.vault.Sweep();
  rooms_.judge.Set(std::move(loaded->policy));
  Rejudge({{}, [] {}, false});
}

base::Status PolicyInForce::NoteVerified(const wire::BundleManifest& manifest) {
  VaultRecord record = rooms_.vault.record();
  record.floor = std::max(record.floor, manifest.floor);
  record.verified_time = std::max({record.verified_time, verified_time_, manifest.issued});
  if (record != rooms_.vault.record()) WM_RETURN_IF_ERROR(rooms_.vault.Commit(record));
  verified_time_ = record.verified_time;
  rooms_.judge.NoteVerifiedTime(verified_time_);
  return {};
}

base::Result<Considered> PolicyInForce::Consider(const wire::SignedDocument& bundle) {
  if (!root_.has_value()) return base::FailedPrecondition("this endpoint has no root yet");
  const std::uint64_t floor = rooms_.vault.record().floor;
  wire::BundleCheck check = wire::CheckBundle(bundle, *root_, line_, floor);
  if (check.refusal != model::PolicyRefusal::kNone) {
    return Refused(bundle, {check.refusal, std::move(check.detail)});
  }
  WM_RETURN_IF_ERROR(NoteVerified(check.manifest));
  Considered considered;
  if (DigestOf(bundle.bytes) == manifest_digest_) return considered;
  const auto parts = SortParts(check.manifest);
  if (!parts.has_value()) {
    const bool too_large = parts.error().code() == base::ErrorCode::kResourceExhausted;
    return Refused(bundle,
                   {too_large ? model::PolicyRefusal::kTooLarge : model::PolicyRefusal::kMalformed,
                    parts.error().message()});
  }
  for (const auto& part : {parts->lists, parts->rules}) {
    if (part.has_value() && !rooms_.vault.Has(part->sha256)) considered.missing.push_back(*part);
  }
  considered.needs = considered.missing.empty() ? OfferNeeds::kApply : OfferNeeds::kParts;
  considered.manifest = std::move(check.manifest);
  return considered;
}

base::Result<std::unique_ptr<PartWriter>> PolicyInForce::Begin(const wire::PartReference& part) {
  return rooms_.vault.Begin(part.sha256, part.size_bytes);
}

base::Result<base::Bytes> PolicyInForce::ApplyDelta(const wire::PartReference& part,
                                                    base::ByteView delta) const {
  if (!held_lists().has_value()) return base::FailedPrecondition("there are no lists yet");
  WM_ASSIGN_OR_RETURN(const auto held, rooms_.vault.Map(*held_lists()));
  WM_ASSIGN_OR_RETURN(base::Bytes made,
                      model::ApplyListsDelta(held->bytes(), delta, part.size_bytes));
  if (openssl::Sha256Of(made) != part.sha256) {
    return base::DataLoss("the delta leads to other lists than those that were signed");
  }
  return made;
}

base::Status PolicyInForce::RefuseForPart(const wire::SignedDocument& bundle,
                                          const std::string& detail) {
  return Refuse(DigestOf(bundle.bytes), VersionOf(bundle),
                {model::PolicyRefusal::kPartMissing, detail});
}

base::Result<PolicyInForce::Loaded> PolicyInForce::Load(
    const wire::BundleManifest& manifest) const {
  WM_ASSIGN_OR_RETURN(const BundleParts parts, SortParts(manifest));
  Loaded loaded;
  loaded.missing_features = parts.missing_features;
  loaded.record = rooms_.vault.record();
  // A part that needs a newer agent leaves the old one in force; one that the bundle does not have
  // takes it out.
  if (parts.lists.has_value()) loaded.record.lists = parts.lists->sha256;
  if (!parts.lists_in_manifest) loaded.record.lists.reset();
  if (parts.rules.has_value()) loaded.record.rules = parts.rules->sha256;
  if (!parts.rules_in_manifest) loaded.record.rules.reset();

  model::RuleSet rules;
  rules.default_message = "no rule speaks of it";
  if (loaded.record.rules.has_value()) {
    WM_ASSIGN_OR_RETURN(const std::string bytes, rooms_.vault.Read(*loaded.record.rules));
    WM_ASSIGN_OR_RETURN(rules, wire::ParseRules(bytes));
  }
  loaded.record.withheld = rules.settings.withheld;
  std::shared_ptr<const engine::ListsStorage> lists;
  if (loaded.record.lists.has_value()) {
    WM_ASSIGN_OR_RETURN(lists, rooms_.vault.Map(*loaded.record.lists));
  }
  WM_ASSIGN_OR_RETURN(loaded.policy, engine::Policy::Make(manifest.version, std::move(rules),
                                                          std::move(lists), exceptions_.all()));
  return loaded;
}

void PolicyInForce::Adopt(const wire::BundleManifest& manifest, const model::Sha256& digest,
                          Loaded loaded) {
  manifest_ = manifest;
  manifest_digest_ = digest;
  missing_features_ = std::move(loaded.missing_features);
  rebuild_ = false;
  rooms_.judge.Set(std::move(loaded.policy));
  on_settings_();
}

base::Status PolicyInForce::Apply(const wire::SignedDocument& bundle, std::function<void()> done) {
  WM_CHECK(rooms_.loop.OnLoop() && !applying());
  if (!root_.has_value()) return base::FailedPrecondition("this endpoint has no root yet");
  const wire::BundleCheck check =
      wire::CheckBundle(bundle, *root_, line_, rooms_.vault.record().floor);
  const bool verified = check.refusal == model::PolicyRefusal::kNone;
  if (verified) WM_RETURN_IF_ERROR(NoteVerified(check.manifest));
  auto loaded =
      verified ? Load(check.manifest) : base::Result<Loaded>(base::InvalidArgument(check.detail));
  if (!loaded.has_value()) {
    WM_RETURN_IF_ERROR(Refuse(
        DigestOf(bundle.bytes), VersionOf(bundle),
        {verified ? model::PolicyRefusal::kMalformed : check.refusal, loaded.error().message()}));
    rooms_.loop.Post(std::move(done));
    return {};
  }
  loaded->record.bundle_root = rooms_.vault.record().root;
  WM_ASSIGN_OR_RETURN(loaded->record.bundle,
                      rooms_.vault.Put(SerialiseDocument<v1::SignedBundle>(bundle)));
  WM_RETURN_IF_ERROR(rooms_.vault.Commit(loaded->record));
  rooms_.vault.Sweep();
  Adopt(check.manifest, DigestOf(bundle.bytes), std::move(loaded).value());
  last_error_.clear();
  Rejudge({{}, std::move(done), true});
  return {};
}

void PolicyInForce::Rejudge(Applying applying) {
  applying_ = std::move(applying);
  judging_from_ = rooms_.judge.Now();
  rooms_.subjects.Rejudge([this](const RejudgeCounts& counts) {
    applying_->counts = counts;
    if (applying_->tells) return Tell();
    FinishApplying();
  });
}

// What expired since all was judged last, also while no agent was running.
void PolicyInForce::CheckExpiry() {
  const auto next = rooms_.judge.policy()->NextExpiry(judged_from_);
  if (!next.has_value() || applying()) return;
  const base::Duration wait = *next - rooms_.judge.Now();
  if (wait <= base::Duration(0)) return Rejudge({{}, [] {}, false});
  // In small steps, because the clock may be set.
  expiry_.Start(std::min<base::Duration>(wait, base::limits::kExpiryCheckInterval),
                [this] { CheckExpiry(); });
}

void PolicyInForce::WhenApplied(std::function<void()> then) {
  WM_CHECK(applying());
  applying_->done = [done = std::move(applying_->done), then = std::move(then)] {
    done();
    then();
  };
}

void PolicyInForce::Tell() {
  if (!TryTell().has_value()) {
    tell_again_.Start(base::limits::kStorageRetryDelay, [this] { Tell(); });
    return;
  }
  FinishApplying();
}

void PolicyInForce::FinishApplying() {
  judged_from_ = judging_from_;
  const std::function<void()> done = std::move(applying_->done);
  applying_.reset();
  CheckExpiry();
  done();
  if (rebuild_ && !applying()) Rebuild();
}

base::Status PolicyInForce::TryTell() {
  WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(rooms_.database));
  {
    WM_ASSIGN_OR_RETURN(
        sqlite::Statement put,
        rooms_.database.Prepare("INSERT INTO policy_told (id, manifest_sha256, missing_features) "
                                "VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET manifest_sha256 = "
                                "excluded.manifest_sha256, missing_features = "
                                "excluded.missing_features"));
    WM_RETURN_IF_ERROR(
        put.Bind(manifest_digest_->view()).Bind(std::string_view(missing_features_)).Run());
  }
  const RejudgeCounts& counts = applying_->counts;
  model::PolicyApplied applied;
  applied.version = manifest_->version;
  applied.manifest = *manifest_digest_;
  applied.partly = !missing_features_.empty();
  applied.missing_features = missing_features_;
  applied.judged = counts.judged;
  applied.changed = counts.changed;
  applied.allow = counts.allow;
  applied.warn = counts.warn;
  applied.deny = counts.deny;
  WM_RETURN_IF_ERROR(rooms_.events.Append(transaction, std::move(applied)));
  return transaction.Commit();
}

base::Result<Considered> PolicyInForce::Refused(const wire::SignedDocument& document,
                                                Refusal refusal) {
  Considered considered;
  considered.needs = OfferNeeds::kRefused;
  considered.detail = refusal.detail;
  WM_RETURN_IF_ERROR(Refuse(DigestOf(document.bytes), VersionOf(document), std::move(refusal)));
  return considered;
}

base::Result<bool> PolicyInForce::MayTell(const model::Sha256& digest,
                                          model::PolicyRefusal refusal) {
  {
    WM_ASSIGN_OR_RETURN(sqlite::Statement find,
                        rooms_.database.Prepare("SELECT 1 FROM policy_refusals "
                                                "WHERE manifest_sha256 = ? AND refusal = ?"));
    WM_ASSIGN_OR_RETURN(const bool told,
                        find.Bind(digest.view()).Bind(static_cast<std::int64_t>(refusal)).Step());
    if (told) return false;
  }
  const base::WallTime hour_ago = rooms_.clock.Now() - std::chrono::hours(1);
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement count,
      rooms_.database.Prepare("SELECT COUNT(*) FROM policy_refusals WHERE told_time_us > ?"));
  WM_ASSIGN_OR_RETURN(const bool row, count.Bind(base::ToMicroseconds(hour_ago)).Step());
  return row && count.Int(0) < static_cast<std::int64_t>(base::limits::kMaxRefusalsToldPerHour);
}

base::Status PolicyInForce::Refuse(const model::Sha256& digest, std::uint64_t version,
                                   Refusal refusal) {
  last_error_ = "a policy was refused (" + std::string(model::PolicyRefusalName(refusal.refusal)) +
                "): " + refusal.detail;
  WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(rooms_.database));
  WM_ASSIGN_OR_RETURN(const bool may_tell, MayTell(digest, refusal.refusal));
  if (!may_tell) return {};
  {
    WM_ASSIGN_OR_RETURN(sqlite::Statement put,
                        rooms_.database.Prepare("INSERT INTO policy_refusals (manifest_sha256, "
                                                "refusal, told_time_us) VALUES (?, ?, ?)"));
    WM_RETURN_IF_ERROR(put.Bind(digest.view())
                           .Bind(static_cast<std::int64_t>(refusal.refusal))
                           .Bind(base::ToMicroseconds(rooms_.clock.Now()))
                           .Run());
  }
  {
    WM_ASSIGN_OR_RETURN(
        sqlite::Statement forget,
        rooms_.database.Prepare("DELETE FROM policy_refusals WHERE rowid NOT IN (SELECT rowid FROM "
                                "policy_refusals ORDER BY told_time_us DESC, rowid DESC LIMIT ?)"));
    WM_RETURN_IF_ERROR(
        forget.Bind(static_cast<std::int64_t>(base::limits::kMaxRefusedManifests)).Run());
  }
  WM_RETURN_IF_ERROR(rooms_.events.Append(
      transaction, model::PolicyRefused{version, refusal.refusal, std::move(refusal.detail)}));
  return transaction.Commit();
}

void PolicyInForce::NoteVerifiedTime(base::WallTime time) {
  verified_time_ = std::max(verified_time_, time);
  rooms_.judge.NoteVerifiedTime(time);
  VaultRecord record = rooms_.vault.record();
  if (verified_time_ - record.verified_time < kVerifiedTimeStep) return;
  record.verified_time = verified_time_;
  // A failure costs at most what a restart forgets; the next acknowledgement tries again.
  static_cast<void>(rooms_.vault.Commit(record));
}

bool PolicyInForce::stale() const {
  return manifest_.has_value() && verified_time_ > manifest_->expires;
}

}  // namespace weighmaster::agent::decide
