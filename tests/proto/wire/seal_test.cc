#include "proto/wire/seal.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "proto/wire/merkle.h"
#include "proto/wire/trust.h"
#include "tests/support/keys.h"
#include "weighmaster/v1/batch.pb.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;
using model::PriorityClass;
using tests::TestKey;

std::vector<std::string> Bodies(std::size_t count) {
  std::vector<std::string> bodies;
  for (std::size_t i = 0; i < count; ++i) bodies.push_back("event " + std::to_string(i));
  return bodies;
}

SealContext Context() {
  SealContext context;
  context.priority = PriorityClass::kInventory;
  context.dropped = {{PriorityClass::kVerdict, 3}, {PriorityClass::kActivity, 9}};
  context.boot_id.bytes.fill(0xbb);
  context.wall = tests::kTestEpoch;
  context.boot.since_boot = std::chrono::hours(1);
  context.clock_state = ClockState::kUnsynchronised;
  return context;
}

ChainPosition Later() {
  ChainPosition position{.chain = {}, .next_number = 5, .next_event = 77, .previous = {}};
  position.chain.bytes.fill(0xcc);
  position.previous = HeaderDigest("the header before");
  return position;
}

SealedBatch SealThree(const ChainPosition& position = Later()) {
  base::SeededRandom random(1);
  return Seal(position, Context(), Bodies(3), TestKey(10), random).value();
}

// The batch with another header, signed as it should be: what only the checks of the header catch.
SealedBatch WithHeader(const std::function<void(v1::BatchHeader&)>& change) {
  SealedBatch batch = SealThree();
  v1::BatchHeader header;
  EXPECT_TRUE(header.ParseFromString(batch.header));
  change(header);
  batch.header = header.SerializeAsString();
  batch.signature = TestKey(10).Sign(HeaderDigest(batch.header)).value();
  return batch;
}

std::string Refusal(const SealedBatch& batch) {
  const auto header = VerifyBatch(batch, TestKey(10).public_key());
  return header ? "" : header.error().message();
}

TEST(Seal, MakesABatchThatVerifiesAndSaysWhatWasSealed) {
  const auto header = VerifyBatch(SealThree(), TestKey(10).public_key());
  ASSERT_TRUE(header) << header.error().ToString();
  EXPECT_EQ(header->chain, Later().chain);
  EXPECT_EQ(header->key_id, TestKey(10).public_key().id());
  EXPECT_EQ(header->number, 5U);
  EXPECT_EQ(header->first_event, 77U);
  EXPECT_EQ(header->event_count, 3U);
  EXPECT_EQ(header->priority, PriorityClass::kInventory);
  EXPECT_EQ(header->previous, Later().previous);
  EXPECT_EQ(header->dropped, Context().dropped);
  EXPECT_EQ(header->boot_id, Context().boot_id);
  EXPECT_EQ(header->wall, Context().wall);
  EXPECT_EQ(header->boot, Context().boot);
  EXPECT_EQ(header->clock_state, ClockState::kUnsynchronised);
}

TEST(Seal, TakesTheMostEventsOfABatchAndNoMore) {
  base::SeededRandom random(1);
  const auto most =
      Seal(Later(), Context(), Bodies(limits::kMaxEventsPerBatch), TestKey(10), random);
  ASSERT_TRUE(most);
  EXPECT_EQ(Refusal(*most), "");
  EXPECT_FALSE(
      Seal(Later(), Context(), Bodies(limits::kMaxEventsPerBatch + 1), TestKey(10), random));
  EXPECT_FALSE(Seal(Later(), Context(), {}, TestKey(10), random));
  EXPECT_FALSE(Seal(Later(), Context(), {std::string(limits::kMaxEventBytes + 1, 'x')}, TestKey(10),
                    random));
  const std::vector<std::string> too_long_together(33, std::string(limits::kMaxEventBytes, 'x'));
  EXPECT_FALSE(Seal(Later(), Context(), too_long_together, TestKey(10), random));
}

TEST(Seal, FirstBatchOfAChainHasNoPreviousAndBeginsAtEventOne) {
  ChainPosition first = Later();
  first.next_number = 1;
  first.next_event = 1;
  first.previous.reset();
  EXPECT_EQ(Refusal(SealThree(first)), "");
  base::SeededRandom random(1);
  first.next_event = 2;
  EXPECT_FALSE(Seal(first, Context(), Bodies(1), TestKey(10), random));
  first.next_event = 1;
  first.previous = HeaderDigest("x");
  EXPECT_FALSE(Seal(first, Context(), Bodies(1), TestKey(10), random));
}

