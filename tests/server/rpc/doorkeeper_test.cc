#include "server/rpc/doorkeeper.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/check.h"
#include "tests/support/live_loop.h"

namespace weighmaster::server::rpc {
namespace {

constexpr std::chrono::seconds kPatience{20};
constexpr base::Duration kShort = std::chrono::milliseconds(50);
constexpr base::Duration kLong = std::chrono::hours(1);

// Who connects, from an address of the loopback network. Blocks.
class Client {
 public:
  explicit Client(std::uint16_t port, const char* from = "127.0.0.1")
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{kPatience.count(), 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, from, &address.sin_addr);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    WM_CHECK(bind(fd_, generic, sizeof(address)) == 0);
    socklen_t size = sizeof(address);
    getsockname(fd_, generic, &size);
    peer_ = std::string("ipv4:") + from + ":" + std::to_string(ntohs(address.sin_port));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    address.sin_port = htons(port);
    WM_CHECK(connect(fd_, generic, sizeof(address)) == 0);
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // As gRPC at the server names it.
  const std::string& peer() const { return peer_; }
  void Send(const std::string& bytes) const {
    WM_CHECK(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
             static_cast<ssize_t>(bytes.size()));
  }
  // Waits for it.
  bool WasCutOff() const {
    char byte = 0;
    const ssize_t got = recv(fd_, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
  }
  bool IsOpen() const {
    char byte = 0;
    return recv(fd_, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }

 private:
  const int fd_;
  std::string peer_;
};

class DoorkeeperTest : public testing::Test {
 protected:
  ~DoorkeeperTest() override { doorkeeper_.reset(); }

  void Open(const Doorkeeper::Limits& limits) {
    auto listeners = ListenOn("127.0.0.1:0");
    ASSERT_TRUE(listeners) << listeners.error().ToString();
    port_ = listeners->port;
    doorkeeper_ = std::make_unique<Doorkeeper>(
        *std::move(listeners), limits, clock_, [this](int fd) { Take(fd); },
        [this](const std::string& address, CutReason reason) {
          const std::lock_guard lock(mutex_);
          told_.push_back(address + " " + std::string(CutReasonName(reason)));
        });
  }
  std::unique_ptr<Client> Connect(const char* from = "127.0.0.1") const {
    return std::make_unique<Client>(port_, from);
  }
  bool WaitForTaken(std::size_t count) {
    std::unique_lock lock(mutex_);
    return taken_changed_.wait_for(lock, kPatience, [&] { return taken_.size() >= count; });
  }
  // As the owner of a connection ends it.
  void Hangup(std::size_t which) {
    const std::lock_guard lock(mutex_);
    shutdown(taken_[which].get(), SHUT_RDWR);
  }
  std::size_t strangers() const { return doorkeeper_->counts().strangers; }
  bool WaitUntil(const std::function<bool()>& done) {
    return loop_.RunUntil([&] {
      loop_.Post([] {});  // asks again
      return done();
    });
  }
  bool WaitForStrangers(std::size_t count) {
    return WaitUntil([this, count] { return strangers() == count; });
  }
  std::uint64_t cut(CutReason reason) const {
    return doorkeeper_->counts().cut[static_cast<std::size_t>(reason)];
  }

  tests::LiveLoop loop_;
  tests::SystemClock clock_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;  // the doorkeeper's thread and the test's
  std::condition_variable taken_changed_;
  std::vector<Socket> taken_;
  std::vector<std::string> told_;
  std::unique_ptr<Doorkeeper> doorkeeper_;

 private:
  void Take(int fd) {
    const std::lock_guard lock(mutex_);
    taken_.emplace_back(fd);
    taken_changed_.notify_all();
  }
};

TEST_F(DoorkeeperTest, CutsOffWhoDoesNotShowInTimeWhoItIs) {
  Open({kShort, 1'000, 10, 10, kLong});
  const auto client = Connect();
  EXPECT_TRUE(client->WasCutOff());
  EXPECT_TRUE(WaitForStrangers(0));
  EXPECT_EQ(cut(CutReason::kTooSlow), 1U);
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(told_, std::vector<std::string>{"127.0.0.1 too_slow"});
}

TEST_F(DoorkeeperTest, LeavesWhoIsKnownAlone) {
  Open({std::chrono::seconds(1), 1'000, 1, 1, kLong});
  const auto known = Connect();
  ASSERT_TRUE(WaitForTaken(1));
  doorkeeper_->Know(known->peer());
  EXPECT_EQ(strangers(), 0U);
  known->Send(std::string(10'000, 'x'));
  const auto later = Connect();
  EXPECT_TRUE(later->WasCutOff());  // the time of the first one is over as well
  EXPECT_TRUE(known->IsOpen());
}

TEST_F(DoorkeeperTest, CutsOffWhoSendsTooMuch) {
  Open({kLong, 1'000, 10, 10, kLong});
  const auto modest = Connect();
  modest->Send(std::string(1'000, 'x'));
  const auto greedy = Connect();
  greedy->Send(std::string(1'001, 'x'));
  EXPECT_TRUE(greedy->WasCutOff());
  EXPECT_TRUE(modest->IsOpen());
  EXPECT_EQ(cut(CutReason::kTooMuch), 1U);
}

TEST_F(DoorkeeperTest, CutsOffTheOldestOfTheAddressThatHasMost) {
  Open({kLong, 1'000, 3, 3, base::Duration(0)});
  const auto lone = Connect("127.0.0.2");
  ASSERT_TRUE(WaitForTaken(1));
  const auto first = Connect();
  ASSERT_TRUE(WaitForTaken(2));
  const auto second = Connect();
  const auto third = Connect();
  EXPECT_TRUE(first->WasCutOff());
  ASSERT_TRUE(WaitForTaken(4));
  EXPECT_TRUE(lone->IsOpen());
  EXPECT_TRUE(second->IsOpen());
  EXPECT_TRUE(third->IsOpen());
  EXPECT_EQ(cut(CutReason::kCrowded), 1U);
  EXPECT_EQ(strangers(), 3U);
}

TEST_F(DoorkeeperTest, CutsOffTheOldestOfAnAddressThatHasItsShare) {
  Open({kLong, 1'000, 1, 3, base::Duration(0)});
  const auto other = Connect("127.0.0.2");
  const auto first = Connect();
  ASSERT_TRUE(WaitForTaken(2));
  const auto second = Connect();
  EXPECT_TRUE(first->WasCutOff());
  EXPECT_TRUE(WaitForTaken(3));
  EXPECT_TRUE(second->IsOpen());
  EXPECT_TRUE(other->IsOpen());
}

TEST_F(DoorkeeperTest, TakesNoMoreOfAnAddressOfWhichNobodyHasHadItsMoment) {
  Open({kLong, 1'000, 1, 3, kLong});
  const auto first = Connect();
  ASSERT_TRUE(WaitForTaken(1));
  const auto second = Connect();
  EXPECT_TRUE(second->WasCutOff());
  EXPECT_EQ(cut(CutReason::kCrowded), 1U);
  const auto other = Connect("127.0.0.2");
  EXPECT_TRUE(WaitForTaken(2));
  EXPECT_TRUE(first->IsOpen());
}

TEST_F(DoorkeeperTest, LetsThoseWhoConnectWaitWhileNobodyHasHadItsMoment) {
  Open({kLong, 1'000, 10, 1, kLong});
  const auto first = Connect();
  ASSERT_TRUE(WaitForTaken(1));
  const auto second = Connect();
  EXPECT_TRUE(WaitUntil([this] { return doorkeeper_->counts().pauses > 0; }));
  EXPECT_TRUE(first->IsOpen());
  doorkeeper_->Know(first->peer());
  EXPECT_TRUE(WaitForTaken(2));
  EXPECT_TRUE(first->IsOpen());
  EXPECT_TRUE(second->IsOpen());
}

TEST_F(DoorkeeperTest, ForgetsAConnectionThatItsOwnerOrItsPeerEnded) {
  Open({kLong, 1'000, 10, 10, kLong});
  const auto client = Connect();
  ASSERT_TRUE(WaitForTaken(1));
  EXPECT_EQ(strangers(), 1U);
  Hangup(0);
  EXPECT_TRUE(WaitForStrangers(0));
  EXPECT_TRUE(client->WasCutOff()) << "the second descriptor keeps nothing open";
}

// gRPC's own listener would never take a connection again.
TEST_F(DoorkeeperTest, TakesConnectionsAgainOnceThereAreDescriptors) {
  Open({kLong, 1'000, 10, 10, kLong});
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto client = Connect();
  ASSERT_TRUE(WaitForTaken(1));
  const int next = dup(0);
  close(next);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next) + 1;  // one for the client
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto waiting = Connect();
  const bool paused = WaitUntil([this] { return doorkeeper_->counts().pauses > 0; });
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(paused);
  EXPECT_TRUE(WaitForTaken(2));
}

TEST_F(DoorkeeperTest, EndsWithConnectionsOpen) {
  Open({kLong, 1'000, 10, 10, kLong});
  const auto client = Connect();
  ASSERT_TRUE(WaitForTaken(1));
  doorkeeper_.reset();
  EXPECT_TRUE(client->IsOpen()) << "it is its owner's to end";
}

TEST(ConnectionName, IsAddressAndPortWithoutAZone) {
  EXPECT_EQ(ConnectionName("ipv4:192.0.2.1:443"), "192.0.2.1 443");
  EXPECT_EQ(ConnectionName("ipv6:%5B2001:db8::1%5D:443"), "2001:db8::1 443");
  EXPECT_EQ(ConnectionName("ipv6:%5Bfe80::1%252%5D:443"), "fe80::1 443");
}

}  // namespace
}  // namespace weighmaster::server::rpc
