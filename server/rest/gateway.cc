#include "server/rest/gateway.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "server/rest/change_events.h"
#include "server/rest/metrics.h"
#include "server/rest/openapi.h"
#include "server/rest/transcode.h"
#include "server/store/ask.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::rest {
namespace {

using base::Result;
using Message = api::Dispatch::Message;
namespace limits = base::limits;

constexpr std::string_view kGet = "GET";
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kMetricsPath = "/metrics";
constexpr std::string_view kStatisticsPath = "/v1/statistics";
constexpr std::string_view kEventStream = "text/event-stream";

bool StartsWithAnyCase(std::string_view text, std::string_view lower_case) {
  return std::ranges::equal(text.substr(0, lower_case.size()), lower_case, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b;
  });
}

// "application/json; charset=utf-8" is JSON as well.
bool IsJson(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  const std::size_t end = type.find_last_not_of(" \t");
  if (end == std::string_view::npos) return false;
  return end + 1 == kJson.size() && StartsWithAnyCase(type, kJson);
}

// A target in the form that proxies are sent, and a server takes as well (RFC 9112, section 3.2.2):
// without scheme and host, which say nothing here.
std::string_view WithoutHost(std::string_view target) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!StartsWithAnyCase(target, scheme)) continue;
    return target.substr(std::min(target.find_first_of("/?", scheme.size()), target.size()));
  }
  return target;
}

// As browsers ask for events: with this type first, or alone.
bool WantsEvents(std::string_view accept) { return accept.starts_with(kEventStream); }

// Whatever can be got has a head.
std::string Allowed(const std::string& http_method) {
  return http_method == kGet ? "GET, HEAD" : http_method;
}

Answer NotAllowed(const std::string& allow) {
  Answer answer =
      ErrorAnswer(405, {base::ErrorCode::kUnimplemented, "this path has only " + allow});
  answer.headers.emplace_back("Allow", allow);
  return answer;
}

Result<Answer> JsonAnswer(const google::protobuf::Message& message) {
  Answer answer;
  WM_ASSIGN_OR_RETURN(answer.body, ToJson(message));
  if (answer.body.size() > limits::kMaxRestAnswerBytes) {
    return base::ResourceExhausted("the answer is longer than " +
                                   std::to_string(limits::kMaxRestAnswerBytes / limits::kMiB) +
                                   " MiB; ask for a smaller page");
  }
  return answer;
}

}  // namespace

