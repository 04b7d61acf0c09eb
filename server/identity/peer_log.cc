#include "server/identity/peer_log.h"

#include <string>
#include <utility>

#include "third_party/spdlog/log.h"

namespace weighmaster::server::identity {

void PeerLog::Tell(std::string_view address, std::string_view what) {
  if (limit_.Take("", clock_.SinceBoot().since_boot) > base::Duration(0)) {
    ++left_out_;
    return;
  }
  std::string line = std::string(address).append(" ").append(what);
  if (const auto left_out = std::exchange(left_out_, 0); left_out > 0) {
    line += " (" + std::to_string(left_out) + " such lines before this one were left out)";
  }
  logging::Warning(component_, line);
}

void PeerLog::Refused(std::string_view address, const base::Error& why) {
  if (why.code() != base::ErrorCode::kUnauthenticated &&
      why.code() != base::ErrorCode::kPermissionDenied) {
    return;
  }
  Tell(address, "was refused: " + why.message());
}

}  // namespace weighmaster::server::identity
