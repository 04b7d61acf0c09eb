#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/cage/channel.h"
#include "policy/base/check.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::cage {
namespace {

constexpr std::size_t kControlBytes =
    CMSG_SPACE(sizeof(int) * base::limits::kMaxDescriptorsPerMessage);
// The kernel doubles what is asked for and caps it at net.core.wmem_max; the default of Linux,
// 208 KiB, is enough as it is.
constexpr int kSocketBufferBytes = static_cast<int>(2 * base::limits::kMaxCageAnswerBytes);

struct alignas(struct cmsghdr) ControlBuffer {
  std::array<char, kControlBytes> bytes;
};

std::vector<os::Fd> TakeDescriptors(struct msghdr& message) {
  std::vector<os::Fd> descriptors;
  for (struct cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      descriptors.emplace_back(fd);
    }
  }
  return descriptors;
}

base::Status WaitReadable(int socket, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    struct pollfd entry = {socket, POLLIN, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return base::FromErrno(errno, "poll");
    if (ready == 0) {
      return base::Error(base::ErrorCode::kDeadlineExceeded, "the cage did not answer in time");
    }
  }
}

}  // namespace

base::Result<ChannelPair> MakeChannel() {
  std::array<int, 2> fds = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    return base::FromErrno(errno, "socketpair");
  }
  for (const int fd : fds) {
    static_cast<void>(
        ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes));
  }
  return ChannelPair{os::Fd(fds[0]), os::Fd(fds[1])};
}

base::Status SendPacket(int socket, std::string_view bytes, std::span<const int> descriptors) {
  WM_CHECK(descriptors.size() <= base::limits::kMaxDescriptorsPerMessage);
  struct iovec part = {const_cast<char*>(bytes.data()), bytes.size()};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ControlBuffer control = {};
  if (!descriptors.empty()) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  while (true) {
    const ssize_t n = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (n >= 0) return {};
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) return base::Unavailable("the other end is gone");
    return base::FromErrno(errno, "sendmsg");
  }
}

base::Result<std::optional<Packet>> ReceivePacket(
    int socket, std::size_t limit, std::optional<std::chrono::milliseconds> timeout) {
  if (timeout.has_value()) WM_RETURN_IF_ERROR(WaitReadable(socket, *timeout));
  Packet packet;
  packet.bytes.resize(limit);
  struct iovec part = {packet.bytes.data(), packet.bytes.size()};
  ControlBuffer control = {};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t n = -1;
  do {
    n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == ECONNRESET) return std::optional<Packet>();
  if (n < 0) return base::FromErrno(errno, "recvmsg");
  packet.descriptors = TakeDescriptors(message);
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return base::ResourceExhausted("a packet was longer than it may be");
  }
  if (n == 0) return std::optional<Packet>();
  packet.bytes.resize(static_cast<std::size_t>(n));
  return std::optional<Packet>(std::move(packet));
}

}  // namespace weighmaster::agent::cage
