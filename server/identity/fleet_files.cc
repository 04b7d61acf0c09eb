#include "server/identity/fleet_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "proto/wire/exceptions.h"
#include "third_party/openssl/certificate.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::server::identity {
namespace {

using base::Result;
using base::Status;
using openssl::PrivateKey;

// Agents pin the CA by the enrolment token, and the server has no CA above it to ask again.
constexpr std::chrono::hours kFleetLifetime{10 * 365 * 24};
// A server whose clock is a little behind must not find its own certificates in the future.
constexpr std::chrono::hours kClockSlack{24};
constexpr std::string_view kRootFile = "/root.signed";
// With it a fleet is whole.
constexpr std::string_view kLastFile = kRootFile;
constexpr std::size_t kMaxPemBytes = 64 * base::limits::kKiB;

bool IsWhole(const std::string& folder) {
  std::error_code error;
  return std::filesystem::symlink_status(folder + std::string(kLastFile), error).type() !=
         std::filesystem::file_type::not_found;
}

struct NewKeys {
  PrivateKey ca;
  PrivateKey tls;
  PrivateKey ack;
  PrivateKey root;
  PrivateKey policy;
  PrivateKey exceptions;
};

Result<NewKeys> MakeKeys() {
  WM_ASSIGN_OR_RETURN(PrivateKey ca, PrivateKey::Generate());
  WM_ASSIGN_OR_RETURN(PrivateKey tls, PrivateKey::Generate());
  WM_ASSIGN_OR_RETURN(PrivateKey ack, PrivateKey::Generate());
  WM_ASSIGN_OR_RETURN(PrivateKey root, PrivateKey::Generate());
  WM_ASSIGN_OR_RETURN(PrivateKey policy, PrivateKey::Generate());
  WM_ASSIGN_OR_RETURN(PrivateKey exceptions, PrivateKey::Generate());
  return NewKeys{std::move(ca),   std::move(tls),    std::move(ack),
                 std::move(root), std::move(policy), std::move(exceptions)};
}

Result<std::string> MakeSignedRoot(const NewKeys& keys, const std::string& fleet_id,
                                   base::WallTime now) {
  wire::Root root;
  root.fleet_id = fleet_id;
  root.issued = now;
  root.expires = now + kFleetLifetime;
  const auto add = [&root](std::string_view role, const PrivateKey& key) {
    root.keys.emplace(key.public_key().id(), key.public_key());
    root.roles[std::string(role)].key_ids.push_back(key.public_key().id());
  };
  add(wire::kRoleRoot, keys.root);
  add(wire::kRolePolicy, keys.policy);
  add(wire::kRoleExceptions, keys.exceptions);
  add(wire::kRoleServer, keys.ack);
  wire::SignedDocument document;
  document.bytes = wire::SerialiseRoot(root);
  WM_RETURN_IF_ERROR(wire::Sign(document, wire::kDomainRoot, keys.root));
  v1::SignedRoot message;
  wire::ToProto(document, message);
  return message.SerializeAsString();
}

Result<std::string> MakeTlsCertificate(const NewKeys& keys, const std::string& ca_pem,
                                       const NewFleet& fleet) {
  openssl::CertificateRequest request;
  request.common_name =
      fleet.dns_names.empty() ? fleet.ip_addresses.front() : fleet.dns_names.front();
  request.use = openssl::CertificateUse::kServer;
  request.dns_names = fleet.dns_names;
  request.ip_addresses = fleet.ip_addresses;
  request.not_before = fleet.now - kClockSlack;
  request.not_after = fleet.now + kFleetLifetime;
  return openssl::IssueCertificate(keys.ca, ca_pem, keys.tls.public_key(), request);
}

Result<wire::SignedDocument> ReadSignedRoot(const std::string& path) {
  WM_ASSIGN_OR_RETURN(const std::string bytes, posix::ReadFile(path, base::limits::kMaxRootBytes));
  v1::SignedRoot message;
  if (!message.ParseFromString(bytes)) {
    return base::FailedPrecondition(path + " is no signed root document");
  }
  return wire::FromProto(message);
}

Status CheckServerKey(const wire::Root& root, const PrivateKey& key) {
  const auto role = root.roles.find(std::string(wire::kRoleServer));
  if (role != root.roles.end() && std::ranges::find(role->second.key_ids, key.public_key().id()) !=
                                      role->second.key_ids.end()) {
    return {};
  }
  return base::FailedPrecondition(
      "ack.key is no key of the root document's role \"server\"; endpoints would believe none of "
      "its acknowledgements");
}

}  // namespace

