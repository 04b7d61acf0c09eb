#include "third_party/protobuf/log.h"

#include <google/protobuf/stubs/logging.h>

#include <string>

#include "third_party/spdlog/log.h"

namespace weighmaster::protobuf_adapter {
namespace {

void Write(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/,
           const std::string& message) {
  // Protobuf ends the program after this one.
  if (level == google::protobuf::LOGLEVEL_FATAL) return logging::Error("protobuf", message);
  logging::Debug("protobuf", message);
}

}  // namespace

void TakeOverLog() { google::protobuf::SetLogHandler(&Write); }

}  // namespace weighmaster::protobuf_adapter
