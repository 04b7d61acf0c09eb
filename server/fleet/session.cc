#include "server/fleet/session.h"

#include <algorithm>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "server/findings/rules.h"
#include "server/store/ask.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::server::fleet {
namespace {

namespace limits = base::limits;

using base::Result;
using Kind = store::BatchOutcome::Kind;

constexpr std::size_t kNonceBytes = 32;
// Batches of one stream that wait for the store: twice what an honest agent has in flight, because
// it sends some again when it is asked to.
constexpr std::size_t kMaxBatchesUnderWay = 2 * limits::kMaxBatchesInFlight;
constexpr std::size_t kMaxPartsWanted = 64;
// Roots offered at one time, so that they fit the outbox; further ones follow at the next offer.
constexpr std::size_t kMaxRootsOffered = limits::kMaxOutboxFrames / 2;
// Half of the outbox stays free for acknowledgements.
constexpr std::size_t kMaxQueuedForParts = limits::kMaxOutboxFrames / 2;
constexpr std::chrono::milliseconds kPartsPause{50};
// The same batch is asked for again only after this.
constexpr std::chrono::seconds kAskAgainAfter{5};
// Numbers that were refused on a stream and are not asked for again on it.
constexpr std::size_t kMaxRefusedBatches = 1'024;

base::Duration RetryAfter(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kFenced:
    case RefusalReason::kBusy:
    case RefusalReason::kProtocol:
      return std::chrono::seconds(5);
    default:
      return limits::kRefusedRetryDelay;
  }
}

std::string ToBytes(base::ByteView bytes) { return std::string(base::AsText(bytes)); }

void ToProto(const store::ChainHead& head, v1::ChainHead& out) {
  out.set_chain_id(ToBytes(head.chain.view()));
  out.set_number(head.number);
  if (head.digest.has_value()) out.set_header_digest(ToBytes(head.digest->view()));
}

store::MachineFacts MachineOf(const v1::MachineFacts& in) {
  const auto cut = [](const std::string& text) {
    return base::IsUtf8(text) && text.size() <= limits::kMaxFactBytes ? text : std::string();
  };
  store::MachineFacts machine;
  machine.hostname = cut(in.hostname());
  machine.os = cut(in.os());
  machine.os_release = cut(in.os_release());
  machine.agent_version = cut(in.agent_version());
  return machine;
}

}  // namespace

Session::Session(const Services& services, Owner& owner,
                 std::unique_ptr<wire::ServerChannel> channel,
                 std::optional<model::Id> tls_identity)
    : services_(services),
      owner_(owner),
      tls_identity_(tls_identity),
      channel_(std::move(channel)),
      timer_(services.loop),
      parts_timer_(services.loop) {}

Session::~Session() = default;

void Session::Start() {
  base::Bytes nonce(kNonceBytes);
  services_.random.Fill(nonce);
  nonce_ = ToBytes(nonce);
  v1::ServerFrame frame;
  v1::Challenge& challenge = *frame.mutable_challenge();
  challenge.set_nonce(nonce_);
  challenge.set_server_time_us(base::ToMicroseconds(services_.clock.Now()));
  challenge.set_lineage_id(ToBytes(services_.lineage.view()));
  channel_->Send(frame);
  timer_.Start(limits::kHandshakeTimeout, [this] {
    Refuse(RefusalReason::kProtocol, "no hello came within the time for it");
  });
}

void Session::Refuse(RefusalReason reason, const std::string& message) {
  if (state_ == State::kRefused || state_ == State::kOver) return;
  if (state_ == State::kReady) owner_.OnContact(ContactNow());
  state_ = State::kRefused;
  parts_wanted_.clear();
  v1::ServerFrame frame;
  v1::Refusal& refusal = *frame.mutable_refusal();
  refusal.set_reason(static_cast<v1::RefusalReason>(reason));
  refusal.set_message(message);
  refusal.set_retry_after_ms(
      std::chrono::duration_cast<std::chrono::milliseconds>(RetryAfter(reason)).count());
  channel_->Send(frame);
  timer_.Start(limits::kFarewellDelay, [this] { Close(); });
}

void Session::Close() {
  if (state_ == State::kOver) return;
  if (state_ == State::kReady) owner_.OnContact(ContactNow());
  state_ = State::kOver;
  timer_.Stop();
  parts_timer_.Stop();
  channel_ = nullptr;
  owner_.OnOver(*this);
}

