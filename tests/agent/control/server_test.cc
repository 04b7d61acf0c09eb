#include "agent/control/server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/control/client.h"
#include "agent/control/frame.h"
#include "agent/os/fd.h"
#include "tests/agent/control/known_models.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::control {
namespace {

constexpr std::chrono::seconds kPatience{20};
constexpr std::chrono::milliseconds kShort{50};

// A connection of a client that does not keep to the protocol.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    const timeval wait{kPatience.count(), 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    connected_ =
        connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }

  bool connected() const { return connected_; }
  void Send(std::string_view bytes) {
    send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  void EndSending() { shutdown(socket_.get(), SHUT_WR); }

  // What comes until the server closes; fails the test if it does not.
  std::string ReadToEnd() {
    std::string all;
    std::array<char, 4096> chunk{};
    while (true) {
      const ssize_t size = recv(socket_.get(), chunk.data(), chunk.size(), 0);
      EXPECT_FALSE(size < 0 && errno == EAGAIN) << "the server keeps the connection open";
      if (size <= 0) return all;
      all.append(chunk.data(), static_cast<std::size_t>(size));
    }
  }
  // The same as an answer of the protocol.
  local::v1::ControlAnswer ReadAnswer() {
    const std::string bytes = ReadToEnd();
    FrameReader reader(base::limits::kMaxControlAnswerBytes);
    const base::Result<bool> whole = reader.Append(base::AsBytes(bytes));
    local::v1::ControlAnswer answer;
    EXPECT_TRUE(whole.has_value() && *whole &&
                answer.ParseFromString(std::string(reader.message())))
        << "not an answer: " << base::EscapeForDisplay(bytes);
    return answer;
  }

 private:
  os::Fd socket_;
  bool connected_ = false;
};

// A server on a loop with a thread of its own; everything else happens on the test's thread.
class ServerTest : public testing::Test {
 protected:
  ServerTest() : folder_(MakeFolder()), runner_([this] { loop_.Run(); }) {
    options_.socket_path = folder_ / "agent.sock";
    models_.Add("/models/a.gguf", getuid());
  }
  ~ServerTest() override {
    OnLoop([this] { server_.reset(); });
    loop_.Stop();
    runner_.join();
    std::filesystem::remove_all(folder_);
  }
  ServerTest(const ServerTest&) = delete;
  ServerTest& operator=(const ServerTest&) = delete;

  static std::filesystem::path MakeFolder() {
    std::string pattern = testing::TempDir() + "/controlXXXXXX";
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    return pattern;
  }

  void OnLoop(const std::function<void()>& task) {
    std::promise<void> done;
    loop_.Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  void Listen() {
    OnLoop([this] {
      auto listening = Server::Listen(loop_, models_, options_);
      ASSERT_TRUE(listening.has_value()) << listening.error().ToString();
      server_ = std::move(*listening);
    });
  }

  base::Status ListenAgain(const ServerOptions& options) {
    base::Status status;
    OnLoop([&] {
      auto second = Server::Listen(loop_, models_, options);
      if (!second.has_value()) status = base::Status(second.error());
    });
    return status;
  }

  Server::Counts Counts() {
    Server::Counts counts;
    OnLoop([&] { counts = server_->counts(); });
    return counts;
  }
  void WaitFor(const std::function<bool(const Server::Counts&)>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition(Counts())) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the condition never came true";
      std::this_thread::yield();
    }
  }

  base::Status AskStatus() const {
    local::v1::StatusAnswer answer;
    return Client(options_.socket_path, kPatience).Status(answer);
  }

  const std::filesystem::path folder_;
  KnownModels models_;
  ServerOptions options_;
  asio::AsioLoop loop_;
  std::unique_ptr<Server> server_;
  std::thread runner_;
};

TEST_F(ServerTest, AnswersAClient) {
  Listen();
  const Client client(options_.socket_path, kPatience);
  local::v1::StatusAnswer status;
  const base::Status asked = client.Status(status);
  ASSERT_TRUE(asked.has_value()) << asked.error().ToString();
  EXPECT_EQ(status.sightings(), 1U);

  local::v1::WhyAnswer why;
  ASSERT_TRUE(client.Why({"/models/a.gguf"}, why).has_value());
  EXPECT_TRUE(why.known());
  WaitFor([](const Server::Counts& counts) { return counts.answered == 2 && counts.open == 0; });
}

TEST_F(ServerTest, TellsAClientTheAgentsErrorWithItsCode) {
  Listen();
  OnLoop([this] { models_.FailWith(base::Unavailable("the inventory is closed")); });
  const base::Status asked = AskStatus();
  ASSERT_FALSE(asked.has_value());
  EXPECT_EQ(asked.error().code(), base::ErrorCode::kUnavailable);
  EXPECT_EQ(asked.error().message(), "the inventory is closed");
}

