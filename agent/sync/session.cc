#include "agent/sync/session.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "proto/wire/trust.h"
#include "third_party/spdlog/log.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::agent::sync {
namespace {

constexpr std::size_t kNonceBytes = 32;
// How soon a busy transport is asked again whether it has taken what it was given.
constexpr std::chrono::milliseconds kUnblockInterval{50};

// As far off as a clock can be; a server that says more is taken to say this.
constexpr std::chrono::hours kMostClockOffset{24 * 365 * 100};

std::string BytesOf(base::ByteView bytes) { return std::string(base::AsText(bytes)); }

// Refusals that waiting a little does not mend.
bool NeedsAPerson(v1::RefusalReason reason) {
  switch (reason) {
    case v1::REFUSAL_REASON_UNKNOWN_ENDPOINT:
    case v1::REFUSAL_REASON_REVOKED:
    case v1::REFUSAL_REASON_BAD_SIGNATURE:
    case v1::REFUSAL_REASON_CLONE:
      return true;
    default:
      return false;
  }
}
bool NeedsAPerson(base::ErrorCode code) {
  return code == base::ErrorCode::kUnauthenticated || code == base::ErrorCode::kPermissionDenied;
}

std::string DescribeRefusal(const v1::Refusal& refusal) {
  std::string text = "the server refuses this endpoint";
  if (!refusal.message().empty()) text += ": " + base::EscapeForDisplay(refusal.message());
  return text;
}

// What a sentence says apart from its numbers. They may be others at each attempt (the time, a
// batch, a port), and that is no news.
std::string WordsOf(const std::string& sentence) {
  std::string words;
  std::copy_if(sentence.begin(), sentence.end(), std::back_inserter(words),
               [](char c) { return c < '0' || c > '9'; });
  return words;
}

}  // namespace

struct Session::Stream final : wire::AgentListener {
  explicit Stream(Session& owner) : session(&owner) {}
  void OnFrame(const v1::ServerFrame& frame) override {
    if (session != nullptr) session->OnFrame(frame);
  }
  void OnClosed(const base::Error& why) override {
    if (session != nullptr) session->OnClosed(why);
  }

  Session* session;  // null once the session is done with this stream
  std::unique_ptr<wire::AgentChannel> channel;
};

Session::Session(Rooms rooms, Endpoint endpoint)
    : rooms_(rooms),
      endpoint_(std::move(endpoint)),
      pump_(rooms.journal, rooms.events),
      fetch_(rooms.policy, [this](const base::Error& error) { End(error.message()); }),
      backoff_(rooms.random),
      retry_(rooms.loop),
      handshake_(rooms.loop),
      silence_(rooms.loop),
      slow_(rooms.loop),
      unblock_(rooms.loop),
      resume_(rooms.loop) {}

Session::~Session() { DropStream(); }

void Session::Start() {
  WM_CHECK(rooms_.loop.OnLoop() && state_ == State::kStopped);
  Connect();
}

void Session::Stop() {
  DropStream();
  retry_.Stop();
  state_ = State::kStopped;
}

Status Session::status() const {
  Status status;
  status.connected = state_ == State::kStreaming;
  status.last_error = last_error_;
  status.last_contact = last_contact_;
  if (boot_by_server_clock_.has_value()) {
    status.clock_offset =
        *boot_by_server_clock_ + rooms_.clock.SinceBoot().since_boot - rooms_.clock.Now();
  }
  return status;
}

void Session::Connect() {
  state_ = State::kAwaitChallenge;
  stream_ = std::make_shared<Stream>(*this);
  stream_->channel = rooms_.connector.Connect(*stream_);
  handshake_.Start(base::limits::kHandshakeTimeout, [this] {
    End("the server did not welcome this endpoint in time; is it a Weighmaster server?");
  });
}

void Session::DropStream() {
  for (base::Timer* const timer : {&handshake_, &silence_, &slow_, &unblock_, &resume_})
    timer->Stop();
  pump_.End();
  fetch_.End();
  if (stream_ == nullptr) return;
  stream_->session = nullptr;
  rooms_.loop.Post([stream = std::exchange(stream_, nullptr)] { stream->channel.reset(); });
}

void Session::NoteError(std::string why) {
  std::string words = WordsOf(why);
  if (words != logged_words_) logging::Warning("sync", why);
  logged_words_ = std::move(words);
  last_error_ = std::move(why);
}

// Kept by the clock that nobody sets, so that one who corrects the other is not told for the rest
// of the stream that it is wrong.
void Session::NoteClockOffset(base::Duration offset) {
  const base::Duration most = kMostClockOffset;
  boot_by_server_clock_ =
      rooms_.clock.Now() + std::clamp(offset, -most, most) - rooms_.clock.SinceBoot().since_boot;
}

