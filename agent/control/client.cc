#include "agent/control/client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "agent/control/frame.h"
#include "agent/os/fd.h"
#include "policy/base/bytes.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::control {
namespace {

using local::v1::ControlAnswer;
using local::v1::ControlRequest;

base::Error CannotReach(int error_number, const std::string& path) {
  const std::string shown = base::EscapeForDisplay(path);
  switch (error_number) {
    case ENOENT:
    case ECONNREFUSED:
      return base::Unavailable("no agent is running here (nobody listens at " + shown +
                               "): start weighmaster-agent");
    case EAGAIN:
    case ETIMEDOUT:
      return base::Unavailable("the agent at " + shown + " did not answer in time: try again");
    case EPIPE:
    case ECONNRESET:
      return base::Unavailable("the agent at " + shown +
                               " closed the connection without an answer: it may be serving too "
                               "many at once, try again");
    default:
      return base::FromErrno(error_number, "ask the agent at " + shown);
  }
}

base::Result<os::Fd> Connect(const std::string& path, base::Duration timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return base::InvalidArgument("the control socket's path is too long: " +
                                 base::EscapeForDisplay(path));
  }
  std::copy(path.begin(), path.end(), address.sun_path);

  os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return base::FromErrno(errno, "make a socket");
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timeval wait{seconds.count(), (timeout - seconds).count()};
  if (setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
      setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0) {
    return base::FromErrno(errno, "set a socket's timeout");
  }
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return CannotReach(errno, path);
  }
  return socket;
}

base::Status Send(const os::Fd& socket, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return CannotReach(errno, path);
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

base::Result<std::string> Receive(const os::Fd& socket, const std::string& path) {
  FrameReader frame(base::limits::kMaxControlAnswerBytes);
  std::array<std::uint8_t, 4096> chunk{};
  while (true) {
    const ssize_t received = recv(socket.get(), chunk.data(), chunk.size(), 0);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return CannotReach(errno, path);
    if (received == 0) return CannotReach(ECONNRESET, path);
    WM_ASSIGN_OR_RETURN(
        const bool whole,
        frame.Append(base::ByteView(chunk).first(static_cast<std::size_t>(received))));
    if (whole) return std::string(frame.message());
  }
}

base::Error NotOfThisProtocol() {
  return base::Internal("the agent's answer makes no sense; it may be of another version");
}

base::Result<ControlAnswer> Parse(const std::string& bytes) {
  ControlAnswer answer;
  if (!answer.ParseFromString(bytes)) return NotOfThisProtocol();
  if (answer.answer_case() != ControlAnswer::kError) return answer;
  const bool known =
      answer.error_code() >= static_cast<std::uint32_t>(base::ErrorCode::kCancelled) &&
      answer.error_code() <= static_cast<std::uint32_t>(base::ErrorCode::kUnauthenticated);
  return base::Error(
      known ? static_cast<base::ErrorCode>(answer.error_code()) : base::ErrorCode::kUnknown,
      answer.error());
}

}  // namespace

Client::Client(std::string socket_path, base::Duration timeout)
    : socket_path_(std::move(socket_path)), timeout_(timeout) {}

base::Status Client::Status(local::v1::StatusAnswer& answer) const {
  ControlRequest request;
  request.mutable_status();
  WM_ASSIGN_OR_RETURN(const std::string bytes, Exchange(request.SerializeAsString()));
  WM_ASSIGN_OR_RETURN(ControlAnswer parsed, Parse(bytes));
  if (!parsed.has_status()) return NotOfThisProtocol();
  answer = std::move(*parsed.mutable_status());
  return {};
}

base::Status Client::Why(const model::Path& path, local::v1::WhyAnswer& answer) const {
  ControlRequest request;
  request.mutable_why()->mutable_path()->set_value(path.bytes);
  request.mutable_why()->mutable_path()->set_encoding(static_cast<v1::PathEncoding>(path.encoding));
  WM_ASSIGN_OR_RETURN(const std::string bytes, Exchange(request.SerializeAsString()));
  WM_ASSIGN_OR_RETURN(ControlAnswer parsed, Parse(bytes));
  if (!parsed.has_why()) return NotOfThisProtocol();
  answer = std::move(*parsed.mutable_why());
  return {};
}

base::Result<std::string> Client::Exchange(std::string_view request) const {
  WM_ASSIGN_OR_RETURN(const os::Fd socket, Connect(socket_path_, timeout_));
  WM_RETURN_IF_ERROR(Send(socket, EncodeFrame(request), socket_path_));
  return Receive(socket, socket_path_);
}

}  // namespace weighmaster::agent::control