void Session::OnClosed(const base::Error&) { Close(); }

store::Contact Session::ContactNow() const {
  return {endpoint_, services_.clock.Now(), sender_->clock_offset, claim_.machine};
}

void Session::OnFrame(const v1::AgentFrame& frame) {
  WM_CHECK(services_.loop.OnLoop());
  if (state_ == State::kRefused || state_ == State::kOver) return;
  switch (frame.frame_case()) {
    case v1::AgentFrame::kHello:
      return OnHello(frame.hello());
    case v1::AgentFrame::kBatch:
      if (state_ == State::kReady) return OnBatch(frame.batch());
      break;
    case v1::AgentFrame::kPartRequest:
      if (state_ == State::kReady) return OnPartRequest(frame.part_request());
      break;
    // A newer agent may send frames of a kind that came later.
    case v1::AgentFrame::FRAME_NOT_SET:
      return;
  }
  Refuse(RefusalReason::kProtocol, "this frame does not belong before the welcome");
}

void Session::OnHello(const v1::SignedHello& frame) {
  if (state_ != State::kHello) {
    // A network that doubles frames is no attack.
    if (frame.hello() == claim_.bytes) return;
    return Refuse(RefusalReason::kProtocol, "a second hello on one stream");
  }
  auto claim = ReadHello(frame);
  if (!claim.has_value()) return Refuse(RefusalReason::kProtocol, claim.error().message());
  if (tls_identity_.has_value() && *tls_identity_ != claim->endpoint) {
    return Refuse(RefusalReason::kBadSignature,
                  "the hello and the client certificate name different endpoints");
  }
  claim_ = *std::move(claim);
  heard_at_ = services_.clock.Now();
  state_ = State::kLookingUp;
  store::Ask(
      services_.reader, services_.loop, alive_,
      [&queries = services_.queries, claim = claim_] { return LookUp(queries, claim); },
      [this](Result<Lookup> lookup) { OnLookedUp(std::move(lookup)); });
}

Result<Session::Claim> Session::ReadHello(const v1::SignedHello& frame) const {
  v1::Hello hello;
  if (!hello.ParseFromString(frame.hello())) {
    return base::InvalidArgument("the hello cannot be read");
  }
  if (hello.nonce() != nonce_) {
    return base::InvalidArgument("the hello does not carry this stream's nonce");
  }
  Claim claim;
  claim.bytes = frame.hello();
  WM_ASSIGN_OR_RETURN(claim.signature,
                      openssl::SignatureFromBytes(base::AsBytes(frame.signature())));
  WM_ASSIGN_OR_RETURN(claim.endpoint, model::IdFromBytes(base::AsBytes(hello.endpoint_id())));
  WM_ASSIGN_OR_RETURN(claim.key_id, model::Sha256FromBytes(base::AsBytes(hello.key_id())));
  if (!hello.head().chain_id().empty()) {
    WM_ASSIGN_OR_RETURN(claim.chain, model::IdFromBytes(base::AsBytes(hello.head().chain_id())));
  }
  if (!hello.manifest_sha256().empty()) {
    WM_ASSIGN_OR_RETURN(claim.manifest,
                        model::Sha256FromBytes(base::AsBytes(hello.manifest_sha256())));
  }
  claim.wall = base::WallTimeFromMicroseconds(hello.wall_time_us());
  claim.policy_line = hello.policy_line();
  claim.root_version = hello.root_version();
  claim.fleet_exceptions_version = hello.fleet_exceptions_version();
  claim.endpoint_exceptions_version = hello.endpoint_exceptions_version();
  claim.machine = MachineOf(hello.machine());
  return claim;
}

Result<Session::Lookup> Session::LookUp(store::Queries& queries, const Claim& claim) {
  Lookup lookup;
  auto identity = queries.FindEndpoint(claim.endpoint);
  if (!identity.has_value()) {
    if (identity.error().code() == base::ErrorCode::kNotFound) return lookup;
    return std::move(identity).error();
  }
  lookup.identity.emplace(*std::move(identity));
  lookup.signature_holds =
      lookup.identity->key.id() == claim.key_id &&
      lookup.identity->key.Verify(wire::DomainDigest(wire::kDomainHello, claim.bytes),
                                  claim.signature);
  if (claim.chain.has_value()) {
    WM_ASSIGN_OR_RETURN(lookup.head, queries.FindChain(claim.endpoint, *claim.chain));
  }
  return lookup;
}

