#include "server/rpc/doorkeeper.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/result.h"
#include "server/identity/limit_key.h"
#include "server/rpc/peer_limit.h"
#include "third_party/spdlog/log.h"

namespace weighmaster::server::rpc {

namespace {

// What an event of epoll is about: 0 the wish to stop, then the listeners, then strangers.
constexpr std::uint64_t kWake = 0;
constexpr std::size_t kEventsAtOnce = 64;
// Until a place or a descriptor may be free again.
constexpr std::chrono::milliseconds kAcceptPause{100};

void Watch(const Socket& epoll, int operation, int fd, std::uint32_t events, std::uint64_t id) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  WM_CHECK(epoll_ctl(epoll.get(), operation, fd, &event) == 0);
}

// Numbers as text, as gRPC writes them: an IPv4 address in an IPv6 one is IPv4, and a zone is left
// out, which gRPC adds.
std::pair<std::string, std::uint16_t> AddressOf(const sockaddr_storage& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  std::memcpy(&v6, &peer, sizeof(v6));
  std::memcpy(&v4, &peer, sizeof(v4));
  if (peer.ss_family == AF_INET) {
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return {text.data(), ntohs(v4.sin_port)};
  }
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  }
  return {text.data(), ntohs(v6.sin6_port)};
}

std::string NameOf(std::string_view address, std::string_view port) {
  return std::string(address.substr(0, address.find('%'))).append(" ").append(port);
}

// What gRPC sets where it accepts connections itself.
void SetOptions(const Socket& socket) {
  const int on = 1;
  const auto timeout =
      static_cast<unsigned>(std::chrono::milliseconds(base::limits::kKeepaliveTimeout).count());
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

std::uint64_t BytesReceived(const Socket& socket) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0
             ? info.tcpi_bytes_received
             : 0;
}

}  // namespace

std::string_view CutReasonName(CutReason reason) {
  switch (reason) {
    case CutReason::kTooSlow:
      return "too_slow";
    case CutReason::kTooMuch:
      return "too_much";
    case CutReason::kCrowded:
      return "crowded";
  }
  return "";
}

std::string ConnectionName(std::string_view peer) {
  return NameOf(PeerAddress(peer), peer.substr(peer.rfind(':') + 1));
}

Doorkeeper::Doorkeeper(ListeningSockets listeners, const Limits& limits, const base::Clock& clock,
                       Take take, Tell tell)
    : listeners_(std::move(listeners.sockets)),
      limits_(limits),
      clock_(clock),
      take_(std::move(take)),
      tell_(std::move(tell)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      next_id_(kWake + 1 + listeners_.size()) {
  WM_CHECK(epoll_.get() >= 0 && wake_.get() >= 0);
  Watch(epoll_, EPOLL_CTL_ADD, wake_.get(), EPOLLIN, kWake);
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    Watch(epoll_, EPOLL_CTL_ADD, listeners_[i].get(), EPOLLIN, kWake + 1 + i);
  }
  thread_ = std::thread([this] { Run(); });
}

Doorkeeper::~Doorkeeper() {
  stopping_ = true;
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

void Doorkeeper::Run() {
  std::array<epoll_event, kEventsAtOnce> events{};
  while (!stopping_) {
    const int found = epoll_wait(epoll_.get(), events.data(), events.size(), Patience());
    WM_CHECK(found >= 0 || errno == EINTR);
    const auto events_there = static_cast<std::size_t>(std::max(found, 0));
    for (const epoll_event& event : std::span(events).first(events_there)) {
      const std::uint64_t id = event.data.u64;
      if (id == kWake) continue;
      if (id <= listeners_.size()) {
        Accept(listeners_[id - 1]);
      } else {
        Look(id, event.events);
      }
    }
    CutLate();
    if (!listening_ && Now() >= listen_again_) Resume();
  }
}

int Doorkeeper::Patience() const {
  base::Duration next = base::Duration::max();
  if (!listening_) next = listen_again_;
  const std::lock_guard lock(mutex_);
  if (!strangers_.empty()) next = std::min(next, strangers_.begin()->second.deadline);
  if (next == base::Duration::max()) return -1;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - Now());
  return static_cast<int>(std::max<std::int64_t>(wait.count(), 0));
}

void Doorkeeper::Accept(const Socket& listener) {
  if (!listening_) return;  // since a moment ago
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  Socket socket(accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                        SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket.get() >= 0) {
    SetOptions(socket);
    const auto [address, port] = AddressOf(peer);
    return TakeIn(std::move(socket), address, port);
  }
  const bool has_gone =
      errno == EAGAIN || errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
  if (has_gone) return;
  // No descriptor is left, most likely; some will be.
  logging::Warning(
      "rpc", base::FromErrno(errno, "take a connection in").message() + "; those who connect wait");
  Pause();
}

