#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/base/limits.h"
#include "policy/base/time.h"
#include "server/rpc/listening_sockets.h"

namespace weighmaster::server::rpc {

// Why the connection of a stranger was ended, or not taken.
enum class CutReason : std::uint8_t {
  kTooSlow = 0,  // did not show in time who it is
  kTooMuch = 1,  // sent more than takes to show it
  kCrowded = 2,  // there were too many of its address, or too many and of its address most
};
inline constexpr std::size_t kCutReasons = 3;
std::string_view CutReasonName(CutReason reason);

// Which connection a gRPC peer ("ipv6:%5Bfe80::1%252%5D:443") is: "fe80::1 443", address and port
// without a zone.
std::string ConnectionName(std::string_view peer);

// Takes a server's connections in and hands each to whom it is for, and until somebody has said
// that its peer is known, holds it to a time, an amount of bytes, and a place among so many. gRPC
// 1.51 has none of these limits: it counts no connections, keeps a message of any length until it
// is whole before it looks at its size, and stops listening for ever when no descriptor is left.
//
// It keeps a second descriptor of a stranger's socket, of which it only asks how much has arrived
// and whether it is over, and which it shuts down; whoever owns the first one then reads the end.
// Of known peers it keeps nothing.
//
// On a thread of its own until it is destroyed. Know and counts are for any thread.
class Doorkeeper {
 public:
  struct Limits {
    base::Duration time = base::limits::kStrangerTime;
    std::uint64_t bytes = base::limits::kMaxStrangerBytes;
    std::size_t most_of_address = base::limits::kMaxStrangersOfAddress;
    std::size_t most = base::limits::kMaxStrangers;
    base::Duration moment = base::limits::kStrangerMoment;
  };
  struct Counts {
    std::size_t strangers = 0;  // now
    std::array<std::uint64_t, kCutReasons> cut{};
    // In which those who connect had to wait, for lack of places or of descriptors.
    std::uint64_t pauses = 0;
  };
  // Both on the doorkeeper's thread. The socket is the taker's.
  using Take = std::function<void(int fd)>;
  using Tell = std::function<void(const std::string& address, CutReason reason)>;

  // The clock must outlive it.
  Doorkeeper(ListeningSockets listeners, const Limits& limits, const base::Clock& clock, Take take,
             Tell tell);
  ~Doorkeeper();
  Doorkeeper(const Doorkeeper&) = delete;
  Doorkeeper& operator=(const Doorkeeper&) = delete;

  // The peer of this connection, as gRPC names it, has shown who it is.
  void Know(std::string_view peer);

  Counts counts() const;

 private:
  using Id = std::uint64_t;
  struct Stranger {
    Socket socket;
    std::string name;  // of the connection
    std::string address;
    std::string key;  // of the address, as limits count
    base::Duration deadline;
  };
  struct Waiting {
    Socket socket;
    std::string address;
    std::uint16_t port = 0;
  };

  void Run();
  // How long epoll may sleep; -1 for ever.
  int Patience() const;
  void Accept(const Socket& listener);
  void TakeIn(Socket socket, const std::string& address, std::uint16_t port);
  // Takes nobody in for a moment.
  void Pause();
  void Resume();
  void Listen(bool on);
  void Look(Id id, std::uint32_t events);
  void CutLate();
  using Entry = std::pair<const Id, Stranger>;
  const Entry& OldestOfLocked(const std::string& key) const;
  const Entry& OldestOfMostLocked() const;
  // Cuts it off for another. False when it has not had its moment.
  bool ReplaceLocked(const Entry& stranger);
  void CutLocked(Id id, CutReason reason);
  void ForgetLocked(Id id);
  base::Duration Now() const { return clock_.SinceBoot().since_boot; }

  // Constant after construction.
  const std::vector<Socket> listeners_;
  const Limits limits_;
  const base::Clock& clock_;
  const Take take_;
  const Tell tell_;
  const Socket epoll_;
  const Socket wake_;  // an eventfd
  std::atomic<bool> stopping_ = false;

  // The thread's.
  std::optional<Waiting> waiting_;  // for a place, and all behind it in the kernel's queue
  bool listening_ = true;
  base::Duration listen_again_{0};

  mutable std::mutex mutex_;          // the thread and those who know; held for a few system calls
  std::map<Id, Stranger> strangers_;  // oldest first
  std::unordered_map<std::string, Id> by_name_;              // the newest of a name
  std::unordered_map<std::string, std::size_t> of_address_;  // by key
  Id next_id_;
  std::array<std::uint64_t, kCutReasons> cut_{};
  std::uint64_t pauses_ = 0;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace weighmaster::server::rpc
