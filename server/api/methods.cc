#include "server/api/methods.h"

#include <google/protobuf/descriptor.h>

#include <string_view>

#include "policy/base/check.h"
#include "weighmaster/v1/admin.pb.h"
#include "weighmaster/v1/options.pb.h"

namespace weighmaster::server::api {
namespace {

constexpr std::string_view kService = "weighmaster.v1.AdminService";
constexpr std::string_view kWholeRequest = "*";

static_assert(static_cast<int>(identity::Permission::kLabelEndpoints) == v1::Permission_MAX);

Method ReadMethod(const google::protobuf::MethodDescriptor& descriptor) {
  WM_CHECK(descriptor.options().HasExtension(v1::call));
  const v1::CallRule& rule = descriptor.options().GetExtension(v1::call);
  WM_CHECK(rule.http_method() == "GET" || rule.http_method() == "POST");
  WM_CHECK(rule.path().starts_with("/v1/"));
  WM_CHECK(rule.permission() != v1::PERMISSION_UNSPECIFIED);
  WM_CHECK(!descriptor.server_streaming());
  Method method;
  method.descriptor = &descriptor;
  method.name = descriptor.name();
  method.http_method = rule.http_method();
  method.path = rule.path();
  method.has_body = !rule.body().empty();
  method.request = descriptor.input_type();
  method.response = descriptor.output_type();
  WM_CHECK(descriptor.client_streaming() == (method.has_body && rule.body() != kWholeRequest));
  if (descriptor.client_streaming()) {
    method.request = descriptor.file()->pool()->FindMessageTypeByName(rule.body());
    WM_CHECK(method.request != nullptr);
  }
  method.permission = static_cast<identity::Permission>(rule.permission());
  method.audited = rule.audited();
  return method;
}

}  // namespace

std::vector<Method> AdminMethods() {
  const google::protobuf::ServiceDescriptor* const service =
      v1::GetFleetRequest::descriptor()->file()->pool()->FindServiceByName(std::string(kService));
  WM_CHECK(service != nullptr);
  std::vector<Method> methods;
  for (int i = 0; i < service->method_count(); ++i) {
    methods.push_back(ReadMethod(*service->method(i)));
  }
  return methods;
}

}  // namespace weighmaster::server::api
