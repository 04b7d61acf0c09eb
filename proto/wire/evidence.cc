#include "proto/wire/evidence.h"

#include <algorithm>
#include <set>
#include <utility>

#include "policy/base/limits.h"
#include "policy/model/named.h"
#include "proto/wire/convert.h"
#include "proto/wire/fields.h"
#include "proto/wire/merkle.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/evidence.pb.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;

constexpr model::Named<QuarantineReason> kReasons[] = {
    {QuarantineReason::kRevokedKey, "revoked_key"},
    {QuarantineReason::kEquivocation, "equivocation"},
    {QuarantineReason::kBrokenChain, "broken_chain"},
    {QuarantineReason::kClone, "clone"},
    {QuarantineReason::kEndpoint, "endpoint_quarantined"}};

// On the wire 0 says that there is none.
std::int64_t MaybeWireTime(const std::optional<base::WallTime>& time) {
  return time ? WireTime(*time) : 0;
}
base::Result<std::optional<base::WallTime>> ReadMaybeTime(std::int64_t us, std::string_view what) {
  if (us == 0) return std::optional<base::WallTime>();
  WM_ASSIGN_OR_RETURN(const base::WallTime time, ReadTime(us, what));
  return std::optional(time);
}

void Write(const EvidenceKey& key, v1::EvidenceKey& out) {
  out.mutable_key()->set_algorithm(v1::SIGNATURE_ALGORITHM_ECDSA_P256);
  out.mutable_key()->set_spki(WireBytes(key.key.spki()));
  out.set_first_number(key.first_number);
  out.set_last_number(key.last_number.value_or(0));
  out.set_added_time_us(WireTime(key.added));
  out.set_revoked_time_us(MaybeWireTime(key.revoked));
}

base::Result<EvidenceKey> ReadKey(const v1::EvidenceKey& proto) {
  if (proto.key().algorithm() != v1::SIGNATURE_ALGORITHM_ECDSA_P256) {
    return FieldError("keys.algorithm", "is not ECDSA P-256, the only one that this build knows");
  }
  WM_ASSIGN_OR_RETURN(openssl::PublicKey public_key,
                      openssl::PublicKey::FromSpki(base::AsBytes(proto.key().spki())));
  EvidenceKey key{std::move(public_key), 1, std::nullopt, {}, std::nullopt};
  WM_ASSIGN_OR_RETURN(key.first_number, ReadCount(proto.first_number(), "keys.first_number"));
  if (proto.last_number() != 0) {
    WM_ASSIGN_OR_RETURN(key.last_number, ReadCount(proto.last_number(), "keys.last_number"));
  }
  WM_ASSIGN_OR_RETURN(key.added, ReadTime(proto.added_time_us(), "keys.added_time_us"));
  WM_ASSIGN_OR_RETURN(key.revoked, ReadMaybeTime(proto.revoked_time_us(), "keys.revoked_time_us"));
  return key;
}

void Write(const EvidenceChain& chain, v1::EvidenceChain& out) {
  out.set_chain_id(WireBytes(chain.chain.view()));
  out.set_first_number(chain.first_number);
  out.set_last_number(chain.last_number);
  out.set_bodies(chain.bodies);
  out.set_head_number(chain.head_number);
  out.set_superseded_time_us(MaybeWireTime(chain.superseded));
}

base::Result<EvidenceChain> ReadChain(const v1::EvidenceChain& proto) {
  EvidenceChain chain;
  WM_ASSIGN_OR_RETURN(chain.chain, ReadId(proto.chain_id(), "chains.chain_id"));
  WM_ASSIGN_OR_RETURN(chain.first_number, ReadCount(proto.first_number(), "chains.first_number"));
  WM_ASSIGN_OR_RETURN(chain.last_number, ReadCount(proto.last_number(), "chains.last_number"));
  WM_ASSIGN_OR_RETURN(chain.bodies, ReadCount(proto.bodies(), "chains.bodies"));
  WM_ASSIGN_OR_RETURN(chain.head_number, ReadCount(proto.head_number(), "chains.head_number"));
  if (chain.first_number == 0 || chain.first_number > chain.last_number ||
      chain.last_number > chain.head_number) {
    return FieldError("chains", "has a range that is none");
  }
  WM_ASSIGN_OR_RETURN(chain.superseded,
                      ReadMaybeTime(proto.superseded_time_us(), "chains.superseded_time_us"));
  return chain;
}

