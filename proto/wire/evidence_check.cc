#include "proto/wire/evidence_check.h"

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "proto/wire/exceptions.h"
#include "proto/wire/fields.h"
#include "proto/wire/merkle.h"
#include "weighmaster/v1/evidence.pb.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Record = v1::EvidenceRecord;

// What stands outside of signed bytes has no fields but those of this version, however deep:
// nothing may hide there.
bool HasUnknownFields(const Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) return true;
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  return std::ranges::any_of(fields, [&](const FieldDescriptor* field) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return false;
    if (!field->is_repeated()) return HasUnknownFields(reflection.GetMessage(message, field));
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      if (HasUnknownFields(reflection.GetRepeatedMessage(message, field, i))) return true;
    }
    return false;
  });
}

std::string Name(const model::Id& chain, std::uint64_t number) {
  return "chain " + chain.ToHex() + ", batch " + std::to_string(number);
}

std::string Missing(const model::Id& chain, std::uint64_t first, std::uint64_t last) {
  const std::string of = "chain " + chain.ToHex() + ": ";
  if (first == last) return of + "batch " + std::to_string(first) + " is missing";
  return of + "batches " + std::to_string(first) + " to " + std::to_string(last) + " are missing";
}

// The digests beside a batch, if they are those of its header.
std::optional<std::vector<model::Sha256>> LeavesOf(const v1::EvidenceBatch& proto,
                                                   const BatchHeader& header) {
  std::vector<model::Sha256> leaves;
  for (const std::string& bytes : proto.leaves()) {
    const auto leaf = model::Sha256FromBytes(base::AsBytes(bytes));
    if (!leaf) return std::nullopt;
    leaves.push_back(*leaf);
  }
  if (leaves.size() != header.event_count || MerkleRoot(leaves) != header.merkle_root) {
    return std::nullopt;
  }
  return leaves;
}

std::uint64_t BodiesIn(const SealedBatch& batch) {
  return static_cast<std::uint64_t>(std::ranges::count_if(
      batch.events, [](const BatchEvent& event) { return !event.body.empty(); }));
}

}  // namespace

EvidenceCheck::EvidenceCheck(std::optional<model::Sha256> pinned_root)
    : pinned_root_(pinned_root), report_(std::make_unique<v1::EvidenceReport>()) {}

EvidenceCheck::~EvidenceCheck() = default;

void EvidenceCheck::Problem(const std::string& what) {
  report_->set_problems_total(report_->problems_total() + 1);
  if (report_->problems_size() < limits::kMaxEvidenceProblems) report_->add_problems(what);
}

void EvidenceCheck::Abandon(const std::string& why) {
  Problem(why + "; nothing behind it was checked");
  abandoned_ = true;
}

// --- The container

void EvidenceCheck::Add(std::string_view bytes) {
  if (abandoned_) return;
  buffer_ += bytes;
  while (!abandoned_ && TakeRecord()) {
  }
}

// False: the record that begins here is not there whole yet.
bool EvidenceCheck::TakeRecord() {
  constexpr char kTag = 0x0A;
  constexpr std::size_t kMaxLengthBytes = 4;
  if (buffer_.empty()) return false;
  std::size_t at = 1;
  std::size_t size = 0;
  bool begins = buffer_[0] == kTag;
  for (bool more = true; begins && more; ++at) {
    if (at == buffer_.size()) return false;
    const auto byte = static_cast<std::uint8_t>(buffer_[at]);
    size |= std::size_t{byte & 0x7FU} << (7 * (at - 1));
    more = byte > 0x7F;
    begins = !more || at < kMaxLengthBytes;
  }
  if (!begins || size > limits::kMaxEvidenceRecordBytes) {
    Abandon(kind_ == 0 ? "this is no file of evidence"
                       : "at byte " + std::to_string(offset_) + " no record begins");
    return false;
  }
  if (buffer_.size() - at < size) return false;
  const std::string framed = buffer_.substr(0, at + size);
  buffer_.erase(0, framed.size());
  OnRecord(std::string_view(framed).substr(at), framed);
  offset_ += framed.size();
  return true;
}

