#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/loop.h"
#include "policy/base/rate_limit.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "server/api/methods.h"
#include "server/identity/administrators.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weighmaster::server::api {

class AdminApi;
class AuditLog;

// The one way to AdminApi, whatever carries a call: who calls, whether they may, how often they
// may, and only then the call. A call is in two steps, so that a transport can know its caller
// before it reads a large request.
//
// What a method needs is said by its descriptor alone. A rule without a body here, or a body
// without a rule, is a failed CHECK at the start.
//
// Loop-owned; replies come on the loop, that of Call perhaps at once, and none once it or the
// AdminApi is destroyed. Everything passed in must outlive it.
class Dispatch {
 public:
  template <typename T>
  using Reply = std::function<void(base::Result<T>)>;
  using Message = std::shared_ptr<google::protobuf::Message>;

  // A call that may be made, once. While one of a streaming method is held, there is no other of
  // this method: that bounds what large requests hold in memory, and long work. Released on any
  // thread.
  struct Admission {
    const Method* method = nullptr;  // lives as long as the Dispatch
    identity::Caller caller;
    std::shared_ptr<const void> permit;  // of a streaming method
  };

  Dispatch(const base::Clock& clock, identity::Administrators& administrators, AuditLog& audit,
           AdminApi& api);
  ~Dispatch();
  Dispatch(const Dispatch&) = delete;
  Dispatch& operator=(const Dispatch&) = delete;

  const std::vector<Method>& methods() const { return methods_; }
  // The one that takes such a request. There must be one.
  const Method& MethodFor(const google::protobuf::Descriptor& request) const;

  // How calls ended since the start, also those that were refused.
  struct CallKey {
    std::string_view method;
    std::optional<base::ErrorCode> error;  // none: well
    friend auto operator<=>(const CallKey&, const CallKey&) = default;
  };
  const std::map<CallKey, std::uint64_t>& call_counts() const { return call_counts_; }
  // Those that were refused because their token called too often, since the start.
  std::uint64_t rate_limited() const { return rate_limited_; }

  // `authorization` is the metadata's value ("Bearer wma1.…", "" if there is none). Nothing else in
  // a request says who the caller is. UNAUTHENTICATED, see Administrators; PERMISSION_DENIED: the
  // token's role or scope may not; RESOURCE_EXHAUSTED: too many calls of this token
  // (limits::kAdminCallBurst), or another call of a streaming method is not over. `known`, if there
  // is one, is called before the reply when the token is good, whatever the reply is then.
  void Admit(const Method& method, const std::string& authorization, Reply<Admission> reply,
             std::function<void()> known = nullptr);

  // The request must be of the admitted method's type; what is in it may be taken out. An audited
  // call whose begin can't be written down does not happen; one whose outcome can't be is reported
  // as failed.
  void Call(Admission admission, Message request, Reply<Message> reply);

  // Instead of Call, where an admitted call comes to nothing: its request can't be read, or there
  // is no room for it. It is counted, and makes room for the next one.
  void Abandon(Admission admission, const base::Error& why);

 private:
  using Body =
      std::function<void(const identity::Caller&, google::protobuf::Message&, Reply<Message>)>;

  template <typename Request, typename Response>
  void Bind(void (AdminApi::*method)(const identity::Caller&, Request&, Reply<Response>));
  void Count(const Method& method, std::optional<base::ErrorCode> error);
  base::Status Admissible(const Method& method, const identity::Caller& caller);
  void Run(const Admission& admission, google::protobuf::Message& request, Reply<Message> reply);
  void RunAudited(const std::shared_ptr<Admission>& admission, const Message& request,
                  Reply<Message> reply);

  // Constant after construction.
  const base::Clock& clock_;
  identity::Administrators& administrators_;
  AuditLog& audit_;
  AdminApi& api_;
  const std::vector<Method> methods_;
  std::vector<Body> bodies_;  // parallel to methods_
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();

  // Owned by the loop.
  base::RateLimit calls_;  // by token
  std::map<CallKey, std::uint64_t> call_counts_;
  std::uint64_t rate_limited_ = 0;
  // Parallel to methods_: the permit that was given last.
  std::vector<std::weak_ptr<const void>> streaming_;
};

}  // namespace weighmaster::server::api
