#include "server/rest/openapi.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "policy/base/version.h"
#include "server/identity/permissions.h"
#include "server/rest/path_template.h"
#include "weighmaster/v1/admin.pb.h"
#include "weighmaster/v1/admin_source.pb.h"
#include "weighmaster/v1/options.pb.h"

namespace weighmaster::server::rest {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using Json = nlohmann::ordered_json;

constexpr int kDeepestParameter = 3;

// The comments: the descriptors that are compiled in have none.
class Comments {
 public:
  Comments() {
    google::protobuf::FileDescriptorSet files;
    WM_CHECK(
        files.ParseFromArray(v1::kAdminSource.data(), static_cast<int>(v1::kAdminSource.size())));
    for (const auto& file : files.file()) WM_CHECK(pool_.BuildFile(file) != nullptr);
  }

  std::string Of(const google::protobuf::MethodDescriptor& method) const {
    return Text(*pool_.FindMethodByName(method.full_name()));
  }
  std::string Of(const Descriptor& message) const {
    return Text(*pool_.FindMessageTypeByName(message.full_name()));
  }
  std::string Of(const EnumDescriptor& type) const {
    return Text(*pool_.FindEnumTypeByName(type.full_name()));
  }
  std::string Of(const EnumValueDescriptor& value) const {
    return Text(*pool_.FindEnumValueByName(value.full_name()));
  }
  std::string Of(const FieldDescriptor& field) const {
    return Text(*pool_.FindFieldByName(field.full_name()));
  }

 private:
  // The comment before it, or the one behind it on its line, as one paragraph.
  template <typename D>
  static std::string Text(const D& descriptor) {
    google::protobuf::SourceLocation location;
    if (!descriptor.GetSourceLocation(&location)) return "";
    std::istringstream words(location.leading_comments + " " + location.trailing_comments);
    std::string text;
    for (std::string word; words >> word;) text += (text.empty() ? "" : " ") + word;
    return text;
  }

  google::protobuf::DescriptorPool pool_;
};

void Describe(Json& json, const std::string& text) {
  if (!text.empty()) json["description"] = text;
}

Json Number(std::string_view format, std::string_view pattern) {
  return {{"type", "string"}, {"format", format}, {"pattern", pattern}};
}

// A scalar as JSON has it.
Json Scalar(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return {{"type", "integer"}, {"format", "int32"}};
    case FieldDescriptor::CPPTYPE_UINT32:
      return {{"type", "integer"}, {"format", "int64"}, {"minimum", 0}, {"maximum", UINT32_MAX}};
    case FieldDescriptor::CPPTYPE_INT64:
      return Number("int64", "^-?[0-9]{1,19}$");
    case FieldDescriptor::CPPTYPE_UINT64:
      return Number("uint64", "^[0-9]{1,20}$");
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return {{"type", "number"}};
    case FieldDescriptor::CPPTYPE_BOOL:
      return {{"type", "boolean"}};
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.type() == FieldDescriptor::TYPE_BYTES) {
        return {{"type", "string"}, {"format", "byte"}};
      }
      return {{"type", "string"}};
    case FieldDescriptor::CPPTYPE_ENUM:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return Json::object();
}

bool IsRequired(const FieldDescriptor& field) {
  return field.options().GetExtension(v1::limits).required();
}

// What the field's option says beyond its type.
void AddLimits(Json& schema, const FieldDescriptor& field) {
  const v1::Limits& limits = field.options().GetExtension(v1::limits);
  if (!limits.pattern().empty()) schema["pattern"] = limits.pattern();
  if (limits.minimum() > 0) schema["minimum"] = limits.minimum();
  if (limits.maximum() > 0) schema["maximum"] = limits.maximum();
  if (limits.min_length() > 0) schema["minLength"] = limits.min_length();
  if (limits.max_length() > 0) schema["maxLength"] = limits.max_length();
}

class Page {
 public:
  explicit Page(const std::vector<api::Method>& methods) {
    AddStatus();
    for (const api::Method& method : methods) Ask(*method.request);
    for (const api::Method& method : methods) AddMethod(method);
    const auto statistics =
        std::ranges::find(methods, v1::GetStatisticsRequest::descriptor(), &api::Method::request);
    if (statistics != methods.end()) AddMetrics(*statistics);
    AddOwn();
  }

