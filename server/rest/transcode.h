#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "policy/base/result.h"
#include "server/api/methods.h"
#include "server/rest/path_template.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weighmaster::server::rest {

// Between HTTP and the API's messages. JSON is proto3's own mapping with the names of the proto
// file: all fields of an answer that are not messages are there, 64-bit integers are strings, bytes
// are Base64. docs/formats/rest.md

// A request from what HTTP has of it. Strict: INVALID_ARGUMENT names a parameter or a field that is
// not there, or that is in the path and the body. A body has exactly the form of an answer, and no
// null, although proto3's mapping would let other forms pass: one form is documented and tested.
// `query` is raw, without "?". Callable from any thread.
base::Result<std::shared_ptr<google::protobuf::Message>> ReadRequest(
    const api::Method& method, const PathTemplate::Variables& path, std::string_view query,
    std::string_view body);

base::Result<std::string> ToJson(const google::protobuf::Message& message);

// A google.rpc.Status: {"code": 5, "message": "…", "details": []}
std::string ErrorJson(const base::Error& error);
// The usual one: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
int HttpStatusOf(base::ErrorCode code);

}  // namespace weighmaster::server::rest
