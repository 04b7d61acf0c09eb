#include "proto/wire/trust.h"

#include <algorithm>
#include <set>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "proto/wire/fields.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/evidence.pb.h"
#include "weighmaster/v1/exceptions.pb.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;

constexpr std::size_t kFleetIdDigits = 32;

base::Status CheckFleetId(std::string_view fleet_id) {
  const bool good = fleet_id.size() == kFleetIdDigits &&
                    fleet_id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (!good) return FieldError("fleet_id", "is not 32 lower-case hexadecimal digits");
  return {};
}

base::Result<std::string> ReadName(const std::string& text, std::string_view what) {
  if (text.empty()) return FieldError(what, "is empty");
  return ReadText(text, limits::kMaxNameBytes, what);
}

base::Status CheckDates(base::WallTime issued, base::WallTime expires) {
  if (issued >= expires) return FieldError("expires_time_us", "is not after issued_time_us");
  return {};
}

base::Status ReadKeys(const v1::Root& proto, Root& root) {
  if (proto.keys().empty() || std::size_t(proto.keys_size()) > limits::kMaxRootKeys) {
    return FieldError("keys", "holds none or too many");
  }
  for (const v1::PublicKey& proto_key : proto.keys()) {
    if (proto_key.algorithm() != v1::SIGNATURE_ALGORITHM_ECDSA_P256) {
      return FieldError("keys.algorithm", "is not ECDSA P-256, the only one this build knows");
    }
    WM_ASSIGN_OR_RETURN(const openssl::PublicKey key,
                        openssl::PublicKey::FromSpki(base::AsBytes(proto_key.spki())));
    if (!root.keys.emplace(key.id(), key).second) {
      return FieldError("keys", "names " + key.id().ToHex() + " twice");
    }
  }
  return {};
}

base::Result<Role> ReadRole(const v1::Role& proto, const Root& root) {
  Role role;
  for (const std::string& bytes : proto.key_ids()) {
    WM_ASSIGN_OR_RETURN(const model::Sha256 id, ReadSha256(bytes, "roles.key_ids"));
    if (!root.keys.contains(id)) {
      return FieldError("roles.key_ids", "names " + id.ToHex() + ", which is not among the keys");
    }
    if (std::ranges::find(role.key_ids, id) != role.key_ids.end()) {
      return FieldError("roles.key_ids", "names " + id.ToHex() + " twice");
    }
    role.key_ids.push_back(id);
  }
  role.threshold = proto.threshold();
  if (role.threshold == 0 || role.threshold > role.key_ids.size()) {
    return FieldError("roles.threshold", "is " + std::to_string(role.threshold) + " of " +
                                             std::to_string(role.key_ids.size()) + " keys");
  }
  return role;
}

base::Status ReadRoles(const v1::Root& proto, Root& root) {
  if (std::size_t(proto.roles_size()) > limits::kMaxRoles) {
    return FieldError("roles", "holds too many");
  }
  for (const v1::Role& proto_role : proto.roles()) {
    WM_ASSIGN_OR_RETURN(const std::string name, ReadName(proto_role.name(), "roles.name"));
    WM_ASSIGN_OR_RETURN(Role role, ReadRole(proto_role, root));
    if (!root.roles.emplace(name, std::move(role)).second) {
      return FieldError("roles", "names \"" + base::EscapeForDisplay(name) + "\" twice");
    }
  }
  if (!root.roles.contains(std::string(kRoleRoot))) {
    return FieldError("roles", "has no role \"root\"");
  }
  return {};
}

// Those of the document and no others, whatever the message held before.
template <typename Message>
void PutSignatures(const SignedDocument& document, Message& out) {
  out.clear_signatures();
  for (const KeySignature& signature : document.signatures) {
    v1::Signature& message = *out.add_signatures();
    message.set_key_id(WireBytes(signature.key_id.view()));
    message.set_signature(WireBytes(signature.signature));
  }
}

base::Result<KeySignature> ReadSignature(const std::string& key_id, const std::string& bytes) {
  KeySignature signature;
  WM_ASSIGN_OR_RETURN(signature.key_id, ReadSha256(key_id, "signatures.key_id"));
  WM_ASSIGN_OR_RETURN(signature.signature, openssl::SignatureFromBytes(base::AsBytes(bytes)));
  return signature;
}

