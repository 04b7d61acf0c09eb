#include "tests/integration/plain_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "policy/base/check.h"

namespace weighmaster::tests {

PlainServer::PlainServer(std::string greeting) : greeting_(std::move(greeting)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  WM_CHECK(listener_ >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  WM_CHECK(bind(listener_, generic, sizeof(address)) == 0 && listen(listener_, 16) == 0);
  socklen_t size = sizeof(address);
  WM_CHECK(getsockname(listener_, generic, &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Serve(); });
}

PlainServer::~PlainServer() {
  shutdown(listener_, SHUT_RDWR);  // wakes accept
  thread_.join();
  close(listener_);
  for (const int connection : open_) close(connection);
}

void PlainServer::Serve() {
  while (true) {
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    open_.push_back(connection);
    ++connections_;
    if (send(connection, greeting_.data(), greeting_.size(), MSG_NOSIGNAL) < 0) continue;
  }
}

}  // namespace weighmaster::tests
