#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "policy/base/loop.h"
#include "policy/base/random.h"
#include "proto/wire/stream/channel.h"
#include "server/ingest/ingest.h"
#include "server/rollout/exception_rollout.h"
#include "server/rollout/lists_deltas.h"
#include "server/rollout/rollout.h"
#include "server/store/store.h"

namespace weighmaster::v1 {
class Hello;
class PartRequest;
class SealedBatch;
class SignedHello;
}  // namespace weighmaster::v1

namespace weighmaster::server::fleet {

// The numbers of weighmaster.v1.RefusalReason.
enum class RefusalReason : std::uint8_t {
  kUnknownEndpoint = 1,
  kRevoked = 2,
  kBadSignature = 3,
  kFenced = 4,
  kBusy = 5,
  kProtocol = 6,
  kClone = 7,
};

// What every session uses. All of it outlives them.
struct Services {
  base::Loop& loop;
  const base::Clock& clock;
  base::Random& random;
  ingest::Ingest& ingest;
  rollout::Rollout& rollout;
  rollout::ExceptionRollout& exceptions;
  base::Executor& reader;  // runs `queries`
  store::Queries& queries;
  rollout::ListsDeltas& lists_deltas;  // on `reader`, as `queries`
  base::Executor& writer;              // runs `store`
  store::Store& store;
  const openssl::Signer& acknowledger;  // a key of the root's role "server"
  model::Id lineage;
};

// One stream of one endpoint, from Challenge to its end. An explicit state machine:
//
//   hello ── SignedHello ──► looking up ── known, signed ──► ready ── batches, part requests ──┐
//     │                          │                             │ ▲───────────────────────────┘
//     └── timeout, protocol ─────┴── unknown, revoked … ───────┴──► refused ── farewell ──► over
//
// In `refused` nothing that arrives is looked at; the stream is closed when the peer has had time
// to read why. Loop-owned, owned by the Fleet; never destroys itself.
class Session final : public wire::ServerListener {
 public:
  // The registry of streams.
  class Owner {
   public:
    virtual ~Owner() = default;
    // False when the endpoint was revoked meanwhile. Otherwise older streams of it are fenced.
    virtual bool OnReady(Session& session) = 0;
    virtual void OnContact(const store::Contact& contact) = 0;
    // A policy was offered over the stream.
    virtual void OnOffered() = 0;
    // The stream is over; the session may be destroyed, but not inside this call.
    virtual void OnOver(Session& session) = 0;
  };

  // `tls_identity`: the endpoint of the client certificate, where the transport has one; the hello
  // must then be the same endpoint's.
  Session(const Services& services, Owner& owner, std::unique_ptr<wire::ServerChannel> channel,
          std::optional<model::Id> tls_identity);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Sends the challenge.
  void Start();

  // Offers the roots after the agent's own, then exceptions of the fleet and the current policy
  // unless the agent has them. Only when ready; true when exceptions or policy were sent.
  bool Offer();
  // Sends a set of exceptions of this endpoint, when ready.
  void SendExceptions(const store::ExceptionSetRecord& exceptions);

  // Says why, ignores the peer from now on, and closes soon.
  void Refuse(RefusalReason reason, const std::string& message);

  void OnFrame(const v1::AgentFrame& frame) override;
  void OnClosed(const base::Error& why) override;

  bool ready() const { return state_ == State::kReady; }
  const model::Id& endpoint() const { return endpoint_; }  // when ready
  // That the endpoint is there at this moment: when ready.
  store::Contact ContactNow() const;

 private:
  enum class State : std::uint8_t { kHello, kLookingUp, kReady, kRefused, kOver };

  // What the hello says, checked for shape.
  struct Claim {
    model::Id endpoint;
    model::Sha256 key_id;
    std::string bytes;  // as signed
    openssl::Signature signature{};
    std::optional<model::Id> chain;
    base::WallTime wall;
    std::optional<model::Sha256> manifest;
    std::string policy_line;
    std::uint64_t root_version = 0;
    std::uint64_t fleet_exceptions_version = 0;
    std::uint64_t endpoint_exceptions_version = 0;
    store::MachineFacts machine;
  };
  // A piece of a part, or what leads from a part that the agent has to it.
  struct PartWish {
    model::Sha256 sha256;
    std::uint64_t offset = 0;
    std::optional<model::Sha256> held;
  };
  struct PartAnswer {
    base::Result<store::PartPiece> piece;
    std::shared_ptr<const std::string> delta;  // null: there is none, the piece is sent
  };
  // What the store says about it.
  struct Lookup {
    std::optional<store::EndpointIdentity> identity;
    bool signature_holds = false;
    store::ChainHead head;
  };

  void OnHello(const v1::SignedHello& frame);
  base::Result<Claim> ReadHello(const v1::SignedHello& frame) const;
  static base::Result<Lookup> LookUp(store::Queries& queries, const Claim& claim);
  void OnLookedUp(base::Result<Lookup> lookup);
  void Welcome(const Lookup& lookup);
  void OfferRoots();
  bool OfferFleetExceptions();
  void OfferOwnExceptions();

  void OnBatch(const v1::SealedBatch& frame);
  void OnOutcome(const ingest::Outcome& outcome);
  void AskAgain(const model::Id& chain, std::uint64_t number);
  void RefuseBatch(const ingest::Outcome& outcome, bool quarantined);
  void ScheduleAcknowledgement(const store::ChainHead& head);
  void Acknowledge();

  void OnPartRequest(const v1::PartRequest& request);
  static base::Result<PartWish> ReadWish(const v1::PartRequest& request);
  bool TakesDelta(const PartWish& wish);
  static PartAnswer ReadPart(store::Queries& queries, rollout::ListsDeltas& deltas,
                             const PartWish& wish);
  void ServeParts();
  void SendPart(const PartWish& wish, PartAnswer answer);

  void Close();

  // Constant after construction.
  const Services& services_;
  Owner& owner_;
  const std::optional<model::Id> tls_identity_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();

  // Owned by the loop.
  std::unique_ptr<wire::ServerChannel> channel_;  // null once over
  State state_ = State::kHello;
  std::string nonce_;
  base::Timer timer_;  // the handshake's, then the farewell's
  Claim claim_;
  base::WallTime heard_at_;  // when the hello came
  model::Id endpoint_;
  std::optional<ingest::Sender> sender_;

  std::map<model::Id, store::ChainHead> unacknowledged_;
  bool acknowledgement_posted_ = false;
  std::size_t batches_under_way_ = 0;
  std::set<std::pair<model::Id, std::uint64_t>> refused_batches_;
  std::optional<std::pair<model::Id, std::uint64_t>> asked_again_;
  base::BootTime asked_again_at_;
  std::uint64_t offered_version_ = 0;

  std::deque<PartWish> parts_wanted_;
  std::optional<model::Sha256> delta_taken_;  // the lists that a delta was asked for last
  bool reading_part_ = false;
  base::Timer parts_timer_;
};

}  // namespace weighmaster::server::fleet
