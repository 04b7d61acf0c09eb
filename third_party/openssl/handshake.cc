#include "third_party/openssl/handshake.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <utility>

#include "policy/base/check.h"
#include "third_party/openssl/openssl_ptr.h"

namespace weighmaster::openssl {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using ContextPtr = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freed<SSL_free>>;
using AddressesPtr = std::unique_ptr<addrinfo, Freed<freeaddrinfo>>;

constexpr int kMaxChainLength = 10;

struct Endpoint {
  std::string text;  // as given
  std::string host;
  std::string port;
};

base::Result<Endpoint> ParseAddress(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return base::InvalidArgument("\"" + base::EscapeForDisplay(address) + "\" is not host:port");
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return Endpoint{.text = address, .host = std::move(host), .port = address.substr(colon + 1)};
}

// A socket and the time until which it may be waited for.
class Connection {
 public:
  Connection(int fd, SteadyTime deadline) : fd_(fd), deadline_(deadline) {}
  ~Connection() {
    if (fd_ >= 0) ::close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }

  // False when the deadline passes first.
  bool Wait(short events) const {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          deadline_ - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      pollfd poll_for{.fd = fd_, .events = events, .revents = 0};
      const int ready = ::poll(&poll_for, 1, static_cast<int>(left.count()));
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return false;
    }
  }

 private:
  int fd_;
  SteadyTime deadline_;
};

base::Error Silent(const Endpoint& endpoint) {
  return base::Error(
      base::ErrorCode::kDeadlineExceeded,
      endpoint.text + " does not answer in time; check the address, and firewalls on the way");
}

base::Error ConnectError(const Endpoint& endpoint, int error_number) {
  if (error_number == ECONNREFUSED) {
    return base::Unavailable("nothing listens at " + endpoint.text +
                             " (connection refused); check that the server runs and the port");
  }
  return base::Unavailable(
      base::FromErrno(error_number, "connecting to " + endpoint.text).message());
}

base::Status ConnectOne(const Endpoint& endpoint, const addrinfo& where,
                        const Connection& connection) {
  if (connection.fd() < 0) return ConnectError(endpoint, errno);
  if (::connect(connection.fd(), where.ai_addr, where.ai_addrlen) == 0) return {};
  if (errno != EINPROGRESS) return ConnectError(endpoint, errno);
  if (!connection.Wait(POLLOUT)) return Silent(endpoint);
  int error_number = 0;
  socklen_t size = sizeof error_number;
  ::getsockopt(connection.fd(), SOL_SOCKET, SO_ERROR, &error_number, &size);
  if (error_number != 0) return ConnectError(endpoint, error_number);
  return {};
}

// To the first of the name's addresses that takes the connection.
base::Result<std::unique_ptr<Connection>> Connect(const Endpoint& endpoint, SteadyTime deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &found);
  const AddressesPtr addresses(found);
  if (failure != 0) {
    return base::NotFound("the name " + base::EscapeForDisplay(endpoint.text) +
                          " can't be resolved: " + ::gai_strerror(failure));
  }
  base::Status status = Silent(endpoint);
  for (const addrinfo* where = addresses.get(); where != nullptr; where = where->ai_next) {
    auto connection = std::make_unique<Connection>(
        ::socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), deadline);
    status = ConnectOne(endpoint, *where, *connection);
    if (status) return connection;
  }
  return std::move(status).error();
}

// Sends what the library has written. OpenSSL's own socket BIO would raise SIGPIPE.
base::Status Flush(const Endpoint& endpoint, const Connection& connection, BIO& outgoing) {
  std::array<char, 4096> piece{};
  for (;;) {
    const int size = BIO_read(&outgoing, piece.data(), static_cast<int>(piece.size()));
    if (size <= 0) return {};
    std::string_view left(piece.data(), static_cast<std::size_t>(size));
    while (!left.empty()) {
      const ssize_t sent = ::send(connection.fd(), left.data(), left.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        left.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno != EAGAIN && errno != EINTR) {
        return ConnectError(endpoint, errno);
      } else if (!connection.Wait(POLLOUT)) {
        return Silent(endpoint);
      }
    }
  }
}

base::Status Fill(const Endpoint& endpoint, const Connection& connection, BIO& incoming) {
  std::array<char, 4096> piece{};
  if (!connection.Wait(POLLIN)) return Silent(endpoint);
  const ssize_t size = ::recv(connection.fd(), piece.data(), piece.size(), 0);
  if (size == 0) {
    // A server that is being stopped does this as well as one that speaks no TLS.
    return base::Unavailable(endpoint.text +
                             " closed the connection during the TLS handshake; it is stopping, or "
                             "does not speak TLS");
  }
  if (size < 0) return ConnectError(endpoint, errno);
  WM_CHECK(BIO_write(&incoming, piece.data(), static_cast<int>(size)) == size);
  return {};
}

