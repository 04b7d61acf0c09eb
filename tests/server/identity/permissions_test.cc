#include "server/identity/permissions.h"

#include <gtest/gtest.h>

namespace weighmaster::server::identity {
namespace {

using store::AdminRole;

constexpr AdminRole kRoles[] = {AdminRole::kViewer, AdminRole::kResponder, AdminRole::kPolicyAuthor,
                                AdminRole::kAdmin};

const store::Scope kFleet = store::Scope::WholeFleet();

TEST(Permissions, AreAllOfThemTheAdminsAndNoneOfAStrangersRole) {
  EXPECT_EQ(PermissionsOf(AdminRole::kAdmin, kFleet).size(),
            static_cast<std::size_t>(kPermissions));
  EXPECT_TRUE(PermissionsOf(static_cast<AdminRole>(9), kFleet).empty());
  EXPECT_FALSE(Allows(AdminRole::kAdmin, kFleet, static_cast<Permission>(99)));
}

TEST(Permissions, OfTheFleetAsAWholeAreNoOnesWithANarrowerScope) {
  const store::Scope berlin = store::Scope::Parse("site=berlin").value();
  for (const Permission whole : {Permission::kPublishPolicy, Permission::kReadAudit}) {
    EXPECT_TRUE(Allows(AdminRole::kAdmin, kFleet, whole));
    EXPECT_FALSE(Allows(AdminRole::kAdmin, berlin, whole));
  }
  EXPECT_EQ(PermissionsOf(AdminRole::kAdmin, berlin).size(),
            PermissionsOf(AdminRole::kAdmin, kFleet).size() - 2);
  EXPECT_EQ(PermissionsOf(AdminRole::kViewer, berlin), PermissionsOf(AdminRole::kViewer, kFleet));
}

TEST(Permissions, AreGivenAwayOnlyByWhoHasThem) {
  for (const AdminRole role : kRoles) {
    EXPECT_TRUE(MayGrant(AdminRole::kAdmin, role));
    EXPECT_TRUE(MayGrant(role, role));
    EXPECT_TRUE(MayGrant(role, AdminRole::kViewer));
    EXPECT_EQ(MayGrant(role, AdminRole::kAdmin), role == AdminRole::kAdmin);
  }
  EXPECT_FALSE(MayGrant(AdminRole::kResponder, AdminRole::kPolicyAuthor));
  EXPECT_FALSE(MayGrant(AdminRole::kPolicyAuthor, AdminRole::kResponder));
}

}  // namespace
}  // namespace weighmaster::server::identity
