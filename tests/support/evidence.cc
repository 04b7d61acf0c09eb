#include "tests/support/evidence.h"

#include <utility>

#include "policy/base/check.h"
#include "proto/wire/convert.h"
#include "proto/wire/exceptions.h"
#include "proto/wire/merkle.h"
#include "tests/support/endpoint_script.h"
#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::tests {
namespace {

constexpr std::string_view kText = "policy: test\n";
constexpr std::string_view kContent = "content";

wire::SignedDocument Bundle() {
  wire::BundleManifest manifest = MakeManifest(1);
  manifest.document = openssl::Sha256Of(base::AsBytes(kText));
  manifest.parts = {PartOf(wire::PartKind::kContent, std::string(kContent), {})};
  return SignBundle(manifest);
}

model::Sha256 Manifest() { return openssl::Sha256Of(base::AsBytes(Bundle().bytes)); }

model::SightingAppeared Appeared(const std::string& path, int n) {
  return model::SightingAppeared{TestSighting(path, n)};
}

std::vector<wire::SealedBatch> FirstChain() {
  EndpointScript script(TestKey(11), TestId(0xc1));
  std::vector<wire::SealedBatch> batches = {script.Start()};
  script.set_wall(kTestEpoch + std::chrono::hours(1));
  batches.push_back(script.Seal({Appeared("/m/1", 1), Appeared("/m/2", 2), Appeared("/m/3", 3)}));
  batches.push_back(script.Seal({Appeared("/m/4", 4)}));
  model::PolicyApplied applied;
  applied.version = 1;
  applied.manifest = Manifest();
  batches.push_back(script.Seal({applied}));
  wire::BatchEvent& dropped = batches[1].events[1];
  dropped = {.salt = "", .body = "", .leaf = wire::LeafOf(dropped)};
  batches[2].events.clear();
  return batches;
}

std::vector<wire::SealedBatch> SecondChain() {
  EndpointScript script(TestKey(11), TestId(0xc2), 2);
  script.set_wall(kTestEpoch + std::chrono::hours(2));
  return {script.Start(model::ChainReason::kCannotRefill, TestId(0xc1)),
          script.Seal({Appeared("/m/5", 5)})};
}

// Batch 2 of the second chain, signed once more over something else.
wire::SealedBatch Equivocation() {
  EndpointScript script(TestKey(11), TestId(0xc2), 2);
  script.set_wall(kTestEpoch + std::chrono::hours(2));
  script.Start(model::ChainReason::kCannotRefill, TestId(0xc1));
  return script.Seal({Appeared("/m/6", 6)});
}

void Put(const wire::SealedBatch& batch, v1::EvidenceBatch& out) {
  v1::SealedBatch message;
  wire::ToProto(batch, message);
  WM_CHECK(wire::PutBatch(message, out).has_value());
}

wire::SignedDocument Acknowledgement(const model::Id& chain,
                                     const std::vector<wire::SealedBatch>& batches) {
  return wire::MakeAcknowledgement({.chain = chain,
                                    .number = batches.size(),
                                    .header_digest = wire::HeaderDigest(batches.back().header),
                                    .lineage = TestId(0x11),
                                    .server_time = kTestEpoch},
                                   ServerKey());
}

}  // namespace

wire::EvidenceStatement EvidenceStatement() {
  wire::EvidenceStatement statement;
  statement.fleet_id = MakeTestFleet().root.fleet_id;
  statement.endpoint = TestId(1);
  statement.hostname = "host1";
  statement.lineage = TestId(0x11);
  statement.server_time = kTestEpoch + std::chrono::hours(3);
  statement.root_version = 1;
  statement.keys = {{TestKey(11).public_key(), 1, std::nullopt, kTestEpoch, std::nullopt}};
  statement.chains = {{TestId(0xc1), 1, 4, 4, 4, kTestEpoch + std::chrono::hours(2)},
                      {TestId(0xc2), 1, 2, 2, 2, std::nullopt}};
  statement.quarantined = {{wire::HeaderDigest(Equivocation().header),
                            wire::QuarantineReason::kEquivocation,
                            kTestEpoch + std::chrono::hours(2)}};
  statement.policies = {{1, Manifest()}};
  statement.fleet_exceptions_version = 3;
  statement.endpoint_exceptions_version = 5;
  return statement;
}

wire::SignedDocument SignStatement(const wire::EvidenceStatement& statement) {
  wire::SignedDocument document{.bytes = wire::SerialiseStatement(statement), .signatures = {}};
  WM_CHECK(wire::Sign(document, wire::kDomainEvidence, ServerKey()).has_value());
  return document;
}

std::vector<v1::EvidenceRecord> EvidenceRecords() {
  std::vector<v1::EvidenceRecord> records;
  const auto add = [&]() -> v1::EvidenceRecord& { return records.emplace_back(); };
  wire::ToProto(MakeTestFleet().signed_root, *add().mutable_root());
  wire::ToProto(SignStatement(EvidenceStatement()), *add().mutable_statement());
  model::ExceptionSet set = MakeExceptionSet(3, {});
  wire::ToProto(SignExceptions(set), *add().mutable_exceptions());
  set.version = 5;
  set.endpoint = TestId(1);
  wire::ToProto(SignExceptions(set), *add().mutable_exceptions());
  v1::EvidencePolicy& policy = *add().mutable_policy();
  wire::ToProto(Bundle(), *policy.mutable_bundle());
  policy.set_document(std::string(kText));
  const auto first = FirstChain();
  const auto second = SecondChain();
  wire::ToProto(Acknowledgement(TestId(0xc1), first), *add().mutable_acknowledgement());
  wire::ToProto(Acknowledgement(TestId(0xc2), second), *add().mutable_acknowledgement());
  for (const auto& batch : first) Put(batch, *add().mutable_batch());
  for (const auto& batch : second) Put(batch, *add().mutable_batch());
  Put(Equivocation(), *add().mutable_quarantined_batch());
  constexpr std::size_t kFirstPieceBytes = 5;
  const model::Sha256 digest = openssl::Sha256Of(base::AsBytes(kContent));
  for (const std::size_t offset : {std::size_t{0}, kFirstPieceBytes}) {
    v1::EvidencePart& part = *add().mutable_part();
    part.set_sha256(std::string(base::AsText(digest.view())));
    part.set_offset(offset);
    part.set_data(std::string(kContent.substr(offset, kFirstPieceBytes)));
  }
  return records;
}

std::string EvidenceFile(const std::vector<v1::EvidenceRecord>& records) {
  std::string file;
  wire::EvidenceWriter writer([&](std::string_view bytes) -> base::Status {
    file += bytes;
    return {};
  });
  WM_CHECK(writer.Begin().has_value());
  for (const v1::EvidenceRecord& record : records) WM_CHECK(writer.Add(record).has_value());
  WM_CHECK(writer.End().has_value());
  return file;
}

}  // namespace weighmaster::tests
