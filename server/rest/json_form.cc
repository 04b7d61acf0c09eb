#include "server/rest/json_form.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "policy/base/bytes.h"

namespace weighmaster::server::rest {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using Json = nlohmann::json;

base::Status CheckMessage(const Json& value, const Descriptor& message, const std::string& place);

base::Error Wrong(const std::string& place, const std::string& what) {
  return base::InvalidArgument((place.empty() ? "the body" : "\"" + place + "\"") + " " + what);
}

// JSON has one kind of number: 5.0 is an integer.
bool IsInteger(const Json& value) {
  return value.is_number_integer() ||
         (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>());
}

bool IsDigits(const Json& value) {
  if (!value.is_string()) return false;
  std::string_view text = value.get_ref<const std::string&>();
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

base::Status CheckEnum(const Json& value, const FieldDescriptor& field, const std::string& place) {
  const auto& type = *field.enum_type();
  if (value.is_string() && type.FindValueByName(value.get_ref<const std::string&>()) != nullptr) {
    return {};
  }
  return Wrong(place, "must be the name of a value of " + std::string(type.name()));
}

base::Status CheckValue(const Json& value, const FieldDescriptor& field, const std::string& place) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return CheckMessage(value, *field.message_type(), place);
    case FieldDescriptor::CPPTYPE_ENUM:
      return CheckEnum(value, field, place);
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_UINT32:
      if (IsInteger(value)) return {};
      return Wrong(place, "must be an integer");
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT64:
      if (IsDigits(value)) return {};
      return Wrong(place, "has 64 bits and must be a string of digits, e.g. \"60000\"");
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      if (value.is_number()) return {};
      return Wrong(place, "must be a number");
    case FieldDescriptor::CPPTYPE_BOOL:
      if (value.is_boolean()) return {};
      return Wrong(place, "must be true or false");
    case FieldDescriptor::CPPTYPE_STRING:
      if (value.is_string()) return {};
      return Wrong(place, "must be a string");
  }
  return Wrong(place, "can't be given");
}

base::Status CheckField(const Json& value, const FieldDescriptor& field, const std::string& place) {
  if (!field.is_repeated()) return CheckValue(value, field, place);
  if (!value.is_array()) return Wrong(place, "must be an array");
  for (std::size_t i = 0; i < value.size(); ++i) {
    WM_RETURN_IF_ERROR(CheckValue(value[i], field, place + "[" + std::to_string(i) + "]"));
  }
  return {};
}

// As deep as messages hold messages, and no request holds itself.
base::Status CheckMessage(const Json& value, const Descriptor& message, const std::string& place) {
  if (!value.is_object()) return Wrong(place, "must be an object");
  for (const auto& [name, inner] : value.items()) {
    const std::string inner_place =
        (place.empty() ? "" : place + ".") + base::EscapeForDisplay(name);
    const FieldDescriptor* const field = message.FindFieldByName(name);
    if (field == nullptr)
      return Wrong(inner_place, "is no field of " + std::string(message.name()));
    WM_RETURN_IF_ERROR(CheckField(inner, *field, inner_place));
  }
  return {};
}

}  // namespace

base::Status CheckForm(const Json& value, const Descriptor& message) {
  return CheckMessage(value, message, "");
}

}  // namespace weighmaster::server::rest
