#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;

namespace weighmaster::tests {

// What a server answered over HTTP. Names of headers in lower case.
struct HttpAnswer {
  int status = 0;  // 0: the connection ended, or said nothing in time
  std::map<std::string, std::string> headers;
  std::string body;
};

// A connection to a TLS server on 127.0.0.1 as HTTP's peer sees it: bytes out, answers in. Blocks;
// each wait has a limit of 20 s.
class TlsClient {
 public:
  TlsClient(std::uint16_t port, const std::string& ca_pem, int newest_tls_version = 0);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool connected() const { return connected_; }
  // False once the connection is gone.
  bool Send(std::string_view text);
  // The next answer; `head`: to a HEAD, which has no body whatever its length says.
  HttpAnswer Read(bool head = false);
  HttpAnswer Ask(std::string_view text) { return Send(text) ? Read() : HttpAnswer(); }
  // Whether the peer closes the connection and says nothing more.
  bool ReadsEnd();

 private:
  // More into `buffer_`.
  bool Fill();

  ssl_ctx_st* context_ = nullptr;
  ssl_st* ssl_ = nullptr;
  int socket_ = -1;
  bool connected_ = false;
  bool timed_out_ = false;
  std::string buffer_;
};

}  // namespace weighmaster::tests
