#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/model/digest.h"
#include "proto/wire/seal.h"
#include "proto/wire/stream/channel.h"
#include "proto/wire/trust.h"
#include "tests/support/sim_loop.h"
#include "third_party/openssl/key.h"

namespace weighmaster::tests {

// A server for one endpoint on the simulated loop: greets, checks every signature and number,
// stores batches in memory, acknowledges by ServerKey(), hands out what it offers. A test bends it
// by `intercept` and the switches. Frames travel as bytes and take five milliseconds.
class FakeServer final : public wire::Connector {
 public:
  FakeServer(SimLoop& loop, const openssl::PublicKey& endpoint_key);
  ~FakeServer() override;
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::unique_ptr<wire::AgentChannel> Connect(wire::AgentListener& listener) override;

  // --- Switches
  // ------------------------------------------------------------------------------------
  bool reachable = true;
  bool acknowledges = true;
  bool brings_parts = false;  // with the offer, as the product's server does with small ones
  model::Id lineage = model::Id{{7}};  // of its store
  base::Duration clock_offset{0};      // of the endpoint, that each Welcome tells
  // Sees each frame first; true: it is dealt with.
  std::function<bool(const v1::AgentFrame&)> intercept;

  // --- What a test does to it
  // ----------------------------------------------------------------------
  void Send(const v1::ServerFrame& frame);
  void Cut(const base::Error& why);
  // Sent now and on every later stream whose Hello names another bundle.
  void Offer(const wire::SignedDocument& bundle, std::map<model::Sha256, std::string> parts);
  // Offers nothing on later streams.
  void Withdraw() { offered_.reset(); }
  // As after a restore from a backup: nothing past this number of the chain is there any more.
  void ForgetAfter(const model::Id& chain, std::uint64_t number);

  // --- What it has seen
  // ----------------------------------------------------------------------------
  struct Stored {
    model::Sha256 header_digest;
    wire::BatchHeader header;
    std::vector<std::string> bodies;
  };
  const std::map<model::Id, std::vector<Stored>>& chains() const { return chains_; }
  // Of all chains.
  std::vector<std::string> Bodies() const;
  int connections() const { return connections_; }
  int greeted() const { return greeted_; }
  std::uint64_t part_requests() const { return part_requests_; }
  // What was wrong with anything that the agent sent.
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  struct Stream;
  class AgentEnd;

  void Receive(const std::shared_ptr<Stream>& stream, const std::string& bytes);
  void OnHello(const v1::AgentFrame& frame);
  void OnBatch(const v1::AgentFrame& frame);
  void OnPartRequest(const v1::AgentFrame& frame);
  void Acknowledge(const model::Id& chain, std::uint64_t number);
  void SendOffer();
  void Later(std::function<void()> task);

  SimLoop& loop_;
  const openssl::PublicKey endpoint_key_;
  std::shared_ptr<Stream> stream_;
  std::string nonce_;
  std::map<model::Id, std::vector<Stored>> chains_;
  std::optional<wire::SignedDocument> offered_;
  std::map<model::Sha256, std::string> parts_;
  int connections_ = 0;
  int greeted_ = 0;
  std::uint64_t part_requests_ = 0;
  std::vector<std::string> complaints_;
};

}  // namespace weighmaster::tests
