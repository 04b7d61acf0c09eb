#pragma once

#include <string>
#include <vector>

#include "server/identity/permissions.h"

namespace google::protobuf {
class Descriptor;
class MethodDescriptor;
}  // namespace google::protobuf

namespace weighmaster::server::api {

// One rpc of AdminService, as its descriptor and its option `call`
// (proto/weighmaster/v1/options.proto) say it. Nothing else in the server says how a method is
// called or who may call it.
struct Method {
  const google::protobuf::MethodDescriptor* descriptor = nullptr;
  std::string name;         // "GetFleet"
  std::string http_method;  // "GET" or "POST"
  std::string path;         // "/v1/endpoints/{endpoint_id}:revoke"
  bool has_body = false;    // the request is JSON in the body; otherwise query parameters
  // What a caller sends, as one message. For a request in chunks: what they are put together.
  const google::protobuf::Descriptor* request = nullptr;
  const google::protobuf::Descriptor* response = nullptr;
  identity::Permission permission = identity::Permission::kKnowOneself;
  bool audited = false;
};

// All methods, in the order of the file. A method without a rule, or with half of one, is a defect:
// a failed CHECK.
std::vector<Method> AdminMethods();

}  // namespace weighmaster::server::api