  std::string ToString() const {
    const Json page = {
        {"openapi", "3.0.3"},
        {"info",
         {{"title", "Weighmaster"},
          {"version", std::string(base::kVersion)},
          {"description",
           "The administrative API. 64-bit integers are strings, bytes are Base64."}}},
        {"security", Json::array({{{"token", Json::array()}}})},
        {"paths", paths_},
        {"components",
         {{"securitySchemes",
           {{"token",
             {{"type", "http"},
              {"scheme", "bearer"},
              {"description", "An administrator's token: wma1.…"}}}}},
          {"responses", ErrorResponses()},
          {"schemas", schemas_}}}};
    return page.dump();
  }

 private:
  void Ask(const Descriptor& message) {
    if (!asked_.insert(&message).second) return;
    for (int i = 0; i < message.field_count(); ++i) {
      if (message.field(i)->message_type() != nullptr) Ask(*message.field(i)->message_type());
    }
  }
  static Json Content(Json schema) {
    return {{"application/json", {{"schema", std::move(schema)}}}};
  }
  // Under a name, so that a client made of the page has one type for it.
  void AddStatus() {
    schemas_["Status"] = {
        {"type", "object"},
        {"description", "A google.rpc.Status."},
        {"required", {"code", "message", "details"}},
        {"properties",
         {{"code", {{"type", "integer"}, {"description", "A google.rpc.Code."}}},
          {"message", {{"type", "string"}, {"description", "What is wrong, for people."}}},
          {"details",
           {{"type", "array"},
            {"items", {{"type", "object"}}},
            {"description", "Always empty: the message says all there is."}}}}}};
  }
  static Json ErrorResponse(std::string_view description) {
    return {{"description", description},
            {"content", Content({{"$ref", "#/components/schemas/Status"}})}};
  }
  static Json ErrorResponse(std::string_view description, const std::string& header, Json schema,
                            std::string_view header_description) {
    Json response = ErrorResponse(description);
    response["headers"][header] = {
        {"description", header_description}, {"required", true}, {"schema", std::move(schema)}};
    return response;
  }
  static Json ErrorResponses() {
    const Json text = {{"type", "string"}};
    return {
        {"Error", ErrorResponse("What is wrong.")},
        {"Unauthenticated", ErrorResponse("Nobody knows who asks.", "WWW-Authenticate", text,
                                          "The scheme of tokens: Bearer.")},
        {"NotAllowed", ErrorResponse("The path has only other methods.", "Allow", text,
                                     "These, with a comma between them.")},
        {"TryAgain", ErrorResponse("Not now.", "Retry-After", {{"type", "integer"}, {"minimum", 0}},
                                   "After so many seconds it may go well.")}};
  }
  // Which of them a status is.
  static std::string_view ErrorName(std::string_view status) {
    if (status == "401") return "Unauthenticated";
    if (status == "405") return "NotAllowed";
    if (status == "429" || status == "503") return "TryAgain";
    return "Error";
  }

