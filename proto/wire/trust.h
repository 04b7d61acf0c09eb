#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "policy/model/event.h"
#include "third_party/openssl/key.h"

namespace weighmaster::v1 {
class SignedAcknowledgement;
class SignedBundle;
class SignedEvidenceStatement;
class SignedExceptions;
class SignedRoot;
}  // namespace weighmaster::v1

namespace weighmaster::wire {

// docs/formats/trust.md: the root document, bundles, acknowledgements, tokens, the hello.

// Domains of signatures. What is signed is SHA-256(domain || "\n" || bytes), so that no signature
// means anything elsewhere.
inline constexpr std::string_view kDomainBatchHeader = "weighmaster batch header v1";
inline constexpr std::string_view kDomainAcknowledgement = "weighmaster acknowledgement v1";
inline constexpr std::string_view kDomainHello = "weighmaster hello v1";
inline constexpr std::string_view kDomainRoot = "weighmaster root v1";
inline constexpr std::string_view kDomainBundle = "weighmaster bundle v1";
model::Sha256 DomainDigest(std::string_view domain, std::string_view bytes);

inline constexpr std::string_view kRoleRoot = "root";
inline constexpr std::string_view kRolePolicy = "policy";
inline constexpr std::string_view kRoleServer = "server";

struct KeySignature {
  model::Sha256 key_id;
  openssl::Signature signature{};
};

struct Role {
  std::vector<model::Sha256> key_ids;
  std::uint32_t threshold = 1;
};

struct Root {
  std::string fleet_id;
  std::uint64_t version = 1;
  base::WallTime issued;
  base::WallTime expires;
  std::map<model::Sha256, openssl::PublicKey> keys;
  std::map<std::string, Role> roles;

  // Whether enough *different* keys of the role signed these bytes in this domain.
  bool Trusts(std::string_view role, std::string_view domain, std::string_view bytes,
              const std::vector<KeySignature>& signatures) const;
};

// A document as it was signed.
struct SignedDocument {
  std::string bytes;
  std::vector<KeySignature> signatures;
};
void ToProto(const SignedDocument& document, v1::SignedRoot& out);
void ToProto(const SignedDocument& document, v1::SignedBundle& out);
void ToProto(const SignedDocument& document, v1::SignedExceptions& out);
void ToProto(const SignedDocument& document, v1::SignedEvidenceStatement& out);
// Carries exactly one signature.
void ToProto(const SignedDocument& document, v1::SignedAcknowledgement& out);
base::Result<SignedDocument> FromProto(const v1::SignedRoot& in);
base::Result<SignedDocument> FromProto(const v1::SignedBundle& in);
base::Result<SignedDocument> FromProto(const v1::SignedExceptions& in);
base::Result<SignedDocument> FromProto(const v1::SignedEvidenceStatement& in);
base::Result<SignedDocument> FromProto(const v1::SignedAcknowledgement& in);

std::string SerialiseRoot(const Root& root);
base::Result<Root> ParseRoot(std::string_view bytes);
// A root on its own: it parses and its own `root` role signed it.
base::Result<Root> VerifyRoot(const SignedDocument& document);
// The next root after `current`: the same fleet, version exactly one more, signed by the root roles
// of both. Expiry is the caller's to judge, against the latest time it has ever verified.
base::Result<Root> VerifyNextRoot(const Root& current, const SignedDocument& document);
// Whether a key of the role `policy` of `before` is none of that role any more. Whoever had it may
// have raised the floor past every version to come, so the floor does not outlive it.
bool TakesAPolicyKeyAway(const Root& before, const Root& after);

enum class PartKind : std::uint8_t { kLists = 1, kRules = 2, kContent = 3 };
struct PartReference {
  PartKind kind = PartKind::kRules;  // a kind this build does not know is kept as its number
  model::Sha256 sha256;
  std::uint64_t size_bytes = 0;
  std::vector<std::string> features;
};
// Features that this build reads.
inline constexpr std::string_view kFeatureLists = "lists.v1";
inline constexpr std::string_view kFeatureRules = "rules.v1";

struct BundleManifest {
  std::string fleet_id;
  std::string line;
  std::string label_selector;
  std::uint64_t version = 0;
  base::WallTime issued;
  base::WallTime expires;
  std::uint64_t floor = 0;
  model::Sha256 document;
  std::string document_name;
  std::vector<PartReference> parts;
};
std::string SerialiseManifest(const BundleManifest& manifest);
base::Result<BundleManifest> ParseManifest(std::string_view bytes);

// What an agent asks before anything of a bundle is used, in this order, and the reason of the
// first that fails: it parses and is within limits; the `policy` role signed it; it is for this
// fleet and line; its version is at or above `floor`.
struct BundleCheck {
  model::PolicyRefusal refusal = model::PolicyRefusal::kNone;  // kNone: `manifest` holds
  std::string detail;
  BundleManifest manifest;
};
BundleCheck CheckBundle(const SignedDocument& document, const Root& root, std::string_view line,
                        std::uint64_t floor);

// Adds one signature. Signing the same bytes again by the same key replaces its signature.
base::Status Sign(SignedDocument& document, std::string_view domain, const openssl::Signer& signer);

struct Acknowledgement {
  model::Id chain;
  std::uint64_t number = 0;
  model::Sha256 header_digest;
  model::Id lineage;
  base::WallTime server_time;
};
SignedDocument MakeAcknowledgement(const Acknowledgement& acknowledgement,
                                   const openssl::Signer& signer);
base::Result<Acknowledgement> VerifyAcknowledgement(const SignedDocument& document,
                                                    const Root& root);

// "wm1." and base64url. The text is a secret.
struct EnrolmentToken {
  std::string address;
  model::Sha256 ca;
  model::Sha256 root;
  base::Bytes secret;
};
std::string FormatToken(const EnrolmentToken& token);
base::Result<EnrolmentToken> ParseToken(std::string_view text);

}  // namespace weighmaster::wire