void Doorkeeper::TakeIn(Socket socket, const std::string& address, std::uint16_t port) {
  std::string key = identity::LimitKey(address);
  Socket second(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  bool has_room = true;
  {
    const std::lock_guard lock(mutex_);
    const auto of = of_address_.find(key);
    const bool too_many = of != of_address_.end() && of->second >= limits_.most_of_address;
    if (second.get() < 0 || (too_many && !ReplaceLocked(OldestOfLocked(key)))) {
      ++cut_[static_cast<std::size_t>(CutReason::kCrowded)];
      return tell_(address, CutReason::kCrowded);
    }
    has_room = strangers_.size() < limits_.most || ReplaceLocked(OldestOfMostLocked());
    if (has_room) {
      const Id id = next_id_++;
      std::string name = NameOf(address, std::to_string(port));
      ++of_address_[key];
      by_name_.insert_or_assign(name, id);
      // Each time something arrives; and, as always, when both directions are closed.
      Watch(epoll_, EPOLL_CTL_ADD, second.get(), EPOLLIN | EPOLLET, id);
      strangers_.emplace(id, Stranger{std::move(second), std::move(name), address, std::move(key),
                                      Now() + limits_.time});
    }
  }
  if (has_room) return take_(socket.Release());
  waiting_.emplace(Waiting{std::move(socket), address, port});
  Pause();
}

void Doorkeeper::Pause() {
  listen_again_ = Now() + kAcceptPause;
  Listen(false);
  const std::lock_guard lock(mutex_);
  ++pauses_;
}

void Doorkeeper::Resume() {
  Listen(true);
  if (!waiting_) return;
  Waiting next = *std::move(waiting_);
  waiting_.reset();
  TakeIn(std::move(next.socket), next.address, next.port);
}

void Doorkeeper::Listen(bool on) {
  listening_ = on;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    Watch(epoll_, EPOLL_CTL_MOD, listeners_[i].get(), on ? EPOLLIN : 0U, kWake + 1 + i);
  }
}

void Doorkeeper::Look(Id id, std::uint32_t events) {
  const std::lock_guard lock(mutex_);
  const auto stranger = strangers_.find(id);
  if (stranger == strangers_.end()) return;  // known meanwhile, or cut off
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) return ForgetLocked(id);
  if (BytesReceived(stranger->second.socket) > limits_.bytes) CutLocked(id, CutReason::kTooMuch);
}

void Doorkeeper::CutLate() {
  const base::Duration now = Now();
  const std::lock_guard lock(mutex_);
  while (!strangers_.empty() && strangers_.begin()->second.deadline <= now) {
    CutLocked(strangers_.begin()->first, CutReason::kTooSlow);
  }
}

const Doorkeeper::Entry& Doorkeeper::OldestOfLocked(const std::string& key) const {
  return *std::ranges::find_if(strangers_,
                               [&key](const Entry& entry) { return entry.second.key == key; });
}

// Whoever comes with many from one address takes the place of his own, and whoever is quick needs
// it for a moment only.
const Doorkeeper::Entry& Doorkeeper::OldestOfMostLocked() const {
  std::size_t most = 0;
  for (const auto& [key, count] : of_address_) most = std::max(most, count);
  return *std::ranges::find_if(strangers_, [this, most](const Entry& entry) {
    return of_address_.at(entry.second.key) == most;
  });
}

bool Doorkeeper::ReplaceLocked(const Entry& stranger) {
  const base::Duration since = stranger.second.deadline - limits_.time;
  if (Now() < since + limits_.moment) return false;
  CutLocked(stranger.first, CutReason::kCrowded);
  return true;
}

void Doorkeeper::CutLocked(Id id, CutReason reason) {
  const Stranger& stranger = strangers_.at(id);
  shutdown(stranger.socket.get(), SHUT_RDWR);
  ++cut_[static_cast<std::size_t>(reason)];
  tell_(stranger.address, reason);
  ForgetLocked(id);
}

void Doorkeeper::ForgetLocked(Id id) {
  const auto stranger = strangers_.find(id);
  // Closing alone would not do: epoll watches a socket as long as any descriptor of it is open.
  Watch(epoll_, EPOLL_CTL_DEL, stranger->second.socket.get(), 0, id);
  const auto name = by_name_.find(stranger->second.name);
  if (name != by_name_.end() && name->second == id) by_name_.erase(name);
  const auto of = of_address_.find(stranger->second.key);
  if (--of->second == 0) of_address_.erase(of);
  strangers_.erase(stranger);
}

void Doorkeeper::Know(std::string_view peer) {
  const std::lock_guard lock(mutex_);
  const auto found = by_name_.find(ConnectionName(peer));
  if (found != by_name_.end()) ForgetLocked(found->second);
}

Doorkeeper::Counts Doorkeeper::counts() const {
  const std::lock_guard lock(mutex_);
  return {strangers_.size(), cut_, pauses_};
}

}  // namespace weighmaster::server::rpc
