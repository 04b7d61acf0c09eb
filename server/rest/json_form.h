#pragma once

#include <nlohmann/json_fwd.hpp>

#include "policy/base/result.h"

namespace google::protobuf {
class Descriptor;
}  // namespace google::protobuf

namespace weighmaster::server::rest {

// Whether the JSON has the form that such a message has in an answer: an object of known fields
// under the proto file's names, 64-bit integers as strings of digits, enums by name, no null.
// INVALID_ARGUMENT names the place ("parts[0].content"). Whether a number or Base64 fits its field
// is left to protobuf.
base::Status CheckForm(const nlohmann::json& value, const google::protobuf::Descriptor& message);

}  // namespace weighmaster::server::rest
