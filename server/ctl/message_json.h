#pragma once

#include "server/ctl/command.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weighmaster::server::ctl {

// An answer of the API as one line of JSON, the same as REST answers.
base::Status PrintMessageJson(Context& context, const google::protobuf::Message& message);

}  // namespace weighmaster::server::ctl