base::Error HandshakeError(const Endpoint& endpoint) {
  const int reason = ERR_GET_REASON(ERR_peek_last_error());
  const std::string text = TakeErrorText();
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
      reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_UNEXPECTED_MESSAGE) {
    return base::FailedPrecondition(endpoint.text +
                                    " answers, but does not speak TLS; check the port");
  }
  return base::FailedPrecondition("the TLS handshake with " + endpoint.text + " failed: " + text);
}

base::Status Handshake(const Endpoint& endpoint, const Connection& connection, SSL& ssl) {
  BIO* incoming = BIO_new(BIO_s_mem());
  BIO* outgoing = BIO_new(BIO_s_mem());
  WM_CHECK(incoming != nullptr && outgoing != nullptr);
  SSL_set_bio(&ssl, incoming, outgoing);  // owned by ssl now
  for (;;) {
    const int done = SSL_do_handshake(&ssl);
    const bool wants_more = done <= 0 && SSL_get_error(&ssl, done) == SSL_ERROR_WANT_READ;
    if (done <= 0 && !wants_more) return HandshakeError(endpoint);
    WM_RETURN_IF_ERROR(Flush(endpoint, connection, *outgoing));
    if (done == 1) return {};
    WM_RETURN_IF_ERROR(Fill(endpoint, connection, *incoming));
  }
}

// TLS 1.2 or later, gRPC's ALPN (its servers refuse others), nothing aborts on a bad certificate.
base::Result<ContextPtr> MakeContext(std::optional<std::string_view> ca_pem) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  WM_CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  constexpr std::array<unsigned char, 3> kAlpn = {2, 'h', '2'};
  WM_CHECK(SSL_CTX_set_alpn_protos(context.get(), kAlpn.data(), kAlpn.size()) == 0);
  if (ca_pem) {
    const BioPtr bio = ReaderOf(*ca_pem);
    const X509Ptr ca(PEM_read_bio_X509(bio.get(), nullptr, RefusePassword, nullptr));
    if (ca == nullptr ||
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get()) != 1) {
      return LibraryError(base::ErrorCode::kInvalidArgument, "reading the CA certificate");
    }
  }
  return context;
}

void ExpectName(SSL& ssl, const std::string& host) {
  X509_VERIFY_PARAM* parameters = SSL_get0_param(&ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1) return;
  ERR_clear_error();  // it was no IP address
  // SSL_set_tlsext_host_name(), whose macro has a cast that our warnings refuse.
  SSL_ctrl(&ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
           const_cast<char*>(host.c_str()));
  X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), 0);
}

base::Result<std::vector<Certificate>> ChainOf(const SSL& ssl) {
  const STACK_OF(X509)* sent = SSL_get_peer_cert_chain(&ssl);
  const int count = sent == nullptr ? 0 : sk_X509_num(sent);
  if (count < 1 || count > kMaxChainLength) {
    return base::FailedPrecondition("the server sent " + std::to_string(count) + " certificates");
  }
  std::vector<Certificate> chain;
  for (int i = 0; i < count; ++i) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(sk_X509_value(sent, i), &der);
    WM_CHECK(size > 0);
    auto certificate = ParseCertificateDer({der, static_cast<std::size_t>(size)});
    OPENSSL_free(der);
    if (!certificate) return std::move(certificate).error();
    chain.push_back(*std::move(certificate));
  }
  return chain;
}

std::string Explain(long verify_result, const Certificate& leaf) {
  switch (verify_result) {
    case X509_V_OK:
      return "";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "a certificate of the server has expired (its own holds until " +
             base::FormatWallTime(leaf.not_after) + "); renew it, or check this machine's clock";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "a certificate of the server is not valid yet (its own holds from " +
             base::FormatWallTime(leaf.not_before) + "); check this machine's clock";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the server's certificate is not for this name; check the address, or issue it again "
             "with this name";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "the server's certificate was not issued by the expected CA; this is another server, "
             "or its CA was replaced";
    default:
      return X509_verify_cert_error_string(verify_result);
  }
}

}  // namespace

base::Result<TlsDiagnosis> DiagnoseTls(const std::string& address, base::Duration timeout,
                                       std::optional<std::string_view> expected_ca_pem) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  WM_ASSIGN_OR_RETURN(const Endpoint endpoint, ParseAddress(address));
  WM_ASSIGN_OR_RETURN(const ContextPtr context, MakeContext(expected_ca_pem));
  WM_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection, Connect(endpoint, deadline));
  const SslPtr ssl(SSL_new(context.get()));
  WM_CHECK(ssl != nullptr);
  SSL_set_connect_state(ssl.get());
  ExpectName(*ssl, endpoint.host);
  WM_RETURN_IF_ERROR(Handshake(endpoint, *connection, *ssl));
  TlsDiagnosis diagnosis;
  WM_ASSIGN_OR_RETURN(diagnosis.chain, ChainOf(*ssl));
  if (expected_ca_pem) {
    diagnosis.verify_error = Explain(SSL_get_verify_result(ssl.get()), diagnosis.chain.front());
  }
  ERR_clear_error();
  return diagnosis;
}

}  // namespace weighmaster::openssl
