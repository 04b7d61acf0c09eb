#pragma once

// Inside this room only: it includes gRPC.

#include <grpcpp/grpcpp.h>

#include "policy/base/result.h"

namespace google::protobuf {
class MessageLite;
}  // namespace google::protobuf

namespace weighmaster::server::rpc {

// gRPC is handed bytes and hands out bytes: what it parses itself and can't, it answers with
// UNIMPLEMENTED and without a word, before anybody was asked whether the caller may call.

// INVALID_ARGUMENT when it is no such message.
base::Status Decode(const grpc::ByteBuffer& bytes, google::protobuf::MessageLite& message);
grpc::ByteBuffer Encode(const google::protobuf::MessageLite& message);

}  // namespace weighmaster::server::rpc