template <typename Signatures>
base::Result<SignedDocument> ReadDocument(const std::string& bytes, const Signatures& signatures,
                                          std::size_t max_bytes) {
  if (bytes.size() > max_bytes) {
    return base::ResourceExhausted("a signed document has " + std::to_string(bytes.size()) +
                                   " bytes; " + std::to_string(max_bytes) + " are allowed");
  }
  if (std::size_t(signatures.size()) > limits::kMaxSignatures) {
    return FieldError("signatures", "holds more than " + std::to_string(limits::kMaxSignatures));
  }
  SignedDocument document{.bytes = bytes, .signatures = {}};
  for (const v1::Signature& proto : signatures) {
    WM_ASSIGN_OR_RETURN(KeySignature signature, ReadSignature(proto.key_id(), proto.signature()));
    document.signatures.push_back(signature);
  }
  return document;
}

base::Result<PartReference> ReadPart(const v1::PartReference& proto) {
  PartReference part;
  WM_ASSIGN_OR_RETURN(part.kind, ReadEnum<PartKind>(proto.kind(), "parts.kind"));
  WM_ASSIGN_OR_RETURN(part.sha256, ReadSha256(proto.sha256(), "parts.sha256"));
  part.size_bytes = proto.size_bytes();
  if (part.size_bytes > limits::kMaxPartBytes) {
    return base::ResourceExhausted("a part has " + std::to_string(part.size_bytes) + " bytes; " +
                                   std::to_string(limits::kMaxPartBytes) + " are allowed");
  }
  if (std::size_t(proto.features_size()) > limits::kMaxFeaturesPerPart) {
    return FieldError("parts.features", "holds too many");
  }
  for (const std::string& text : proto.features()) {
    WM_ASSIGN_OR_RETURN(std::string feature, ReadName(text, "parts.features"));
    part.features.push_back(std::move(feature));
  }
  return part;
}

base::Status ReadParts(const v1::BundleManifest& proto, BundleManifest& manifest) {
  if (proto.parts().empty() || std::size_t(proto.parts_size()) > limits::kMaxParts) {
    return FieldError("parts", "holds none or too many");
  }
  for (const v1::PartReference& proto_part : proto.parts()) {
    WM_ASSIGN_OR_RETURN(PartReference part, ReadPart(proto_part));
    // Which of two would hold is nobody's guess to make.
    if (std::ranges::find(manifest.parts, part.kind, &PartReference::kind) !=
        manifest.parts.end()) {
      return FieldError("parts", "holds two of one kind");
    }
    manifest.parts.push_back(std::move(part));
  }
  return {};
}

BundleCheck Refuse(BundleCheck check, model::PolicyRefusal refusal, std::string detail) {
  check.refusal = refusal;
  check.detail = std::move(detail);
  return check;
}

base::Result<Acknowledgement> ReadAcknowledgement(std::string_view bytes) {
  v1::Acknowledgement proto;
  if (bytes.size() > limits::kMaxBatchHeaderBytes ||
      !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("the acknowledgement can't be read");
  }
  Acknowledgement acknowledgement;
  WM_ASSIGN_OR_RETURN(acknowledgement.chain, ReadId(proto.chain_id(), "chain_id"));
  WM_ASSIGN_OR_RETURN(acknowledgement.number, ReadCount(proto.number(), "number"));
  if (acknowledgement.number == 0) return FieldError("number", "is 0");
  WM_ASSIGN_OR_RETURN(acknowledgement.header_digest,
                      ReadSha256(proto.header_digest(), "header_digest"));
  WM_ASSIGN_OR_RETURN(acknowledgement.lineage, ReadId(proto.lineage_id(), "lineage_id"));
  WM_ASSIGN_OR_RETURN(acknowledgement.server_time,
                      ReadTime(proto.server_time_us(), "server_time_us"));
  return acknowledgement;
}

}  // namespace

model::Sha256 DomainDigest(std::string_view domain, std::string_view bytes) {
  openssl::Sha256Hasher hasher;
  hasher.Update(base::AsBytes(domain));
  hasher.Update(base::AsBytes("\n"));
  hasher.Update(base::AsBytes(bytes));
  return hasher.Finish();
}

