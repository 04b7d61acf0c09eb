#include "server/identity/permissions.h"

#include <algorithm>

#include "policy/model/named.h"

namespace weighmaster::server::identity {
namespace {

using store::AdminRole;

constexpr model::Named<Permission> kNames[] = {
    {Permission::kKnowOneself, "know_oneself"},
    {Permission::kReadInventory, "read_inventory"},
    {Permission::kReadPolicy, "read_policy"},
    {Permission::kRevokeEndpoints, "revoke_endpoints"},
    {Permission::kCreateEnrolmentTokens, "create_enrolment_tokens"},
    {Permission::kPublishPolicy, "publish_policy"},
    {Permission::kManageAdminTokens, "manage_admin_tokens"},
    {Permission::kReadAudit, "read_audit"},
    {Permission::kGrantExceptions, "grant_exceptions"},
    {Permission::kSimulatePolicy, "simulate_policy"},
    {Permission::kWorkOnFindings, "work_on_findings"},
    {Permission::kExportEvidence, "export_evidence"},
    {Permission::kLabelEndpoints, "label_endpoints"}};

struct Row {
  Permission permission;
  bool viewer;
  bool responder;
  bool policy_author;
  bool admin;
  // What is of the fleet as a whole: not with a narrower scope, whatever the role.
  bool whole_fleet_only;
};
constexpr Row kTable[] = {
    {Permission::kKnowOneself, true, true, true, true, false},
    {Permission::kReadInventory, true, true, true, true, false},
    {Permission::kReadPolicy, true, true, true, true, false},
    {Permission::kRevokeEndpoints, false, true, false, true, false},
    {Permission::kCreateEnrolmentTokens, false, false, false, true, false},
    {Permission::kPublishPolicy, false, false, true, true, true},
    {Permission::kManageAdminTokens, false, false, false, true, false},
    {Permission::kReadAudit, false, false, false, true, true},
    {Permission::kGrantExceptions, false, true, true, true, false},
    {Permission::kSimulatePolicy, false, false, true, true, false},
    {Permission::kWorkOnFindings, false, true, false, true, false},
    {Permission::kExportEvidence, false, true, false, true, false},
    {Permission::kLabelEndpoints, false, false, false, true, false},
};
static_assert(std::size(kTable) == kPermissions && std::size(kNames) == kPermissions);

bool Allows(const Row& row, AdminRole role) {
  switch (role) {
    case AdminRole::kViewer:
      return row.viewer;
    case AdminRole::kResponder:
      return row.responder;
    case AdminRole::kPolicyAuthor:
      return row.policy_author;
    case AdminRole::kAdmin:
      return row.admin;
  }
  return false;
}
bool Allows(const Row& row, AdminRole role, const store::Scope& scope) {
  return Allows(row, role) && (scope.is_whole_fleet() || !row.whole_fleet_only);
}

}  // namespace

std::string_view PermissionName(Permission permission) { return model::NameOf(kNames, permission); }

bool Allows(AdminRole role, const store::Scope& scope, Permission permission) {
  return std::ranges::any_of(kTable, [&](const Row& row) {
    return row.permission == permission && Allows(row, role, scope);
  });
}

std::vector<Permission> PermissionsOf(AdminRole role, const store::Scope& scope) {
  std::vector<Permission> permissions;
  for (const Row& row : kTable) {
    if (Allows(row, role, scope)) permissions.push_back(row.permission);
  }
  return permissions;
}

bool MayGrant(AdminRole granter, AdminRole granted) {
  return std::ranges::all_of(
      kTable, [&](const Row& row) { return !Allows(row, granted) || Allows(row, granter); });
}

}  // namespace weighmaster::server::identity