void Session::End(const std::string& why, std::optional<base::Duration> delay) {
  if (state_ == State::kStopped || state_ == State::kWaiting) return;
  // A stream that served for a while was a success; the server may be back at once.
  const bool served =
      state_ == State::kStreaming &&
      rooms_.clock.SinceBoot().since_boot - welcomed_.since_boot >= base::limits::kAnswerTimeout;
  if (served) backoff_.Reset();
  DropStream();
  state_ = State::kWaiting;
  NoteError(why);
  retry_.Start(delay.has_value() ? *delay : backoff_.Next(), [this] { Connect(); });
}

void Session::OnClosed(const base::Error& why) {
  std::optional<base::Duration> delay;
  if (NeedsAPerson(why.code())) delay = base::limits::kRefusedRetryDelay;
  End(why.message(), delay);
}

void Session::OnFrame(const v1::ServerFrame& frame) {
  last_contact_ = rooms_.clock.Now();
  silence_.Stop();
  if (frame.has_refusal()) {
    OnRefusal(frame.refusal());
    return;
  }
  if (const auto handled = Handle(frame); !handled.has_value()) {
    End(handled.error().message());
    return;
  }
  Send();
}

base::Status Session::Handle(const v1::ServerFrame& frame) {
  switch (state_) {
    case State::kAwaitChallenge:
      if (frame.has_challenge()) return OnChallenge(frame.challenge());
      break;
    case State::kAwaitWelcome:
      if (frame.has_welcome()) return OnWelcome(frame.welcome());
      break;
    case State::kStreaming:
      return HandleStreaming(frame);
    case State::kStopped:
    case State::kWaiting:
      return {};
  }
  return base::FailedPrecondition(
      "the server sent a frame that does not belong there; is it a "
      "Weighmaster server of this version?");
}

base::Status Session::HandleStreaming(const v1::ServerFrame& frame) {
  switch (frame.frame_case()) {
    case v1::ServerFrame::kAcknowledgement: {
      WM_ASSIGN_OR_RETURN(
          const base::WallTime time,
          pump_.OnAcknowledgement(frame.acknowledgement(), *rooms_.policy.root(), lineage_));
      rooms_.policy.NoteVerifiedTime(time);
      backoff_.Reset();
      OnStored();
      return {};
    }
    case v1::ServerFrame::kResend:
      return Proceed(pump_.OnResend(frame.resend()));
    case v1::ServerFrame::kBatchRefused:
      OnBatchRefused(frame.batch_refused());
      return {};
    case v1::ServerFrame::kOffer:
      return fetch_.OnOffer(*stream_->channel, frame.offer());
    case v1::ServerFrame::kPartChunk:
      return fetch_.OnChunk(frame.part_chunk());
    case v1::ServerFrame::kExceptions: {
      WM_ASSIGN_OR_RETURN(const wire::SignedDocument exceptions,
                          wire::FromProto(frame.exceptions()));
      return rooms_.policy.ConsiderExceptions(exceptions, endpoint_.id);
    }
    case v1::ServerFrame::kChallenge:
    case v1::ServerFrame::kWelcome:
      return base::FailedPrecondition("the server began its greeting a second time");
    default:
      return {};  // what a newer server may say; nothing depends on it
  }
}

base::Status Session::OnChallenge(const v1::Challenge& challenge) {
  if (challenge.nonce().size() != kNonceBytes) {
    return base::InvalidArgument("the server's challenge has no nonce of 32 bytes");
  }
  const auto lineage = model::IdFromBytes(base::AsBytes(challenge.lineage_id()));
  if (!lineage.has_value()) {
    return base::InvalidArgument("the server's challenge does not name its store's lineage");
  }
  lineage_ = *lineage;
  if (!rooms_.policy.root().has_value()) {
    return base::FailedPrecondition("this endpoint has no root document; enrol it again");
  }
  v1::AgentFrame frame;
  WM_RETURN_IF_ERROR(SignHello(challenge.nonce(), *frame.mutable_hello()));
  stream_->channel->Send(frame);
  state_ = State::kAwaitWelcome;
  return {};
}