  // A reference to the message's or enum's schema, which is added when it is new.
  template <typename D>
  Json Reference(const D& descriptor) {
    if (!schemas_.contains(descriptor.name())) AddSchema(descriptor);
    return {{"$ref", "#/components/schemas/" + descriptor.name()}};
  }
  void AddSchema(const EnumDescriptor& type) {
    Json values = Json::array();
    std::string text = comments_.Of(type);
    for (int i = 0; i < type.value_count(); ++i) {
      const EnumValueDescriptor& value = *type.value(i);
      values.push_back(value.name());
      // OpenAPI 3.0 has no place for them beside the values.
      const std::string of_value = comments_.Of(value);
      if (!of_value.empty()) text += "\n\n- `" + value.name() + "`: " + of_value;
    }
    Json& schema = schemas_[type.name()] = {{"type", "string"}, {"enum", std::move(values)}};
    Describe(schema, text);
  }
  void AddSchema(const Descriptor& message) {
    schemas_[message.name()] = Json::object();  // a message may hold itself
    Json schema = Object(message, {});
    schemas_[message.name()] = std::move(schema);
  }
  // In an answer everything is there that can't be absent.
  Json Object(const Descriptor& message, const std::set<std::string>& left_out) {
    Json schema = {{"type", "object"}, {"additionalProperties", false}};
    Describe(schema, comments_.Of(message));
    schema["properties"] = Json::object();
    Json required = Json::array();
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor& field = *message.field(i);
      if (left_out.contains(field.name())) continue;
      schema["properties"][field.name()] = Property(field);
      if (asked_.contains(&message) ? IsRequired(field) : !field.has_presence()) {
        required.push_back(field.name());
      }
    }
    if (!required.empty()) schema["required"] = std::move(required);
    return schema;
  }
  Json Value(const FieldDescriptor& field) {
    if (field.message_type() != nullptr) return Reference(*field.message_type());
    if (field.enum_type() != nullptr) return Reference(*field.enum_type());
    Json schema = Scalar(field);
    AddLimits(schema, field);
    return schema;
  }
  Json Property(const FieldDescriptor& field) {
    Json value = Value(field);
    if (field.is_repeated()) value = {{"type", "array"}, {"items", std::move(value)}};
    // Beside a $ref nothing else is read, so the text goes around it.
    if (value.contains("$ref")) value = {{"allOf", Json::array({std::move(value)})}};
    Describe(value, comments_.Of(field));
    return value;
  }

  void AddParameter(Json& parameters, const std::string& name, std::string_view in,
                    const FieldDescriptor& field) {
    Json schema = Value(field);
    if (in == "path" && !schema.contains("pattern")) schema["minLength"] = 1;
    if (field.is_repeated()) schema = {{"type", "array"}, {"items", std::move(schema)}};
    Json parameter = {{"name", name},
                      {"in", in},
                      {"required", in == "path" || IsRequired(field)},
                      {"schema", std::move(schema)}};
    Describe(parameter, comments_.Of(field));
    parameters.push_back(std::move(parameter));
  }
  void AddQuery(Json& parameters, const Descriptor& message, const std::string& prefix,
                const std::set<std::string>& in_path, int depth) {
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor& field = *message.field(i);
      const std::string name = prefix + field.name();
      if (in_path.contains(name) || field.type() == FieldDescriptor::TYPE_BYTES) continue;
      if (field.message_type() == nullptr) {
        AddParameter(parameters, name, "query", field);
      } else if (!field.is_repeated() && depth < kDeepestParameter) {
        AddQuery(parameters, *field.message_type(), name + ".", in_path, depth + 1);
      }
    }
  }

  // `errors` besides those that any request may get. 405 is what the path's other verbs get.
  static Json Responses(Json good, const std::vector<std::string>& errors) {
    Json responses = {{"200", {{"description", "Done."}, {"content", Content(std::move(good))}}}};
    std::set<std::string> statuses = {"400", "405", "414", "431", "500"};
    statuses.insert(errors.begin(), errors.end());
    for (const std::string& status : statuses) {
      responses[status] = {{"$ref", "#/components/responses/" + std::string(ErrorName(status))}};
    }
    return responses;
  }
  static Json ResponsesOf(const api::Method& method, Json good) {
    std::vector<std::string> errors = {"401", "403", "404", "413", "429", "503"};
    if (method.has_body) errors.insert(errors.end(), {"409", "415"});
    return Responses(std::move(good), errors);
  }

  // The fields of a body that are not in the path.
  Json BodySchema(const api::Method& method, const std::set<std::string>& in_path) {
    if (in_path.empty()) return Reference(*method.request);
    return Object(*method.request, in_path);
  }

  void AddMethod(const api::Method& method) {
    Json operation = {{"operationId", method.name}};
    Describe(operation, comments_.Of(*method.descriptor) + " Needs the permission " +
                            std::string(identity::PermissionName(method.permission)) + ".");
    Json parameters = Json::array();
    std::set<std::string> in_path;
    for (const std::string& name : PathTemplate(method.path).variables()) {
      const FieldDescriptor* const field = method.request->FindFieldByName(name);
      WM_CHECK(field != nullptr && field->message_type() == nullptr && !field->is_repeated());
      AddParameter(parameters, name, "path", *field);
      in_path.insert(name);
    }
    if (!method.has_body) AddQuery(parameters, *method.request, "", in_path, 1);
    const bool is_changes = method.request == v1::ListChangesRequest::descriptor();
    if (is_changes) AddLastEventId(parameters);
    if (!parameters.empty()) operation["parameters"] = std::move(parameters);
    if (method.has_body) {
      Json body = BodySchema(method, in_path);
      // Where all that must be said is in the path, no body is an empty one.
      const bool needed = in_path.empty() || body.contains("required");
      operation["requestBody"] = {{"required", needed}, {"content", Content(std::move(body))}};
    }
    operation["responses"] = ResponsesOf(method, Reference(*method.response));
    if (is_changes) AddEvents(operation["responses"]["200"]);
    std::string verb = method.http_method;
    std::ranges::transform(verb, verb.begin(), [](unsigned char c) { return std::tolower(c); });
    paths_[method.path][verb] = std::move(operation);
  }

  static void AddLastEventId(Json& parameters) {
    parameters.push_back(
        {{"name", "Last-Event-ID"},
         {"in", "header"},
         {"required", false},
         {"schema", {{"type", "string"}}},
         {"description",
          "Only with `Accept: text/event-stream`: the position to go on from, instead of the "
          "parameter, as browsers send it by themselves."}});
  }
  static void AddEvents(Json& response) {
    response["content"]["text/event-stream"] = {
        {"schema",
         {{"type", "string"},
          {"description",
           "With `Accept: text/event-stream`: server-sent events that do not end. `id` is a "
           "position, `event` the topic, `data` a Change as JSON. One token has at most " +
               std::to_string(base::limits::kMaxRestEventStreamsOfToken) +
               " of these streams at a time, all tokens together " +
               std::to_string(base::limits::kMaxRestEventStreams) +
               "; one more is 429, RESOURCE_EXHAUSTED."}}}};
  }

  // GET /metrics, for whoever may GetStatistics.
  void AddMetrics(const api::Method& statistics) {
    Json operation = {{"operationId", "Metrics"},
                      {"description",
                       "GetStatistics and how calls ended, as Prometheus reads it. Needs the "
                       "permission " +
                           std::string(identity::PermissionName(statistics.permission)) + "."},
                      {"responses", ResponsesOf(statistics, Json::object())}};
    operation["responses"]["200"]["content"] = {
        {"text/plain",
         {{"schema",
           {{"type", "string"}, {"description", "The text format of Prometheus, 0.0.4."}}}}}};
    paths_["/metrics"]["get"] = std::move(operation);
  }

  // The paths that are no methods of the service, for everybody.
  void AddOwn() {
    const Json health = {{"type", "object"},
                         {"description", "How the server is."},
                         {"required", {"status"}},
                         {"properties",
                          {{"status",
                            {{"type", "string"},
                             {"enum", {"ok", "store_unwritable"}},
                             {"description", "Whether what endpoints send can be stored."}}}}}};
    Json operation = {{"operationId", "Health"},
                      {"description", "Whether the server can store what endpoints send."},
                      {"security", Json::array()},
                      {"responses", Responses(health, {})}};
    operation["responses"]["503"] = {{"description", "The store can't be written."},
                                     {"content", Content(health)}};
    paths_["/healthz"]["get"] = std::move(operation);
    paths_["/v1/openapi.json"]["get"] = {{"operationId", "OpenApi"},
                                         {"description", "This page."},
                                         {"security", Json::array()},
                                         {"responses", Responses({{"type", "object"}}, {})}};
  }

  const Comments comments_;
  std::set<const Descriptor*> asked_;  // what requests are made of
  Json paths_ = Json::object();
  Json schemas_ = Json::object();
};

}  // namespace

std::string OpenApiJson(const std::vector<api::Method>& methods) {
  return Page(methods).ToString();
}

}  // namespace weighmaster::server::rest