// Whether the endpoint exists or is revoked is told only to whoever holds its key.
void Session::OnLookedUp(Result<Lookup> lookup) {
  if (state_ != State::kLookingUp) return;
  if (!lookup.has_value()) {
    return Refuse(RefusalReason::kBusy, "the server's store does not answer; come back later");
  }
  if (!lookup->identity.has_value()) {
    return Refuse(RefusalReason::kUnknownEndpoint,
                  "this server does not know the endpoint; enrol again");
  }
  if (!lookup->signature_holds) {
    return Refuse(RefusalReason::kBadSignature, "the hello is not signed by the endpoint's key");
  }
  switch (lookup->identity->state) {
    case store::EndpointState::kActive:
      return Welcome(*lookup);
    case store::EndpointState::kRevoked:
      return Refuse(RefusalReason::kRevoked, "this endpoint was revoked by an administrator");
    case store::EndpointState::kQuarantined:
      break;
  }
  Refuse(RefusalReason::kClone, "two machines use this endpoint's key; each must enrol again");
}

void Session::Welcome(const Lookup& lookup) {
  endpoint_ = claim_.endpoint;
  std::int64_t offset_us = 0;
  if (__builtin_sub_overflow(base::ToMicroseconds(heard_at_), base::ToMicroseconds(claim_.wall),
                             &offset_us)) {
    return Refuse(RefusalReason::kProtocol, "the hello's clock is not a time");
  }
  const base::Duration offset(offset_us);
  if (!owner_.OnReady(*this)) {
    return Refuse(RefusalReason::kRevoked, "this endpoint was revoked by an administrator");
  }
  state_ = State::kReady;
  timer_.Stop();
  sender_.emplace(ingest::Sender{endpoint_, lookup.identity->key, offset});

  v1::ServerFrame frame;
  v1::Welcome& welcome = *frame.mutable_welcome();
  if (claim_.chain.has_value()) ToProto(lookup.head, *welcome.mutable_head());
  welcome.set_clock_offset_us(offset_us);
  channel_->Send(frame);

  services_.ingest.Record(findings::OfClock(endpoint_, offset, heard_at_));
  owner_.OnContact({endpoint_, heard_at_, offset, claim_.machine});
  Offer();
  OfferOwnExceptions();
}

// Asked for only now, when whatever is published meanwhile is sent to this stream as well.
void Session::OfferOwnExceptions() {
  store::Ask(
      services_.reader, services_.loop, alive_,
      [&queries = services_.queries, endpoint = endpoint_] {
        return queries.FindExceptions(store::Scope::WholeFleet(), endpoint);
      },
      [this](const Result<store::ExceptionSetRecord>& exceptions) {
        if (!exceptions.has_value()) return;  // none, or the next stream asks again
        if (exceptions->set.version > claim_.endpoint_exceptions_version)
          SendExceptions(*exceptions);
      });
}

bool Session::OfferFleetExceptions() {
  const auto& exceptions = services_.exceptions.fleet();
  if (exceptions == nullptr) return false;
  if (exceptions->set.version <= claim_.fleet_exceptions_version) return false;
  claim_.fleet_exceptions_version = exceptions->set.version;
  SendExceptions(*exceptions);
  return true;
}

void Session::SendExceptions(const store::ExceptionSetRecord& exceptions) {
  if (state_ != State::kReady) return;
  v1::ServerFrame frame;
  wire::ToProto(exceptions.document, *frame.mutable_exceptions());
  channel_->Send(frame);
}

// A root is accepted only after the one before it, and a bundle may be signed by keys that only the
// newest names: so all that the agent lacks go first, one a frame.
void Session::OfferRoots() {
  std::size_t offered = 0;
  for (const wire::SignedDocument& root : services_.rollout.RootsAfter(claim_.root_version)) {
    if (++offered > kMaxRootsOffered) return;
    v1::ServerFrame frame;
    wire::ToProto(root, *frame.mutable_offer()->mutable_root());
    channel_->Send(frame);
    ++claim_.root_version;
  }
}

