#include "server/api/methods.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "weighmaster/v1/options.pb.h"

namespace weighmaster::server::api {
namespace {

TEST(AdminMethods, SayForEveryRpcHowItIsCalled) {
  const std::vector<Method> methods = AdminMethods();
  ASSERT_FALSE(methods.empty());
  EXPECT_EQ(static_cast<int>(methods.size()), methods[0].descriptor->service()->method_count());
  std::set<std::string> calls;
  for (const Method& method : methods) {
    EXPECT_TRUE(calls.insert(method.http_method + " " + method.path).second)
        << method.name << " is called like another method";
    EXPECT_EQ(method.has_body, method.http_method == "POST") << method.name;
  }
}

TEST(AdminMethods, AuditWhateverChangesSomething) {
  for (const Method& method : AdminMethods()) {
    EXPECT_TRUE(method.audited || method.http_method == "GET") << method.name;
  }
}

TEST(AdminMethods, TakeAPublicationWholeWhereGrpcHasChunks) {
  const std::vector<Method> methods = AdminMethods();
  const auto publish = std::ranges::find(methods, "PublishPolicy", &Method::name);
  ASSERT_NE(publish, methods.end());
  EXPECT_EQ(publish->request->full_name(), "weighmaster.v1.Publication");
  EXPECT_EQ(publish->permission, identity::Permission::kPublishPolicy);
}

TEST(AdminMethods, HaveAPermissionThatTheServerKnowsByNumber) {
  EXPECT_EQ(static_cast<int>(identity::Permission::kKnowOneself), v1::PERMISSION_KNOW_ONESELF);
  EXPECT_EQ(static_cast<int>(identity::Permission::kReadInventory), v1::PERMISSION_READ_INVENTORY);
  EXPECT_EQ(static_cast<int>(identity::Permission::kReadPolicy), v1::PERMISSION_READ_POLICY);
  EXPECT_EQ(static_cast<int>(identity::Permission::kRevokeEndpoints),
            v1::PERMISSION_REVOKE_ENDPOINTS);
  EXPECT_EQ(static_cast<int>(identity::Permission::kCreateEnrolmentTokens),
            v1::PERMISSION_CREATE_ENROLMENT_TOKENS);
  EXPECT_EQ(static_cast<int>(identity::Permission::kPublishPolicy), v1::PERMISSION_PUBLISH_POLICY);
  EXPECT_EQ(static_cast<int>(identity::Permission::kManageAdminTokens),
            v1::PERMISSION_MANAGE_ADMIN_TOKENS);
  EXPECT_EQ(static_cast<int>(identity::Permission::kReadAudit), v1::PERMISSION_READ_AUDIT);
  EXPECT_EQ(static_cast<int>(identity::Permission::kExportEvidence),
            v1::PERMISSION_EXPORT_EVIDENCE);
  EXPECT_EQ(static_cast<int>(identity::Permission::kLabelEndpoints),
            v1::PERMISSION_LABEL_ENDPOINTS);
}

}  // namespace
}  // namespace weighmaster::server::api
