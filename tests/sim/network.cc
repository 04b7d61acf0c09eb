#include "tests/sim/network.h"

#include <algorithm>
#include <string>
#include <utility>

#include "policy/base/check.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::sim {

// One stream. An end's listener is null once that end is gone or has heard of the close.
struct Network::Link {
  wire::AgentListener* agent = nullptr;
  wire::ServerListener* server = nullptr;
  bool agent_alive = true;
  bool server_alive = false;
  bool cut = false;
  // When the last in-order frame of a direction arrives: to the agent, to the server.
  base::Duration last_arrival[2] = {base::Duration{0}, base::Duration{0}};
};

class AgentEnd final : public wire::AgentChannel {
 public:
  AgentEnd(Network& network, std::shared_ptr<Network::Link> link)
      : network_(network), link_(std::move(link)) {}
  ~AgentEnd() override {
    link_->agent = nullptr;
    link_->agent_alive = false;
    network_.Cut(link_);
  }
  void Send(const v1::AgentFrame& frame) override {
    network_.Carry(link_, true, frame.SerializeAsString());
  }
  std::size_t queued() const override { return 0; }

 private:
  Network& network_;
  std::shared_ptr<Network::Link> link_;
};

class ServerEnd final : public wire::ServerChannel {
 public:
  ServerEnd(Network& network, std::shared_ptr<Network::Link> link)
      : network_(network), link_(std::move(link)) {}
  ~ServerEnd() override {
    link_->server = nullptr;
    link_->server_alive = false;
    network_.Cut(link_);
  }
  void Send(const v1::ServerFrame& frame) override {
    network_.Carry(link_, false, frame.SerializeAsString());
  }
  std::size_t queued() const override { return 0; }

 private:
  Network& network_;
  std::shared_ptr<Network::Link> link_;
};

class SimConnector final : public wire::Connector {
 public:
  explicit SimConnector(Network& network) : network_(network) {}
  std::unique_ptr<wire::AgentChannel> Connect(wire::AgentListener& listener) override {
    return network_.Connect(listener);
  }

 private:
  Network& network_;
};

Network::Network(base::Loop& loop, const base::Clock& clock, base::Random& random, Accept accept)
    : loop_(loop), clock_(clock), random_(random), accept_(std::move(accept)) {}
Network::~Network() = default;

std::unique_ptr<wire::Connector> Network::MakeConnector() {
  return std::make_unique<SimConnector>(*this);
}

void Network::SetServerReachable(bool reachable) {
  reachable_ = reachable;
  if (reachable) return;
  const auto links = links_;
  for (const auto& link : links) Cut(link);
}

void Network::ForgetServerEnds() {
  const auto links = links_;
  for (const auto& link : links) {
    link->server = nullptr;
    Cut(link);
  }
}

std::unique_ptr<wire::AgentChannel> Network::Connect(wire::AgentListener& listener) {
  auto link = std::make_shared<Link>();
  link->agent = &listener;
  links_.push_back(link);
  loop_.After(Latency(), [this, link] { Open(link); });
  return std::make_unique<AgentEnd>(*this, link);
}

void Network::Open(const std::shared_ptr<Link>& link) {
  if (link->cut) return;
  if (!reachable_ || Chance(weather_.refuse)) {
    Cut(link);
    return;
  }
  link->server_alive = true;
  wire::ServerListener* const listener = accept_(std::make_unique<ServerEnd>(*this, link));
  if (link->server_alive) link->server = listener;
  if (listener == nullptr) Cut(link);
}

// Frames of one direction arrive in the order of sending, except one that the weather holds back.
void Network::Carry(const std::shared_ptr<Link>& link, bool to_server, std::string bytes) {
  if (link->cut) {
    ++frames_lost_;
    return;
  }
  if (Chance(weather_.cut)) {
    ++frames_lost_;
    Cut(link);
    return;
  }
  const base::Duration now = clock_.SinceBoot().since_boot;
  base::Duration arrival = now + Latency();
  if (Chance(weather_.reorder)) {
    arrival += 3 * weather_.max_latency;
  } else {
    base::Duration& last = link->last_arrival[to_server ? 1 : 0];
    arrival = std::max(arrival, last);
    last = arrival;
  }
  const int copies = Chance(weather_.duplicate) ? 2 : 1;
  if (copies == 2) ++frames_doubled_;
  for (int copy = 0; copy < copies; ++copy) {
    loop_.After(arrival - now, [this, link, to_server, bytes] { Deliver(link, to_server, bytes); });
  }
}

void Network::Deliver(const std::shared_ptr<Link>& link, bool to_server, const std::string& bytes) {
  if (link->cut) {
    ++frames_lost_;
    return;
  }
  if (to_server) {
    if (link->server == nullptr) return;
    v1::AgentFrame frame;
    WM_CHECK(frame.ParseFromString(bytes));
    if (frame.has_part_request()) {
      ++part_requests_;
      if (frame.part_request().offset() > 0) ++part_requests_within_;
    }
    link->server->OnFrame(frame);
  } else {
    if (link->agent == nullptr) return;
    v1::ServerFrame frame;
    WM_CHECK(frame.ParseFromString(bytes));
    if (!frame.part_chunk().delta().empty()) ++deltas_;
    link->agent->OnFrame(frame);
  }
}

void Network::Cut(const std::shared_ptr<Link>& link) {
  if (link->cut) return;
  link->cut = true;
  std::erase(links_, link);
  loop_.After(Latency(), [this, link] { HearClosed(link, false); });
  loop_.After(Latency(), [this, link] { HearClosed(link, true); });
}

void Network::HearClosed(const std::shared_ptr<Link>& link, bool server_side) {
  const base::Error why = base::Unavailable("the simulated network cut the stream");
  if (server_side) {
    if (auto* const listener = std::exchange(link->server, nullptr)) listener->OnClosed(why);
  } else {
    if (auto* const listener = std::exchange(link->agent, nullptr)) listener->OnClosed(why);
  }
}

base::Duration Network::Latency() {
  const auto spread =
      static_cast<std::uint64_t>((weather_.max_latency - weather_.min_latency).count());
  return weather_.min_latency +
         base::Duration(static_cast<std::int64_t>(random_.Below(spread + 1)));
}

bool Network::Chance(std::uint64_t thousandths) {
  return thousandths > 0 && random_.Below(1'000) < thousandths;
}

}  // namespace weighmaster::sim
