// A policy that is in force on an endpoint whose agent does not understand all of its rules: where
// weighctl says that it is in force, it says that as well.

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "server/ctl/profile.h"
#include "server/ctl/program/signal_pause.h"
#include "server/ctl/program/weighctl.h"
#include "tests/integration/both_ports.h"
#include "tests/support/endpoint_script.h"
#include "tests/support/keys.h"

namespace weighmaster::tests {
namespace {

namespace ctl = server::ctl;
namespace store = server::store;
using Json = nlohmann::json;

class PolicyPartlyTest : public testing::Test {
 protected:
  PolicyPartlyTest() {
    const std::string path = api_.folder_ / "weighctl.json";
    ctl::Profile profile;
    profile.address = ports_.rpc_address();
    profile.ca_pem = api_.ca_pem_;
    profile.token = api_.bearer_.substr(std::string("Bearer ").size());
    profile.fleet_id = Must(api_.queries_->Fleet()).fleet_id;
    WM_CHECK(ctl::SaveProfile({path, ""}, profile));
    setenv("WEIGHCTL_PROFILE", path.c_str(), 1);
    store::NewBundle bundle;
    bundle.manifest = MakeManifest(1, 0);
    bundle.manifest.parts = {PartOf(wire::PartKind::kContent, "part", {})};
    bundle.parts = {{bundle.manifest.parts[0], "part"}};
    bundle.document = SignBundle(bundle.manifest);
    bundle.text = "policy: p\n";
    WM_CHECK(api_.store_->Publish(bundle));
  }

  // An endpoint that says that version 1 is in force.
  void Apply(std::uint8_t n, bool partly) {
    store::EnrolmentTokenRecord token;
    token.secret_sha256 = TestDigest(n);
    token.expires = kTestEpoch + std::chrono::hours(1);
    const openssl::PrivateKey& key = TestKey(10 + n);
    WM_CHECK(api_.store_->AddToken(token));
    WM_CHECK(
        api_.store_->Enrol(token.secret_sha256, kTestEpoch, {TestId(n), key.public_key(), {}}));
    EndpointScript script(key, TestId(100 + n));
    model::PolicyApplied applied;
    applied.version = 1;
    applied.partly = partly;
    Submit(n, script.Start());
    Submit(n, script.Seal({applied}));
  }
  void Submit(std::uint8_t n, wire::SealedBatch batch) {
    std::optional<store::BatchOutcome::Kind> kind;
    WM_CHECK(api_.ingest_.Submit({TestId(n), TestKey(10 + n).public_key(), {}}, std::move(batch),
                                 [&](const server::ingest::Outcome& outcome) {
                                   kind = outcome.result.kind;
                                   ports_.loop_.Stop();
                                 }));
    ports_.loop_.Run();
    ASSERT_EQ(kind, store::BatchOutcome::Kind::kStored);
  }

  // What goes to standard output and to standard error.
  std::string Weighctl(const std::vector<std::string>& words) {
    std::ostringstream out;
    ctl::SignalPause pause;
    EXPECT_EQ(ctl::RunWeighctl(words, {out, out, ports_.clock_, pause, false}), ctl::ExitCode::kOk)
        << out.str();
    return out.str();
  }
  bool Says(const std::vector<std::string>& words, const std::string& what) {
    return Weighctl(words).find(what) != std::string::npos;
  }

  BothPorts ports_;
  ServedApi& api_ = ports_.api_;
};

TEST_F(PolicyPartlyTest, IsSaidWhereverWeighctlSaysThatAPolicyIsInForce) {
  Apply(1, false);
  Apply(2, true);
  ports_.Beside([&] {
    const std::string whole = TestId(1).ToHex();
    const std::string partly = TestId(2).ToHex();
    EXPECT_TRUE(Says({"status"}, "in force on 2, 1 of these partly\n"));
    EXPECT_TRUE(Says({"policy", "show"}, "in force on 2 of 2 endpoints, 1 of these partly.\n"));
    EXPECT_EQ(Json::parse(Weighctl({"policy", "list", "--json"})).at("endpoints_partly"), 1);
    EXPECT_TRUE(Says({"endpoints", "--filter", "policy_partly"}, "1 partly"));
    EXPECT_TRUE(Says({"endpoints", "--filter", "policy_partly"}, "1 endpoints."));
    EXPECT_FALSE(Says({"endpoints", "--filter", "NOT policy_partly"}, "partly"));
    EXPECT_TRUE(Says({"endpoint", "show", partly}, "version 1, partly: without the rules"));
    EXPECT_FALSE(Says({"endpoint", "show", whole}, "partly"));
    EXPECT_EQ(Json::parse(Weighctl({"endpoint", "show", partly, "--json"})).at("policy_partly"),
              true);
  });
}

}  // namespace
}  // namespace weighmaster::tests
