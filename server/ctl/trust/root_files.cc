#include "server/ctl/trust/root_files.h"

#include <algorithm>

#include "policy/base/limits.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::server::ctl {
namespace {

constexpr std::size_t kMaxKeyFileBytes = 64 * base::limits::kKiB;

}  // namespace

base::Result<wire::SignedDocument> ReadRootFile(const std::string& path) {
  WM_ASSIGN_OR_RETURN(const std::string bytes, posix::ReadFile(path, base::limits::kMaxRootBytes));
  v1::SignedRoot message;
  if (!message.ParseFromString(bytes) || message.root().empty()) {
    return base::InvalidArgument(path + " is no root document");
  }
  return wire::FromProto(message);
}

base::Result<wire::Root> ReadTrustedRoot(const std::string& path) {
  WM_ASSIGN_OR_RETURN(const wire::SignedDocument document, ReadRootFile(path));
  auto root = wire::VerifyRoot(document);
  if (!root.has_value()) return std::move(root).error().While("reading " + path);
  return root;
}

base::Result<openssl::PublicKey> ReadPublicKey(const std::string& path) {
  WM_ASSIGN_OR_RETURN(const std::string pem, posix::ReadFile(path, kMaxKeyFileBytes));
  if (pem.find("PRIVATE KEY") == std::string::npos) {
    auto key = openssl::PublicKey::FromPem(pem);
    if (!key.has_value()) return std::move(key).error().While("reading " + path);
    return key;
  }
  WM_ASSIGN_OR_RETURN(const openssl::PrivateKey key, openssl::PrivateKey::FromFile(path));
  return key.public_key();
}

base::Status CheckRole(const wire::Root& root, std::string_view role,
                       const openssl::PublicKey& key) {
  const auto found = root.roles.find(std::string(role));
  if (found != root.roles.end() &&
      std::ranges::find(found->second.key_ids, key.id()) != found->second.key_ids.end()) {
    return {};
  }
  return base::FailedPrecondition("the key " + key.id().ToHex() + " is none of the role \"" +
                                  std::string(role) + "\" in root " + std::to_string(root.version) +
                                  "; endpoints would refuse what it signs");
}

}  // namespace weighmaster::server::ctl