bool Root::Trusts(std::string_view role_name, std::string_view domain, std::string_view bytes,
                  const std::vector<KeySignature>& signatures) const {
  const auto role = roles.find(std::string(role_name));
  // A threshold of 0 can't be parsed; a Root made in memory must not trust everyone for it.
  if (role == roles.end() || role->second.threshold == 0) return false;
  const model::Sha256 digest = DomainDigest(domain, bytes);
  std::set<model::Sha256> signers;
  for (const KeySignature& signature : signatures) {
    const auto& ids = role->second.key_ids;
    const auto key = keys.find(signature.key_id);
    if (key == keys.end() || std::ranges::find(ids, signature.key_id) == ids.end()) continue;
    if (signers.contains(signature.key_id)) continue;
    if (key->second.Verify(digest, signature.signature)) signers.insert(signature.key_id);
  }
  return signers.size() >= role->second.threshold;
}

void ToProto(const SignedDocument& document, v1::SignedRoot& out) {
  out.set_root(document.bytes);
  PutSignatures(document, out);
}

void ToProto(const SignedDocument& document, v1::SignedBundle& out) {
  out.set_manifest(document.bytes);
  PutSignatures(document, out);
}

void ToProto(const SignedDocument& document, v1::SignedExceptions& out) {
  out.set_exceptions(document.bytes);
  PutSignatures(document, out);
}

void ToProto(const SignedDocument& document, v1::SignedEvidenceStatement& out) {
  out.set_statement(document.bytes);
  PutSignatures(document, out);
}

void ToProto(const SignedDocument& document, v1::SignedAcknowledgement& out) {
  WM_CHECK(document.signatures.size() == 1);
  out.set_acknowledgement(document.bytes);
  out.set_key_id(WireBytes(document.signatures.front().key_id.view()));
  out.set_signature(WireBytes(document.signatures.front().signature));
}

base::Result<SignedDocument> FromProto(const v1::SignedRoot& in) {
  return ReadDocument(in.root(), in.signatures(), limits::kMaxRootBytes);
}

base::Result<SignedDocument> FromProto(const v1::SignedBundle& in) {
  return ReadDocument(in.manifest(), in.signatures(), limits::kMaxManifestBytes);
}

base::Result<SignedDocument> FromProto(const v1::SignedExceptions& in) {
  return ReadDocument(in.exceptions(), in.signatures(), limits::kMaxExceptionsBytes);
}

base::Result<SignedDocument> FromProto(const v1::SignedEvidenceStatement& in) {
  return ReadDocument(in.statement(), in.signatures(), limits::kMaxEvidenceStatementBytes);
}

base::Result<SignedDocument> FromProto(const v1::SignedAcknowledgement& in) {
  if (in.acknowledgement().size() > limits::kMaxBatchHeaderBytes) {
    return base::ResourceExhausted("an acknowledgement is too long");
  }
  SignedDocument document{.bytes = in.acknowledgement(), .signatures = {}};
  WM_ASSIGN_OR_RETURN(KeySignature signature, ReadSignature(in.key_id(), in.signature()));
  document.signatures.push_back(signature);
  return document;
}

std::string SerialiseRoot(const Root& root) {
  v1::Root proto;
  proto.set_fleet_id(root.fleet_id);
  proto.set_version(root.version);
  proto.set_issued_time_us(WireTime(root.issued));
  proto.set_expires_time_us(WireTime(root.expires));
  for (const auto& [id, key] : root.keys) {
    v1::PublicKey& out = *proto.add_keys();
    out.set_algorithm(v1::SIGNATURE_ALGORITHM_ECDSA_P256);
    out.set_spki(WireBytes(key.spki()));
  }
  for (const auto& [name, role] : root.roles) {
    v1::Role& out = *proto.add_roles();
    out.set_name(name);
    for (const model::Sha256& id : role.key_ids) out.add_key_ids(WireBytes(id.view()));
    out.set_threshold(role.threshold);
  }
  return proto.SerializeAsString();
}

