#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/decide/policy_in_force.h"
#include "policy/base/result.h"
#include "proto/wire/stream/channel.h"
#include "proto/wire/trust.h"

namespace weighmaster::v1 {
class Offer;
class PartChunk;
}  // namespace weighmaster::v1

namespace weighmaster::agent::sync {

// Takes a bundle from its offer to being in force: the root first, then the manifest, then the
// parts that are missing: from the offer, where it brought them along, else one chunk at a time. Of
// lists that are missing it asks for what leads from those in force to them; whatever is wrong with
// the answer, the lists are then fetched whole. A
// newer offer takes the place of an older one; one that comes while a bundle is being applied waits
// for that. What has arrived of a part outlives its stream, so that the next one goes on from
// there.
//
// Loop-owned; the policy must outlive it. An Error from any call is the storage's or a breach of
// the protocol: this stream has to end. A bundle that is refused is no error.
class BundleFetch {
 public:
  // `on_error` hears what fails after a bundle was applied and the next one is taken up.
  BundleFetch(decide::PolicyInForce& policy, std::function<void(const base::Error&)> on_error)
      : policy_(policy), on_error_(std::move(on_error)) {}
  ~BundleFetch() = default;
  BundleFetch(const BundleFetch&) = delete;
  BundleFetch& operator=(const BundleFetch&) = delete;

  base::Status OnOffer(wire::AgentChannel& channel, const v1::Offer& offer);
  base::Status OnChunk(const v1::PartChunk& chunk);
  void End();

  // The server owes a chunk.
  bool waiting() const { return channel_ != nullptr && bundle_.has_value() && writer_ != nullptr; }

 private:
  // A bundle as it was offered, with the parts that came with it by SHA-256.
  struct Offered {
    wire::SignedDocument bundle;
    std::map<model::Sha256, std::string> parts;
  };

  // Whether a delta may be asked for in place of the part that is being fetched.
  enum class Delta : std::uint8_t { kMayAsk, kAsked, kNoMore };

  static base::Result<Offered> ReadOffer(const v1::Offer& offer);
  base::Status Take(Offered offered);
  base::Status FetchNext();
  base::Status Request();
  bool WantsDelta() const;
  base::Status OnDelta(const std::string& delta);
  base::Status FinishPart();
  base::Status GiveUp(const std::string& detail);
  base::Status Apply();
  void TakeNext();

  decide::PolicyInForce& policy_;
  const std::function<void(const base::Error&)> on_error_;
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);

  wire::AgentChannel* channel_ = nullptr;       // of the latest offer, while it lives
  std::optional<Offered> bundle_;               // whose parts are being fetched
  std::deque<wire::PartReference> missing_;     // of it; the first is in `writer_`
  std::unique_ptr<decide::PartWriter> writer_;  // may outlive bundle_ and stream
  Delta delta_ = Delta::kMayAsk;                // of it
  std::optional<Offered> next_;                 // while another was being applied
};

}  // namespace weighmaster::agent::sync
