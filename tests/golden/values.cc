#include "tests/golden/values.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "proto/wire/convert.h"
#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/sync.pb.h"

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

std::vector<std::string> ControlBodies() {
  const model::PolicyApplied applied{.version = 12,
                                     .manifest = DigestOf("a manifest"),
                                     .partly = true,
                                     .missing_features = "rules.v2,windows.v1",
                                     .judged = 300,
                                     .changed = 7,
                                     .allow = 290,
                                     .warn = 6,
                                     .deny = 4};
  return {BodyOf(model::ChainStarted{.reason = model::ChainReason::kCannotRefill,
                                     .old_chain = IdOf(0xd0),
                                     .old_number = 6,
                                     .old_header = DigestOf("the header of batch 6")}),
          BodyOf(model::AgentStarted{.version = "0.1.0",
                                     .os = "linux",
                                     .os_release = "Debian GNU/Linux 12",
                                     .hostname = "lovelace"}),
          BodyOf(applied),
          BodyOf(model::PolicyRefused{.version = 11,
                                      .refusal = model::PolicyRefusal::kBelowFloor,
                                      .detail = "the floor is 12"}),
          BodyOf(model::BodiesDropped{.priority = model::PriorityClass::kInventory, .count = 300})};
}

model::SightingJudged GoldenJudged() {
  return {.path = GoldenSighting().path,
          .sha256 = DigestOf("the bytes of tiny.gguf"),
          .verdict = {.outcome = model::Outcome::kDeny,
                      .step = model::JudgementStep::kAlwaysRule,
                      .rule = "no-pickles",
                      .reason = "Pickles run code.",
                      .basis = model::Basis::kPartial,
                      .until = kTestEpoch + std::chrono::hours(24),
                      .policy_version = 12,
                      .severity = model::Severity::kHigh}};
}

std::string BytesOf(base::ByteView bytes) { return std::string(base::AsText(bytes)); }

model::Condition Test(std::string field, model::Operator op, std::vector<std::string> texts,
                      std::uint64_t number = 0) {
  model::Condition condition;
  condition.kind = model::Condition::Kind::kTest;
  condition.test = {
      .field = std::move(field), .op = op, .texts = std::move(texts), .number = number};
  return condition;
}

model::Condition Of(model::Condition::Kind kind, std::vector<model::Condition> conditions) {
  model::Condition condition;
  condition.kind = kind;
  condition.conditions = std::move(conditions);
  return condition;
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

std::vector<GoldenBatch> GoldenLaterBatches() {
  wire::ChainPosition position = GoldenPosition();
  const auto seal = [&position](model::PriorityClass priority, std::vector<std::string> bodies) {
    wire::SealContext context = GoldenContext();
    context.priority = priority;
    const std::size_t events = bodies.size();
    CountingRandom salts;
    wire::SealedBatch batch =
        wire::Seal(position, context, std::move(bodies), TestKey(10), salts).value();
    position.next_number += 1;
    position.next_event += events;
    position.previous = wire::HeaderDigest(batch.header);
    return batch;
  };
  using model::PriorityClass;
  seal(PriorityClass::kInventory, GoldenBodies());
  std::vector<GoldenBatch> batches;
  batches.push_back({"batch_control", seal(PriorityClass::kControl, ControlBodies())});
  batches.push_back({"batch_changed", seal(PriorityClass::kInventory,
                                           {BodyOf(model::SightingChanged{GoldenSighting()})})});
  batches.push_back({"batch_judged", seal(PriorityClass::kVerdict, {BodyOf(GoldenJudged())})});
  return batches;
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

std::string GoldenHello() {
  v1::Hello hello;
  hello.set_endpoint_id(BytesOf(IdOf(0xe0).view()));
  hello.set_key_id(BytesOf(TestKey(10).public_key().id().view()));
  hello.set_nonce(BytesOf(DigestOf("a nonce").view()));
  hello.mutable_head()->set_chain_id(BytesOf(IdOf(0xc0).view()));
  hello.mutable_head()->set_number(7);
  hello.mutable_head()->set_header_digest(BytesOf(DigestOf("the header of batch 7").view()));
  hello.set_wall_time_us(base::ToMicroseconds(kTestEpoch + std::chrono::seconds(4)));
  v1::MachineFacts& machine = *hello.mutable_machine();
  machine.set_hostname("lovelace");
  machine.set_os("linux");
  machine.set_os_release("Debian GNU/Linux 12");
  machine.set_agent_version("0.1.0");
  machine.set_machine_sha256(BytesOf(DigestOf("a machine").view()));
  hello.set_policy_version(12);
  hello.set_manifest_sha256(BytesOf(DigestOf("a manifest").view()));
  hello.set_policy_line("default");
  hello.set_root_version(1);
  hello.add_features(std::string(wire::kFeatureLists));
  hello.add_features(std::string(wire::kFeatureRules));
  return hello.SerializeAsString();
}

model::RuleSet GoldenRules() {
  using Kind = model::Condition::Kind;
  using model::Operator;
  model::RuleSet rules;
  rules.policy_name = "Golden";
  rules.default_outcome = model::Outcome::kWarn;
  rules.default_message = "Nothing is known of this model.";
  rules.rules = {
      {.id = "no-pickles",
       .always = true,
       .when = Of(Kind::kAny, {Test("format", Operator::kEquals, {"pickle", "pytorch"}),
                               Test("path", Operator::kGlob, {"/srv/**/*.pt", "/tmp/*"})}),
       .outcome = model::Outcome::kDeny,
       .message = "Pickles run code.",
       .fire_when_unknown = true},
      {.id = "large-and-free",
       .always = false,
       .when = Of(Kind::kAll,
                  {Test("parameters", Operator::kAtLeast, {}, 70'000'000'000),
                   Test("size_bytes", Operator::kAtMost, {}, 1'000'000'000'000),
                   Of(Kind::kNot, {Test("license", Operator::kContains, {"apache", "mit"})}),
                   Test("name", Operator::kKnown, {}, 1)}),
       .outcome = model::Outcome::kWarn,
       .message = "Caf\xc3\xa9: ask first.",
       .fire_when_unknown = false}};
  return rules;
}

model::Settings GoldenSettings() {
  return {.scan = {.min_size_bytes = 1'048'576,
                   .read_per_second_bytes = 20'000'000,
                   .cpu_percent = 10,
                   .pause_on_battery = false,
                   .pause_above_load = 0},
          .withheld = {model::Withheld::kOwner, model::Withheld::kLicense,
                       model::Withheld::kRiskEvidence}};
}

model::DigestLists GoldenLists() {
  return {.blocked = {DigestOf("blocked 1")},
          .denied = {DigestOf("denied 1"), DigestOf("denied 2"), DigestOf("denied 3")},
          .approved = {DigestOf("approved 1"), DigestOf("approved 2")}};
}

agent::decide::VaultRecord GoldenVaultRecord() {
  return {.root = DigestOf("a signed root"),
          .bundle = DigestOf("a signed bundle"),
          .bundle_root = DigestOf("an older signed root"),
          .lists = DigestOf("the lists"),
          .rules = DigestOf("the rules"),
          .floor = 9,
          .verified_time = kTestEpoch + std::chrono::microseconds(123'456)};
}

}  // namespace weighmaster::tests
