#include "server/rest/server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <charconv>
#include <map>
#include <optional>
#include <utility>
#include <variant>

#include "policy/base/check.h"
#include "policy/base/rate_limit.h"
#include "server/identity/limit_key.h"
#include "server/identity/peer_log.h"
#include "server/rest/change_events.h"
#include "server/rest/gateway.h"

// All of Beast and of TLS over Asio is in this one file: it takes half a minute to compile.
namespace weighmaster::server::rest {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace net = boost::asio;
namespace limits = base::limits;
using Tcp = net::ip::tcp;
using boost::system::error_code;

// What a connection reads at a time, beside a whole header.
constexpr std::size_t kReadBytes = 64 * limits::kKiB;
constexpr std::size_t kLingerBytes = 16 * limits::kKiB;
constexpr std::chrono::milliseconds kAcceptPause{100};

base::Result<Tcp::endpoint> ParseAddress(const std::string& text) {
  const base::Error wrong = base::InvalidArgument(
      "\"" + text + "\" is no address to listen on; write IP:PORT, e.g. 0.0.0.0:8444");
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong;
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [last, number_error] = std::from_chars(text.data() + colon + 1, end, port);
  error_code error;
  const auto address = net::ip::make_address(host, error);
  if (error || number_error != std::errc() || last != end) return wrong;
  return Tcp::endpoint(address, port);
}

base::Result<std::shared_ptr<net::ssl::context>> MakeContext(const Server::Options& options) {
  auto context = std::make_shared<net::ssl::context>(net::ssl::context::tls_server);
  error_code error;
  context->set_options(net::ssl::context::default_workarounds | net::ssl::context::no_sslv2 |
                           net::ssl::context::no_sslv3 | net::ssl::context::no_tlsv1 |
                           net::ssl::context::no_tlsv1_1 | SSL_OP_NO_RENEGOTIATION,
                       error);
  std::string chain = options.certificate_pem;
  if (!chain.ends_with('\n')) chain += '\n';
  chain += options.ca_pem;
  if (!error) context->use_certificate_chain(net::buffer(chain), error);
  if (!error) {
    context->use_private_key(net::buffer(options.private_key_pem), net::ssl::context::pem, error);
  }
  if (error) {
    return base::FailedPrecondition("the TLS certificate or its key is not usable: " +
                                    error.message());
  }
  return context;
}

// What HTTP itself says of an error that Beast found in a request.
int StatusOf(const error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  return 400;
}

bool IsOfHttp(const error_code& error) {
  return error.category() == http::make_error_code(http::error::bad_target).category();
}

base::Error RefusalOf(const error_code& error) {
  return base::InvalidArgument("the request is refused: " + error.message());
}

// Why an admitted call has no body.
base::Error LackOfBody(const error_code& error) {
  if (error == beast::error::timeout) {
    return {base::ErrorCode::kAborted, "the request took too long"};
  }
  if (!IsOfHttp(error)) return {base::ErrorCode::kCancelled, "the caller has gone"};
  return RefusalOf(error);
}

// RFC 9112, section 3.2.
bool HasOneHost(const http::request<http::string_body>& request) {
  return request.version() < 11 || request.count(http::field::host) == 1;
}

}  // namespace

class Server::State : public std::enable_shared_from_this<State> {
 public:
  class Connection;

  State(asio::AsioLoop& loop, const base::Clock& clock, Gateway& gateway, Options options,
        std::shared_ptr<net::ssl::context> tls)
      : loop_(loop),
        clock_(clock),
        gateway_(gateway),
        options_(std::move(options)),
        tls_(std::move(tls)),
        acceptor_(loop.context()) {}

  base::Status Listen();
  void Accept();
  void Stop();
  void Forget(Connection& connection);
  // Whether this address may go on, whom nobody knows: it opens a connection, or asked something.
  bool Admits(const std::string& peer) {
    return strangers_.Take(peer, clock_.SinceBoot().since_boot) == base::Duration(0);
  }
  std::size_t open_count() const { return open_.size(); }

  asio::AsioLoop& loop_;
  const base::Clock& clock_;
  Gateway& gateway_;  // gone once this is stopped
  const Options options_;
  const std::shared_ptr<net::ssl::context> tls_;
  Tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  Counts counts_;
  identity::PeerLog peers_{clock_, "rest"};
  bool stopped_ = false;

