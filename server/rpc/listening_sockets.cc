#include "server/rpc/listening_sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

namespace weighmaster::server::rpc {

namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

base::Error WhyNot(int error, const std::string& what) {
  if (error == EADDRINUSE) {
    return base::AlreadyExists(what +
                               ": the port is in use; stop the server that has it, or choose "
                               "another address");
  }
  return base::FromErrno(error, what);
}

base::Result<Addresses> Resolve(const std::string& host, const std::string& port,
                                const std::string& what) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) return base::InvalidArgument(what + ": " + gai_strerror(error));
  return Addresses(found, &freeaddrinfo);
}

base::Result<Socket> Listen(const sockaddr* address, socklen_t size, const std::string& what) {
  Socket made(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (made.get() < 0) return base::FromErrno(errno, what);
  const int on = 1;
  const int off = 0;
  // Else a server that comes back would wait for the connections of the one before.
  setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address->sa_family == AF_INET6) {
    setsockopt(made.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  if (bind(made.get(), address, size) != 0 || listen(made.get(), SOMAXCONN) != 0) {
    return WhyNot(errno, what);
  }
  return made;
}

std::uint16_t PortOf(const Socket& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  if (address.ss_family == AF_INET6) {
    std::memcpy(&v6, &address, sizeof(v6));
    return ntohs(v6.sin6_port);
  }
  std::memcpy(&v4, &address, sizeof(v4));
  return ntohs(v4.sin_port);
}

// What listens on all addresses of both families; none on a machine without IPv6.
std::optional<Socket> ListenEverywhere(const std::string& port, const std::string& what) {
  const auto any = Resolve("::", port, what);
  if (!any) return std::nullopt;
  auto listener = Listen((*any)->ai_addr, (*any)->ai_addrlen, what);
  if (!listener) return std::nullopt;
  return std::move(*listener);
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

base::Result<ListeningSockets> ListenOn(const std::string& address) {
  const std::string what = "listen on " + address;
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return base::InvalidArgument(what + ": it is not host:port");
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  ListeningSockets made;
  if (host == "0.0.0.0" || host == "::") {
    if (auto both = ListenEverywhere(port, what)) made.sockets.push_back(*std::move(both));
  }
  if (made.sockets.empty()) {
    WM_ASSIGN_OR_RETURN(const Addresses found, Resolve(host, port, what));
    std::optional<base::Error> why;
    for (const addrinfo* next = found.get(); next != nullptr; next = next->ai_next) {
      // A port that was chosen is the first one's; a second would have another.
      if (!made.sockets.empty() && port == "0") break;
      auto listener = Listen(next->ai_addr, next->ai_addrlen, what);
      if (listener) made.sockets.push_back(*std::move(listener));
      if (!listener && !why) why = listener.error();
    }
    // A name may have an address that this machine lacks: localhost, where there is no IPv6.
    if (made.sockets.empty()) return *why;
  }
  made.port = PortOf(made.sockets.front());
  return made;
}

}  // namespace weighmaster::server::rpc