void EvidenceCheck::OnRecord(std::string_view bytes, std::string_view framed) {
  Record record;
  const std::string where =
      "record " + std::to_string(records_ + 1) + " (at byte " + std::to_string(offset_) + ")";
  const bool parsed = record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (!parsed) {
    Problem(where + " can't be read");
  } else if (HasUnknownFields(record)) {
    Problem(where + " has a field that it should not have");
  }
  if (parsed && record.record_case() == Record::kTrailer && kind_ != 0) {
    if (Follows(record)) OnTrailer(record.trailer());
    return;
  }
  hasher_.Update(base::AsBytes(framed));
  if (kind_ == 0 && record.record_case() != Record::kHeader) {
    return Abandon("this is no file of evidence");
  }
  ++records_;
  if (record.record_case() != Record::RECORD_NOT_SET && Follows(record)) Dispatch(record);
}

// Records stand in the order of their numbers; what stands once can't come again.
bool EvidenceCheck::Follows(const Record& record) {
  const int kind = record.record_case();
  const bool once =
      kind == Record::kHeader || kind == Record::kStatement || kind == Record::kTrailer;
  if (kind < kind_ || (once && kind == kind_)) {
    Problem("at byte " + std::to_string(offset_) + " stands a record that belongs before another");
    return false;
  }
  if (kind_ <= Record::kRoot && kind > Record::kRoot) EndRoots();
  if (!abandoned_ && kind > Record::kStatement && !statement_) {
    Abandon("there is no statement of the server");
  }
  kind_ = kind;
  return !abandoned_;
}

void EvidenceCheck::Dispatch(const Record& record) {
  switch (record.record_case()) {
    case Record::kHeader:
      return OnHeader(record.header());
    case Record::kRoot:
      return OnRoot(record.root());
    case Record::kStatement:
      return OnStatement(record.statement());
    case Record::kExceptions:
      return OnExceptions(record.exceptions());
    case Record::kPolicy:
      return OnPolicy(record.policy());
    case Record::kAcknowledgement:
      return OnAcknowledgement(record.acknowledgement());
    case Record::kBatch:
      return OnBatch(record.batch());
    case Record::kQuarantinedBatch:
      return OnQuarantined(record.quarantined_batch());
    case Record::kPart:
      return OnPart(record.part());
    case Record::kTrailer:
    case Record::RECORD_NOT_SET:
      return;
  }
}

void EvidenceCheck::OnHeader(const v1::EvidenceHeader& header) {
  if (header.format() != kEvidenceFormat) return Abandon("this is no file of evidence");
  if (header.version() == 0 || header.version() > kEvidenceVersion) {
    return Abandon("the file is of version " + std::to_string(header.version()) +
                   ", which this program does not read");
  }
  report_->set_format_version(header.version());
}

void EvidenceCheck::OnTrailer(const v1::EvidenceTrailer& trailer) {
  CheckComplete();
  const auto count = [this](std::uint64_t said, std::uint64_t found, const char* what) {
    if (said == found) return;
    Problem("the trailer counts " + std::to_string(said) + " " + what + " and there are " +
            std::to_string(found));
  };
  count(trailer.records(), records_, "records");
  count(trailer.batches(), batches_, "batches");
  count(trailer.bodies(), bodies_, "bodies");
  if (trailer.sha256() != base::AsText(hasher_.Finish().view())) {
    Problem("the trailer's SHA-256 is not that of the bytes before it");
  }
}