TEST_F(ServerTest, LetsEveryLocalUserConnect) {
  Listen();
  struct stat found {};
  ASSERT_EQ(stat(options_.socket_path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0666U);
}

TEST_F(ServerTest, AnswersGarbageWithAnError) {
  Listen();
  RawClient client(options_.socket_path);
  client.Send(EncodeFrame("\xff\xff\xff garbage"));
  EXPECT_EQ(client.ReadAnswer().error_code(),
            static_cast<std::uint32_t>(base::ErrorCode::kInvalidArgument));
}

TEST_F(ServerTest, RefusesAHugeLengthAtOnce) {
  Listen();
  RawClient client(options_.socket_path);
  client.Send("\xff\xff\xff\xff");
  EXPECT_EQ(client.ReadAnswer().error_code(),
            static_cast<std::uint32_t>(base::ErrorCode::kResourceExhausted));
}

TEST_F(ServerTest, DropsAClientThatLeavesInTheMiddle) {
  Listen();
  {
    RawClient client(options_.socket_path);
    client.Send(std::string_view("\x10\0\0\0ab", 6));
    client.EndSending();
    EXPECT_EQ(client.ReadToEnd(), "");
  }
  WaitFor([](const Server::Counts& counts) { return counts.open == 0; });
  EXPECT_TRUE(AskStatus().has_value());
}

TEST_F(ServerTest, CutsOffASlowClientAndGoesOnServingOthers) {
  options_.timeout = kShort;
  Listen();
  RawClient slow(options_.socket_path);
  slow.Send(std::string_view("\x10\0\0", 3));
  RawClient silent(options_.socket_path);
  EXPECT_TRUE(AskStatus().has_value());
  EXPECT_EQ(slow.ReadToEnd(), "");
  EXPECT_EQ(silent.ReadToEnd(), "");
  WaitFor([](const Server::Counts& counts) { return counts.timed_out == 2 && counts.open == 0; });
}

TEST_F(ServerTest, RefusesConnectionsPastItsLimitAndTakesNewOnesAfterwards) {
  options_.max_connections = 2;
  options_.for_root = 0;
  Listen();
  auto first = std::make_unique<RawClient>(options_.socket_path);
  auto second = std::make_unique<RawClient>(options_.socket_path);
  WaitFor([](const Server::Counts& counts) { return counts.open == 2; });
  RawClient third(options_.socket_path);
  EXPECT_EQ(third.ReadToEnd(), "");
  const base::Status refused = AskStatus();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kUnavailable);
  EXPECT_EQ(Counts().refused, 2U);

  first.reset();
  WaitFor([](const Server::Counts& counts) { return counts.open < 2; });
  EXPECT_TRUE(AskStatus().has_value());
}

TEST_F(ServerTest, LeavesRoomForOthersWhenOneUserHoldsMany) {
  options_.max_connections_per_user = 1;
  Listen();
  const RawClient first(options_.socket_path);
  WaitFor([](const Server::Counts& counts) { return counts.open == 1; });
  RawClient second(options_.socket_path);
  EXPECT_EQ(second.ReadToEnd(), "");
  EXPECT_EQ(Counts().refused, 1U);
}

TEST_F(ServerTest, KeepsPlacesForRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "it takes root to be somebody else";
  options_.max_connections = 2;
  options_.for_root = 1;
  Listen();
  ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
  const RawClient first(options_.socket_path);
  WaitFor([](const Server::Counts& counts) { return counts.open == 1; });
  // Only this thread becomes nobody, for as long as it connects.
  ASSERT_EQ(::syscall(SYS_setresuid, -1, 65534, -1), 0);
  RawClient of_nobody(options_.socket_path);
  ASSERT_EQ(::syscall(SYS_setresuid, -1, 0, -1), 0);
  EXPECT_EQ(of_nobody.ReadToEnd(), "");
  EXPECT_EQ(Counts().refused, 1U);
  EXPECT_TRUE(AskStatus().has_value());
}

TEST_F(ServerTest, ReplacesTheSocketThatAKilledAgentLeft) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(options_.socket_path.begin(), options_.socket_path.end(), address.sun_path);
  {
    const os::Fd left(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(left.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  ASSERT_TRUE(std::filesystem::exists(options_.socket_path));
  EXPECT_EQ(AskStatus().error().code(), base::ErrorCode::kUnavailable);
  Listen();
  EXPECT_TRUE(AskStatus().has_value());
}

TEST_F(ServerTest, RefusesThePathOfALivingServerAndLeavesThatAlone) {
  Listen();
  const base::Status second = ListenAgain(options_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), base::ErrorCode::kAlreadyExists);
  EXPECT_TRUE(AskStatus().has_value());
}

TEST_F(ServerTest, DoesNotRemoveWhatIsNoSocket) {
  std::ofstream(options_.socket_path) << "somebody's notes";
  const base::Status status = ListenAgain(options_);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), base::ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(std::filesystem::is_regular_file(options_.socket_path));
}

TEST_F(ServerTest, RefusesAPathThatNoSocketCanHave) {
  ServerOptions options = options_;
  options.socket_path = folder_ / std::string(120, 'x');
  EXPECT_EQ(ListenAgain(options).error().code(), base::ErrorCode::kInvalidArgument);
}

TEST_F(ServerTest, RemovesItsSocketAndItsConnectionsWhenItGoes) {
  Listen();
  RawClient open(options_.socket_path);
  WaitFor([](const Server::Counts& counts) { return counts.open == 1; });
  OnLoop([this] { server_.reset(); });
  EXPECT_EQ(open.ReadToEnd(), "");
  EXPECT_FALSE(std::filesystem::exists(options_.socket_path));
  Listen();
  EXPECT_TRUE(AskStatus().has_value());
}

TEST_F(ServerTest, LetsAClientSayThatNoAgentIsRunning) {
  const base::Status asked = AskStatus();
  ASSERT_FALSE(asked.has_value());
  EXPECT_EQ(asked.error().code(), base::ErrorCode::kUnavailable);
  EXPECT_NE(asked.error().message().find("no agent is running"), std::string::npos);
}

TEST_F(ServerTest, LetsAClientGiveUpOnAnAgentThatHangs) {
  Listen();
  std::promise<void> go_on;
  loop_.Post([&] { go_on.get_future().wait(); });
  local::v1::StatusAnswer answer;
  const base::Status asked = Client(options_.socket_path, kShort).Status(answer);
  go_on.set_value();
  ASSERT_FALSE(asked.has_value());
  EXPECT_NE(asked.error().message().find("did not answer in time"), std::string::npos);
}

}  // namespace
}  // namespace weighmaster::agent::control
