#include "server/rpc/listening_sockets.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

namespace weighmaster::server::rpc {
namespace {

bool Connects(const char* host, std::uint16_t port) {
  const Socket client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (std::string(host) == "127.0.0.2") address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
  return connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

TEST(ListeningSockets, ChooseAPortAndListenOnTheirAddressAlone) {
  const auto made = ListenOn("127.0.0.1:0");
  ASSERT_TRUE(made) << made.error().ToString();
  EXPECT_NE(made->port, 0);
  EXPECT_TRUE(Connects("127.0.0.1", made->port));
  EXPECT_FALSE(Connects("127.0.0.2", made->port));
}

TEST(ListeningSockets, ListenEverywhereOnAWildcardOfEitherFamily) {
  for (const char* const address : {"0.0.0.0:0", "[::]:0"}) {
    const auto made = ListenOn(address);
    ASSERT_TRUE(made) << made.error().ToString();
    EXPECT_TRUE(Connects("127.0.0.1", made->port)) << address;
    EXPECT_TRUE(Connects("127.0.0.2", made->port)) << address;
  }
}

TEST(ListeningSockets, ListenOnAName) {
  const auto made = ListenOn("localhost:0");
  EXPECT_TRUE(made) << made.error().ToString();
}

TEST(ListeningSockets, SayWhyNot) {
  const auto first = ListenOn("127.0.0.1:0");
  ASSERT_TRUE(first);
  const auto second = ListenOn("127.0.0.1:" + std::to_string(first->port));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), base::ErrorCode::kAlreadyExists);
  for (const char* const address : {"nonsense", "no-such-host.invalid:1", "192.0.2.1:0"}) {
    const auto made = ListenOn(address);
    ASSERT_FALSE(made) << address;
    EXPECT_NE(made.error().message().find(address), std::string::npos) << address;
  }
}

}  // namespace
}  // namespace weighmaster::server::rpc