void Write(const EvidenceQuarantined& batch, v1::EvidenceQuarantined& out) {
  out.set_header_digest(WireBytes(batch.header_digest.view()));
  out.set_reason(static_cast<v1::QuarantineReason>(batch.reason));
  out.set_received_time_us(WireTime(batch.received));
}

base::Result<EvidenceQuarantined> ReadQuarantined(const v1::EvidenceQuarantined& proto) {
  EvidenceQuarantined batch;
  WM_ASSIGN_OR_RETURN(batch.header_digest,
                      ReadSha256(proto.header_digest(), "quarantined.header_digest"));
  WM_ASSIGN_OR_RETURN(batch.reason,
                      ReadEnum<QuarantineReason>(proto.reason(), "quarantined.reason"));
  WM_ASSIGN_OR_RETURN(batch.received,
                      ReadTime(proto.received_time_us(), "quarantined.received_time_us"));
  return batch;
}

void Write(const EvidenceAppliedPolicy& policy, v1::EvidenceAppliedPolicy& out) {
  out.set_version(policy.version);
  out.set_manifest_sha256(WireBytes(policy.manifest.view()));
}

base::Result<EvidenceAppliedPolicy> ReadPolicy(const v1::EvidenceAppliedPolicy& proto) {
  EvidenceAppliedPolicy policy;
  WM_ASSIGN_OR_RETURN(policy.version, ReadCount(proto.version(), "policies.version"));
  WM_ASSIGN_OR_RETURN(policy.manifest,
                      ReadSha256(proto.manifest_sha256(), "policies.manifest_sha256"));
  return policy;
}

// A list of the statement: within its limit, each read, and none like another by what `key_of` says
// of it.
template <typename Protos, typename Value, typename KeyOf>
base::Status ReadList(const Protos& protos, std::size_t most, std::string_view what,
                      base::Result<Value> (*read)(const typename Protos::value_type&), KeyOf key_of,
                      std::vector<Value>& out) {
  if (static_cast<std::size_t>(protos.size()) > most) {
    return FieldError(what, "holds more than " + std::to_string(most));
  }
  std::set<std::decay_t<decltype(key_of(out.front()))>> seen;
  for (const auto& proto : protos) {
    WM_ASSIGN_OR_RETURN(Value value, read(proto));
    if (!seen.insert(key_of(value)).second) return FieldError(what, "holds one twice");
    out.push_back(std::move(value));
  }
  return {};
}

base::Status ReadLists(const v1::EvidenceStatement& proto, EvidenceStatement& statement) {
  WM_RETURN_IF_ERROR(ReadList(
      proto.keys(), limits::kMaxEvidenceKeys, "keys", ReadKey,
      [](const EvidenceKey& key) { return key.key.id(); }, statement.keys));
  WM_RETURN_IF_ERROR(ReadList(
      proto.chains(), limits::kMaxEvidenceChains, "chains", ReadChain,
      [](const EvidenceChain& chain) { return chain.chain; }, statement.chains));
  WM_RETURN_IF_ERROR(ReadList(
      proto.quarantined(), limits::kMaxQuarantinedBatches, "quarantined", ReadQuarantined,
      [](const EvidenceQuarantined& batch) { return batch.header_digest; }, statement.quarantined));
  return ReadList(
      proto.policies(), limits::kMaxEvidencePolicies, "policies", ReadPolicy,
      [](const EvidenceAppliedPolicy& policy) { return policy; }, statement.policies);
}

// Tag and wire type of EvidenceFile.records.
constexpr char kRecordTag = 0x0A;

std::string Framed(const std::string& record) {
  std::string framed(1, kRecordTag);
  std::size_t size = record.size();
  for (; size > 0x7F; size >>= 7) framed += static_cast<char>((size & 0x7F) | 0x80);
  framed += static_cast<char>(size);
  return framed + record;
}

}  // namespace

std::string_view QuarantineReasonName(QuarantineReason reason) {
  return model::NameOf(kReasons, reason);
}

