#pragma once

#include <cstdint>

namespace weighmaster::server::identity {

// What a caller must be allowed to do; the numbers of v1::Permission.
enum class Permission : std::uint8_t {
  kKnowOneself = 1,  // every token that is good
  kReadInventory,
  kReadPolicy,
  kRevokeEndpoints,
  kCreateEnrolmentTokens,
  kPublishPolicy,
  kManageAdminTokens,
  kReadAudit,
};

}  // namespace weighmaster::server::identity
