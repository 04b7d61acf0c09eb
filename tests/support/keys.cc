#include "tests/support/keys.h"

#include <array>
#include <map>
#include <mutex>

#include "policy/base/check.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::tests {
namespace {

constexpr std::string_view kFleetId = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// PEM wants the padded alphabet of RFC 4648 section 4; the keys here have 51 bytes, a multiple
// of 3.
std::string Base64(base::ByteView bytes) {
  WM_CHECK(bytes.size() % 3 == 0);
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t word = (std::uint32_t{bytes[i]} << 16) |
                               (std::uint32_t{bytes[i + 1]} << 8) | std::uint32_t{bytes[i + 2]};
    for (int shift = 18; shift >= 0; shift -= 6) text += kBase64[(word >> shift) & 0x3f];
  }
  return text;
}

// ECPrivateKey (RFC 5915) with the number and the curve; OpenSSL computes the public point.
openssl::PrivateKey MakeKey(int n) {
  const model::Sha256 number =
      openssl::Sha256Of(base::AsBytes("weighmaster test key " + std::to_string(n)));
  base::Bytes der = {0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20};
  der.insert(der.end(), number.bytes.begin(), number.bytes.end());
  constexpr std::array<std::uint8_t, 12> kCurve = {0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                                   0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
  der.insert(der.end(), kCurve.begin(), kCurve.end());
  auto key = openssl::PrivateKey::FromPem("-----BEGIN EC PRIVATE KEY-----\n" + Base64(der) +
                                          "\n-----END EC PRIVATE KEY-----\n");
  WM_CHECK(key.has_value());
  return *std::move(key);
}

wire::Role RoleOf(const std::vector<int>& keys, std::uint32_t threshold) {
  wire::Role role;
  role.threshold = threshold;
  for (const int n : keys) role.key_ids.push_back(TestKey(n).public_key().id());
  return role;
}

}  // namespace

const openssl::PrivateKey& TestKey(int n) {
  static std::mutex mutex;  // guards keys
  static std::map<int, openssl::PrivateKey> keys;
  const std::lock_guard lock(mutex);
  const auto found = keys.find(n);
  return found != keys.end() ? found->second : keys.emplace(n, MakeKey(n)).first->second;
}

const openssl::PrivateKey& RootKey() { return TestKey(1); }
const openssl::PrivateKey& PolicyKey() { return TestKey(2); }
const openssl::PrivateKey& ServerKey() { return TestKey(3); }
const openssl::PrivateKey& ExceptionsKey() { return TestKey(5); }

wire::Root MakeRoot(const std::vector<int>& root_keys, std::uint32_t root_threshold,
                    std::uint64_t version) {
  wire::Root root;
  root.fleet_id = kFleetId;
  root.version = version;
  root.issued = kTestEpoch;
  root.expires = kTestEpoch + std::chrono::hours(24 * 3650);
  std::vector<int> all = root_keys;
  all.insert(all.end(), {2, 3});
  for (const int n : all) root.keys.emplace(TestKey(n).public_key().id(), TestKey(n).public_key());
  root.roles[std::string(wire::kRoleRoot)] = RoleOf(root_keys, root_threshold);
  root.roles[std::string(wire::kRolePolicy)] = RoleOf({2}, 1);
  root.roles[std::string(wire::kRoleServer)] = RoleOf({3}, 1);
  return root;
}

wire::SignedDocument SignRoot(const wire::Root& root, const std::vector<int>& keys) {
  wire::SignedDocument document{.bytes = wire::SerialiseRoot(root), .signatures = {}};
  for (const int n : keys) {
    WM_CHECK(wire::Sign(document, wire::kDomainRoot, TestKey(n)).has_value());
  }
  return document;
}

TestFleet MakeTestFleet() {
  wire::Root root = MakeRoot({1}, 1);
  root.keys.emplace(ExceptionsKey().public_key().id(), ExceptionsKey().public_key());
  root.roles[std::string(wire::kRoleExceptions)] = RoleOf({5}, 1);
  wire::SignedDocument signed_root = SignRoot(root, {1});
  return TestFleet{.root = std::move(root), .signed_root = std::move(signed_root)};
}

wire::PartReference PartOf(wire::PartKind kind, const std::string& bytes,
                           std::vector<std::string> features) {
  return wire::PartReference{.kind = kind,
                             .sha256 = openssl::Sha256Of(base::AsBytes(bytes)),
                             .size_bytes = bytes.size(),
                             .features = std::move(features)};
}

wire::BundleManifest MakeManifest(std::uint64_t version, std::uint64_t floor) {
  wire::BundleManifest manifest;
  manifest.fleet_id = kFleetId;
  manifest.line = "default";
  manifest.version = version;
  manifest.issued = kTestEpoch;
  manifest.expires = kTestEpoch + std::chrono::hours(24 * 90);
  manifest.floor = floor;
  manifest.document = openssl::Sha256Of(base::AsBytes("a reviewed text"));
  manifest.document_name = "test";
  return manifest;
}

wire::SignedDocument SignBundle(const wire::BundleManifest& manifest) {
  wire::SignedDocument document{.bytes = wire::SerialiseManifest(manifest), .signatures = {}};
  WM_CHECK(wire::Sign(document, wire::kDomainBundle, PolicyKey()).has_value());
  return document;
}

model::ExceptionSet MakeExceptionSet(std::uint64_t version,
                                     std::vector<model::Exception> exceptions) {
  model::ExceptionSet set;
  set.fleet_id = kFleetId;
  set.version = version;
  set.issued = kTestEpoch;
  set.exceptions = std::move(exceptions);
  return set;
}

wire::SignedDocument SignExceptions(const model::ExceptionSet& set) {
  wire::SignedDocument document{.bytes = wire::SerialiseExceptions(set), .signatures = {}};
  WM_CHECK(wire::Sign(document, wire::kDomainExceptions, ExceptionsKey()).has_value());
  return document;
}

}  // namespace weighmaster::tests
