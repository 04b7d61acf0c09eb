#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/decide/policy_in_force.h"
#include "agent/journal/event_log.h"
#include "agent/journal/journal.h"
#include "agent/sync/batch_pump.h"
#include "agent/sync/bundle_fetch.h"
#include "policy/base/error.h"
#include "policy/base/loop.h"
#include "policy/base/random.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "proto/wire/stream/backoff.h"
#include "proto/wire/stream/channel.h"
#include "third_party/openssl/key.h"

namespace weighmaster::v1 {
class BatchRefused;
class Challenge;
class Refusal;
class ServerFrame;
class SignedHello;
class Welcome;
}  // namespace weighmaster::v1

namespace weighmaster::agent::sync {

// Who this endpoint is, and the facts of its machine that every Hello carries.
struct Endpoint {
  model::Id id;
  std::string hostname;
  std::string os;
  std::string os_release;
  std::string agent_version;
  model::Sha256 machine;  // enrol.proto, MachineFacts.machine_sha256
};

struct Status {
  bool connected = false;                      // past Welcome
  std::string last_error;                      // one line; "" while all is well
  std::optional<base::WallTime> last_contact;  // the last frame from the server
  // The server's clock minus this machine's, as the last Welcome told it. A clock that was set
  // since is taken into account. Nothing before the first Welcome of this run.
  std::optional<base::Duration> clock_offset;
};

// The agent's end of the stream (proto/weighmaster/v1/sync.proto, docs/formats/sync.md), as a state
// machine: waiting → Challenge → Welcome → streaming → waiting …
//
// Nothing that a server says or does makes it give up: a stream that fails, is refused, falls
// silent or breaks the protocol is opened again later, slower each time, and journal and policy
// stay as they are. What only a person can mend is tried every limits::kRefusedRetryDelay.
//
// Why a stream ended is in status(), and in the log once: at the first of the attempts that end
// alike, and again when a stream is welcome.
//
// Loop-owned; all rooms must outlive it. A chain must have been started before Start().
class Session {
 public:
  struct Rooms {
    base::Loop& loop;
    const base::Clock& clock;
    base::Random& random;
    wire::Connector& connector;
    journal::Journal& journal;
    journal::EventLog& events;
    decide::PolicyInForce& policy;
    const openssl::Signer& signer;
  };

  Session(Rooms rooms, Endpoint endpoint);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Start();
  // Closes the stream; Start() may follow.
  void Stop();
  // The journal has sealed a batch.
  void OnSealed();

  Status status() const;

 private:
  enum class State : std::uint8_t {
    kStopped,
    kWaiting,         // for the retry timer
    kAwaitChallenge,  // connecting, or connected and silent
    kAwaitWelcome,    // Hello sent
    kStreaming,
  };
  // One stream's listener. After End() it hears nothing any more and is destroyed on a later turn
  // of the loop, because a channel need not survive being destroyed inside OnFrame.
  struct Stream;

  void Connect();
  void OnFrame(const v1::ServerFrame& frame);
  void OnClosed(const base::Error& why);
  base::Status Handle(const v1::ServerFrame& frame);
  base::Status HandleStreaming(const v1::ServerFrame& frame);
  base::Status OnChallenge(const v1::Challenge& challenge);
  base::Status OnWelcome(const v1::Welcome& welcome);
  void OnRefusal(const v1::Refusal& refusal);
  void OnBatchRefused(const v1::BatchRefused& refused);
  void OnStored();
  base::Status Proceed(base::Result<BatchPump::Next> next);
  base::Status SignHello(const std::string& nonce, v1::SignedHello& out) const;
  void Send();
  void WatchForSilence();

  void NoteError(std::string why);
  void NoteClockOffset(base::Duration offset);
  void End(const std::string& why, std::optional<base::Duration> delay = std::nullopt);
  void DropStream();

  // Constant after construction.
  const Rooms rooms_;
  const Endpoint endpoint_;

  // Owned by the loop.
  State state_ = State::kStopped;
  std::shared_ptr<Stream> stream_;
  BatchPump pump_;
  BundleFetch fetch_;
  wire::Backoff backoff_;
  model::Id lineage_;  // of the server's store, as this stream's Challenge names it
  base::BootTime welcomed_;
  std::string last_error_;
  std::string logged_words_;  // of the last error that the log has; "" once all was well
  std::optional<base::WallTime> last_contact_;
  // When this machine booted, by the server's clock.
  std::optional<base::WallTime> boot_by_server_clock_;
  base::Timer retry_;      // while waiting
  base::Timer handshake_;  // until Welcome
  base::Timer silence_;    // while the server owes an answer
  base::Timer slow_;       // while a policy is being fetched
  base::Timer unblock_;    // while the transport is busy
  base::Timer resume_;     // after a refused batch
};

}  // namespace weighmaster::agent::sync
