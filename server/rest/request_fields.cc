#include "server/rest/request_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "server/rest/path_template.h"

namespace weighmaster::server::rest {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
namespace limits = base::limits;

base::Error Wrong(const std::string& name, const std::string& what) {
  return base::InvalidArgument("the parameter \"" + base::EscapeForDisplay(name) + "\" " + what);
}

// The message that the last part of the name is a field of, and that field.
struct Place {
  Message* message = nullptr;
  const FieldDescriptor* field = nullptr;
};

base::Result<Place> Find(Message& message, const std::string& name) {
  Place place{&message, nullptr};
  std::string_view rest = name;
  while (true) {
    const std::size_t dot = rest.find('.');
    place.field = place.message->GetDescriptor()->FindFieldByName(std::string(rest.substr(0, dot)));
    if (place.field == nullptr) return Wrong(name, "is not one of this method");
    const bool is_message = place.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    const bool ends = dot == std::string_view::npos;
    if (is_message == ends || (is_message && place.field->is_repeated())) {
      return Wrong(name, "is not one of this method");
    }
    if (ends) return place;
    place.message = place.message->GetReflection()->MutableMessage(place.message, place.field);
    rest.remove_prefix(dot + 1);
  }
}

template <typename Number>
std::optional<Number> ParseNumber(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Sets or adds, whichever the field is for.
template <typename T>
void Put(const Place& place, T value,
         void (google::protobuf::Reflection::*set)(Message*, const FieldDescriptor*, T) const,
         void (google::protobuf::Reflection::*add)(Message*, const FieldDescriptor*, T) const) {
  const google::protobuf::Reflection& reflection = *place.message->GetReflection();
  (reflection.*(place.field->is_repeated() ? add : set))(place.message, place.field,
                                                         std::move(value));
}

template <typename T, typename Set>
base::Status PutNumber(const Place& place, const std::string& name, const std::string& text,
                       Set set, Set add) {
  const std::optional<T> number = ParseNumber<T>(text);
  if (!number.has_value()) return Wrong(name, "is no number that fits");
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(*number)) return Wrong(name, "is no finite number");
  }
  Put<T>(place, *number, set, add);
  return {};
}

base::Status PutEnum(const Place& place, const std::string& name, const std::string& text) {
  const auto* const value = place.field->enum_type()->FindValueByName(text);
  if (value == nullptr) {
    return Wrong(name, "is no " + std::string(place.field->enum_type()->name()));
  }
  using R = google::protobuf::Reflection;
  Put<const google::protobuf::EnumValueDescriptor*>(place, value, &R::SetEnum, &R::AddEnum);
  return {};
}

base::Status PutText(const Place& place, const std::string& name, const std::string& text) {
  if (place.field->type() != FieldDescriptor::TYPE_STRING) {
    return Wrong(name, "is bytes, which a parameter can't hold");
  }
  if (!base::IsUtf8(text)) return Wrong(name, "is not UTF-8");
  using R = google::protobuf::Reflection;
  Put<std::string>(place, text, &R::SetString, &R::AddString);
  return {};
}

base::Status PutValue(const Place& place, const std::string& name, const std::string& text) {
  using R = google::protobuf::Reflection;
  switch (place.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return PutNumber<std::int32_t>(place, name, text, &R::SetInt32, &R::AddInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return PutNumber<std::int64_t>(place, name, text, &R::SetInt64, &R::AddInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return PutNumber<std::uint32_t>(place, name, text, &R::SetUInt32, &R::AddUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return PutNumber<std::uint64_t>(place, name, text, &R::SetUInt64, &R::AddUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return PutNumber<double>(place, name, text, &R::SetDouble, &R::AddDouble);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return PutNumber<float>(place, name, text, &R::SetFloat, &R::AddFloat);
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return Wrong(name, "is neither true nor false");
      Put<bool>(place, text == "true", &R::SetBool, &R::AddBool);
      return {};
    case FieldDescriptor::CPPTYPE_ENUM:
      return PutEnum(place, name, text);
    case FieldDescriptor::CPPTYPE_STRING:
      return PutText(place, name, text);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return Wrong(name, "is not one of this method");
}

// In a query, unlike in a path, "+" is a space.
std::optional<std::string> DecodeQuery(std::string_view text) {
  std::string spaced(text);
  std::ranges::replace(spaced, '+', ' ');
  return PercentDecode(spaced);
}

}  // namespace

base::Status RequestFields::Set(const std::string& name, const std::string& value) {
  WM_ASSIGN_OR_RETURN(const Place place, Find(message_, name));
  const bool first = given_.insert(name).second;
  if (!first && !place.field->is_repeated()) return Wrong(name, "is given twice");
  return PutValue(place, name, value);
}

base::Status RequestFields::SetQuery(std::string_view query) {
  std::size_t parameters = 0;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view parameter = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (parameter.empty()) continue;
    if (++parameters > limits::kMaxQueryParameters) {
      return base::InvalidArgument("a request has at most " +
                                   std::to_string(limits::kMaxQueryParameters) + " parameters");
    }
    const std::size_t equals = parameter.find('=');
    const auto name = DecodeQuery(parameter.substr(0, equals));
    const auto value = equals == std::string_view::npos ? std::optional<std::string>("")
                                                        : DecodeQuery(parameter.substr(equals + 1));
    if (!name.has_value() || !value.has_value()) {
      return base::InvalidArgument("the query has a % without two hexadecimal digits");
    }
    WM_RETURN_IF_ERROR(Set(*name, *value));
  }
  return {};
}

}  // namespace weighmaster::server::rest
