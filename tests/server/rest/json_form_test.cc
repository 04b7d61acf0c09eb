#include "server/rest/json_form.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::rest {
namespace {

// "" when the JSON has the form of the message.
template <typename Message>
std::string Refusal(const std::string& text) {
  const auto status = CheckForm(nlohmann::json::parse(text), *Message::descriptor());
  return status.has_value() ? "" : status.error().message();
}

TEST(CheckForm, TakesTheFormThatAnswersHave) {
  EXPECT_EQ(Refusal<v1::CreateTokenRequest>("{}"), "");
  EXPECT_EQ(
      Refusal<v1::CreateTokenRequest>(R"({"uses": 5, "valid_for_ms": "60000", "comment": ""})"),
      "");
  EXPECT_EQ(Refusal<v1::CreateTokenRequest>(R"({"uses": 5.0})"), "")
      << "JSON has one kind of number";
  EXPECT_EQ(Refusal<v1::CreateAdminTokenRequest>(R"({"role": "ADMIN_ROLE_VIEWER"})"), "");
  EXPECT_EQ(
      Refusal<v1::Publication>(
          R"({"bundle": {"manifest": "AA==", "signatures": []}, "parts": [{"content": "AA=="}]})"),
      "");
}

TEST(CheckForm, RefusesEveryOtherForm) {
  for (const char* const text :
       {"[]", "null", "1", "\"\"", R"({"validForMs": "1"})", R"({"x": 1})", R"({"uses": "5"})",
        R"({"uses": null})", R"({"uses": 1.5})", R"({"uses": true})", R"({"uses": [1]})",
        R"({"valid_for_ms": 60000})", R"({"valid_for_ms": ""})", R"({"valid_for_ms": "-"})",
        R"({"valid_for_ms": "1e3"})", R"({"valid_for_ms": " 1"})", R"({"comment": 1})",
        R"({"comment": {}})"}) {
    EXPECT_NE(Refusal<v1::CreateTokenRequest>(text), "") << text;
  }
  for (const char* const role : {"1", "\"1\"", "\"viewer\"", "\"\"", "null", "[]"}) {
    EXPECT_NE(Refusal<v1::CreateAdminTokenRequest>(R"({"role": )" + std::string(role) + "}"), "")
        << role;
  }
}

TEST(CheckForm, NamesThePlace) {
  EXPECT_EQ(Refusal<v1::Publication>(R"({"parts": [{}, {"content": 1}]})"),
            "\"parts[1].content\" must be a string");
  EXPECT_EQ(Refusal<v1::Publication>(R"({"parts": {}})"), "\"parts\" must be an array");
  EXPECT_EQ(Refusal<v1::Publication>("[]"), "the body must be an object");
  EXPECT_EQ(Refusal<v1::CreateTokenRequest>(R"({"valid_for_ms": 60000})"),
            "\"valid_for_ms\" has 64 bits and must be a string of digits, e.g. \"60000\"");
  EXPECT_EQ(Refusal<v1::WhoAmIRequest>(R"({"\u001b[2J": 1})"),
            "\"\\x1b[2J\" is no field of WhoAmIRequest");
}

}  // namespace
}  // namespace weighmaster::server::rest