 private:
  void Take(Tcp::socket socket);

  std::map<Connection*, std::shared_ptr<Connection>> open_;
  std::map<std::string, std::size_t> open_of_;  // by LimitKey
  base::RateLimit strangers_{limits::kRestConnectionInterval, limits::kRestConnectionBurst,
                             limits::kMaxLimitedPeers};  // by LimitKey
};

// One connection: handshake, then a request after the other. One operation is under way at any
// time. It holds the State, which holds it until it is forgotten; after Cut every operation fails.
class Server::State::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<State> state, Tcp::socket socket, std::string address,
             std::string peer)
      : state_(std::move(state)),
        address_(std::move(address)),
        peer_(std::move(peer)),
        stream_(std::move(socket), *state_->tls_) {}

  const std::string& peer() const { return peer_; }

  void Start() {
    Limit(state_->options_.handshake_timeout);
    stream_.async_handshake(net::ssl::stream_base::server,
                            [self = shared_from_this()](const error_code& error) {
                              if (error) return self->Drop(error);
                              self->ReadHeader();
                            });
  }
  void Cut() {
    events_.reset();  // what it stands on may go before the handlers do
    beast::get_lowest_layer(stream_).close();
  }

 private:
  using Response = http::response<http::string_body>;
  using EventsHeader = http::response<http::empty_body>;

  void Limit(base::Duration time) { beast::get_lowest_layer(stream_).expires_after(time); }
  // It is the server that takes time now.
  void LimitNothing() { beast::get_lowest_layer(stream_).expires_never(); }

  void ReadHeader() {
    parser_.emplace();
    known_ = false;
    parser_->header_limit(limits::kMaxRestHeaderBytes);
    parser_->body_limit(boost::none);  // known once the header is
    Limit(state_->options_.header_timeout);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (error) return self->Refuse(error);
                              self->Open();
                            });
  }

  void Open() {
    if (state_->stopped_) return;
    const auto& request = parser_->get();
    if (!HasOneHost(request)) return Refuse(http::error::bad_field);
    LimitNothing();
    RequestHead head;
    head.method = std::string(request.method_string());
    head.target = std::string(request.target());
    head.authorization = std::string(request[http::field::authorization]);
    head.content_type = std::string(request[http::field::content_type]);
    head.has_body = !parser_->is_done();
    head.accept = std::string(request[http::field::accept]);
    head.last_event_id = std::string(request["Last-Event-ID"]);
    head.peer = address_;
    state_->gateway_.Open(head, [weak = weak_from_this()](Gateway::Opening opening) {
      const auto self = weak.lock();
      if (self == nullptr) return;
      if (auto* const answer = std::get_if<Answer>(&opening)) {
        self->known_ = answer->caller_is_known;
        return self->Write(std::move(*answer), self->parser_->is_done());
      }
      self->ReadBody(std::get<Gateway::Admitted>(std::move(opening)));
    });
  }

  void ReadBody(Gateway::Admitted admitted) {
    known_ = true;
    const std::size_t limit = admitted.body_limit_bytes;
    const auto held = std::make_shared<Gateway::Admitted>(std::move(admitted));
    if (parser_->content_length().value_or(0) > limit) {
      return GiveUp(std::move(*held), http::error::body_limit);
    }
    parser_->body_limit(limit);
    if (parser_->is_done()) return Call(std::move(*held));
    Limit(state_->options_.body_timeout);
    // Whoever waits for it before sending a large body.
    if (beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
      continue_.emplace(http::status::continue_, 11U);
      http::async_write(stream_, *continue_,
                        [self = shared_from_this(), held](const error_code& error, std::size_t) {
                          if (error) return self->GiveUp(std::move(*held), error);
                          self->ReadRest(held);
                        });
      return;
    }
    ReadRest(held);
  }

  void ReadRest(const std::shared_ptr<Gateway::Admitted>& admitted) {
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this(), admitted](const error_code& error, std::size_t) {
                       if (error) return self->GiveUp(std::move(*admitted), error);
                       self->Call(std::move(*admitted));
                     });
  }

  void GiveUp(Gateway::Admitted admitted, const error_code& error) {
    if (!state_->stopped_) state_->gateway_.Abandon(std::move(admitted), LackOfBody(error));
    Refuse(error);
  }

  void Call(Gateway::Admitted admitted) {
    if (state_->stopped_) return;
    LimitNothing();
    state_->gateway_.Call(std::move(admitted), std::move(parser_->get().body()),
                          [weak = weak_from_this()](Answer answer) {
                            const auto self = weak.lock();
                            if (self != nullptr) self->Write(std::move(answer), true);
                          });
  }

  // What HTTP itself can't take is told as well, where the peer may still read it.
  void Refuse(const error_code& error) {
    if (!IsOfHttp(error) || error == http::error::end_of_stream) return Drop(error);
    Write(ErrorAnswer(StatusOf(error), RefusalOf(error)), false);
  }

  void PutHeader(const Answer& answer, http::header<false>& out) {
    out.result(static_cast<unsigned>(answer.status));
    out.set(http::field::content_type, answer.content_type);
    for (const auto& [name, value] : SecurityHeaders()) out.set(name, value);
    for (const auto& [name, value] : answer.headers) out.set(name, value);
  }

  // `whole`: all of the request was read. Otherwise nothing that follows can be told apart from it.
  void Write(Answer answer, bool whole) {
    const bool keep = whole && answer.status != 401 && parser_->get().keep_alive() &&
                      (known_ || state_->Admits(peer_));
    permit_ = std::move(answer.permit);
    if (answer.events != nullptr) return WriteEvents(std::move(answer));
    response_.emplace();
    response_->version(11);
    PutHeader(answer, *response_);
    response_->keep_alive(keep);
    response_->body() = std::move(answer.body);
    response_->prepare_payload();
    if (parser_->get().method() == http::verb::head) response_->body().clear();
    Limit(state_->options_.write_timeout);
    http::async_write(
        stream_, *response_,
        [self = shared_from_this(), keep, whole](const error_code& error, std::size_t) {
          self->response_.reset();
          self->permit_.reset();
          if (error) return self->Drop(error);
          ++self->state_->counts_.answered;
          if (keep) return self->ReadHeader();
          if (whole) return self->Close();
          self->Limit(self->state_->options_.linger_time);
          error_code ignored;
          beast::get_lowest_layer(self->stream_)
              .socket()
              .shutdown(Tcp::socket::shutdown_send, ignored);
          self->Linger();
        });
  }

  // For as long as the peer takes them; the connection then has done what it was for.
  void WriteEvents(Answer answer) {
    events_ = std::move(answer.events);
    events_header_.emplace();
    events_header_->version(11);
    PutHeader(answer, *events_header_);
    events_header_->chunked(true);
    events_header_->keep_alive(false);
    events_serializer_.emplace(*events_header_);
    Limit(state_->options_.write_timeout);
    http::async_write_header(stream_, *events_serializer_,
                             [self = shared_from_this()](const error_code& error, std::size_t) {
                               if (error) return self->Drop(error);
                               self->NextEvents();
                             });
  }

  void NextEvents() {
    if (events_ == nullptr) return;  // cut meanwhile
    LimitNothing();
    events_->Next([weak = weak_from_this()](std::optional<std::string> text) {
      const auto self = weak.lock();
      if (self == nullptr) return;
      self->Limit(self->state_->options_.write_timeout);
      if (!text.has_value()) return self->EndEvents();
      self->piece_ = *std::move(text);
      net::async_write(self->stream_, http::make_chunk(net::buffer(self->piece_)),
                       [self](const error_code& error, std::size_t) {
                         if (error) return self->Drop(error);
                         self->NextEvents();
                       });
    });
  }

  void EndEvents() {
    net::async_write(stream_, http::make_chunk_last(),
                     [self = shared_from_this()](const error_code& error, std::size_t) {
                       if (error) return self->Drop(error);
                       ++self->state_->counts_.answered;
                       self->Close();
                     });
  }

  // A connection that is closed on bytes that nobody read is reset, and the answer may be lost. The
  // peer is told the end by TCP alone: TLS would take its bytes for a broken answer to that.
  void Linger() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(kLingerBytes),
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (error) return self->Drop(error);
                              self->Linger();
                            });
  }

  void Close() {
    Limit(state_->options_.linger_time);
    stream_.async_shutdown(
        [self = shared_from_this()](const error_code&) { self->Drop(error_code()); });
  }

  void Drop(const error_code& error) {
    Cut();
    if (error == beast::error::timeout) {
      ++state_->counts_.timed_out;
      state_->peers_.Tell(address_, "was cut off: it was too slow");
    }
    state_->Forget(*this);
  }

  const std::shared_ptr<State> state_;
  const std::string address_;  // for the log
  const std::string peer_;     // LimitKey
  beast::ssl_stream<beast::tcp_stream> stream_;
  beast::flat_buffer buffer_{limits::kMaxRestHeaderBytes + kReadBytes};
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::empty_body>> continue_;
  std::optional<Response> response_;
  bool known_ = false;                  // whose request it is, by a good token
  std::shared_ptr<const void> permit_;  // of the answer that is being written
  // Of an answer that comes in pieces.
  std::shared_ptr<ChangeEvents> events_;
  std::optional<EventsHeader> events_header_;
  std::optional<http::response_serializer<http::empty_body>> events_serializer_;
  std::string piece_;
};

