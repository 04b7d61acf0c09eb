#pragma once

#include <cstdint>
#include <string>

#include "agent/journal/event_log.h"
#include "agent/journal/journal.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/event.h"
#include "proto/wire/stream/channel.h"
#include "proto/wire/trust.h"

namespace weighmaster::v1 {
class BatchRefused;
class ChainHead;
class Resend;
class SignedAcknowledgement;
}  // namespace weighmaster::v1

namespace weighmaster::agent::sync {

// Sends sealed batches over one stream after another, from the first that the server lacks, at most
// limits::kMaxBatchesInFlight ahead of its acknowledgements. Loop-owned; journal and events must
// outlive it. An Error from any call means that this stream has to end; the journal is as it was.
class BatchPump {
 public:
  BatchPump(journal::Journal& journal, journal::EventLog& events)
      : journal_(journal), events_(events) {}

  // Whether the stream may go on, or the journal has begun a new chain, which needs a new Hello.
  enum class Next : std::uint8_t { kGoOn, kSayHelloAgain };

  // The server has said what it has of our chain. What it has and has not acknowledged to us is
  // sent once more from the last of it, because only a signed acknowledgement counts. A head that
  // is not in this journal, or lies before everything that is kept, begins a new chain.
  base::Result<Next> Begin(wire::AgentChannel& channel, const v1::ChainHead& server_head);
  void End() { channel_ = nullptr; }

  // Sends what may be sent now.
  base::Status Send();
  // The transport has enough to do; Send() again in a moment.
  bool blocked() const { return blocked_; }
  // The server owes an answer.
  bool waiting() const { return channel_ != nullptr && sent_ > answered_; }

  // The time that the server signed. INVALID_ARGUMENT or worse when it is not its signature, not
  // our batch, or a promise of another lineage of its store than this stream's, which a restore
  // from a backup has broken. A journal that can't be written costs nothing: a later
  // acknowledgement covers it.
  base::Result<base::WallTime> OnAcknowledgement(const v1::SignedAcknowledgement& frame,
                                                 const wire::Root& root, const model::Id& lineage);
  base::Result<Next> OnResend(const v1::Resend& frame);
  // Nothing is sent until Resume(), which begins with the refused batch.
  void OnRefused(const v1::BatchRefused& frame);
  void Resume() { paused_ = false; }

 private:
  base::Result<Next> StartChain(model::ChainReason reason, std::uint64_t told_up_to);
  void SendFrom(std::uint64_t number);

  journal::Journal& journal_;
  journal::EventLog& events_;
  wire::AgentChannel* channel_ = nullptr;  // while a stream is past its Welcome
  std::uint64_t sent_ = 0;                 // the last batch given to this stream
  std::uint64_t answered_ = 0;             // the last that needs no answer from it
  int resends_ = 0;                        // since the last acknowledgement
  bool paused_ = false;
  bool blocked_ = false;
};

}  // namespace weighmaster::agent::sync