Answer ErrorAnswer(int status, const base::Error& error) {
  Answer answer;
  answer.status = status;
  answer.body = ErrorJson(error);
  if (status == 401) answer.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (status == 429 || status == 503) answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

Answer ErrorAnswer(const base::Error& error) {
  return ErrorAnswer(HttpStatusOf(error.code()), error);
}

const std::vector<std::pair<std::string, std::string>>& SecurityHeaders() {
  static const std::vector<std::pair<std::string, std::string>> kHeaders = {
      {"X-Content-Type-Options", "nosniff"},
      {"Cache-Control", "no-store"},
      {"Strict-Transport-Security", "max-age=31536000"},
      {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"}};
  return kHeaders;
}

Gateway::Gateway(base::Loop& loop, const base::Clock& clock, base::Executor& pool,
                 api::Dispatch& dispatch, std::function<bool()> store_writable,
                 std::function<StrangerCounts()> strangers)
    : loop_(loop),
      clock_(clock),
      pool_(pool),
      dispatch_(dispatch),
      store_writable_(std::move(store_writable)),
      strangers_(std::move(strangers)),
      openapi_(OpenApiJson(dispatch.methods())) {
  for (const api::Method& method : dispatch.methods()) {
    routes_.push_back({&method, PathTemplate(method.path)});
  }
}

Gateway::Found Gateway::Find(std::string_view method, std::string_view path) const {
  Found found;
  for (const Route& route : routes_) {
    auto variables = route.path.Match(path);
    if (!variables.has_value()) continue;
    if (route.method->http_method == method) {
      found.route = &route;
      found.path = *std::move(variables);
      return found;
    }
    found.allow += (found.allow.empty() ? "" : ", ") + Allowed(route.method->http_method);
  }
  return found;
}

bool Gateway::AnswerOwn(std::string_view method, std::string_view path,
                        const std::function<void(Opening)>& reply) const {
  const bool is_health = path == "/healthz";
  if (!is_health && path != "/v1/openapi.json") return false;
  if (method != kGet) {
    reply(NotAllowed(Allowed("GET")));
    return true;
  }
  Answer answer;
  if (!is_health) {
    answer.body = openapi_;
  } else if (store_writable_()) {
    answer.body = R"({"status":"ok"})";
  } else {
    answer.status = 503;
    answer.body = R"({"status":"store_unwritable"})";
  }
  reply(std::move(answer));
  return true;
}

void Gateway::Open(const RequestHead& head, std::function<void(Opening)> reply) {
  if (head.target.size() > limits::kMaxRestTargetBytes) {
    return reply(ErrorAnswer(414, base::InvalidArgument("the path is longer than 8 KiB")));
  }
  const std::string_view target = WithoutHost(head.target);
  const std::size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  const std::string_view http_method = head.method == "HEAD" ? kGet : head.method;
  if (AnswerOwn(http_method, path, reply)) return;
  const bool is_metrics = path == kMetricsPath;
  Found found = Find(http_method, is_metrics ? kStatisticsPath : path);
  if (found.route == nullptr) {
    if (!found.allow.empty()) return reply(NotAllowed(found.allow));
    return reply(ErrorAnswer(base::NotFound("there is no such path")));
  }
  const api::Method& method = *found.route->method;
  if (head.has_body && method.has_body && !IsJson(head.content_type)) {
    return reply(ErrorAnswer(415, base::InvalidArgument("the body must be application/json")));
  }
  Admitted admitted;
  admitted.path = std::move(found.path);
  if (question != std::string_view::npos) admitted.query = target.substr(question + 1);
  if (is_metrics) admitted.form = Admitted::Form::kMetrics;
  if (method.request == v1::ListChangesRequest::descriptor() && head.method == kGet &&
      WantsEvents(head.accept)) {
    admitted.form = Admitted::Form::kEvents;
    admitted.authorization = head.authorization;
    if (!std::ranges::all_of(head.last_event_id, [](char c) { return c >= '0' && c <= '9'; })) {
      return reply(ErrorAnswer(base::InvalidArgument("Last-Event-ID is no position")));
    }
    admitted.last_event_id = head.last_event_id;
  }
  admitted.body_limit_bytes = method.descriptor->client_streaming()
                                  ? limits::kMaxRestPublicationBytes
                                  : limits::kMaxAdminRequestBytes;
  const auto known = std::make_shared<bool>(false);
  dispatch_.Admit(
      method, head.authorization,
      [this, alive = std::weak_ptr<const void>(alive_), admitted = std::move(admitted), known,
       peer = head.peer,
       reply = std::move(reply)](Result<api::Dispatch::Admission> admission) mutable {
        if (alive.lock() == nullptr) return;
        if (admission.has_value()) {
          admitted.admission = *std::move(admission);
          return reply(std::move(admitted));
        }
        peers_.Refused(peer, admission.error());
        Answer answer = ErrorAnswer(admission.error());
        answer.caller_is_known = *known;
        reply(std::move(answer));
      },
      [known] { *known = true; });
}

std::shared_ptr<const void> Gateway::TakePermit(const Count& count, std::size_t most) {
  if (*count >= most) return nullptr;
  ++*count;
  return {count.get(), [count](const void*) { --*count; }};
}

Answer Gateway::MetricsAnswer(const google::protobuf::Message& statistics) const {
  Answer answer;
  answer.content_type = kMetricsContentType;
  answer.body = MetricsText(static_cast<const v1::GetStatisticsResponse&>(statistics), dispatch_,
                            {*waiting_, *streams_, strangers_()});
  return answer;
}

Result<std::shared_ptr<const void>> Gateway::TakeStream(const model::Id& token) {
  std::erase_if(streams_of_, [](const auto& of) { return of.second.expired(); });
  Count count = streams_of_[token].lock();
  if (count == nullptr) {
    count = std::make_shared<std::atomic<std::size_t>>(0);
    streams_of_[token] = count;
  }
  auto of_token = TakePermit(count, limits::kMaxRestEventStreamsOfToken);
  if (of_token == nullptr) {
    return base::ResourceExhausted("this token has " +
                                   std::to_string(limits::kMaxRestEventStreamsOfToken) +
                                   " streams of changes, and can't have more at a time");
  }
  auto of_all = TakePermit(streams_, limits::kMaxRestEventStreams);
  if (of_all == nullptr) {
    return base::ResourceExhausted("all tokens together have " +
                                   std::to_string(limits::kMaxRestEventStreams) +
                                   " streams of changes, and can't have more at a time");
  }
  return std::make_shared<
      const std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(
      std::move(of_token), std::move(of_all));
}

Result<Answer> Gateway::EventsAnswer(const google::protobuf::Message& first, const model::Id& token,
                                     ChangeReader reader) {
  WM_ASSIGN_OR_RETURN(auto permit, TakeStream(token));
  Answer answer;
  answer.content_type = kEventStream;
  answer.events = std::make_shared<ChangeEvents>(loop_, clock_, dispatch_, std::move(reader),
                                                 static_cast<const v1::ListChangesResponse&>(first),
                                                 std::move(permit));
  return answer;
}

void Gateway::Abandon(Admitted admitted, const base::Error& why) {
  dispatch_.Abandon(std::move(admitted.admission), why);
}

void Gateway::Call(Admitted admitted, std::string body, std::function<void(Answer)> reply) {
  const auto permit = TakePermit(waiting_, limits::kMaxRestCallsWaiting);
  if (permit == nullptr) {
    const base::Error busy =
        base::ResourceExhausted("the server is busy with other calls; try again in a second");
    dispatch_.Abandon(std::move(admitted.admission), busy);
    return reply(ErrorAnswer(busy));
  }
  const auto answer = [permit, reply = std::move(reply)](Result<Answer> result) {
    Answer made = result.has_value() ? *std::move(result) : ErrorAnswer(result.error());
    if (made.events == nullptr) made.permit = permit;
    reply(std::move(made));
  };
  const auto reader = std::make_shared<ChangeReader>();
  reader->authorization = std::move(admitted.authorization);
  const auto write = [this, answer, form = admitted.form,
                      token = admitted.admission.caller.token.id, reader](Result<Message> result) {
    if (!result.has_value()) return answer(std::move(result).error());
    if (form == Admitted::Form::kEvents) return answer(EventsAnswer(**result, token, *reader));
    if (form == Admitted::Form::kMetrics) return answer(MetricsAnswer(**result));
    store::Ask(
        pool_, loop_, alive_, [message = *std::move(result)] { return JsonAnswer(*message); },
        answer);
  };
  const auto admission = std::make_shared<api::Dispatch::Admission>(std::move(admitted.admission));
  // The pool may still be reading when the Dispatch, whose the method is, has gone.
  store::Ask(
      pool_, loop_, alive_,
      [method = *admission->method, path = std::move(admitted.path),
       query = std::move(admitted.query),
       body = std::move(body)] { return ReadRequest(method, path, query, body); },
      [this, admission, answer, write, reader, is_events = admitted.form == Admitted::Form::kEvents,
       last_event_id = std::move(admitted.last_event_id)](Result<Message> request) {
        if (!request.has_value()) {
          // First: who publishes again on this answer is not to find itself in the way.
          dispatch_.Abandon(std::move(*admission), request.error());
          return answer(std::move(request).error());
        }
        if (is_events) {
          auto& changes = static_cast<v1::ListChangesRequest&>(**request);
          if (!last_event_id.empty()) changes.set_position(last_event_id);
          reader->filter = changes.filter();
        }
        dispatch_.Call(std::move(*admission), *std::move(request),
                       [alive = std::weak_ptr<const void>(alive_), write](Result<Message> result) {
                         if (alive.lock() != nullptr) write(std::move(result));
                       });
      });
}

}  // namespace weighmaster::server::rest