v1::EvidenceReport EvidenceCheck::Finish() {
  if (!abandoned_ && !buffer_.empty()) {
    Abandon("the file ends within a record, at byte " + std::to_string(offset_ + buffer_.size()));
  }
  if (!abandoned_ && kind_ != Record::kTrailer) {
    Problem("the file ends at byte " + std::to_string(offset_) + " without its trailer");
    if (statement_) CheckComplete();
  }
  report_->set_verified(report_->problems_total() == 0);
  return std::move(*report_);
}

// That all is there which the server says the file holds.
void EvidenceCheck::CheckComplete() {
  while (chain_ < statement_->chains.size()) CloseChain();
  for (const EvidenceQuarantined& batch : statement_->quarantined) {
    if (!quarantined_seen_.contains(batch.header_digest)) {
      Problem("the quarantined batch with the header digest " + batch.header_digest.ToHex() +
              " is missing");
    }
  }
  ClosePart();
  for (const auto& [sha256, part] : parts_) {
    if (!part.in_file && report_->format_version() > 1) {
      Problem("part " + sha256.ToHex() + " of policy " + std::to_string(part.policy_version) +
              " is missing");
    }
  }
  for (const Policy& policy : policies_) {
    if (!policy.in_file) {
      Problem("policy " + std::to_string(policy.applied.version) + " is missing");
    }
  }
  const auto versions = [this](std::uint64_t said, std::uint64_t found, const char* whose) {
    if (said == found) return;
    Problem(std::string("the ") + whose + " exceptions are missing or not the newest: version " +
            std::to_string(said) + " is wanted");
  };
  versions(statement_->fleet_exceptions_version, fleet_exceptions_, "fleet's");
  versions(statement_->endpoint_exceptions_version, endpoint_exceptions_, "endpoint's");
}

// --- What batches are checked by

void EvidenceCheck::OnRoot(const v1::SignedRoot& proto) {
  if (!roots_hold_) return;
  const auto fail = [this](const std::string& why) {
    roots_hold_ = false;
    Problem("root " + std::to_string(roots_read_ + 1) + " of the file: " + why);
  };
  if (roots_read_ == limits::kMaxEvidenceRoots) return fail("there are too many");
  const auto document = FromProto(proto);
  if (!document) return fail(document.error().message());
  auto root = last_root_ ? VerifyNextRoot(*last_root_, *document) : VerifyRoot(*document);
  if (!root) return fail(root.error().message());
  ++roots_read_;
  const model::Sha256 digest = openssl::Sha256Of(base::AsBytes(document->bytes));
  const bool is_pinned = pinned_root_ == digest;
  // Whoever pins a root trusts what follows from it. That it follows from those before it makes
  // them no better: anybody can sign it once more.
  if (is_pinned) roots_.clear();
  if (roots_.empty()) report_->set_root_sha256(digest.ToHex());
  if (is_pinned) report_->set_root_pinned(true);
  last_root_ = *root;
  roots_.push_back(*std::move(root));
}

void EvidenceCheck::EndRoots() {
  if (roots_.empty()) return Abandon("there is no root document");
  if (pinned_root_ && !report_->root_pinned()) {
    Problem("the pinned root " + pinned_root_->ToHex() + " is none of the file");
  }
  report_->set_fleet_id(roots_.back().fleet_id);
  report_->set_root_version(roots_.back().version);
}

void EvidenceCheck::OnStatement(const v1::SignedEvidenceStatement& proto) {
  const auto document = FromProto(proto);
  auto statement = document ? ParseStatement(document->bytes)
                            : base::Result<EvidenceStatement>(document.error());
  if (!statement) {
    return Abandon("the server's statement can't be read: " + statement.error().message());
  }
  const Root& root = roots_.back();
  if (!root.Trusts(kRoleServer, kDomainEvidence, document->bytes, document->signatures)) {
    Problem(
        "the server's statement, or its signature, was changed: no key of the role \"server\" of "
        "root " +
        std::to_string(root.version) + " signed it");
  }
  if (statement->fleet_id != root.fleet_id) {
    Problem("the server's statement is of another fleet than the root");
  }
  if (roots_hold_ && statement->root_version != root.version) {
    Problem("the newest root of the file has version " + std::to_string(root.version) +
            "; the server's statement names " + std::to_string(statement->root_version));
  }
  for (const EvidenceAppliedPolicy& applied : statement->policies) {
    policies_.push_back({applied, false});
  }
  report_->set_endpoint_id(statement->endpoint.ToHex());
  report_->set_hostname(statement->hostname);
  report_->set_server_time_us(base::ToMicroseconds(statement->server_time));
  statement_ = *std::move(statement);
}

