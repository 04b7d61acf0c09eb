// The REST gateway behind its own port, over TLS, with the server's own rooms below it.

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "policy/base/limits.h"
#include "server/rest/gateway.h"
#include "server/rest/server.h"
#include "tests/integration/served_api.h"
#include "tests/integration/tls_client.h"
#include "tests/support/log_file.h"
#include "third_party/asio/asio_loop.h"

namespace weighmaster::tests {
namespace {

namespace limits = base::limits;
namespace rest = server::rest;
using Json = nlohmann::json;
using std::chrono::milliseconds;

class RestTest : public testing::Test {
 protected:
  RestTest() {
    options_.address = "127.0.0.1:0";
    options_.certificate_pem = api_.tls_pem_;
    options_.private_key_pem = api_.tls_key_pem_;
    options_.ca_pem = api_.ca_pem_;
  }

  // With the options as they are now.
  void Serve() { server_ = Must(rest::Server::Start(loop_, clock_, gateway_, options_)); }

  // The client blocks, so it runs beside the loop.
  void Beside(const std::function<void()>& client) {
    std::thread thread([&] {
      client();
      loop_.Post([&] { loop_.Stop(); });
    });
    loop_.Run();
    thread.join();
  }
  // On the loop, from beside it; returns once it is done.
  void OnLoop(const std::function<void()>& task) {
    std::promise<void> done;
    loop_.Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  rest::Server::Counts Counts() {
    rest::Server::Counts counts;
    OnLoop([&] { counts = server_->counts(); });
    return counts;
  }

  std::uint64_t CallsThatEnded(const std::string& method, base::ErrorCode code) {
    std::uint64_t calls = 0;
    OnLoop([&] {
      const auto& counts = api_.dispatch_->call_counts();
      const auto found = counts.find({method, code});
      if (found != counts.end()) calls = found->second;
    });
    return calls;
  }

  // Clients hear of what the server did before it counts it.
  bool Becomes(const std::function<bool(const rest::Server::Counts&)>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition(Counts())) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::unique_ptr<TlsClient> Connect(int newest_tls_version = 0) {
    return std::make_unique<TlsClient>(server_->port(), api_.ca_pem_, newest_tls_version);
  }
  std::string Request(const std::string& line, const std::string& body = "",
                      const std::string& more = "") const {
    std::string text = line + " HTTP/1.1\r\nHost: localhost\r\n" + more;
    if (!bearer_.empty()) text += "Authorization: " + bearer_ + "\r\n";
    if (!body.empty()) {
      text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n";
    }
    return text + "\r\n" + body;
  }
  static int CodeOf(const HttpAnswer& answer) {
    const Json json = Json::parse(answer.body, nullptr, false);
    EXPECT_TRUE(json.is_object() && json.size() == 3) << answer.body;
    return json.value("code", 0);
  }

  asio::AsioLoop loop_;
  SystemClock clock_;
  ServedApi api_{loop_};
  std::string bearer_ = api_.bearer_;
  rest::Gateway gateway_{loop_,
                         clock_,
                         api_.pool_,
                         *api_.dispatch_,
                         [] { return true; },
                         [] { return rest::StrangerCounts(); }};
  rest::Server::Options options_;
  std::unique_ptr<rest::Server> server_;
};

TEST_F(RestTest, AnswersOneRequestAfterTheOtherOnAConnection) {
  Serve();
  Beside([&] {
    const auto client = Connect();
    ASSERT_TRUE(client->connected());
    for (int i = 0; i < 3; ++i) {
      const HttpAnswer answer = client->Ask(Request("GET /v1/whoami"));
      EXPECT_EQ(answer.status, 200);
      EXPECT_EQ(answer.headers.at("content-type"), "application/json");
      EXPECT_EQ(answer.headers.at("x-content-type-options"), "nosniff");
      EXPECT_EQ(Json::parse(answer.body).at("admin_token").at("name"), "ada");
    }
    EXPECT_TRUE(Becomes([](const auto& counts) { return counts.answered == 3; }));
    EXPECT_EQ(Counts().open, 1U);
    EXPECT_EQ(client->Ask(Request("GET /v1/whoami", "", "Connection: close\r\n")).status, 200);
    EXPECT_TRUE(client->ReadsEnd());
  });
}

TEST_F(RestTest, AnswersPipelinedRequestsInTheirOrder) {
  Serve();
  Beside([&] {
    const auto client = Connect();
    ASSERT_TRUE(client->Send(Request("GET /v1/whoami") + Request("GET /healthz") +
                             Request("POST /v1/enrolment_tokens", R"({"uses": 0})") +
                             Request("GET /v1/nothing") + Request("GET /v1/fleet")));
    EXPECT_NE(client->Read().body.find("ada"), std::string::npos);
    EXPECT_EQ(client->Read().body, R"({"status":"ok"})");
    EXPECT_EQ(client->Read().status, 400);
    EXPECT_EQ(client->Read().status, 404);
    EXPECT_NE(client->Read().body.find("fleet_id"), std::string::npos);
  });
}

TEST_F(RestTest, AnswersAHeadWithoutABodyAndGoesOn) {
  Serve();
  Beside([&] {
    const auto client = Connect();
    ASSERT_TRUE(client->Send(Request("HEAD /v1/openapi.json")));
    const HttpAnswer head = client->Read(true);
    EXPECT_EQ(head.status, 200);
    const HttpAnswer page = client->Ask(Request("GET /v1/openapi.json"));
    EXPECT_EQ(head.headers.at("content-length"), std::to_string(page.body.size()));
    ASSERT_TRUE(client->Send(Request("HEAD /v1/enrolment_tokens")));
    EXPECT_EQ(client->Read(true).status, 405);
    EXPECT_EQ(client->Ask(Request("GET /healthz")).status, 200);
  });
}

TEST_F(RestTest, GivesEveryRefusalItsStatus) {
  Serve();
  const std::string viewer = api_.MakeBearer(server::store::AdminRole::kViewer, "eve");
  Beside([&] {
    const auto client = Connect();
    const HttpAnswer method = client->Ask(Request("PUT /v1/fleet"));
    EXPECT_EQ(method.status, 405);
    EXPECT_EQ(method.headers.at("allow"), "GET, HEAD");
    EXPECT_EQ(CodeOf(method), 12);
    EXPECT_EQ(CodeOf(client->Ask(Request("GET /v1/nothing"))), 5);
    EXPECT_EQ(CodeOf(client->Ask(Request("POST /v1/enrolment_tokens", "{]"))), 3);
    bearer_ = viewer;
    const HttpAnswer role = client->Ask(Request("POST /v1/enrolment_tokens"));
    EXPECT_EQ(role.status, 403);
    EXPECT_EQ(CodeOf(role), 7);
  });
}

TEST_F(RestTest, CutsOffWhomItDoesNotKnow) {
  const LogFile log;
  Serve();
  bearer_ = "Bearer wma1.AAAA";
  Beside([&] {
    const auto client = Connect();
    const HttpAnswer answer = client->Ask(Request("GET /v1/fleet"));
    EXPECT_EQ(answer.status, 401);
    EXPECT_EQ(answer.headers.at("www-authenticate"), "Bearer");
    EXPECT_EQ(CodeOf(answer), 16);
    EXPECT_TRUE(client->ReadsEnd());
  });
  EXPECT_TRUE(log.Has("warning rest: 127.0.0.1 was refused: the administrator's token is"))
      << log.Text();
  EXPECT_FALSE(log.Has("AAAA")) << log.Text();
}

TEST_F(RestTest, RefusesWhatIsNoHttp) {
  Serve();
  Beside([&] {
    for (const std::string& text :
         {std::string("nonsense\r\n\r\n"), std::string("GET /healthz HTTP/1.1\r\n\r\n"),
          std::string("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
          std::string("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n"),
          std::string("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n")}) {
      const auto client = Connect();
      EXPECT_EQ(client->Ask(text).status, 400) << text;
      EXPECT_TRUE(client->ReadsEnd()) << text;
    }
    const auto client = Connect();
    const std::string header = "X: " + std::string(limits::kMaxRestHeaderBytes, 'x') + "\r\n";
    EXPECT_EQ(client->Ask(Request("GET /healthz", "", header)).status, 431);
  });
}

TEST_F(RestTest, ReadsABodyInChunksAndOneThatWaitsToBeAskedFor) {
  Serve();
  Beside([&] {
    const auto client = Connect();
    const std::string json = "Content-Type: application/json\r\n";
    const std::string path = "POST /v1/enrolment_tokens";
    ASSERT_TRUE(client->Send(Request(path, "", json + "Transfer-Encoding: chunked\r\n")));
    const HttpAnswer in_chunks =
        client->Ask("11\r\n{\"uses\":1,\"valid_\r\n10\r\nfor_ms\":\"60000\"}\r\n0\r\n\r\n");
    EXPECT_EQ(in_chunks.status, 200) << in_chunks.body;
    const std::string body = R"({"uses": 1, "valid_for_ms": "60000"})";
    const HttpAnswer go_on = client->Ask(Request(
        path, "",
        json + "Expect: 100-continue\r\nContent-Length: " + std::to_string(body.size()) + "\r\n"));
    EXPECT_EQ(go_on.status, 100);
    EXPECT_EQ(client->Ask(body).status, 200);
  });
}

TEST_F(RestTest, RefusesABodyThatIsTooLargeAndLetsItsSenderReadThat) {
  Serve();
  Beside([&] {
    const std::string large(limits::kMaxAdminRequestBytes + 1, ' ');
    const auto known = Connect();
    EXPECT_EQ(known->Ask(Request("POST /v1/enrolment_tokens", large)).status, 413);
    const auto chunked = Connect();
    ASSERT_TRUE(chunked->Send(Request("POST /v1/enrolment_tokens", "",
                                      "Content-Type: application/json\r\n"
                                      "Transfer-Encoding: chunked\r\n")));
    EXPECT_EQ(chunked->Ask("FFFFF\r\n" + large).status, 413);
    // Of somebody else's nothing is wanted, however small.
    bearer_.clear();
    const auto unknown = Connect();
    EXPECT_EQ(unknown->Ask(Request("POST /v1/enrolment_tokens", large)).status, 401);
    EXPECT_EQ(Counts().timed_out, 0U);
  });
}

TEST_F(RestTest, CountsACallWhoseBodyIsNotTakenOrDoesNotCome) {
  options_.body_timeout = milliseconds(300);
  Serve();
  Beside([&] {
    const std::string path = "POST /v1/enrolment_tokens";
    const std::string json = "Content-Type: application/json\r\n";
    const std::string large(limits::kMaxAdminRequestBytes + 1, ' ');
    const auto known = Connect();
    EXPECT_EQ(known->Ask(Request(path, large)).status, 413);
    const auto chunked = Connect();
    ASSERT_TRUE(chunked->Send(Request(path, "", json + "Transfer-Encoding: chunked\r\n")));
    EXPECT_EQ(chunked->Ask("FFFFF\r\n" + large).status, 413);
    const auto becomes = [this](base::ErrorCode code, std::uint64_t calls) {
      return Becomes([&](const auto&) { return CallsThatEnded("CreateToken", code) == calls; });
    };
    EXPECT_TRUE(becomes(base::ErrorCode::kInvalidArgument, 2));

    const std::string half = Request(path, "", json + "Content-Length: 2\r\n") + "{";
    const auto slow = Connect();
    ASSERT_TRUE(slow->Send(half));
    EXPECT_TRUE(slow->ReadsEnd());
    EXPECT_TRUE(becomes(base::ErrorCode::kAborted, 1));
    auto gone = Connect();
    ASSERT_TRUE(gone->Send(half));
    gone.reset();
    EXPECT_TRUE(becomes(base::ErrorCode::kCancelled, 1));
  });
}

TEST_F(RestTest, CutsOffWhoIsSlow) {
  const LogFile log;
  options_.handshake_timeout = options_.header_timeout = options_.body_timeout = milliseconds(300);
  Serve();
  Beside([&] {
    const auto says_nothing = Connect();
    EXPECT_TRUE(says_nothing->ReadsEnd());
    const auto header = Connect();
    ASSERT_TRUE(header->Send("GET /healthz HTTP/1.1\r\nHost: lo"));
    EXPECT_TRUE(header->ReadsEnd());
    const auto body = Connect();
    ASSERT_TRUE(body->Send(Request("POST /v1/enrolment_tokens", "",
                                   "Content-Type: application/json\r\nContent-Length: 2\r\n") +
                           "{"));
    EXPECT_TRUE(body->ReadsEnd());
    EXPECT_TRUE(Becomes([](const auto& counts) { return counts.timed_out == 3; }));
    EXPECT_EQ(Counts().open, 0U);
  });
  EXPECT_TRUE(log.Has("warning rest: 127.0.0.1 was cut off: it was too slow")) << log.Text();
}

TEST_F(RestTest, CutsOffWhoReadsSlowly) {
  options_.write_timeout = milliseconds(300);
  Serve();
  Beside([&] {
    const auto client = Connect();
    std::string many;
    for (int i = 0; i < 500; ++i) many += Request("GET /v1/openapi.json");
    EXPECT_TRUE(client->Send(many));
    EXPECT_TRUE(Becomes([](const auto& counts) { return counts.timed_out == 1; }));
    EXPECT_EQ(Counts().open, 0U);
  });
}

TEST_F(RestTest, TakesSoManyConnectionsOfAnAddressAndNoMore) {
  options_.max_connections_of_address = 3;
  Serve();
  Beside([&] {
    std::vector<std::unique_ptr<TlsClient>> clients;
    for (int i = 0; i < 3; ++i) clients.push_back(Connect());
    for (const auto& client : clients) {
      EXPECT_EQ(client->Ask(Request("GET /healthz")).status, 200);
    }
    EXPECT_FALSE(Connect()->connected());
    EXPECT_EQ(Counts().refused, 1U);
    clients.pop_back();
    EXPECT_TRUE(Becomes([](const auto& counts) { return counts.open == 2; }));
    EXPECT_EQ(Connect()->Ask(Request("GET /healthz")).status, 200);
  });
}

TEST_F(RestTest, TakesSoManyConnectionsInAllAndNewOnesOnlySoOften) {
  options_.max_connections = 2;
  Serve();
  Beside([&] {
    const auto first = Connect();
    const auto second = Connect();
    EXPECT_TRUE(first->connected() && second->connected());
    EXPECT_TRUE(Becomes([](const auto& counts) { return counts.open == 2; }));
    EXPECT_FALSE(Connect()->connected());
  });
  options_.max_connections = limits::kMaxRestConnections;
  server_.reset();
  Serve();
  Beside([&] {
    for (int i = 0; i < 2 * limits::kRestConnectionBurst && Counts().refused == 0; ++i) Connect();
    EXPECT_GT(Counts().refused, 0U);
  });
}

TEST_F(RestTest, AnswersAStrangerOnlySoOften) {
  Serve();
  Beside([&] {
    const auto known = Connect();
    const auto stranger = Connect();
    const std::string ask = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    int answered = 0;
    while (answered < 10 * limits::kRestConnectionBurst && stranger->Ask(ask).status == 200) {
      ++answered;
    }
    EXPECT_GE(answered, limits::kRestConnectionBurst - 2);
    EXPECT_LT(answered, 10 * limits::kRestConnectionBurst);
    EXPECT_TRUE(stranger->ReadsEnd());
    EXPECT_EQ(known->Ask(Request("GET /v1/whoami")).status, 200) << "of the same address";
    EXPECT_EQ(known->Ask(Request("GET /v1/whoami")).status, 200);
  });
}

TEST_F(RestTest, KnowsWhoIsRefusedWithAGoodToken) {
  Serve();
  bearer_ = api_.MakeBearer(server::store::AdminRole::kViewer, "eve");
  Beside([&] {
    const auto viewer = Connect();
    int forbidden = 0;
    int too_often = 0;
    for (int i = 0; i < 3 * limits::kRestConnectionBurst; ++i) {
      const int status = viewer->Ask(Request("POST /v1/enrolment_tokens")).status;
      forbidden += status == 403 ? 1 : 0;
      too_often += status == 429 ? 1 : 0;
    }
    EXPECT_EQ(forbidden + too_often, 3 * limits::kRestConnectionBurst);
    EXPECT_TRUE(Connect()->connected()) << "the address is no stranger's";
  });
}

TEST_F(RestTest, SpeaksNoTlsOlderThanTwelve) {
  Serve();
  Beside([&] {
    EXPECT_FALSE(Connect(TLS1_1_VERSION)->connected());
    EXPECT_TRUE(Connect(TLS1_2_VERSION)->connected());
  });
}

TEST_F(RestTest, GoesDownAmidEveryStepOfARequest) {
  const std::string post = Request("POST /v1/enrolment_tokens", "",
                                   "Content-Type: application/json\r\nContent-Length: 2\r\n");
  for (const std::string& sent :
       {std::string(), post.substr(0, 9), post, Request("GET /v1/fleet")}) {
    Serve();
    Beside([&] {
      std::promise<void> go_on;
      const auto client = Connect();
      ASSERT_TRUE(client->connected());
      api_.reader_.Submit([wait = go_on.get_future().share()] { wait.wait(); });
      if (!sent.empty()) {
        EXPECT_TRUE(client->Send(sent));
      }
      OnLoop([] {});
      OnLoop([&] { server_.reset(); });
      EXPECT_TRUE(client->ReadsEnd()) << sent;
      go_on.set_value();
    });
  }
}

TEST_F(RestTest, RefusesAPortThatIsTakenAndAnAddressThatIsNone) {
  Serve();
  rest::Server::Options second = options_;
  second.address = "127.0.0.1:" + std::to_string(server_->port());
  const auto taken = rest::Server::Start(loop_, clock_, gateway_, second);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code(), base::ErrorCode::kAlreadyExists);
  for (const char* const address :
       {"", "localhost:1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:1x", ":1"}) {
    second.address = address;
    const auto wrong = rest::Server::Start(loop_, clock_, gateway_, second);
    ASSERT_FALSE(wrong.has_value()) << address;
    EXPECT_EQ(wrong.error().code(), base::ErrorCode::kInvalidArgument) << address;
  }
}

}  // namespace
}  // namespace weighmaster::tests
