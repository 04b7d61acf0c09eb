#include "tests/integration/tls_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <sstream>

#include "policy/base/check.h"

namespace weighmaster::tests {
namespace {

constexpr timeval kPatience{20, 0};

void Trust(SSL_CTX* context, const std::string& ca_pem) {
  BIO* const bio = BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size()));
  X509* const ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  WM_CHECK(ca != nullptr && X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca) == 1);
  X509_free(ca);
  BIO_free(bio);
}

HttpAnswer ParseHead(const std::string& text) {
  HttpAnswer answer;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  if (!line.starts_with("HTTP/1.1 ")) return answer;
  answer.status = std::stoi(line.substr(9));
  while (std::getline(lines, line) && line != "\r") {
    const std::size_t colon = line.find(": ");
    std::string name = line.substr(0, colon);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    answer.headers[name] = line.substr(colon + 2, line.size() - colon - 3);
  }
  return answer;
}

}  // namespace

TlsClient::TlsClient(std::uint16_t port, const std::string& ca_pem, int newest_tls_version)
    : context_(SSL_CTX_new(TLS_client_method())), socket_(socket(AF_INET, SOCK_STREAM, 0)) {
  WM_CHECK(context_ != nullptr && socket_ >= 0);
  std::signal(SIGPIPE,
              SIG_IGN);  // OpenSSL writes into connections that are cut, as these are to be
  Trust(context_, ca_pem);
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_security_level(context_, 0);  // what is refused, the server is to refuse
  if (newest_tls_version != 0) SSL_CTX_set_max_proto_version(context_, newest_tls_version);
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return;
  ssl_ = SSL_new(context_);
  SSL_set_fd(ssl_, socket_);
  connected_ = SSL_connect(ssl_) == 1;
}

TlsClient::~TlsClient() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
  close(socket_);
}

bool TlsClient::Send(std::string_view text) {
  return connected_ && SSL_write(ssl_, text.data(), static_cast<int>(text.size())) ==
                           static_cast<int>(text.size());
}

bool TlsClient::Fill() {
  std::array<char, 16'384> some;
  const int got = connected_ ? SSL_read(ssl_, some.data(), some.size()) : 0;
  if (got <= 0) {
    timed_out_ = connected_ && SSL_get_error(ssl_, got) == SSL_ERROR_WANT_READ;
    return false;
  }
  buffer_.append(some.data(), static_cast<std::size_t>(got));
  return true;
}

HttpAnswer TlsClient::Read(bool head) {
  std::size_t end = buffer_.find("\r\n\r\n");
  while (end == std::string::npos) {
    if (!Fill()) return {};
    end = buffer_.find("\r\n\r\n");
  }
  HttpAnswer answer = ParseHead(buffer_.substr(0, end + 4));
  buffer_.erase(0, end + 4);
  if (answer.status == 100) return answer;
  WM_CHECK(answer.headers.contains("content-length"));
  const std::size_t length = head ? 0 : std::stoul(answer.headers.at("content-length"));
  while (buffer_.size() < length) {
    if (!Fill()) return {};
  }
  answer.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return answer;
}

bool TlsClient::ReadsEnd() { return buffer_.empty() && !Fill() && !timed_out_; }

}  // namespace weighmaster::tests
