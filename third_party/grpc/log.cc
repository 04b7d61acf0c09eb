#include "third_party/grpc/log.h"

#include <grpc/support/log.h>

#include "third_party/spdlog/log.h"

namespace weighmaster::grpc_adapter {
namespace {

void Write(gpr_log_func_args* line) { logging::Debug("grpc", line->message); }

}  // namespace

void TakeOverLog() { gpr_set_log_function(&Write); }

}  // namespace weighmaster::grpc_adapter