void EvidenceCheck::OnExceptions(const v1::SignedExceptions& proto) {
  const auto document = FromProto(proto);
  const auto set = document ? ParseExceptions(document->bytes)
                            : base::Result<model::ExceptionSet>(document.error());
  if (!set) return Problem("a set of exceptions can't be read: " + set.error().message());
  const std::string name = std::string(set->endpoint ? "the endpoint's" : "the fleet's") +
                           " exceptions, version " + std::to_string(set->version);
  const bool trusted = std::ranges::any_of(
      roots_, [&](const Root& root) { return VerifyExceptions(*document, root).has_value(); });
  if (!trusted) Problem(name + ": no key that a trusted root names for them signed them");
  if (set->endpoint && set->endpoint != statement_->endpoint) {
    return Problem(name + ": they are another endpoint's");
  }
  std::uint64_t& version = set->endpoint ? endpoint_exceptions_ : fleet_exceptions_;
  if (version != 0) return Problem(name + ": there are others before them");
  version = set->version;
  report_->set_fleet_exceptions_version(fleet_exceptions_);
  report_->set_endpoint_exceptions_version(endpoint_exceptions_);
}

void EvidenceCheck::OnPolicy(const v1::EvidencePolicy& proto) {
  const auto document = FromProto(proto.bundle());
  const auto manifest =
      document ? ParseManifest(document->bytes) : base::Result<BundleManifest>(document.error());
  if (!manifest) return Problem("a policy can't be read: " + manifest.error().message());
  const std::string name = "policy " + std::to_string(manifest->version);
  const EvidenceAppliedPolicy applied{manifest->version,
                                      openssl::Sha256Of(base::AsBytes(document->bytes))};
  const auto found = std::ranges::find(policies_, applied, &Policy::applied);
  if (found == policies_.end() || found->in_file) {
    return Problem(name +
                   ": its manifest was changed, or it is none that the server's statement names");
  }
  found->in_file = true;
  const bool trusted = std::ranges::any_of(roots_, [&](const Root& root) {
    return root.Trusts(kRolePolicy, kDomainBundle, document->bytes, document->signatures);
  });
  if (!trusted) Problem(name + ": no key that a trusted root names for it signed its manifest");
  if (manifest->fleet_id != statement_->fleet_id) Problem(name + ": it is of another fleet");
  if (openssl::Sha256Of(base::AsBytes(proto.document())) != manifest->document) {
    Problem(name + ": its text was changed");
  }
  for (const PartReference& part : manifest->parts) {
    parts_.try_emplace(part.sha256, Part{part.size_bytes, manifest->version, false});
  }
  report_->add_policy_versions(manifest->version);
}

void EvidenceCheck::OnAcknowledgement(const v1::SignedAcknowledgement& proto) {
  const auto document = FromProto(proto);
  const auto acknowledgement = document ? VerifyAcknowledgement(*document, roots_.back())
                                        : base::Result<Acknowledgement>(document.error());
  if (!acknowledgement) {
    return Problem("an acknowledgement was changed: " + acknowledgement.error().message());
  }
  const auto& chains = statement_->chains;
  const auto chain = std::ranges::find(chains, acknowledgement->chain, &EvidenceChain::chain);
  if (chain == chains.end() || chain->last_number != acknowledgement->number ||
      acknowledgement->lineage != statement_->lineage ||
      !acknowledgements_.emplace(acknowledgement->chain, *acknowledgement).second) {
    Problem("the acknowledgement of " + Name(acknowledgement->chain, acknowledgement->number) +
            " is none that belongs to this file");
  }
}

