#include "server/api/dispatch.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "server/api/admin_api.h"
#include "server/api/audit_log.h"
#include "server/identity/permissions.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {

using base::Result;
namespace limits = base::limits;

template <typename Request, typename Response>
void Dispatch::Bind(void (AdminApi::*method)(const identity::Caller&, Request&, Reply<Response>)) {
  using Value = std::remove_const_t<Request>;
  const auto found = std::ranges::find(methods_, Value::descriptor(), &Method::request);
  WM_CHECK(found != methods_.end() && found->response == Response::descriptor());
  Body& body = bodies_[static_cast<std::size_t>(found - methods_.begin())];
  WM_CHECK(!body);
  body = [&api = api_, method](const identity::Caller& caller, google::protobuf::Message& request,
                               Reply<Message> reply) {
    WM_CHECK(request.GetDescriptor() == Value::descriptor());
    (api.*method)(caller, static_cast<Value&>(request),
                  [reply = std::move(reply)](Result<Response> response) {
                    if (!response.has_value()) return reply(std::move(response).error());
                    reply(Message(std::make_shared<Response>(*std::move(response))));
                  });
  };
}

Dispatch::Dispatch(const base::Clock& clock, identity::Administrators& administrators,
                   AuditLog& audit, AdminApi& api)
    : clock_(clock),
      administrators_(administrators),
      audit_(audit),
      api_(api),
      methods_(AdminMethods()),
      bodies_(methods_.size()),
      calls_(limits::kAdminCallInterval, limits::kAdminCallBurst, limits::kMaxAdminTokens),
      streaming_(methods_.size()) {
  Bind(&AdminApi::GetFleet);
  Bind(&AdminApi::ListEndpoints);
  Bind(&AdminApi::GetEndpoint);
  Bind(&AdminApi::ListSightings);
  Bind(&AdminApi::Where);
  Bind(&AdminApi::ListArtifacts);
  Bind(&AdminApi::ListEvents);
  Bind(&AdminApi::GetEvidence);
  Bind(&AdminApi::ListBatches);
  Bind(&AdminApi::CountVerdicts);
  Bind(&AdminApi::ListPolicies);
  Bind(&AdminApi::CreateToken);
  Bind(&AdminApi::PublishPolicy);
  Bind(&AdminApi::SimulatePolicy);
  Bind(&AdminApi::GetPolicy);
  Bind(&AdminApi::ListExceptions);
  Bind(&AdminApi::GetExceptionSet);
  Bind(&AdminApi::PublishExceptions);
  Bind(&AdminApi::ListFindings);
  Bind(&AdminApi::GetFinding);
  Bind(&AdminApi::UpdateFinding);
  Bind(&AdminApi::ListChanges);
  Bind(&AdminApi::GetPolicyPart);
  Bind(&AdminApi::GetStatistics);
  Bind(&AdminApi::RevokeEndpoint);
  Bind(&AdminApi::CreateAdminToken);
  Bind(&AdminApi::ListAdminTokens);
  Bind(&AdminApi::RevokeAdminToken);
  Bind(&AdminApi::ListAuditEntries);
  Bind(&AdminApi::WhoAmI);
  Bind(&AdminApi::SetEndpointLabels);
  for (const Body& body : bodies_) WM_CHECK(body != nullptr);
}

Dispatch::~Dispatch() = default;

const Method& Dispatch::MethodFor(const google::protobuf::Descriptor& request) const {
  const auto found = std::ranges::find(methods_, &request, &Method::request);
  WM_CHECK(found != methods_.end());
  return *found;
}

void Dispatch::Count(const Method& method, std::optional<base::ErrorCode> error) {
  ++call_counts_[{method.name, error}];
}

