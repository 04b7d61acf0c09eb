#include "third_party/openssl/handshake.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <thread>

#include "tests/support/keys.h"
#include "third_party/openssl/openssl_ptr.h"

namespace weighmaster::openssl {
namespace {

using std::chrono::hours;
using tests::TestKey;
constexpr base::Duration kTimeout = std::chrono::seconds(20);

// Takes one connection on a port of its own and hands it to `serve` on a thread.
class OneShotServer {
 public:
  explicit OneShotServer(std::function<void(int)> serve) : listener_(Listen()) {
    thread_ = std::thread([this, serve = std::move(serve)] {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      serve(fd);
      ::close(fd);
    });
  }
  ~OneShotServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(PortOf(listener_)); }

  static int Listen() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
    EXPECT_EQ(::listen(fd, 1), 0);
    return fd;
  }
  static int PortOf(int fd) {
    sockaddr_in where{};
    socklen_t size = sizeof where;
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&where), &size), 0);
    return ntohs(where.sin_port);
  }

 private:
  int listener_;
  std::thread thread_;
};

struct ServerIdentity {
  std::string ca;
  std::string leaf;
};

ServerIdentity MakeIdentity(base::WallTime from, base::WallTime until, const std::string& ip) {
  const base::WallTime now = std::chrono::floor<base::Duration>(std::chrono::system_clock::now());
  ServerIdentity identity;
  identity.ca = MakeCaCertificate(TestKey(30), "Test CA", now - hours(48), now + hours(48)).value();
  const CertificateRequest request{.common_name = "server",
                                   .use = CertificateUse::kServer,
                                   .dns_names = {},
                                   .ip_addresses = {ip},
                                   .not_before = from,
                                   .not_after = until};
  identity.leaf =
      IssueCertificate(TestKey(30), identity.ca, TestKey(31).public_key(), request).value();
  return identity;
}

X509Ptr ReadCertificate(const std::string& pem) {
  return X509Ptr(PEM_read_bio_X509(ReaderOf(pem).get(), nullptr, nullptr, nullptr));
}

void ServeTls(int fd, const ServerIdentity& identity) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  const X509Ptr leaf = ReadCertificate(identity.leaf);
  STACK_OF(X509)* chain = sk_X509_new_null();
  sk_X509_push(chain, ReadCertificate(identity.ca).release());
  const std::string key_pem = TestKey(31).ToPem();
  const KeyPtr key(PEM_read_bio_PrivateKey(ReaderOf(key_pem).get(), nullptr, nullptr, nullptr));
  EXPECT_EQ(SSL_CTX_use_cert_and_key(context, leaf.get(), key.get(), chain, 1), 1);
  sk_X509_pop_free(chain, X509_free);
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  SSL_accept(ssl);
  char byte = 0;
  while (::read(fd, &byte, 1) > 0) {  // until the client goes
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
}

class DiagnoseTlsTest : public testing::Test {
 protected:
  // The test's own server writes through OpenSSL's socket BIO, which raises it when the client
  // goes.
  DiagnoseTlsTest() { ::signal(SIGPIPE, SIG_IGN); }

  const base::WallTime now_ = std::chrono::floor<base::Duration>(std::chrono::system_clock::now());
};

TEST_F(DiagnoseTlsTest, ShowsTheChainAndFindsNothingWrongWithAGoodServer) {
  const ServerIdentity identity = MakeIdentity(now_ - hours(1), now_ + hours(1), "127.0.0.1");
  const OneShotServer server([&](int fd) { ServeTls(fd, identity); });
  const auto diagnosis = DiagnoseTls(server.address(), kTimeout, identity.ca);
  ASSERT_TRUE(diagnosis) << diagnosis.error().ToString();
  ASSERT_EQ(diagnosis->chain.size(), 2U);
  EXPECT_EQ(diagnosis->chain[0].common_name, "server");
  EXPECT_EQ(diagnosis->chain[1].digest, ParseCertificate(identity.ca)->digest);
  EXPECT_EQ(diagnosis->verify_error, "");
}

TEST_F(DiagnoseTlsTest, GivesTheChainOfAServerThatNobodyVouchedForYet) {
  const ServerIdentity identity = MakeIdentity(now_ - hours(1), now_ + hours(1), "127.0.0.1");
  const OneShotServer server([&](int fd) { ServeTls(fd, identity); });
  const auto diagnosis = DiagnoseTls(server.address(), kTimeout);
  ASSERT_TRUE(diagnosis) << diagnosis.error().ToString();
  EXPECT_EQ(diagnosis->chain[1].digest, ParseCertificate(identity.ca)->digest);
}