base::Status Session::SignHello(const std::string& nonce, v1::SignedHello& out) const {
  v1::Hello hello;
  hello.set_endpoint_id(BytesOf(endpoint_.id.view()));
  hello.set_key_id(BytesOf(rooms_.signer.public_key().id().view()));
  hello.set_nonce(nonce);
  const journal::Head& head = rooms_.journal.head();
  hello.mutable_head()->set_chain_id(BytesOf(head.chain.view()));
  hello.mutable_head()->set_number(head.number);
  if (head.header_digest.has_value()) {
    hello.mutable_head()->set_header_digest(BytesOf(head.header_digest->view()));
  }
  hello.set_wall_time_us(base::ToMicroseconds(rooms_.clock.Now()));
  v1::MachineFacts& machine = *hello.mutable_machine();
  machine.set_hostname(endpoint_.hostname);
  machine.set_os(endpoint_.os);
  machine.set_os_release(endpoint_.os_release);
  machine.set_agent_version(endpoint_.agent_version);
  machine.set_machine_sha256(BytesOf(endpoint_.machine.view()));
  hello.set_policy_version(rooms_.policy.version());
  if (const auto& digest = rooms_.policy.manifest_digest(); digest.has_value()) {
    hello.set_manifest_sha256(BytesOf(digest->view()));
  }
  hello.set_policy_line(rooms_.policy.line());
  hello.set_root_version(rooms_.policy.root()->version);
  const decide::ExceptionSets& exceptions = rooms_.policy.exceptions();
  hello.set_fleet_exceptions_version(exceptions.fleet_version());
  hello.set_endpoint_exceptions_version(exceptions.endpoint_version());
  hello.add_features(std::string(wire::kFeatureLists));
  hello.add_features(std::string(wire::kFeatureRules));

  out.set_hello(hello.SerializeAsString());
  WM_ASSIGN_OR_RETURN(const openssl::Signature signature,
                      rooms_.signer.Sign(wire::DomainDigest(wire::kDomainHello, out.hello())));
  out.set_signature(BytesOf(base::ByteView(signature)));
  return {};
}

base::Status Session::OnWelcome(const v1::Welcome& welcome) {
  handshake_.Stop();
  state_ = State::kStreaming;
  welcomed_ = rooms_.clock.SinceBoot();
  NoteClockOffset(base::Duration(welcome.clock_offset_us()));
  last_error_.clear();
  logged_words_.clear();
  logging::Info("sync", "connected to the server");
  return Proceed(pump_.Begin(*stream_->channel, welcome.head()));
}

base::Status Session::Proceed(base::Result<BatchPump::Next> next) {
  if (!next.has_value()) return std::move(next).error();
  if (next.value() == BatchPump::Next::kGoOn) return {};
  return base::Unavailable(
      "the server's history of this endpoint and ours do not meet; a new chain "
      "was started");
}

void Session::OnRefusal(const v1::Refusal& refusal) {
  std::optional<base::Duration> delay;
  if (NeedsAPerson(refusal.reason())) {
    delay = base::limits::kRefusedRetryDelay;
  } else if (refusal.retry_after_ms() > 0) {
    const std::int64_t longest =
        std::chrono::milliseconds(base::limits::kRefusedRetryDelay).count();
    delay = std::chrono::milliseconds(std::min(refusal.retry_after_ms(), longest));
    *delay += backoff_.Next();  // so that a fleet that was told the same does not return as one
  }
  End(DescribeRefusal(refusal), delay);
}

void Session::OnBatchRefused(const v1::BatchRefused& refused) {
  NoteError("the server does not store batch " + std::to_string(refused.number()) + ": " +
            base::EscapeForDisplay(refused.message()) + "; it is kept and sent again later");
  pump_.OnRefused(refused);
  resume_.Start(base::limits::kRefusedRetryDelay, [this] {
    pump_.Resume();
    Send();
  });
}

// While a batch is refused nothing after it is sent, and what is sent again begins with it: an
// acknowledgement that comes once sending has gone on is of that batch at least.
void Session::OnStored() {
  if (last_error_.empty() || resume_.armed()) return;
  last_error_.clear();
  logged_words_.clear();
  logging::Info("sync", "the server stores this endpoint's batches again");
}

void Session::OnSealed() { Send(); }

void Session::Send() {
  if (state_ != State::kStreaming) return;
  if (const auto sent = pump_.Send(); !sent.has_value()) {
    End(sent.error().message());
    return;
  }
  if (pump_.blocked()) unblock_.Start(kUnblockInterval, [this] { Send(); });
  WatchForSilence();
}

void Session::WatchForSilence() {
  if (!fetch_.waiting()) {
    slow_.Stop();
  } else if (!slow_.armed()) {
    slow_.Start(base::limits::kMaxBundleFetchTime, [this] {
      End("the server hands out a policy so slowly that it never arrives; it is fetched on");
    });
  }
  if (silence_.armed() || !(pump_.waiting() || fetch_.waiting())) return;
  silence_.Start(base::limits::kAnswerTimeout,
                 [this] { End("the server does not answer; the stream is opened again"); });
}

}  // namespace weighmaster::agent::sync