std::string SerialiseStatement(const EvidenceStatement& statement) {
  v1::EvidenceStatement proto;
  proto.set_fleet_id(statement.fleet_id);
  proto.set_endpoint_id(WireBytes(statement.endpoint.view()));
  proto.set_hostname(WireText(statement.hostname, limits::kMaxFactBytes));
  proto.set_lineage_id(WireBytes(statement.lineage.view()));
  proto.set_server_time_us(WireTime(statement.server_time));
  proto.set_root_version(statement.root_version);
  for (const EvidenceKey& key : statement.keys) Write(key, *proto.add_keys());
  for (const EvidenceChain& chain : statement.chains) Write(chain, *proto.add_chains());
  for (const EvidenceQuarantined& batch : statement.quarantined) {
    Write(batch, *proto.add_quarantined());
  }
  for (const EvidenceAppliedPolicy& policy : statement.policies) {
    Write(policy, *proto.add_policies());
  }
  proto.set_fleet_exceptions_version(statement.fleet_exceptions_version);
  proto.set_endpoint_exceptions_version(statement.endpoint_exceptions_version);
  return proto.SerializeAsString();
}

base::Result<EvidenceStatement> ParseStatement(std::string_view bytes) {
  v1::EvidenceStatement proto;
  if (bytes.size() > limits::kMaxEvidenceStatementBytes ||
      !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("the statement can't be read");
  }
  EvidenceStatement statement;
  statement.fleet_id = proto.fleet_id();
  WM_ASSIGN_OR_RETURN(statement.endpoint, ReadId(proto.endpoint_id(), "endpoint_id"));
  WM_ASSIGN_OR_RETURN(statement.hostname,
                      ReadText(proto.hostname(), limits::kMaxFactBytes, "hostname"));
  WM_ASSIGN_OR_RETURN(statement.lineage, ReadId(proto.lineage_id(), "lineage_id"));
  WM_ASSIGN_OR_RETURN(statement.server_time, ReadTime(proto.server_time_us(), "server_time_us"));
  statement.root_version = proto.root_version();
  WM_RETURN_IF_ERROR(ReadLists(proto, statement));
  statement.fleet_exceptions_version = proto.fleet_exceptions_version();
  statement.endpoint_exceptions_version = proto.endpoint_exceptions_version();
  return statement;
}

base::Status PutBatch(const v1::SealedBatch& batch, v1::EvidenceBatch& out) {
  WM_ASSIGN_OR_RETURN(const SealedBatch sealed, FromProto(batch));
  *out.mutable_batch() = batch;
  for (const BatchEvent& event : sealed.events) out.add_leaves(WireBytes(LeafOf(event).view()));
  return {};
}

EvidenceWriter::EvidenceWriter(Sink sink)
    : sink_(std::move(sink)), hasher_(std::make_unique<openssl::Sha256Hasher>()) {}

EvidenceWriter::~EvidenceWriter() = default;

base::Status EvidenceWriter::Begin() {
  v1::EvidenceRecord record;
  record.mutable_header()->set_format(std::string(kEvidenceFormat));
  record.mutable_header()->set_version(kEvidenceVersion);
  return Add(record);
}

base::Status EvidenceWriter::Add(const v1::EvidenceRecord& record) {
  WM_RETURN_IF_ERROR(Write(record));
  ++records_;
  if (!record.has_batch() && !record.has_quarantined_batch()) return {};
  ++batches_;
  const v1::EvidenceBatch& batch = record.has_batch() ? record.batch() : record.quarantined_batch();
  bodies_ += static_cast<std::uint64_t>(std::ranges::count_if(
      batch.batch().events(), [](const v1::BatchEvent& event) { return !event.event().empty(); }));
  return {};
}

base::Status EvidenceWriter::End() {
  v1::EvidenceRecord record;
  record.mutable_trailer()->set_records(records_);
  record.mutable_trailer()->set_batches(batches_);
  record.mutable_trailer()->set_bodies(bodies_);
  record.mutable_trailer()->set_sha256(WireBytes(hasher_->Finish().view()));
  return Write(record);
}

base::Status EvidenceWriter::Write(const v1::EvidenceRecord& record) {
  const std::string bytes = record.SerializeAsString();
  if (bytes.size() > limits::kMaxEvidenceRecordBytes) {
    return base::ResourceExhausted("a record of the evidence has " + std::to_string(bytes.size()) +
                                   " bytes; " + std::to_string(limits::kMaxEvidenceRecordBytes) +
                                   " are allowed");
  }
  const std::string framed = Framed(bytes);
  hasher_->Update(base::AsBytes(framed));
  return sink_(framed);
}

}  // namespace weighmaster::wire
