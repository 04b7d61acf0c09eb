#pragma once

#include <string>
#include <vector>

#include "proto/wire/seal.h"
#include "proto/wire/trust.h"

namespace weighmaster::tests {

// The values that the golden files of version 1 were made from: all fixed, but the signatures.
std::vector<std::string> GoldenBodies();
wire::ChainPosition GoldenPosition();
wire::SealContext GoldenContext();
wire::Root GoldenRoot();
wire::BundleManifest GoldenManifest();
wire::Acknowledgement GoldenAcknowledgement();
wire::EnrolmentToken GoldenToken();

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