Status CreateFleet(const std::string& folder, const NewFleet& fleet, base::Random& random) {
  if (fleet.dns_names.empty() && fleet.ip_addresses.empty()) {
    return base::InvalidArgument("a server needs a name or an address by which agents reach it");
  }
  model::Id id;
  random.Fill(id.bytes);
  const std::string fleet_id = id.ToHex();
  WM_ASSIGN_OR_RETURN(const NewKeys keys, MakeKeys());
  WM_ASSIGN_OR_RETURN(const std::string signed_root, MakeSignedRoot(keys, fleet_id, fleet.now));
  WM_ASSIGN_OR_RETURN(
      const std::string ca_pem,
      openssl::MakeCaCertificate(keys.ca, "Weighmaster fleet " + fleet_id, fleet.now - kClockSlack,
                                 fleet.now + kFleetLifetime));
  WM_ASSIGN_OR_RETURN(const std::string tls_pem, MakeTlsCertificate(keys, ca_pem, fleet));

  WM_RETURN_IF_ERROR(posix::MakePrivateFolder(folder));
  WM_RETURN_IF_ERROR(posix::MakePrivateFolder(folder + "/offline-keys"));
  const std::pair<std::string_view, std::string> files[] = {
      {"/ca.key", keys.ca.ToPem()},
      {"/ca.pem", ca_pem},
      {"/tls.key", keys.tls.ToPem()},
      {"/tls.pem", tls_pem},
      {"/ack.key", keys.ack.ToPem()},
      {"/offline-keys/root.key", keys.root.ToPem()},
      {"/offline-keys/policy.key", keys.policy.ToPem()},
      {"/offline-keys/exceptions.key", keys.exceptions.ToPem()},
      {kLastFile, signed_root},
  };
  for (const auto& [name, content] : files) {
    auto written = posix::WriteNewFile(folder + std::string(name), content, 0600);
    if (!written.has_value()) {
      if (written.error().code() == base::ErrorCode::kAlreadyExists && !IsWhole(folder)) {
        return base::AlreadyExists("a fleet was begun in " + folder +
                                   " and never finished, so nobody trusts it; empty the folder "
                                   "and make it again");
      }
      return std::move(written.error())
          .While("making a fleet in " + folder + " (an existing one is never overwritten)");
    }
  }
  return {};
}

Result<FleetFiles> LoadFleet(const std::string& folder) {
  WM_ASSIGN_OR_RETURN(PrivateKey ca_key, PrivateKey::FromFile(folder + "/ca.key"));
  WM_ASSIGN_OR_RETURN(const PrivateKey tls_key, PrivateKey::FromFile(folder + "/tls.key"));
  WM_ASSIGN_OR_RETURN(PrivateKey ack_key, PrivateKey::FromFile(folder + "/ack.key"));
  WM_ASSIGN_OR_RETURN(std::string ca_pem, posix::ReadFile(folder + "/ca.pem", kMaxPemBytes));
  WM_ASSIGN_OR_RETURN(std::string tls_pem, posix::ReadFile(folder + "/tls.pem", kMaxPemBytes));
  WM_ASSIGN_OR_RETURN(wire::SignedDocument signed_root,
                      ReadSignedRoot(folder + std::string(kRootFile)));
  WM_ASSIGN_OR_RETURN(wire::Root root, wire::VerifyRoot(signed_root));
  if (Status known = CheckServerKey(root, ack_key); !known.has_value()) {
    return std::move(known).error().While("loading the fleet in " + folder);
  }
  WM_ASSIGN_OR_RETURN(const openssl::Certificate tls, openssl::ParseCertificate(tls_pem));
  if (!openssl::IsIssuedBy(tls, ca_pem) || !tls.key.has_value() ||
      tls.key->id() != tls_key.public_key().id()) {
    return base::FailedPrecondition(folder + "/tls.pem does not fit ca.pem and tls.key");
  }
  return FleetFiles{std::move(ca_key),  std::move(ca_pem),      tls_key.ToPem(), std::move(tls_pem),
                    std::move(ack_key), std::move(signed_root), std::move(root)};
}

Result<NextRoot> ReadNextRoot(const std::string& path, const FleetFiles& files,
                              base::WallTime now) {
  NextRoot next;
  WM_ASSIGN_OR_RETURN(next.document, ReadSignedRoot(path));
  WM_ASSIGN_OR_RETURN(next.root, wire::VerifyNextRoot(files.root, next.document));
  WM_RETURN_IF_ERROR(CheckServerKey(next.root, files.ack_key));
  if (now >= next.root.expires) {
    return base::FailedPrecondition("the new root document expired at " +
                                    base::FormatWallTime(next.root.expires));
  }
  return next;
}

Status ReplaceRoot(const std::string& folder, const wire::SignedDocument& root) {
  v1::SignedRoot message;
  wire::ToProto(root, message);
  return posix::ReplaceFile(folder + std::string(kRootFile), message.SerializeAsString(), 0600);
}

}  // namespace weighmaster::server::identity