TEST(VerifyBatch, RefusesEveryFlippedBitOfTheSerialisedBatch) {
  SealedBatch batch = SealThree();
  batch.events[1] = {.salt = "", .body = "", .leaf = LeafOf(batch.events[1])};
  v1::SealedBatch proto;
  ToProto(batch, proto);
  const std::string bytes = proto.SerializeAsString();
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    v1::SealedBatch damaged;
    if (!damaged.ParseFromString(flipped)) continue;
    const auto value = FromProto(damaged);
    EXPECT_FALSE(value && VerifyBatch(*value, TestKey(10).public_key()))
        << "byte " << bit / 8 << " bit " << bit % 8;
  }
}

TEST(VerifyBatch, AcceptsAnySetOfDroppedBodies) {
  for (unsigned dropped = 0; dropped < 8; ++dropped) {
    SealedBatch batch = SealThree();
    for (std::size_t i = 0; i < 3; ++i) {
      if ((dropped >> i) & 1U) {
        batch.events[i] = {.salt = "", .body = "", .leaf = LeafOf(batch.events[i])};
      }
    }
    EXPECT_EQ(Refusal(batch), "") << dropped;
  }
  SealedBatch batch = SealThree();
  batch.events.clear();
  EXPECT_EQ(Refusal(batch), "");
}

TEST(VerifyBatch, RefusesAnotherKeyAndAnothersSignature) {
  SealedBatch batch = SealThree();
  EXPECT_FALSE(VerifyBatch(batch, TestKey(11).public_key()));
  batch.signature = TestKey(11).Sign(HeaderDigest(batch.header)).value();
  EXPECT_NE(Refusal(batch).find("signature"), std::string::npos);
}

TEST(VerifyBatch, RefusesASignatureOverTheHeaderWithoutItsDomain) {
  SealedBatch batch = SealThree();
  batch.signature = TestKey(10).Sign(DomainDigest("weighmaster hello v1", batch.header)).value();
  EXPECT_NE(Refusal(batch).find("signature"), std::string::npos);
}

TEST(VerifyBatch, RefusesEventsThatAreNotTheHeaders) {
  SealedBatch batch = SealThree();
  std::swap(batch.events[0], batch.events[1]);
  EXPECT_NE(Refusal(batch).find("Merkle"), std::string::npos);
  batch = SealThree();
  batch.events.pop_back();
  EXPECT_NE(Refusal(batch).find("2 events"), std::string::npos);
}

TEST(VerifyBatch, RefusesMalformedEvents) {
  SealedBatch batch = SealThree();
  batch.events[0].leaf = LeafOf(batch.events[0]);
  EXPECT_NE(Refusal(batch).find("leaf beside"), std::string::npos);
  batch = SealThree();
  batch.events[0].salt.pop_back();
  EXPECT_NE(Refusal(batch).find("salt"), std::string::npos);
  batch = SealThree();
  batch.events[0].body.clear();
  EXPECT_NE(Refusal(batch).find("body"), std::string::npos);
  batch = SealThree();
  batch.events[0].body.assign(limits::kMaxEventBytes + 1, 'x');
  EXPECT_NE(Refusal(batch).find("body"), std::string::npos);
}

TEST(VerifyBatch, RefusesABatchThatIsTooLong) {
  SealedBatch batch = SealThree();
  batch.events.resize(40, {.salt = std::string(16, 's'),
                           .body = std::string(limits::kMaxEventBytes, 'x'),
                           .leaf = std::nullopt});
  EXPECT_NE(Refusal(batch).find("bytes"), std::string::npos);
}

