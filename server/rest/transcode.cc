#include "server/rest/transcode.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "server/rest/json_form.h"
#include "server/rest/request_fields.h"

namespace weighmaster::server::rest {
namespace {

using google::protobuf::Message;
namespace limits = base::limits;

// Protobuf gets what was checked and not the body, so that the two can't read it differently.
base::Status ReadBody(std::string_view body, Message& message) {
  if (body.empty()) return {};
  bool too_deep = false;
  const auto keep = [&](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
    too_deep = too_deep || depth > limits::kMaxRestJsonDepth;
    return !too_deep;  // what is left out takes no memory
  };
  const auto json = nlohmann::json::parse(body, keep, /*allow_exceptions=*/false);
  if (too_deep) return base::InvalidArgument("the body is nested too deeply");
  if (json.is_discarded()) return base::InvalidArgument("the body is not JSON");
  WM_RETURN_IF_ERROR(CheckForm(json, *message.GetDescriptor()));
  const auto status = google::protobuf::util::JsonStringToMessage(json.dump(), &message);
  if (status.ok()) return {};
  return base::InvalidArgument("the body is no " + message.GetDescriptor()->name() + ": " +
                               base::EscapeForDisplay(status.message().ToString()));
}

}  // namespace

base::Result<std::shared_ptr<Message>> ReadRequest(const api::Method& method,
                                                   const PathTemplate::Variables& path,
                                                   std::string_view query, std::string_view body) {
  std::shared_ptr<Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(method.request)->New());
  if (method.has_body) {
    WM_RETURN_IF_ERROR(ReadBody(body, *message));
    if (!query.empty()) {
      return base::InvalidArgument("this method has no parameters; its fields are in the body");
    }
  } else if (!body.empty()) {
    return base::InvalidArgument("this method has no body; its fields are parameters");
  }
  RequestFields fields(*message);
  for (const auto& [name, value] : path) {
    const auto* const field = method.request->FindFieldByName(name);
    if (field != nullptr && message->GetReflection()->HasField(*message, field)) {
      return base::InvalidArgument("\"" + name + "\" is in the path and in the body");
    }
    WM_RETURN_IF_ERROR(fields.Set(name, value));
  }
  WM_RETURN_IF_ERROR(fields.SetQuery(query));
  return message;
}

base::Result<std::string> ToJson(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return base::Internal("the answer can't be written as JSON");
  return json;
}

std::string ErrorJson(const base::Error& error) {
  const nlohmann::ordered_json json = {{"code", static_cast<int>(error.code())},
                                       {"message", error.message()},
                                       {"details", nlohmann::ordered_json::array()}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

int HttpStatusOf(base::ErrorCode code) {
  using base::ErrorCode;
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kOutOfRange:
      return 400;
    case ErrorCode::kUnauthenticated:
      return 401;
    case ErrorCode::kPermissionDenied:
      return 403;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kAborted:
      return 409;
    case ErrorCode::kResourceExhausted:
      return 429;
    case ErrorCode::kCancelled:
      return 499;
    case ErrorCode::kUnimplemented:
      return 501;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kDeadlineExceeded:
      return 504;
    case ErrorCode::kUnknown:
    case ErrorCode::kInternal:
    case ErrorCode::kDataLoss:
      return 500;
  }
  return 500;
}

}  // namespace weighmaster::server::rest