void Dispatch::Admit(const Method& method, const std::string& authorization,
                     Reply<Admission> answer, std::function<void()> known) {
  administrators_.Authenticate(
      authorization,
      [this, &method, alive = std::weak_ptr<const void>(alive_), answer = std::move(answer),
       known = std::move(known)](Result<identity::Caller> caller) {
        if (alive.lock() == nullptr) return;
        const auto reply = [&](Result<Admission> admission) {
          if (!admission.has_value()) Count(method, admission.error().code());
          answer(std::move(admission));
        };
        if (!caller.has_value()) return reply(std::move(caller).error());
        if (known != nullptr) known();
        if (auto status = Admissible(method, *caller); !status.has_value()) {
          const bool may_not = status.error().code() == base::ErrorCode::kPermissionDenied;
          if (may_not && method.audited) audit_.Refused(*caller, method);
          return reply(std::move(status).error());
        }
        Admission admission{&method, *std::move(caller), nullptr};
        if (method.descriptor->client_streaming()) {
          auto& streaming = streaming_[static_cast<std::size_t>(&method - methods_.data())];
          if (!streaming.expired()) {
            return reply(base::ResourceExhausted("somebody else's " + method.name +
                                                 " is under way; try again when that is done"));
          }
          admission.permit = std::make_shared<int>();
          streaming = admission.permit;
        }
        reply(std::move(admission));
      });
}

base::Status Dispatch::Admissible(const Method& method, const identity::Caller& caller) {
  const auto wait =
      calls_.Take(base::AsText(caller.token.id.view()), clock_.SinceBoot().since_boot);
  if (wait > base::Duration(0)) {
    ++rate_limited_;
    return base::ResourceExhausted(
        "too many calls with this token; try again in " +
        std::to_string(std::chrono::ceil<std::chrono::milliseconds>(wait).count()) + " ms");
  }
  const store::AdminTokenRecord& token = caller.token;
  if (!identity::Allows(token.role, token.scope, method.permission)) {
    std::string who = "this token has the role " + std::string(store::AdminRoleName(token.role));
    if (!token.scope.is_whole_fleet()) who += " and the scope " + token.scope.ToText();
    return base::PermissionDenied(who + ", which has no permission " +
                                  std::string(identity::PermissionName(method.permission)));
  }
  return {};
}

void Dispatch::Call(Admission admission, Message request, Reply<Message> reply) {
  const auto held = std::make_shared<Admission>(std::move(admission));
  // The body refers to both until it has answered.
  auto answer = [this, held, request, reply = std::move(reply)](Result<Message> result) {
    Count(*held->method, result.has_value() ? std::nullopt : std::optional(result.error().code()));
    held->permit.reset();  // who publishes again on this answer is not to find itself in the way
    reply(std::move(result));
  };
  if (held->method->audited) return RunAudited(held, request, std::move(answer));
  Run(*held, *request, std::move(answer));
}

void Dispatch::Abandon(Admission admission, const base::Error& why) {
  Count(*admission.method, why.code());
  admission.permit.reset();
}

void Dispatch::Run(const Admission& admission, google::protobuf::Message& request,
                   Reply<Message> reply) {
  const Body& body = bodies_[static_cast<std::size_t>(admission.method - methods_.data())];
  body(admission.caller, request, std::move(reply));
}

void Dispatch::RunAudited(const std::shared_ptr<Admission>& admission, const Message& request,
                          Reply<Message> reply) {
  audit_.Begun(admission->caller, *admission->method, *request,
               [this, admission, request, reply = std::move(reply)](Result<std::uint64_t> begun) {
                 if (!begun.has_value()) {
                   return reply(std::move(begun).error().While(
                       "writing the audit log; nothing was changed"));
                 }
                 Run(*admission, *request,
                     [this, admission, number = *begun, reply](Result<Message> result) {
                       auto report = [result, reply](base::Status written) {
                         if (written.has_value()) return reply(result);
                         reply(std::move(written).error().While(
                             "writing the outcome into the audit log; the call itself " +
                             std::string(result.has_value() ? "was done" : "failed")));
                       };
                       audit_.Ended(admission->caller, *admission->method, number, result,
                                    std::move(report));
                     });
               });
}

}  // namespace weighmaster::server::api
