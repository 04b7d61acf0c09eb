#include "tests/sim/models.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "policy/base/limits.h"
#include "policy/model/lists/digest_lists.h"
#include "policy/model/rules.h"
#include "proto/wire/convert.h"
#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::sim {
namespace {

std::string LicenseOf(int content) { return "license-" + std::to_string(content % 3); }

model::Sha256 DigestOf(int content) {
  return openssl::Sha256Of(base::AsBytes("model " + std::to_string(content)));
}

bool IsDenied(std::uint64_t version, int content) {
  return static_cast<std::uint64_t>(content) % (version + 1) == 0;
}

std::string WarnedLicense(std::uint64_t version) {
  return LicenseOf(static_cast<int>(version % 3));
}

// Digests that no content has. Of four versions one has so many that its lists are past what an
// offer brings along, and two have so many that they take two chunks: those are asked for. The two
// follow one another, so that the second can come as what leads from the first to it.
std::size_t Fillers(std::uint64_t version) {
  if (version % 4 == 1) return base::limits::kPartChunkBytes / model::Sha256::kBytes + 110;
  if (version % 4 == 0) return base::limits::kPartChunkBytes / model::Sha256::kBytes + 100;
  if (version % 4 == 2) return base::limits::kMaxOfferedPartsBytes / model::Sha256::kBytes + 100;
  return 0;
}

// The first few differ between versions, so that no two have the same part.
model::Sha256 Filler(std::uint64_t version, std::size_t n) {
  model::Sha256 digest;
  digest.bytes.fill(0xff);
  for (std::size_t i = 0; i < 8; ++i) {
    digest.bytes[8 + i] = static_cast<std::uint8_t>(n >> (8 * (7 - i)));
    if (n < 5) digest.bytes[16 + i] = static_cast<std::uint8_t>(version >> (8 * i));
  }
  return digest;
}

void AddPart(server::rollout::Publication& publication, wire::BundleManifest& manifest,
             wire::PartKind kind, std::string_view feature, std::string content) {
  wire::PartReference reference = tests::PartOf(kind, content, {std::string(feature)});
  manifest.parts.push_back(reference);
  publication.parts.push_back({std::move(reference), std::move(content)});
}

bool WithholdsLicenses(std::uint64_t version) { return version % 3 == 1; }

}  // namespace

model::Sighting MakeSighting(const model::Path& path, int content, bool hashed) {
  model::Sighting sighting;
  sighting.path = path;
  sighting.identity.bytes = path.bytes;
  sighting.size_bytes = 1'000'000 + static_cast<std::uint64_t>(content);
  sighting.facts.format = model::Format::kGguf;
  sighting.facts.name = "model " + std::to_string(content);
  sighting.facts.license = LicenseOf(content);
  if (hashed) {
    sighting.digest.state = model::DigestState::kVerified;
    sighting.digest.sha256 = DigestOf(content);
    sighting.digest.verified_at = tests::kTestEpoch;
  }
  return sighting;
}

bool IsContent(const model::Sighting& sighting, int content) {
  return sighting.digest.sha256 == DigestOf(content);
}

server::rollout::Publication MakePublication(std::uint64_t version, base::WallTime now) {
  model::DigestLists lists;
  for (int content = 0; content < kContents; ++content) {
    if (IsDenied(version, content)) lists.denied.push_back(DigestOf(content));
  }
  const std::size_t fillers = Fillers(version);
  for (std::size_t n = 0; n < fillers; ++n) lists.denied.push_back(Filler(version, n));
  model::RuleSet rules;
  rules.policy_name = "simulated " + std::to_string(version);
  model::Rule rule;
  rule.id = "license";
  rule.when.kind = model::Condition::Kind::kTest;
  rule.when.test.field = "license";
  rule.when.test.texts = {WarnedLicense(version)};
  rule.outcome = model::Outcome::kWarn;
  rules.rules.push_back(std::move(rule));
  if (WithholdsLicenses(version)) rules.settings.withheld = {model::Withheld::kLicense};

  server::rollout::Publication publication;
  wire::BundleManifest manifest = tests::MakeManifest(version, version > 2 ? version - 2 : 0);
  manifest.issued = now;
  manifest.expires = now + std::chrono::hours(24 * 90);
  const base::Bytes encoded = model::EncodeDigestLists(lists);
  AddPart(publication, manifest, wire::PartKind::kLists, wire::kFeatureLists,
          std::string(base::AsText(encoded)));
  AddPart(publication, manifest, wire::PartKind::kRules, wire::kFeatureRules,
          wire::SerialiseRules(rules));
  publication.text = rules.policy_name;
  manifest.document = openssl::Sha256Of(base::AsBytes(publication.text));
  publication.document = tests::SignBundle(manifest);
  return publication;
}

model::Outcome NaiveOutcome(std::uint64_t version, int content) {
  if (version == 0) return model::Outcome::kAllow;
  if (IsDenied(version, content)) return model::Outcome::kDeny;
  if (LicenseOf(content) == WarnedLicense(version)) return model::Outcome::kWarn;
  return model::Outcome::kAllow;
}

std::string NaiveLicense(std::uint64_t version, int content) {
  return WithholdsLicenses(version) ? "" : LicenseOf(content);
}

}  // namespace weighmaster::sim