// --- Batches

void EvidenceCheck::OnBatch(const v1::EvidenceBatch& proto) {
  ++batches_;
  if (in_chain_ && place_.number > statement_->chains[chain_].last_number) CloseChain();
  const auto batch = FromProto(proto.batch());
  if (!batch) {
    Problem(NextPlace() + ": " + batch.error().message());
    return SkipPlace();
  }
  bodies_ += BodiesIn(*batch);
  const auto header = VerifyHeader(*batch, NextPlace(), true);
  if (!header) return SkipPlace();
  const std::string where = Name(header->chain, header->number);
  if (!EnterChain(header->chain, where)) return;
  if (!CheckPlace(*header, HeaderDigest(batch->header), where)) return;
  if (!CheckEvents(*batch, proto, *header, where)) place_.whole = false;
  place_.bodies += BodiesIn(*batch);
  CheckAppliedPolicies(*batch, *header);
  v1::EvidenceReport::Chain& row = *report_->mutable_chains()->rbegin();
  const std::int64_t wall = base::ToMicroseconds(header->wall);
  if (row.batches() == 0) row.set_first_time_us(wall);
  row.set_last_time_us(wall);
  row.set_batches(row.batches() + 1);
  row.set_events(row.events() + header->event_count);
  row.set_holes(row.holes() + header->event_count - BodiesIn(*batch));
}

std::optional<BatchHeader> EvidenceCheck::VerifyHeader(const SealedBatch& batch,
                                                       const std::string& where, bool by_number) {
  const auto header = ParseHeader(batch.header);
  if (!header) {
    Problem(where + ": the header was changed: " + header.error().message());
    return std::nullopt;
  }
  const auto& keys = statement_->keys;
  const auto key = std::ranges::find_if(
      keys, [&](const EvidenceKey& candidate) { return candidate.key.id() == header->key_id; });
  if (key == keys.end()) {
    Problem(where + ": the header names the key " + header->key_id.ToHex() +
            ", which is none of this endpoint's");
    return std::nullopt;
  }
  if (!key->key.Verify(HeaderDigest(batch.header), batch.signature)) {
    Problem(where + ": the header or its signature was changed: key " + header->key_id.ToHex() +
            " did not sign it");
    return std::nullopt;
  }
  if (by_number && (header->number < key->first_number ||
                    header->number > key->last_number.value_or(UINT64_MAX))) {
    Problem(where + ": key " + header->key_id.ToHex() + " is not the one for batch " +
            std::to_string(header->number));
    return std::nullopt;
  }
  return *header;
}

bool EvidenceCheck::CheckEvents(const SealedBatch& batch, const v1::EvidenceBatch& proto,
                                const BatchHeader& header, const std::string& where) {
  const auto fail = [&](const std::string& why) {
    Problem(where + ": " + why);
    return false;
  };
  const base::Status events = VerifyEvents(batch, header);
  if (batch.events.empty() && proto.leaves().empty()) return true;
  const auto leaves = LeavesOf(proto, header);
  if (!leaves && events) return fail("the digests of the leaves beside it were changed");
  if (!leaves || batch.events.size() != leaves->size()) {
    return fail("its events were changed: " +
                (events ? std::string("there are none") : events.error().message()));
  }
  if (events) return true;
  for (std::size_t i = 0; i < batch.events.size(); ++i) {
    if (LeafOf(batch.events[i]) == (*leaves)[i]) continue;
    fail("the salt or the body of event " + std::to_string(header.first_event + i) +
         " was changed");
  }
  return false;
}

