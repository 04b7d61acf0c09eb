#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "server/store/values.h"

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
  kGrantExceptions,
  kSimulatePolicy,
  kWorkOnFindings,
  kExportEvidence,
  kLabelEndpoints,
};
inline constexpr int kPermissions = 13;

// "read_inventory"
std::string_view PermissionName(Permission permission);

// The one table of who may do what: with which role, and whether for the whole fleet only.
// docs/SECURITY.md shows it to people.
bool Allows(store::AdminRole role, const store::Scope& scope, Permission permission);
std::vector<Permission> PermissionsOf(store::AdminRole role, const store::Scope& scope);
// Whoever makes a token can give away only what is theirs.
bool MayGrant(store::AdminRole granter, store::AdminRole granted);

}  // namespace weighmaster::server::identity
