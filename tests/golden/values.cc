#include "tests/golden/values.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "proto/wire/convert.h"
#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::tests {
namespace {

model::Id IdOf(std::uint8_t first) {
  model::Id id;
  std::iota(id.bytes.begin(), id.bytes.end(), first);
  return id;
}

model::Sha256 DigestOf(std::string_view text) { return openssl::Sha256Of(base::AsBytes(text)); }

model::Sighting GoldenSighting() {
  model::Sighting sighting;
  sighting.path.bytes = "/home/ada/models/caf\xe9/tiny.gguf";  // Latin-1, not UTF-8
  sighting.identity.bytes = std::string("\x01\x02\x00\x03", 4);
  sighting.size_bytes = 123'456'789;
  sighting.modified_at = kTestEpoch - std::chrono::hours(24);
  sighting.owner = {.id = "1000", .name = "ada"};
  sighting.facts.format = model::Format::kGguf;
  sighting.facts.name = "Tiny";
  sighting.facts.architecture = "llama";
  sighting.facts.license = "apache-2.0";
  sighting.facts.quantization = "Q4_K_M";
  sighting.facts.parameters = 1'100'000'000;
  sighting.facts.tensor_count = 201;
  sighting.facts.risks = {{.id = "opaque",
                           .severity = model::Severity::kLow,
                           .message = "The file holds bytes that no tensor covers.",
                           .evidence = "offset 4096"}};
  sighting.digest = {.state = model::DigestState::kVerified,
                     .sha256 = DigestOf("the bytes of tiny.gguf"),
                     .detail = "",
                     .verified_at = kTestEpoch};
  return sighting;
}

std::string BodyOf(model::EventBody body) {
  return wire::SerialiseEvent({.wall = kTestEpoch + std::chrono::seconds(1),
                               .boot = {std::chrono::seconds(3600)},
                               .boot_id = IdOf(0xb0),
                               .body = std::move(body)});
}

}  // namespace

std::vector<std::string> GoldenBodies() {
  const model::Sighting sighting = GoldenSighting();
  const model::Coverage coverage{.sensor = "artifacts",
                                 .root = {.bytes = "/home"},
                                 .state = model::CoverageState::kPartly,
                                 .reason = model::CoverageReason::kPermission,
                                 .detail = "3 folders",
                                 .detection = model::ChangeDetection::kWalksOnly,
                                 .files_seen = 1234,
                                 .files_failed = 5};
  return {BodyOf(model::SightingAppeared{sighting}), BodyOf(model::CoverageChanged{coverage}),
          BodyOf(model::SightingGone{.path = {.bytes = "/home/ada/old.safetensors"},
                                     .reason = model::GoneReason::kDeleted})};
}

wire::ChainPosition GoldenPosition() {
  return {.chain = IdOf(0xc0),
          .next_number = 7,
          .next_event = 42,
          .previous = DigestOf("the header of batch 6")};
}

wire::SealContext GoldenContext() {
  return {
      .priority = model::PriorityClass::kInventory,
      .dropped = {{model::PriorityClass::kInventory, 300}, {model::PriorityClass::kActivity, 2}},
      .boot_id = IdOf(0xb0),
      .wall = kTestEpoch + std::chrono::seconds(2),
      .boot = {std::chrono::seconds(3601)},
      .clock_state = wire::ClockState::kSynchronised};
}

wire::Root GoldenRoot() { return MakeRoot({1, 4, 5}, 2); }

wire::BundleManifest GoldenManifest() {
  wire::BundleManifest manifest = MakeManifest(12, 9);
  manifest.parts = {
      PartOf(wire::PartKind::kLists, "the lists", {std::string(wire::kFeatureLists)}),
      PartOf(wire::PartKind::kRules, "the rules", {std::string(wire::kFeatureRules)})};
  return manifest;
}

wire::Acknowledgement GoldenAcknowledgement() {
  return {.chain = IdOf(0xc0),
          .number = 7,
          .header_digest = DigestOf("a header"),
          .lineage = IdOf(0x1a),
          .server_time = kTestEpoch + std::chrono::seconds(3)};
}

wire::EnrolmentToken GoldenToken() {
  wire::EnrolmentToken token{.address = "weighmaster.example:7443",
                             .ca = DigestOf("the CA"),
                             .root = DigestOf("the root"),
                             .secret = base::Bytes(32)};
  std::iota(token.secret.begin(), token.secret.end(), std::uint8_t{0});
  return token;
}

}  // namespace weighmaster::tests