base::Status Server::State::Listen() {
  WM_ASSIGN_OR_RETURN(const Tcp::endpoint endpoint, ParseAddress(options_.address));
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(net::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(net::socket_base::max_listen_connections, error);
  if (error == net::error::address_in_use) {
    return base::AlreadyExists("can't serve REST on " + options_.address +
                               ": the port is in use; stop the server that has it, or choose "
                               "another with --rest");
  }
  if (error) return base::FromErrno(error.value(), "listen on " + options_.address + " for REST");
  port_ = acceptor_.local_endpoint().port();
  return {};
}

void Server::State::Accept() {
  acceptor_.async_accept([self = shared_from_this()](const error_code& error, Tcp::socket socket) {
    if (self->stopped_) return;
    if (error) {
      // No descriptors are left, most likely; some will be.
      self->loop_.After(kAcceptPause, [weak = self->weak_from_this()] {
        const auto again = weak.lock();
        if (again != nullptr && !again->stopped_) again->Accept();
      });
      return;
    }
    self->Take(std::move(socket));
    self->Accept();
  });
}

void Server::State::Take(Tcp::socket socket) {
  error_code error;
  const Tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return;  // it has gone already
  std::string address = peer.address().to_string();
  std::string key = identity::LimitKey(address);
  std::size_t& open_of = open_of_[key];
  if (open_.size() >= options_.max_connections || open_of >= options_.max_connections_of_address ||
      !Admits(key)) {
    ++counts_.refused;
    if (open_of == 0) open_of_.erase(key);
    return;
  }
  ++open_of;
  const auto connection = std::make_shared<Connection>(shared_from_this(), std::move(socket),
                                                       std::move(address), std::move(key));
  open_.emplace(connection.get(), connection);
  connection->Start();
}

void Server::State::Forget(Connection& connection) {
  if (open_.erase(&connection) == 0) return;
  const auto of = open_of_.find(connection.peer());
  if (--of->second == 0) open_of_.erase(of);
}

void Server::State::Stop() {
  stopped_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  open_of_.clear();
  for (const auto& [name, connection] : std::exchange(open_, {})) connection->Cut();
}

base::Result<std::unique_ptr<Server>> Server::Start(asio::AsioLoop& loop, const base::Clock& clock,
                                                    Gateway& gateway, const Options& options) {
  WM_CHECK(loop.OnLoop());
  WM_ASSIGN_OR_RETURN(auto tls, MakeContext(options));
  auto state = std::make_shared<State>(loop, clock, gateway, options, std::move(tls));
  WM_RETURN_IF_ERROR(state->Listen());
  state->Accept();
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::shared_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() { state_->Stop(); }

std::uint16_t Server::port() const { return state_->port_; }

Server::Counts Server::counts() const {
  Counts counts = state_->counts_;
  counts.open = state_->open_count();
  return counts;
}

}  // namespace weighmaster::server::rest
