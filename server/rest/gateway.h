#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "server/api/dispatch.h"
#include "server/identity/peer_log.h"
#include "server/rest/metrics.h"
#include "server/rest/path_template.h"

namespace weighmaster::server::rest {

class ChangeEvents;
struct ChangeReader;

// What is known of a request before its body.
struct RequestHead {
  std::string method;  // "GET"; a HEAD is answered like a GET
  std::string target;  // "/v1/endpoints?page_size=3"
  std::string authorization;
  std::string content_type;
  bool has_body = false;
  std::string accept = {};
  std::string last_event_id = {};
  std::string peer = {};  // its address, for the log
};

struct Answer {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;  // besides those that every answer has
  std::string body;
  // Of a call: it counts as waiting until this is gone, so hold it until the answer is written.
  std::shared_ptr<const void> permit;
  // The body comes from here, piece by piece; `body` is empty then.
  std::shared_ptr<ChangeEvents> events;
  // To whom it is: the request had a good token, also where it was refused after that.
  bool caller_is_known = false;
};
// An error as every path gives it, with what its status asks for (Retry-After, WWW-Authenticate).
Answer ErrorAnswer(const base::Error& error);
Answer ErrorAnswer(int status, const base::Error& error);
// What every answer says to browsers: it is not to be sniffed, kept, framed, or asked for without
// TLS.
const std::vector<std::pair<std::string, std::string>>& SecurityHeaders();

// The REST form of the administrative API: which method a path is, who may call it, JSON in and
// out. Knows no socket. Beside the methods: GET /healthz, for whoever watches over the server, and
// GET /v1/openapi.json, both for everybody; and GET /metrics, for whoever may GetStatistics.
//
// Loop-owned; JSON is read and written on the pool. Replies come on the loop, some at once, and
// none once it is destroyed. Everything passed in must outlive it.
class Gateway {
 public:
  // A request that may be made. Its body is to be read, up to the limit, and nothing else.
  struct Admitted {
    api::Dispatch::Admission admission;
    PathTemplate::Variables path;
    std::string query;
    std::size_t body_limit_bytes = 0;
    // Other forms than JSON: what changed, for as long as the peer listens (then `authorization`
    // asks again and again), and what Prometheus reads.
    enum class Form : std::uint8_t { kJson, kEvents, kMetrics };
    Form form = Form::kJson;
    std::string authorization;
    std::string last_event_id;  // where the reader was: newer than what its address says
  };
  using Opening = std::variant<Answer, Admitted>;

  // Both are asked on the loop.
  Gateway(base::Loop& loop, const base::Clock& clock, base::Executor& pool, api::Dispatch& dispatch,
          std::function<bool()> store_writable, std::function<StrangerCounts()> strangers);
  ~Gateway() = default;
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Either the answer, and the body is for nobody, or what Call takes.
  void Open(const RequestHead& head, std::function<void(Opening)> reply);
  // RESOURCE_EXHAUSTED past limits::kMaxRestCallsWaiting, and for a stream of what changed past
  // limits::kMaxRestEventStreams and kMaxRestEventStreamsOfToken.
  void Call(Admitted admitted, std::string body, std::function<void(Answer)> reply);
  // Instead of Call, where the body does not come, or not as it may: it was a call all the same.
  void Abandon(Admitted admitted, const base::Error& why);

 private:
  struct Route {
    const api::Method* method;
    PathTemplate path;
  };
  struct Found {
    const Route* route = nullptr;
    PathTemplate::Variables path;
    std::string allow;  // of a path that has only other methods
  };

  Found Find(std::string_view method, std::string_view path) const;
  // The few things that are no methods of the service.
  bool AnswerOwn(std::string_view method, std::string_view path,
                 const std::function<void(Opening)>& reply) const;
  using Count = std::shared_ptr<std::atomic<std::size_t>>;
  // Null when there are `most` already.
  static std::shared_ptr<const void> TakePermit(const Count& count, std::size_t most);
  base::Result<std::shared_ptr<const void>> TakeStream(const model::Id& token);
  Answer MetricsAnswer(const google::protobuf::Message& statistics) const;
  base::Result<Answer> EventsAnswer(const google::protobuf::Message& first, const model::Id& token,
                                    ChangeReader reader);

  // Constant after construction.
  base::Loop& loop_;
  const base::Clock& clock_;
  base::Executor& pool_;
  api::Dispatch& dispatch_;
  const std::function<bool()> store_writable_;
  const std::function<StrangerCounts()> strangers_;
  std::vector<Route> routes_;
  const std::string openapi_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();

  // Owned by the loop.
  identity::PeerLog peers_{clock_, "rest"};
  // By token, how many of `streams_` are of it; gone with the last of them.
  std::map<model::Id, std::weak_ptr<std::atomic<std::size_t>>> streams_of_;

  // Calls that wait, and streams. Permits outlive the Gateway and go on any thread.
  const Count waiting_ = std::make_shared<std::atomic<std::size_t>>(0);
  const Count streams_ = std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace weighmaster::server::rest
