#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "policy/base/loop.h"
#include "proto/wire/stream/channel.h"

namespace weighmaster::wire {

// What moves one frame at a time for a Pipe: a gRPC reactor, or a fake in tests. Called from any
// thread and under the Pipe's lock, so it must not call the Pipe back from inside.
template <typename Outgoing, typename Incoming>
class Transport {
 public:
  virtual ~Transport() = default;
  // One of each may be under way at a time; it ends in Pipe::OnRead and Pipe::OnWritten, always.
  virtual void StartRead(Incoming* into) = 0;
  virtual void StartWrite(const Outgoing* frame) = 0;
  // Makes what is under way fail soon.
  virtual void Cancel() = 0;
  // The Pipe's last call: nothing is being written and nothing will be started again, though a read
  // may still be under way. `why` is for the peer, none for an orderly end; `by_peer` says that the
  // peer had ended its side already.
  virtual void Finish(bool by_peer, const std::optional<base::Error>& why) = 0;
};

// Between a transport's threads and the loop: one write under way, a bounded outbox, and a read
// that begins only when the loop is done with the frame before, which is what slows a fast peer
// down. The transport owns the Pipe together with the PipeChannel; the loop must outlive both.
template <typename Outgoing, typename Incoming>
class Pipe final : public std::enable_shared_from_this<Pipe<Outgoing, Incoming>> {
 public:
  Pipe(base::Loop& loop, Transport<Outgoing, Incoming>& transport)
      : loop_(loop), transport_(&transport) {}

  // --- On the loop -------------------------------------------------------------------------------

  // Begins to read. What ended the stream before this call is told now. Nothing happens when the
  // channel is gone already.
  void Open(Listener<Incoming>& listener) {
    WM_CHECK(loop_.OnLoop());
    if (detached_) return;
    listener_ = &listener;
    if (ended_) {
      OnEnd(*ended_);
      return;
    }
    ReadNext();
  }

  void Send(const Outgoing& frame) {
    WM_CHECK(loop_.OnLoop());
    const std::lock_guard lock(mutex_);
    if (transport_ == nullptr || closing_) return;
    if (outbox_.size() >= base::limits::kMaxOutboxFrames) {
      FailLocked(base::ResourceExhausted(
          "the peer is too slow: its outbox is full; the stream is ended and opened again later"));
      return;
    }
    outbox_.push_back(frame);
    if (!writing_) WriteNextLocked();
  }

  std::size_t queued() const {
    const std::lock_guard lock(mutex_);
    return outbox_.size();
  }

  // Whether anyone still listens.
  bool attached() const {
    WM_CHECK(loop_.OnLoop());
    return listener_ != nullptr;
  }

  // The listener is not called again. What is queued is still written, for at most kMaxFlushTime.
  void Detach() {
    WM_CHECK(loop_.OnLoop());
    detached_ = true;
    listener_ = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (transport_ == nullptr || closing_) return;
      closing_ = true;
      if (!writing_) {
        FinishLocked();
        return;
      }
    }
    loop_.After(base::limits::kMaxFlushTime, [weak = this->weak_from_this()] {
      if (const auto self = weak.lock()) self->Abort();
    });
  }

  // --- On any thread -----------------------------------------------------------------------------

  // Ends the stream with this error, for the peer and for the listener. The first one counts.
  void Fail(const base::Error& why) {
    const std::lock_guard lock(mutex_);
    if (transport_ == nullptr || closing_) return;
    FailLocked(why);
  }

  // Ends the stream without a word and without a flush.
  void Abort() {
    const std::lock_guard lock(mutex_);
    if (transport_ == nullptr) return;
    closing_ = true;
    outbox_.clear();
    transport_->Cancel();
    if (!writing_) FinishLocked();
  }

  // --- From the transport ------------------------------------------------------------------------

  void OnRead(bool ok) {
    if (ok) {
      loop_.Post([self = this->shared_from_this()] { self->Deliver(); });
      return;
    }
    const std::lock_guard lock(mutex_);
    by_peer_ = !closing_;
    closing_ = true;
    outbox_.clear();
    if (transport_ != nullptr && !writing_) FinishLocked();
  }

  void OnWritten(bool ok) {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    in_flight_ = Outgoing();
    if (!ok) outbox_.clear();
    if (!outbox_.empty()) {
      WriteNextLocked();
    } else if (closing_) {
      FinishLocked();
    }
  }

  // The stream is over; the listener hears it unless it has heard another reason before.
  void OnEnd(const base::Error& why) {
    loop_.Post([self = this->shared_from_this(), why] {
      if (!self->ended_) self->ended_ = why;
      if (self->listener_ != nullptr) {
        std::exchange(self->listener_, nullptr)->OnClosed(*self->ended_);
      }
    });
  }

 private:
  void Deliver() {
    if (listener_ == nullptr) return;
    listener_->OnFrame(incoming_);
    ReadNext();
  }

  void ReadNext() {
    const std::lock_guard lock(mutex_);
    if (transport_ != nullptr && !closing_) transport_->StartRead(&incoming_);
  }

  void WriteNextLocked() {
    in_flight_ = std::move(outbox_.front());
    outbox_.pop_front();
    writing_ = true;
    transport_->StartWrite(&in_flight_);
  }

  void FailLocked(const base::Error& why) {
    closing_ = true;
    why_ = why;
    outbox_.clear();
    if (writing_) {
      transport_->Cancel();
    } else {
      FinishLocked();
    }
    OnEnd(why);
  }

  void FinishLocked() { std::exchange(transport_, nullptr)->Finish(by_peer_, why_); }

  base::Loop& loop_;

  // Owned by the loop.
  Listener<Incoming>* listener_ = nullptr;
  bool detached_ = false;
  std::optional<base::Error> ended_;

  // Owned by the transport while a read is under way, by the loop otherwise.
  Incoming incoming_;

  mutable std::mutex mutex_;  // between the loop and the transport's threads; held for no I/O
  Transport<Outgoing, Incoming>* transport_;  // null once finished
  std::deque<Outgoing> outbox_;
  Outgoing in_flight_;
  bool writing_ = false;
  bool closing_ = false;
  bool by_peer_ = false;
  std::optional<base::Error> why_;
};

// The end of a Pipe that a session holds. Loop-owned.
template <typename Outgoing, typename Incoming>
class PipeChannel final : public Channel<Outgoing> {
 public:
  explicit PipeChannel(std::shared_ptr<Pipe<Outgoing, Incoming>> pipe) : pipe_(std::move(pipe)) {}
  ~PipeChannel() override { pipe_->Detach(); }
  PipeChannel(const PipeChannel&) = delete;
  PipeChannel& operator=(const PipeChannel&) = delete;

  void Send(const Outgoing& frame) override { pipe_->Send(frame); }
  std::size_t queued() const override { return pipe_->queued(); }

 private:
  const std::shared_ptr<Pipe<Outgoing, Incoming>> pipe_;
};

}  // namespace weighmaster::wire