bool Session::Offer() {
  if (state_ != State::kReady) return false;
  OfferRoots();
  const bool offered = OfferFleetExceptions();
  const auto& policy = services_.rollout.current();
  if (policy == nullptr || policy->manifest.version <= offered_version_) return offered;
  if (!claim_.policy_line.empty() && claim_.policy_line != policy->manifest.line) return offered;
  if (claim_.manifest == policy->manifest_sha256) return offered;
  offered_version_ = policy->manifest.version;
  v1::ServerFrame frame;
  wire::ToProto(policy->document, *frame.mutable_offer()->mutable_bundle());
  for (const store::BundlePart& part : policy->small_parts) {
    v1::PartChunk& chunk = *frame.mutable_offer()->add_parts();
    chunk.set_sha256(ToBytes(part.reference.sha256.view()));
    chunk.set_data(part.content);
    chunk.set_total_bytes(part.content.size());
  }
  channel_->Send(frame);
  owner_.OnOffered();
  return true;
}

void Session::OnBatch(const v1::SealedBatch& frame) {
  auto batch = wire::FromProto(frame);
  if (!batch.has_value()) return Refuse(RefusalReason::kProtocol, batch.error().message());
  if (batches_under_way_ >= kMaxBatchesUnderWay) {
    return Refuse(RefusalReason::kBusy, "too many batches without an acknowledgement");
  }
  const bool taken = services_.ingest.Submit(
      *sender_, *std::move(batch),
      [this, alive = std::weak_ptr<const void>(alive_)](const ingest::Outcome& outcome) {
        if (alive.lock() != nullptr) OnOutcome(outcome);
      });
  if (!taken) return Refuse(RefusalReason::kBusy, "the server has too much to store; come back");
  ++batches_under_way_;
}

void Session::OnOutcome(const ingest::Outcome& outcome) {
  WM_CHECK(batches_under_way_ > 0);
  --batches_under_way_;
  if (state_ != State::kReady) return;
  switch (outcome.result.kind) {
    case Kind::kStored:
    case Kind::kRepeated:
      return ScheduleAcknowledgement(outcome.result.head);
    case Kind::kGap:
      return AskAgain(outcome.chain, outcome.result.expected);
    case Kind::kEquivocation:
    case Kind::kBrokenChain:
    case Kind::kQuarantined:
      return RefuseBatch(outcome, true);
    case Kind::kRefused:
      return RefuseBatch(outcome, false);
    case Kind::kClone:
      RefuseBatch(outcome, true);
      return Refuse(RefusalReason::kClone,
                    "two machines use this endpoint's key; each must enrol again");
  }
}

void Session::AskAgain(const model::Id& chain, std::uint64_t number) {
  const std::pair wanted(chain, number);
  if (refused_batches_.contains(wanted)) return;
  const base::BootTime now = services_.clock.SinceBoot();
  if (asked_again_ == wanted && now.since_boot - asked_again_at_.since_boot < kAskAgainAfter)
    return;
  asked_again_ = wanted;
  asked_again_at_ = now;
  v1::ServerFrame frame;
  frame.mutable_resend()->set_chain_id(ToBytes(chain.view()));
  frame.mutable_resend()->set_number(number);
  channel_->Send(frame);
}

void Session::RefuseBatch(const ingest::Outcome& outcome, bool quarantined) {
  if (refused_batches_.size() < kMaxRefusedBatches) {
    refused_batches_.emplace(outcome.chain, outcome.number);
  }
  v1::ServerFrame frame;
  v1::BatchRefused& refused = *frame.mutable_batch_refused();
  refused.set_chain_id(ToBytes(outcome.chain.view()));
  refused.set_number(outcome.number);
  refused.set_message(outcome.result.detail);
  refused.set_quarantined(quarantined);
  channel_->Send(frame);
}

// A group's outcomes come one after the other: one acknowledgement speaks for all of them.
void Session::ScheduleAcknowledgement(const store::ChainHead& head) {
  store::ChainHead& newest = unacknowledged_[head.chain];
  if (head.number >= newest.number) newest = head;
  if (acknowledgement_posted_) return;
  acknowledgement_posted_ = true;
  services_.loop.Post([this, alive = std::weak_ptr<const void>(alive_)] {
    if (alive.lock() != nullptr) Acknowledge();
  });
}

