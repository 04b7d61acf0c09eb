#include "agent/control/server.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "agent/control/answer.h"
#include "agent/control/frame.h"
#include "agent/control/peer.h"
#include "agent/control/socket_path.h"
#include "policy/base/check.h"

namespace weighmaster::agent::control {
namespace {

using boost::system::error_code;
using Protocol = boost::asio::local::stream_protocol;

constexpr std::chrono::milliseconds kAcceptRetryDelay{200};
constexpr std::size_t kReadBytes = 4096;
// Every local user may ask; what each may see is decided by who they are.
constexpr mode_t kSocketMode = 0666;

}  // namespace

// One client, from its connection to the end of its answer. The handlers of its one pending read or
// write share it, because Asio runs them also after the socket was closed.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Respond = std::function<std::string(std::uint32_t uid, std::string_view request)>;
  enum class End : std::uint8_t { kAnswered, kTimedOut, kBroken };
  using Closed = std::function<void(const std::shared_ptr<Connection>&, End)>;

  Connection(base::Loop& loop, Protocol::socket socket, std::uint32_t uid)
      : socket_(std::move(socket)), uid_(uid), timer_(loop) {}

  std::uint32_t uid() const { return uid_; }

  void Start(base::Duration timeout, Respond respond, Closed closed) {
    respond_ = std::move(respond);
    closed_ = std::move(closed);
    timer_.Start(timeout, [this] { Close(End::kTimedOut); });
    Read();
  }

  // Tells nobody.
  void Abandon() {
    closed_ = nullptr;
    Close(End::kBroken);
  }

 private:
  void Read() {
    socket_.async_read_some(boost::asio::buffer(chunk_),
                            [self = shared_from_this()](const error_code& error, std::size_t size) {
                              if (self->socket_.is_open()) self->OnRead(error, size);
                            });
  }

  void OnRead(const error_code& error, std::size_t size) {
    if (error) return Close(End::kBroken);
    const base::Result<bool> whole = frame_.Append(base::ByteView(chunk_).first(size));
    if (!whole.has_value()) return Write(ErrorAnswer(whole.error()));
    if (!*whole) return Read();
    Write(respond_(uid_, frame_.message()));
  }

  void Write(std::string_view answer) {
    answer_ = EncodeFrame(answer);
    boost::asio::async_write(socket_, boost::asio::buffer(answer_),
                             [self = shared_from_this()](const error_code& error, std::size_t) {
                               if (!self->socket_.is_open()) return;
                               self->Close(error ? End::kBroken : End::kAnswered);
                             });
  }

  void Close(End end) {
    timer_.Stop();
    error_code ignored;
    socket_.close(ignored);
    if (const Closed closed = std::exchange(closed_, nullptr)) closed(shared_from_this(), end);
  }

  Protocol::socket socket_;
  const std::uint32_t uid_;
  base::Timer timer_;
  Respond respond_;
  Closed closed_;
  std::array<std::uint8_t, kReadBytes> chunk_{};
  FrameReader frame_{base::limits::kMaxControlRequestBytes};
  std::string answer_;
};

class Server::State : public std::enable_shared_from_this<Server::State> {
 public:
  State(asio::AsioLoop& loop, Answerer& answerer, ServerOptions options, SocketPath path)
      : loop_(loop),
        answerer_(answerer),
        options_(std::move(options)),
        path_(std::move(path)),
        acceptor_(loop.context()),
        retry_(loop) {}

  base::Status Open() {
    error_code error;
    acceptor_.open(Protocol(), error);
    if (!error) acceptor_.bind(Protocol::endpoint(path_->path()), error);
    if (!error && chmod(path_->path().c_str(), kSocketMode) != 0) {
      error = error_code(errno, boost::system::system_category());
    }
    if (!error) acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
    if (error) return base::FromErrno(error.value(), "listen at " + path_->path());
    Accept();
    return {};
  }

  void Stop() {
    retry_.Stop();
    error_code ignored;
    acceptor_.close(ignored);
    for (const std::shared_ptr<Connection>& connection : connections_) connection->Abandon();
    connections_.clear();
    path_.reset();
  }

  Counts counts() const {
    Counts counts = counts_;
    counts.open = connections_.size();
    return counts;
  }

 private:
  void Accept() {
    acceptor_.async_accept(
        [self = shared_from_this()](const error_code& error, Protocol::socket socket) {
          if (!self->acceptor_.is_open()) return;
          self->OnAccept(error, std::move(socket));
        });
  }

  void OnAccept(const error_code& error, Protocol::socket socket) {
    if (error) {
      // Out of descriptors, most likely; asking again at once would spin.
      retry_.Start(kAcceptRetryDelay, [this] { Accept(); });
      return;
    }
    const base::Result<std::uint32_t> uid = PeerUser(socket.native_handle());
    if (uid.has_value() && HasRoomFor(*uid)) {
      Serve(std::make_shared<Connection>(loop_, std::move(socket), *uid));
    } else {
      ++counts_.refused;
    }
    Accept();
  }

  bool HasRoomFor(std::uint32_t uid) const {
    WM_CHECK(options_.for_root <= options_.max_connections);
    const std::size_t others = options_.max_connections - options_.for_root;
    if (connections_.size() >= (uid == 0 ? options_.max_connections : others)) return false;
    const auto of_user = std::count_if(connections_.begin(), connections_.end(),
                                       [uid](const auto& other) { return other->uid() == uid; });
    return static_cast<std::size_t>(of_user) < options_.max_connections_per_user;
  }

  void Serve(const std::shared_ptr<Connection>& connection) {
    connections_.insert(connection);
    connection->Start(
        options_.timeout,
        [this](std::uint32_t uid, std::string_view request) {
          return Answer(answerer_, uid, request);
        },
        [this](const std::shared_ptr<Connection>& closed, Connection::End end) {
          counts_.answered += end == Connection::End::kAnswered ? 1 : 0;
          counts_.timed_out += end == Connection::End::kTimedOut ? 1 : 0;
          connections_.erase(closed);
        });
  }

  asio::AsioLoop& loop_;
  Answerer& answerer_;
  const ServerOptions options_;
  std::optional<SocketPath> path_;  // none once stopped, although handlers may keep this object
  Protocol::acceptor acceptor_;
  base::Timer retry_;
  std::set<std::shared_ptr<Connection>> connections_;
  Counts counts_;
};

base::Result<std::unique_ptr<Server>> Server::Listen(asio::AsioLoop& loop, Answerer& answerer,
                                                     const ServerOptions& options) {
  WM_CHECK(loop.OnLoop());
  WM_ASSIGN_OR_RETURN(SocketPath path, SocketPath::Claim(options.socket_path));
  auto state = std::make_shared<State>(loop, answerer, options, std::move(path));
  WM_RETURN_IF_ERROR(state->Open());
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::shared_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() { state_->Stop(); }

Server::Counts Server::counts() const { return state_->counts(); }

}  // namespace weighmaster::agent::control
