#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "policy/base/loop.h"
#include "policy/base/random.h"
#include "proto/wire/stream/channel.h"

namespace weighmaster::sim {

// How bad the network is. Chances are in thousandths.
struct Weather {
  std::uint64_t refuse = 0;     // of each connection attempt
  std::uint64_t cut = 0;        // of each frame: it and all that follow are lost, both ends hear it
  std::uint64_t duplicate = 0;  // of each frame: it arrives twice
  std::uint64_t reorder = 0;    // of each frame: later frames may overtake it
  base::Duration min_latency{1'000};
  base::Duration max_latency{20'000};
};

// A network on the simulated loop between agents and one server. Frames travel as bytes, in order
// unless the weather says otherwise; a cut loses what is under way, and each end hears of it at a
// time of its own. Loop-owned; must outlive every channel and connector it made.
class Network {
 public:
  // Called when an agent reaches the server: takes the channel and returns who listens, or null to
  // refuse.
  using Accept = std::function<wire::ServerListener*(std::unique_ptr<wire::ServerChannel>)>;

  Network(base::Loop& loop, const base::Clock& clock, base::Random& random, Accept accept);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  void set_weather(const Weather& weather) { weather_ = weather; }
  // While down, every attempt is refused. Going down cuts every stream.
  void SetServerReachable(bool reachable);
  // The server process died: its listeners are not called again, agents hear of it in their time.
  void ForgetServerEnds();

  std::unique_ptr<wire::Connector> MakeConnector();

  std::uint64_t frames_lost() const { return frames_lost_; }
  std::uint64_t frames_doubled() const { return frames_doubled_; }
  // Of those that arrived.
  std::uint64_t part_requests() const { return part_requests_; }
  std::uint64_t part_requests_within() const { return part_requests_within_; }  // past the first
  std::uint64_t deltas() const { return deltas_; }

 private:
  friend class SimConnector;
  friend class AgentEnd;
  friend class ServerEnd;
  struct Link;

  std::unique_ptr<wire::AgentChannel> Connect(wire::AgentListener& listener);
  void Open(const std::shared_ptr<Link>& link);
  void Carry(const std::shared_ptr<Link>& link, bool to_server, std::string bytes);
  void Deliver(const std::shared_ptr<Link>& link, bool to_server, const std::string& bytes);
  void Cut(const std::shared_ptr<Link>& link);
  void HearClosed(const std::shared_ptr<Link>& link, bool server_side);
  base::Duration Latency();
  bool Chance(std::uint64_t thousandths);

  base::Loop& loop_;
  const base::Clock& clock_;
  base::Random& random_;
  Accept accept_;
  Weather weather_;
  bool reachable_ = true;
  std::vector<std::shared_ptr<Link>> links_;  // in the order of making: a seed replays that too
  std::uint64_t frames_lost_ = 0;
  std::uint64_t frames_doubled_ = 0;
  std::uint64_t part_requests_ = 0;
  std::uint64_t part_requests_within_ = 0;
  std::uint64_t deltas_ = 0;
};

}  // namespace weighmaster::sim