void Session::Acknowledge() {
  acknowledgement_posted_ = false;
  if (state_ != State::kReady) return;
  const base::WallTime now = services_.clock.Now();
  for (const auto& [chain, head] : std::exchange(unacknowledged_, {})) {
    wire::Acknowledgement acknowledgement;
    acknowledgement.chain = chain;
    acknowledgement.number = head.number;
    acknowledgement.header_digest = head.digest.value();
    acknowledgement.lineage = services_.lineage;
    acknowledgement.server_time = now;
    v1::ServerFrame frame;
    wire::ToProto(wire::MakeAcknowledgement(acknowledgement, services_.acknowledger),
                  *frame.mutable_acknowledgement());
    channel_->Send(frame);
  }
  owner_.OnContact(ContactNow());
}

void Session::OnPartRequest(const v1::PartRequest& request) {
  if (parts_wanted_.size() >= kMaxPartsWanted) {
    return Refuse(RefusalReason::kProtocol, "too many part requests at a time");
  }
  auto wish = ReadWish(request);
  if (!wish.has_value()) return Refuse(RefusalReason::kProtocol, wish.error().message());
  if (!TakesDelta(*wish)) wish->held.reset();
  parts_wanted_.push_back(*wish);
  ServeParts();
}

Result<Session::PartWish> Session::ReadWish(const v1::PartRequest& request) {
  PartWish wish;
  WM_ASSIGN_OR_RETURN(wish.sha256, model::Sha256FromBytes(base::AsBytes(request.sha256())));
  wish.offset = request.offset();
  if (!request.held_sha256().empty()) {
    WM_ASSIGN_OR_RETURN(wish.held, model::Sha256FromBytes(base::AsBytes(request.held_sha256())));
  }
  return wish;
}

// Making a delta reads two parts whole, so it is done for what endpoints are to fetch now only: the
// lists of the policy that is offered, once on a stream.
bool Session::TakesDelta(const PartWish& wish) {
  const auto& policy = services_.rollout.current();
  if (!wish.held.has_value() || wish.offset != 0 || policy == nullptr) return false;
  const bool offered =
      std::ranges::any_of(policy->manifest.parts, [&](const wire::PartReference& part) {
        return part.kind == wire::PartKind::kLists && part.sha256 == wish.sha256;
      });
  return offered && std::exchange(delta_taken_, wish.sha256) != wish.sha256;
}

Session::PartAnswer Session::ReadPart(store::Queries& queries, rollout::ListsDeltas& deltas,
                                      const PartWish& wish) {
  PartAnswer answer{queries.ReadPart(wish.sha256, wish.offset), nullptr};
  if (answer.piece.has_value() && wish.held.has_value()) {
    answer.delta = deltas.Find(*wish.held, wish.sha256);
  }
  return answer;
}

// One piece at a time: the reader serves all streams.
void Session::ServeParts() {
  if (state_ != State::kReady || parts_wanted_.empty() || reading_part_) return;
  if (channel_->queued() >= kMaxQueuedForParts) {
    parts_timer_.Start(kPartsPause, [this] { ServeParts(); });
    return;
  }
  const PartWish wish = parts_wanted_.front();
  parts_wanted_.pop_front();
  reading_part_ = true;
  store::Ask(
      services_.reader, services_.loop, alive_,
      [&queries = services_.queries, &deltas = services_.lists_deltas, wish] {
        return ReadPart(queries, deltas, wish);
      },
      [this, wish](PartAnswer answer) { SendPart(wish, std::move(answer)); });
}

void Session::SendPart(const PartWish& wish, PartAnswer answer) {
  reading_part_ = false;
  if (state_ != State::kReady) return;
  v1::ServerFrame frame;
  v1::PartChunk& chunk = *frame.mutable_part_chunk();
  chunk.set_sha256(ToBytes(wish.sha256.view()));
  chunk.set_offset(wish.offset);
  if (answer.piece.has_value()) {
    chunk.set_total_bytes(answer.piece->total_bytes);
    if (answer.delta != nullptr) {
      chunk.set_delta(*answer.delta);
    } else {
      chunk.set_data(std::move(answer.piece->data));
    }
  }
  channel_->Send(frame);
  ServeParts();
}

}  // namespace weighmaster::server::fleet
