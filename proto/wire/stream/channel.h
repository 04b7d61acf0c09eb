#pragma once

#include <cstddef>
#include <memory>

#include "policy/base/error.h"

namespace weighmaster::v1 {
class AgentFrame;
class ServerFrame;
}  // namespace weighmaster::v1

namespace weighmaster::wire {

// One end of a live stream of frames, in order while it lives: gRPC in the programs, a lossy
// network in the simulation. Belongs to the loop; every call and callback is on the loop's thread.
template <typename Outgoing>
class Channel {
 public:
  // Closes the stream; the listener is not called again.
  virtual ~Channel() = default;

  // Queues a frame. A frame for a peer that is too slow (limits::kMaxOutboxFrames) ends the stream:
  // the listener hears RESOURCE_EXHAUSTED.
  virtual void Send(const Outgoing& frame) = 0;

  // Frames queued and not yet given to the transport, for those who can wait.
  virtual std::size_t queued() const = 0;
};

template <typename Incoming>
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void OnFrame(const Incoming& frame) = 0;
  // Once, unless the Channel was destroyed before; nothing comes after it. Destroying the Channel
  // inside is allowed.
  virtual void OnClosed(const base::Error& why) = 0;
};

using AgentChannel = Channel<v1::AgentFrame>;
using AgentListener = Listener<v1::ServerFrame>;
using ServerChannel = Channel<v1::ServerFrame>;
using ServerListener = Listener<v1::AgentFrame>;

// How an agent opens a stream to its server. Loop-owned.
class Connector {
 public:
  virtual ~Connector() = default;
  // Begins to connect. A failure arrives as OnClosed, never inside this call; its message is one
  // line that says what is wrong and what to do.
  virtual std::unique_ptr<AgentChannel> Connect(AgentListener& listener) = 0;
};

}  // namespace weighmaster::wire
