#pragma once

#include <string>
#include <vector>

#include "agent/decide/vault.h"
#include "policy/model/lists/digest_lists.h"
#include "policy/model/rules.h"
#include "proto/wire/seal.h"
#include "proto/wire/trust.h"

namespace weighmaster::tests {

// The values that the golden files of version 1 were made from: all fixed, but the signatures.
std::vector<std::string> GoldenBodies();
wire::ChainPosition GoldenPosition();
wire::SealContext GoldenContext();
// The batches after that one in its chain, a class each: an event of every kind that it lacks.
struct GoldenBatch {
  std::string name;
  wire::SealedBatch batch;
};
std::vector<GoldenBatch> GoldenLaterBatches();
wire::Root GoldenRoot();
wire::BundleManifest GoldenManifest();
wire::Acknowledgement GoldenAcknowledgement();
wire::EnrolmentToken GoldenToken();
// A serialised Hello with every field, as it is signed.
std::string GoldenHello();
// Every kind of condition and every operator.
model::RuleSet GoldenRules();
model::Settings GoldenSettings();  // of rules that have some
model::DigestLists GoldenLists();
agent::decide::VaultRecord GoldenVaultRecord();

// Salts that count up from 0x10, so that a batch's leaves are the same in every run.
class CountingRandom final : public base::Random {
 public:
  void Fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 0x10;
};

}  // namespace weighmaster::tests
