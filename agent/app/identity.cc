#include "agent/app/identity.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "third_party/posix/files.h"

namespace weighmaster::agent::app {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxIdentityBytes = 2 * base::limits::kMaxRootBytes;

std::string KeyPath(const std::string& state_folder) { return state_folder + "/endpoint.key"; }

std::string IdentityPath(const std::string& state_folder) {
  return state_folder + "/enrolment.json";
}

base::Result<std::string> TextField(const Json& json, const char* key) {
  if (!json.contains(key) || !json[key].is_string()) {
    return base::InvalidArgument(std::string("\"") + key + "\" is missing");
  }
  return json[key].get<std::string>();
}

base::Result<wire::KeySignature> ParseSignature(const Json& json) {
  wire::KeySignature signature;
  WM_ASSIGN_OR_RETURN(const std::string key, TextField(json, "key_id"));
  WM_ASSIGN_OR_RETURN(signature.key_id, model::ParseSha256(key));
  WM_ASSIGN_OR_RETURN(const std::string text, TextField(json, "signature"));
  WM_ASSIGN_OR_RETURN(const base::Bytes bytes, base::Base64UrlDecode(text));
  WM_ASSIGN_OR_RETURN(signature.signature, openssl::SignatureFromBytes(bytes));
  return signature;
}

base::Result<wire::SignedDocument> ParseRoot(const Json& json) {
  wire::SignedDocument root;
  WM_ASSIGN_OR_RETURN(const std::string text, TextField(json, "root"));
  WM_ASSIGN_OR_RETURN(const base::Bytes bytes, base::Base64UrlDecode(text));
  root.bytes = std::string(base::AsText(bytes));
  if (!json.contains("root_signatures") || !json["root_signatures"].is_array()) {
    return base::InvalidArgument("\"root_signatures\" is missing");
  }
  for (const Json& item : json["root_signatures"]) {
    WM_ASSIGN_OR_RETURN(wire::KeySignature signature, ParseSignature(item));
    root.signatures.push_back(signature);
  }
  return root;
}

base::Result<EnrolledIdentity> ParseIdentity(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return base::InvalidArgument("it is no JSON object");
  EnrolledIdentity identity;
  WM_ASSIGN_OR_RETURN(const std::string id, TextField(json, "endpoint_id"));
  WM_ASSIGN_OR_RETURN(identity.endpoint_id, model::ParseId(id));
  WM_ASSIGN_OR_RETURN(identity.address, TextField(json, "address"));
  WM_ASSIGN_OR_RETURN(identity.ca_pem, TextField(json, "ca_pem"));
  WM_ASSIGN_OR_RETURN(identity.certificate_pem, TextField(json, "certificate_pem"));
  WM_ASSIGN_OR_RETURN(identity.root, ParseRoot(json));
  return identity;
}

}  // namespace

base::Result<openssl::PrivateKey> LoadOrMakeKey(const std::string& state_folder) {
  const std::string path = KeyPath(state_folder);
  auto loaded = openssl::PrivateKey::FromFile(path);
  if (loaded.has_value() || loaded.error().code() != base::ErrorCode::kNotFound) return loaded;
  WM_ASSIGN_OR_RETURN(openssl::PrivateKey key, openssl::PrivateKey::Generate());
  WM_RETURN_IF_ERROR(key.WriteNewFile(path));
  return key;
}

bool HasKey(const std::string& state_folder) {
  std::error_code error;
  return std::filesystem::symlink_status(KeyPath(state_folder), error).type() !=
         std::filesystem::file_type::not_found;
}

base::Result<std::optional<EnrolledIdentity>> LoadIdentity(const std::string& state_folder) {
  const std::string path = IdentityPath(state_folder);
  const auto text = posix::ReadFile(path, kMaxIdentityBytes);
  if (!text.has_value()) {
    if (text.error().code() == base::ErrorCode::kNotFound) return std::optional<EnrolledIdentity>();
    return text.error();
  }
  auto identity = ParseIdentity(*text);
  if (!identity.has_value()) {
    return std::move(identity.error())
        .While("reading " + path + "; remove it and enrol this endpoint again");
  }
  return std::optional<EnrolledIdentity>(std::move(*identity));
}

base::Status SaveIdentity(const std::string& state_folder, const EnrolledIdentity& identity) {
  Json signatures = Json::array();
  for (const wire::KeySignature& signature : identity.root.signatures) {
    signatures.push_back({{"key_id", signature.key_id.ToHex()},
                          {"signature", base::Base64UrlEncode(signature.signature)}});
  }
  const Json json = {{"endpoint_id", identity.endpoint_id.ToHex()},
                     {"address", identity.address},
                     {"ca_pem", identity.ca_pem},
                     {"certificate_pem", identity.certificate_pem},
                     {"root", base::Base64UrlEncode(base::AsBytes(identity.root.bytes))},
                     {"root_signatures", std::move(signatures)}};
  return posix::ReplaceFile(IdentityPath(state_folder), json.dump(2) + "\n", 0600);
}

}  // namespace weighmaster::agent::app