base::Result<Root> ParseRoot(std::string_view bytes) {
  v1::Root proto;
  if (bytes.size() > limits::kMaxRootBytes ||
      !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("the root document can't be read");
  }
  Root root;
  WM_RETURN_IF_ERROR(CheckFleetId(proto.fleet_id()));
  root.fleet_id = proto.fleet_id();
  WM_ASSIGN_OR_RETURN(root.version, ReadCount(proto.version(), "version"));
  if (root.version == 0) return FieldError("version", "is 0");
  WM_ASSIGN_OR_RETURN(root.issued, ReadTime(proto.issued_time_us(), "issued_time_us"));
  WM_ASSIGN_OR_RETURN(root.expires, ReadTime(proto.expires_time_us(), "expires_time_us"));
  WM_RETURN_IF_ERROR(CheckDates(root.issued, root.expires));
  WM_RETURN_IF_ERROR(ReadKeys(proto, root));
  WM_RETURN_IF_ERROR(ReadRoles(proto, root));
  return root;
}

base::Result<Root> VerifyRoot(const SignedDocument& document) {
  WM_ASSIGN_OR_RETURN(Root root, ParseRoot(document.bytes));
  if (!root.Trusts(kRoleRoot, kDomainRoot, document.bytes, document.signatures)) {
    return base::Unauthenticated("the root document is not signed by enough of its own root keys");
  }
  return root;
}

base::Result<Root> VerifyNextRoot(const Root& current, const SignedDocument& document) {
  WM_ASSIGN_OR_RETURN(Root next, VerifyRoot(document));
  if (!current.Trusts(kRoleRoot, kDomainRoot, document.bytes, document.signatures)) {
    return base::Unauthenticated(
        "the new root document is not signed by enough root keys of the current one");
  }
  if (next.fleet_id != current.fleet_id) {
    return base::FailedPrecondition("the new root document is for another fleet");
  }
  if (next.version != current.version + 1) {
    return base::FailedPrecondition("the new root document has version " +
                                    std::to_string(next.version) + "; the next one is " +
                                    std::to_string(current.version + 1));
  }
  return next;
}

bool TakesAPolicyKeyAway(const Root& before, const Root& after) {
  const auto old = before.roles.find(std::string(kRolePolicy));
  const auto now = after.roles.find(std::string(kRolePolicy));
  if (old == before.roles.end()) return false;
  return std::ranges::any_of(old->second.key_ids, [&](const model::Sha256& id) {
    return now == after.roles.end() ||
           std::ranges::find(now->second.key_ids, id) == now->second.key_ids.end();
  });
}

std::string SerialiseManifest(const BundleManifest& manifest) {
  v1::BundleManifest proto;
  proto.set_fleet_id(manifest.fleet_id);
  proto.set_line(manifest.line);
  proto.set_label_selector(manifest.label_selector);
  proto.set_version(manifest.version);
  proto.set_issued_time_us(WireTime(manifest.issued));
  proto.set_expires_time_us(WireTime(manifest.expires));
  proto.set_floor(manifest.floor);
  proto.set_document_sha256(WireBytes(manifest.document.view()));
  proto.set_document_name(WireText(manifest.document_name, limits::kMaxFactBytes));
  for (const PartReference& part : manifest.parts) {
    v1::PartReference& out = *proto.add_parts();
    out.set_kind(static_cast<v1::PartKind>(part.kind));
    out.set_sha256(WireBytes(part.sha256.view()));
    out.set_size_bytes(part.size_bytes);
    for (const std::string& feature : part.features) out.add_features(feature);
  }
  return proto.SerializeAsString();
}

base::Result<BundleManifest> ParseManifest(std::string_view bytes) {
  if (bytes.size() > limits::kMaxManifestBytes) {
    return base::ResourceExhausted("the manifest has " + std::to_string(bytes.size()) + " bytes; " +
                                   std::to_string(limits::kMaxManifestBytes) + " are allowed");
  }
  v1::BundleManifest proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("the manifest can't be read");
  }
  BundleManifest manifest;
  WM_RETURN_IF_ERROR(CheckFleetId(proto.fleet_id()));
  manifest.fleet_id = proto.fleet_id();
  WM_ASSIGN_OR_RETURN(manifest.line, ReadName(proto.line(), "line"));
  WM_ASSIGN_OR_RETURN(
      manifest.label_selector,
      ReadText(proto.label_selector(), limits::kMaxLabelSelectorBytes, "label_selector"));
  WM_ASSIGN_OR_RETURN(manifest.version, ReadCount(proto.version(), "version"));
  if (manifest.version == 0) return FieldError("version", "is 0");
  WM_ASSIGN_OR_RETURN(manifest.issued, ReadTime(proto.issued_time_us(), "issued_time_us"));
  WM_ASSIGN_OR_RETURN(manifest.expires, ReadTime(proto.expires_time_us(), "expires_time_us"));
  WM_RETURN_IF_ERROR(CheckDates(manifest.issued, manifest.expires));
  manifest.floor = proto.floor();
  if (manifest.floor > manifest.version) return FieldError("floor", "is above the version");
  WM_ASSIGN_OR_RETURN(manifest.document, ReadSha256(proto.document_sha256(), "document_sha256"));
  WM_ASSIGN_OR_RETURN(manifest.document_name,
                      ReadText(proto.document_name(), limits::kMaxFactBytes, "document_name"));
  WM_RETURN_IF_ERROR(ReadParts(proto, manifest));
  return manifest;
}

