#include "server/rest/openapi.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace weighmaster::server::rest {
namespace {

using Json = nlohmann::json;

class OpenApiTest : public ::testing::Test {
 protected:
  const Json& Operation(const api::Method& method) const {
    std::string verb = method.http_method;
    std::ranges::transform(verb, verb.begin(), [](unsigned char c) { return std::tolower(c); });
    return page_.at("paths").at(method.path).at(verb);
  }
  const Json& Operation(std::string_view name) const {
    return Operation(*std::ranges::find(methods_, name, &api::Method::name));
  }
  // By name.
  static Json Parameter(const Json& operation, std::string_view name) {
    for (const Json& parameter : operation.at("parameters")) {
      if (parameter.at("name") == name) return parameter;
    }
    return {};
  }

  const std::vector<api::Method> methods_ = api::AdminMethods();
  const Json page_ = Json::parse(OpenApiJson(methods_));
};

TEST_F(OpenApiTest, HasEveryMethodWithItsCommentPermissionAndErrors) {
  for (const api::Method& method : methods_) {
    const Json& operation = Operation(method);
    EXPECT_EQ(operation.at("operationId"), method.name);
    const std::string description = operation.at("description");
    EXPECT_GT(description.find("Needs the permission "), 10U) << method.name << ": no comment";
    EXPECT_FALSE(operation.contains("security")) << "the page's own holds: " << method.name;
    for (const char* const status :
         {"200", "400", "401", "403", "404", "405", "413", "414", "429", "431", "500", "503"}) {
      EXPECT_TRUE(operation.at("responses").contains(status)) << method.name << " " << status;
    }
    EXPECT_EQ(operation.contains("requestBody"), method.has_body) << method.name;
    if (method.has_body) {
      // No body is an empty one, which is all that these need beside their path.
      EXPECT_EQ(operation.at("requestBody").at("required"),
                method.path.find('{') == std::string::npos)
          << method.name;
    }
  }
  EXPECT_EQ(page_.at("security"), Json::parse(R"([{"token": []}])"));
}

TEST_F(OpenApiTest, SaysWhichParametersThereAreAndTheirLimits) {
  const Json& list = Operation("ListSightings");
  EXPECT_EQ(Parameter(list, "page_size").at("schema").at("maximum"), 1000);
  EXPECT_EQ(Parameter(list, "include_gone").at("schema").at("type"), "boolean");
  EXPECT_FALSE(Parameter(list, "endpoint_id").at("required"));
  const Json id = Parameter(Operation("GetEndpoint"), "endpoint_id");
  EXPECT_EQ(id.at("in"), "path");
  EXPECT_TRUE(id.at("required"));
  EXPECT_EQ(id.at("schema").at("pattern"), "^[0-9a-fA-F]{32}$");
  EXPECT_NE(id.at("description").get<std::string>().find("32 hexadecimal digits"),
            std::string::npos);
}

TEST_F(OpenApiTest, LeavesWhatIsInThePathOutOfTheBody) {
  const Json schema = Operation("RevokeEndpoint")
                          .at("requestBody")
                          .at("content")
                          .at("application/json")
                          .at("schema");
  EXPECT_TRUE(schema.at("properties").contains("reason"));
  EXPECT_FALSE(schema.at("properties").contains("endpoint_id"));
}

TEST_F(OpenApiTest, SaysWhatMustBeGivenAndWhatIsAlwaysThere) {
  const Json& schemas = page_.at("components").at("schemas");
  EXPECT_EQ(schemas.at("CreateTokenRequest").at("required"), Json({"uses", "valid_for_ms"}));
  EXPECT_TRUE(Parameter(Operation("GetEndpoint"), "endpoint_id").at("required"));
  EXPECT_FALSE(Parameter(Operation("Where"), "include_gone").at("required"));
  EXPECT_EQ(schemas.at("ListEndpointsResponse").at("required"),
            Json({"endpoints", "next_page_token", "total", "total_is_least"}));
  const Json facts = schemas.at("Facts").at("required");
  EXPECT_NE(std::ranges::find(facts, "license"), facts.end());
  EXPECT_EQ(std::ranges::find(facts, "parameters"), facts.end()) << "a file may not say it";
  EXPECT_FALSE(schemas.at("Publication").contains("required"));
}

TEST_F(OpenApiTest, DescribesEverySchemaAndPropertyWhereverItIs) {
  int described = 0;
  const auto check = [&](const auto& self, const Json& json, const std::string& where) -> void {
    if (json.is_object() && json.contains("properties")) {
      EXPECT_TRUE(json.contains("description")) << where;
      for (const auto& [name, property] : json.at("properties").items()) {
        EXPECT_TRUE(property.contains("description")) << where << "." << name;
        ++described;
      }
    }
    if (!json.is_structured()) return;
    for (const auto& [name, value] : json.items()) self(self, value, where + "/" + name);
  };
  check(check, page_, "");
  EXPECT_GT(described, 300);
  for (const auto& [name, schema] : page_.at("components").at("schemas").items()) {
    EXPECT_TRUE(schema.contains("description")) << name;
  }
}

TEST_F(OpenApiTest, SaysWhatEveryValueOfAnEnumMeans) {
  for (const auto& [name, schema] : page_.at("components").at("schemas").items()) {
    if (!schema.contains("enum")) continue;
    const std::string text = schema.at("description");
    for (const std::string value : schema.at("enum")) {
      if (value.ends_with("_UNSPECIFIED")) continue;
      EXPECT_NE(text.find("\n- `" + value + "`: "), std::string::npos) << name << " " << value;
    }
  }
}

TEST_F(OpenApiTest, HasWhatChangesAsAStreamAsWell) {
  const Json& changes = Operation("ListChanges");
  EXPECT_TRUE(changes.at("responses").at("200").at("content").contains("text/event-stream"));
  EXPECT_TRUE(changes.at("responses").at("200").at("content").contains("application/json"));
  const std::string text =
      changes["responses"]["200"]["content"]["text/event-stream"]["schema"]["description"];
  EXPECT_NE(text.find("at most 8 of these streams at a time, all tokens together 64"), text.npos)
      << text;
  const Json last = Parameter(changes, "Last-Event-ID");
  EXPECT_EQ(last.at("in"), "header");
  EXPECT_FALSE(last.at("required"));
}

TEST_F(OpenApiTest, HasWhatPrometheusReads) {
  const Json& metrics = page_.at("paths").at("/metrics").at("get");
  EXPECT_FALSE(metrics.contains("security")) << "it wants a token";
  EXPECT_EQ(metrics.at("responses").at("200").at("content").size(), 1U);
  EXPECT_TRUE(metrics.at("responses").at("200").at("content").contains("text/plain"));
}

TEST_F(OpenApiTest, DescribesTheHeadersThatRefusalsHave) {
  const std::pair<const char*, const char*> headers[] = {{"401", "WWW-Authenticate"},
                                                         {"405", "Allow"},
                                                         {"429", "Retry-After"},
                                                         {"503", "Retry-After"}};
  for (const auto& [status, header] : headers) {
    const std::string pointer = Operation("GetFleet").at("responses").at(status).at("$ref");
    const Json& response = page_.at(Json::json_pointer(pointer.substr(1)));
    EXPECT_TRUE(response.at("headers").at(header).contains("description")) << status;
  }
}

TEST_F(OpenApiTest, NamesOnlySchemasThatItHas) {
  const std::string text = page_.dump();
  const std::string start = "#/components/";
  for (std::size_t at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
    const std::size_t end = text.find('"', at);
    const std::string pointer = text.substr(at + 1, end - at - 1);
    EXPECT_TRUE(page_.contains(Json::json_pointer(pointer))) << pointer;
  }
}

TEST_F(OpenApiTest, LetsEverybodyAskForHealthAndForThePage) {
  for (const char* const path : {"/healthz", "/v1/openapi.json"}) {
    EXPECT_EQ(page_.at("paths").at(path).at("get").at("security"), Json::array()) << path;
  }
}

}  // namespace
}  // namespace weighmaster::server::rest