// What the endpoint said was in force, and the server could not hand out.
void EvidenceCheck::CheckAppliedPolicies(const SealedBatch& batch, const BatchHeader& header) {
  if (header.priority != model::PriorityClass::kControl) return;
  for (const BatchEvent& sealed : batch.events) {
    const auto event = ParseEvent(sealed.body);
    const auto* applied = event ? std::get_if<model::PolicyApplied>(&event->body) : nullptr;
    if (applied == nullptr) continue;
    const EvidenceAppliedPolicy wanted{applied->version, applied->manifest};
    if (std::ranges::find(policies_, wanted, &Policy::applied) != policies_.end()) continue;
    auto& missing = *report_->mutable_missing_policy_versions();
    if (std::ranges::find(missing, applied->version) == missing.end()) {
      missing.Add(applied->version);
    }
  }
}

void EvidenceCheck::OnQuarantined(const v1::EvidenceBatch& proto) {
  ++batches_;
  const std::string where = "record " + std::to_string(records_) + ", a quarantined batch";
  const auto batch = FromProto(proto.batch());
  if (!batch) return Problem(where + ": " + batch.error().message());
  bodies_ += BodiesIn(*batch);
  const model::Sha256 digest = HeaderDigest(batch->header);
  const auto& known = statement_->quarantined;
  const auto said = std::ranges::find(known, digest, &EvidenceQuarantined::header_digest);
  if (said == known.end() || !quarantined_seen_.insert(digest).second) {
    return Problem(where +
                   ": its header was changed, or it is none that the server's statement names");
  }
  const auto header = VerifyHeader(*batch, where, false);
  if (!header) return;
  CheckEvents(
      *batch, proto, *header,
      "quarantined batch " + std::to_string(header->number) + " of chain " + header->chain.ToHex());
  v1::EvidenceReport::Quarantined& row = *report_->add_quarantined();
  row.set_chain_id(header->chain.ToHex());
  row.set_number(header->number);
  row.set_reason(static_cast<v1::QuarantineReason>(said->reason));
  row.set_events(header->event_count);
  row.set_received_time_us(base::ToMicroseconds(said->received));
}

// --- What policies consist of

void EvidenceCheck::OnPart(const v1::EvidencePart& proto) {
  if (report_->format_version() == 1)
    return Problem("a file of version 1 has no parts of policies");
  const auto sha256 = model::Sha256FromBytes(base::AsBytes(proto.sha256()));
  if (!sha256) return Problem("a piece of a part can't be read: " + sha256.error().message());
  if (part_ != *sha256 && !EnterPart(*sha256)) return;
  if (proto.offset() != part_bytes_) {
    Problem("part " + sha256->ToHex() + ": byte " + std::to_string(part_bytes_) +
            " is expected next, and this piece begins with byte " + std::to_string(proto.offset()));
  }
  part_bytes_ += proto.data().size();
  part_hasher_.Update(base::AsBytes(proto.data()));
}

bool EvidenceCheck::EnterPart(const model::Sha256& sha256) {
  ClosePart();
  const auto found = parts_.find(sha256);
  if (found == parts_.end() || found->second.in_file) {
    Problem("part " + sha256.ToHex() + " belongs to no policy of the file, or stands there twice");
    return false;
  }
  found->second.in_file = true;
  part_ = sha256;
  part_bytes_ = 0;
  return true;
}

void EvidenceCheck::ClosePart() {
  if (!part_) return;
  const Part& part = parts_.at(*part_);
  if (part_hasher_.Finish() == *part_ && part_bytes_ == part.size_bytes) {
    report_->set_parts(report_->parts() + 1);
  } else {
    Problem("part " + part_->ToHex() + " of policy " + std::to_string(part.policy_version) +
            " was changed");
  }
  part_.reset();
}

// --- Chains

