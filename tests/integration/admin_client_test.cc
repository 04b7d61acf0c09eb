// The client of weighctl against a server that limits how often a token may call.

#include "server/ctl/admin_client.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/limits.h"
#include "tests/integration/both_ports.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::tests {
namespace {

// Whatever fetches something large piece by piece: evidence, a policy's parts, a long list.
TEST(AdminClientTest, IsNeverRefusedForAskingTooOften) {
  BothPorts ports;
  server::ctl::Profile profile;
  profile.address = ports.rpc_address();
  profile.ca_pem = ports.api_.ca_pem_;
  profile.token = ports.api_.bearer_.substr(std::string("Bearer ").size());
  ports.Beside([&] {
    server::ctl::AdminClient client(profile);
    for (int call = 0; call < 2 * base::limits::kAdminCallBurst; ++call) {
      v1::WhoAmIResponse response;
      const base::Status done = client.WhoAmI({}, response);
      ASSERT_TRUE(done.has_value()) << "call " << call << ": " << done.error().ToString();
    }
  });
}

}  // namespace
}  // namespace weighmaster::tests