TEST(VerifyBatch, RefusesAWellSignedHeaderThatIsWrong) {
  const std::vector<std::pair<std::string, std::function<void(v1::BatchHeader&)>>> changes = {
      {"chain_id", [](auto& h) { h.mutable_chain_id()->pop_back(); }},
      {"key", [](auto& h) { h.set_key_id(std::string(32, 'k')); }},
      {"algorithm", [](auto& h) { h.set_algorithm(v1::SIGNATURE_ALGORITHM_UNSPECIFIED); }},
      {"number", [](auto& h) { h.set_number(0); }},
      {"number", [](auto& h) { h.set_number(std::uint64_t{1} << 63); }},
      {"first_event", [](auto& h) { h.set_first_event(0); }},
      {"first_event", [](auto& h) { h.set_first_event(4); }},
      {"first_event", [](auto& h) { h.set_first_event((std::uint64_t{1} << 63) - 1); }},
      {"event_count", [](auto& h) { h.set_event_count(0); }},
      {"event_count", [](auto& h) { h.set_event_count(257); }},
      {"priority", [](auto& h) { h.set_priority(v1::PRIORITY_CLASS_UNSPECIFIED); }},
      {"previous", [](auto& h) { h.clear_previous_header_digest(); }},
      {"previous", [](auto& h) { h.mutable_previous_header_digest()->pop_back(); }},
      {"merkle_root", [](auto& h) { h.mutable_merkle_root()->pop_back(); }},
      {"dropped", [](auto& h) { h.mutable_dropped(0)->set_events(0); }},
      {"dropped", [](auto& h) { h.mutable_dropped()->SwapElements(0, 1); }},
      {"dropped", [](auto& h) { *h.add_dropped() = h.dropped(1); }},
      {"dropped", [](auto& h) { h.mutable_dropped(0)->clear_priority(); }},
      {"boot_id", [](auto& h) { h.clear_boot_id(); }},
      {"boot_time", [](auto& h) { h.set_boot_time_us(-1); }},
      {"wall_time", [](auto& h) { h.set_wall_time_us(INT64_MAX); }},
  };
  EXPECT_EQ(Refusal(WithHeader([](auto&) {})), "");
  for (std::size_t i = 0; i < changes.size(); ++i) {
    EXPECT_NE(Refusal(WithHeader(changes[i].second)).find(changes[i].first), std::string::npos)
        << "change " << i;
  }
}

TEST(VerifyBatch, EnvelopeHidesNothing) {
  v1::SealedBatch proto;
  ToProto(SealThree(), proto);
  std::string bytes = proto.SerializeAsString() + "\x78\x01";  // field 15
  ASSERT_TRUE(proto.ParseFromString(bytes));
  EXPECT_FALSE(FromProto(proto));
}

TEST(Merkle, HasTheShapeOfRfc6962) {
  const auto leaf = [](char c) { return LeafDigest("", std::string(1, c)); };
  const auto node = [](const model::Sha256& a, const model::Sha256& b) {
    return MerkleRoot(std::vector{a, b});
  };
  const std::vector leaves = {leaf('a'), leaf('b'), leaf('c'), leaf('d'), leaf('e')};
  EXPECT_EQ(MerkleRoot(leaves),
            node(node(node(leaves[0], leaves[1]), node(leaves[2], leaves[3])), leaves[4]));
}

TEST(Merkle, GivesTheRootsThatCertificateTransparencyPublishes) {
  // The test vectors of certificate-transparency's Merkle tree: leaves "", 00, 10, 2021.
  using namespace std::string_literals;
  const std::vector leaves = {LeafDigest("", ""), LeafDigest("", "\x00"s), LeafDigest("", "\x10"),
                              LeafDigest("", "\x20\x21")};
  const std::span all(leaves);
  EXPECT_EQ(MerkleRoot(all.first(1)).ToHex(),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  EXPECT_EQ(MerkleRoot(all.first(2)).ToHex(),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
  EXPECT_EQ(MerkleRoot(all.first(3)).ToHex(),
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
  EXPECT_EQ(MerkleRoot(all).ToHex(),
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7");
}

TEST(Merkle, ProvesEveryEventOfEverySizeAndNoOther) {
  base::SeededRandom random(1);
  for (std::size_t count = 1; count <= 33; ++count) {
    const auto batch = Seal(Later(), Context(), Bodies(count), TestKey(10), random).value();
    const auto header = VerifyBatch(batch, TestKey(10).public_key()).value();
    for (std::uint32_t i = 0; i < count; ++i) {
      auto proof = MakeProof(batch, i).value();
      EXPECT_TRUE(VerifyProof(header, proof, batch.events[i]));
      if (count == 1) continue;
      EXPECT_FALSE(VerifyProof(header, proof, batch.events[(i + 1) % count]));
      proof.path.pop_back();
      EXPECT_FALSE(VerifyProof(header, proof, batch.events[i]));
    }
    EXPECT_FALSE(MakeProof(batch, static_cast<std::uint32_t>(count)));
  }
}

TEST(Merkle, ProofWithAnIndexBeyondTheBatchIsRefused) {
  const SealedBatch batch = SealThree();
  const auto header = VerifyBatch(batch, TestKey(10).public_key()).value();
  auto proof = MakeProof(batch, 2).value();
  proof.index = 3;
  EXPECT_FALSE(VerifyProof(header, proof, batch.events[2]));
}

}  // namespace
}  // namespace weighmaster::wire