void EvidenceCheck::BeginChain() {
  const EvidenceChain& chain = statement_->chains[chain_];
  in_chain_ = true;
  place_ = {};
  place_.number = chain.first_number;
  v1::EvidenceReport::Chain& row = *report_->add_chains();
  row.set_chain_id(chain.chain.ToHex());
  row.set_first_number(chain.first_number);
  row.set_last_number(chain.last_number);
  row.set_head_number(chain.head_number);
  row.set_superseded(chain.superseded.has_value());
}

bool EvidenceCheck::EnterChain(const model::Id& id, const std::string& where) {
  const auto& chains = statement_->chains;
  const auto found = std::ranges::find(chains, id, &EvidenceChain::chain);
  if (found == chains.end()) {
    Problem(where + ": the chain is none that the server's statement names");
    return false;
  }
  const auto index = static_cast<std::size_t>(found - chains.begin());
  if (index < chain_) {
    Problem(where + " stands out of order, or twice");
    return false;
  }
  while (chain_ < index) CloseChain();
  if (!in_chain_) BeginChain();
  return true;
}

bool EvidenceCheck::CheckPlace(const BatchHeader& header, const model::Sha256& digest,
                               const std::string& where) {
  if (header.number < place_.number || header.number > statement_->chains[chain_].last_number) {
    Problem(where + " stands out of order, twice, or beyond the last one");
    return false;
  }
  if (header.number > place_.number) {
    Problem(Missing(header.chain, place_.number, header.number - 1));
    place_.previous.reset();
    place_.next_event.reset();
    place_.whole = false;
  }
  if (place_.previous && header.previous != place_.previous) {
    Problem(where + " names another batch before it than the one that is there");
  }
  if (place_.next_event && header.first_event != *place_.next_event) {
    Problem(where + ": its events begin with number " + std::to_string(header.first_event) + "; " +
            std::to_string(*place_.next_event) + " is next");
  }
  for (const auto& [priority, events] : place_.dropped) {
    const auto now = header.dropped.find(priority);
    if (now == header.dropped.end() || now->second < events) {
      Problem(where + ": its count of dropped events is below that of the batch before it");
    }
  }
  place_.number = header.number + 1;
  place_.previous = digest;
  place_.next_event = header.first_event + header.event_count;
  place_.dropped = header.dropped;
  return true;
}

void EvidenceCheck::CloseChain() {
  if (!in_chain_) BeginChain();
  const EvidenceChain& chain = statement_->chains[chain_];
  if (place_.number <= chain.last_number) {
    Problem(Missing(chain.chain, place_.number, chain.last_number));
    place_.whole = false;
    place_.previous.reset();
  }
  if (place_.whole && place_.bodies != chain.bodies) {
    Problem("chain " + chain.chain.ToHex() + ": the server had " + std::to_string(chain.bodies) +
            " bodies of events and the file has " + std::to_string(place_.bodies));
  }
  const auto acknowledged = acknowledgements_.find(chain.chain);
  if (acknowledged == acknowledgements_.end()) {
    Problem("chain " + chain.chain.ToHex() + ": there is no acknowledgement of batch " +
            std::to_string(chain.last_number));
  } else if (place_.previous && acknowledged->second.header_digest != *place_.previous) {
    Problem(Name(chain.chain, chain.last_number) + " is not the one that the server acknowledges");
  }
  in_chain_ = false;
  ++chain_;
}

// The batch that is expected next. One that can't be believed is named so.
std::string EvidenceCheck::NextPlace() const {
  const auto& chains = statement_->chains;
  if (chain_ >= chains.size()) return "record " + std::to_string(records_) + ", a batch too many";
  return Name(chains[chain_].chain, in_chain_ ? place_.number : chains[chain_].first_number);
}

void EvidenceCheck::SkipPlace() {
  if (chain_ >= statement_->chains.size()) return;
  if (!in_chain_) BeginChain();
  ++place_.number;
  place_.previous.reset();
  place_.next_event.reset();
  place_.whole = false;
}

}  // namespace weighmaster::wire