TEST_F(DiagnoseTlsTest, NamesAnExpiredCertificateWithItsDate) {
  const ServerIdentity identity = MakeIdentity(now_ - hours(24), now_ - hours(1), "127.0.0.1");
  const OneShotServer server([&](int fd) { ServeTls(fd, identity); });
  const auto diagnosis = DiagnoseTls(server.address(), kTimeout, identity.ca);
  ASSERT_TRUE(diagnosis) << diagnosis.error().ToString();
  EXPECT_NE(diagnosis->verify_error.find("expired"), std::string::npos);
  EXPECT_NE(diagnosis->verify_error.find(base::FormatWallTime(diagnosis->chain[0].not_after)),
            std::string::npos);
}

TEST_F(DiagnoseTlsTest, NamesACertificateForAnotherHost) {
  const ServerIdentity identity = MakeIdentity(now_ - hours(1), now_ + hours(1), "10.9.8.7");
  const OneShotServer server([&](int fd) { ServeTls(fd, identity); });
  const auto diagnosis = DiagnoseTls(server.address(), kTimeout, identity.ca);
  ASSERT_TRUE(diagnosis) << diagnosis.error().ToString();
  EXPECT_NE(diagnosis->verify_error.find("not for this name"), std::string::npos);
}

TEST_F(DiagnoseTlsTest, NamesAServerOfAnotherCa) {
  const ServerIdentity identity = MakeIdentity(now_ - hours(1), now_ + hours(1), "127.0.0.1");
  const auto other = MakeCaCertificate(TestKey(32), "Another CA", now_ - hours(1), now_ + hours(1));
  const OneShotServer server([&](int fd) { ServeTls(fd, identity); });
  const auto diagnosis = DiagnoseTls(server.address(), kTimeout, *other);
  ASSERT_TRUE(diagnosis) << diagnosis.error().ToString();
  EXPECT_NE(diagnosis->verify_error.find("expected CA"), std::string::npos);
}

TEST_F(DiagnoseTlsTest, SaysWhenNothingListens) {
  const int fd = OneShotServer::Listen();
  const std::string address = "127.0.0.1:" + std::to_string(OneShotServer::PortOf(fd));
  ::close(fd);
  const auto diagnosis = DiagnoseTls(address, kTimeout);
  ASSERT_FALSE(diagnosis);
  EXPECT_EQ(diagnosis.error().code(), base::ErrorCode::kUnavailable);
  EXPECT_NE(diagnosis.error().message().find("nothing listens"), std::string::npos);
}

TEST_F(DiagnoseTlsTest, SaysWhenTheServerDoesNotSpeakTls) {
  const OneShotServer server([](int fd) {
    constexpr std::string_view kAnswer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    static_cast<void>(::send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL));
    std::array<char, 4096> request{};
    while (::read(fd, request.data(), request.size()) > 0) {
    }
  });
  const auto diagnosis = DiagnoseTls(server.address(), kTimeout);
  ASSERT_FALSE(diagnosis);
  EXPECT_EQ(diagnosis.error().code(), base::ErrorCode::kFailedPrecondition);
  EXPECT_NE(diagnosis.error().message().find("does not speak TLS"), std::string::npos);
}

TEST_F(DiagnoseTlsTest, TakesAServerThatHangsUpForOneThatIsStopping) {
  const OneShotServer server([](int fd) {
    // What has been sent is read first: closing with unread bytes would reset the connection.
    std::array<char, 4096> request{};
    EXPECT_GT(::read(fd, request.data(), request.size()), 0);
  });
  const auto diagnosis = DiagnoseTls(server.address(), kTimeout);
  ASSERT_FALSE(diagnosis);
  EXPECT_EQ(diagnosis.error().code(), base::ErrorCode::kUnavailable);
  EXPECT_NE(diagnosis.error().message().find("closed the connection"), std::string::npos);
}

TEST_F(DiagnoseTlsTest, GivesUpOnASilentServerAtItsDeadline) {
  const OneShotServer server([](int fd) {
    std::array<char, 4096> request{};
    while (::read(fd, request.data(), request.size()) > 0) {
    }
  });
  const auto diagnosis = DiagnoseTls(server.address(), std::chrono::milliseconds(50));
  ASSERT_FALSE(diagnosis);
  EXPECT_EQ(diagnosis.error().code(), base::ErrorCode::kDeadlineExceeded);
}

TEST_F(DiagnoseTlsTest, RefusesAnAddressWithoutAPort) {
  EXPECT_EQ(DiagnoseTls("server", kTimeout).error().code(), base::ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace weighmaster::openssl