BundleCheck CheckBundle(const SignedDocument& document, const Root& root, std::string_view line,
                        std::uint64_t floor) {
  using model::PolicyRefusal;
  BundleCheck check;
  auto manifest = ParseManifest(document.bytes);
  if (!manifest) {
    const bool too_large = manifest.error().code() == base::ErrorCode::kResourceExhausted;
    return Refuse(check, too_large ? PolicyRefusal::kTooLarge : PolicyRefusal::kMalformed,
                  manifest.error().message());
  }
  check.manifest = *std::move(manifest);
  if (!root.Trusts(kRolePolicy, kDomainBundle, document.bytes, document.signatures)) {
    return Refuse(check, PolicyRefusal::kBadSignature,
                  "the bundle is not signed by enough keys of the role \"policy\"");
  }
  if (check.manifest.fleet_id != root.fleet_id) {
    return Refuse(check, PolicyRefusal::kWrongFleet,
                  "the bundle is for fleet " + check.manifest.fleet_id + ", not " + root.fleet_id);
  }
  if (check.manifest.line != line) {
    return Refuse(check, PolicyRefusal::kWrongLine,
                  "the bundle is of line \"" + base::EscapeForDisplay(check.manifest.line) +
                      "\"; this endpoint follows \"" + std::string(line) + "\"");
  }
  if (check.manifest.version < floor) {
    return Refuse(check, PolicyRefusal::kBelowFloor,
                  "the bundle has version " + std::to_string(check.manifest.version) +
                      ", below the floor " + std::to_string(floor));
  }
  return check;
}

base::Status Sign(SignedDocument& document, std::string_view domain,
                  const openssl::Signer& signer) {
  KeySignature signature{.key_id = signer.public_key().id(), .signature = {}};
  WM_ASSIGN_OR_RETURN(signature.signature, signer.Sign(DomainDigest(domain, document.bytes)));
  std::erase_if(document.signatures,
                [&](const KeySignature& old) { return old.key_id == signature.key_id; });
  document.signatures.push_back(signature);
  return {};
}

SignedDocument MakeAcknowledgement(const Acknowledgement& acknowledgement,
                                   const openssl::Signer& signer) {
  v1::Acknowledgement proto;
  proto.set_chain_id(WireBytes(acknowledgement.chain.view()));
  proto.set_number(acknowledgement.number);
  proto.set_header_digest(WireBytes(acknowledgement.header_digest.view()));
  proto.set_lineage_id(WireBytes(acknowledgement.lineage.view()));
  proto.set_server_time_us(WireTime(acknowledgement.server_time));
  SignedDocument document{.bytes = proto.SerializeAsString(), .signatures = {}};
  // The server's online key is in memory; signing with it fails only when memory is out.
  WM_CHECK(Sign(document, kDomainAcknowledgement, signer).has_value());
  return document;
}

base::Result<Acknowledgement> VerifyAcknowledgement(const SignedDocument& document,
                                                    const Root& root) {
  WM_ASSIGN_OR_RETURN(Acknowledgement acknowledgement, ReadAcknowledgement(document.bytes));
  if (!root.Trusts(kRoleServer, kDomainAcknowledgement, document.bytes, document.signatures)) {
    return base::Unauthenticated("the acknowledgement is not signed by the fleet's server");
  }
  return acknowledgement;
}

}  // namespace weighmaster::wire
