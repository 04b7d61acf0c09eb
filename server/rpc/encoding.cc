#include "server/rpc/encoding.h"

#include <google/protobuf/message_lite.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include "policy/base/check.h"

namespace weighmaster::server::rpc {

using Traits = grpc::SerializationTraits<google::protobuf::MessageLite>;

base::Status Decode(const grpc::ByteBuffer& bytes, google::protobuf::MessageLite& message) {
  grpc::ByteBuffer read = bytes;  // shares the bytes, and is used up
  if (Traits::Deserialize(&read, &message).ok()) return {};
  return base::InvalidArgument("what was sent is no " + message.GetTypeName() +
                               ": it can't be parsed, or a text in it is not UTF-8");
}

grpc::ByteBuffer Encode(const google::protobuf::MessageLite& message) {
  grpc::ByteBuffer bytes;
  bool own_buffer = false;
  // What is too long to be written is an answer that no limit has stopped.
  WM_CHECK(Traits::Serialize(message, &bytes, &own_buffer).ok());
  return bytes;
}

}  // namespace weighmaster::server::rpc
