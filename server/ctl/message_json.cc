#include "server/ctl/message_json.h"

#include <google/protobuf/util/json_util.h>

#include <string>

namespace weighmaster::server::ctl {

base::Status PrintMessageJson(Context& context, const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) {
    return base::Internal("the server's answer can't be written as JSON");
  }
  context.out << json << "\n";
  return {};
}

}  // namespace weighmaster::server::ctl
