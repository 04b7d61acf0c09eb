#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "policy/base/limits.h"
#include "server/findings/rules.h"
#include "tests/sim/models.h"
#include "tests/sim/network.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_server.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::sim {
namespace {

using std::chrono::minutes;

constexpr auto kRecursively = std::filesystem::copy_options::recursive;

// One endpoint, its server, and disks that go back in time: machines restored from a snapshot,
// copied, or from a backup, with the product's own rooms on both sides.
class RewindTest : public testing::Test {
 protected:
  RewindTest() {
    StartServer("server");
    server_->Enrol(id_, key_.public_key());
    agent_ = NewAgent("agent");
    agent_->Start();
  }
  ~RewindTest() override {
    for (auto* agent : {&agent_, &twin_}) {
      if (*agent != nullptr) (*agent)->Kill();
    }
    server_->Kill();
  }

  void StartServer(const std::string& folder) {
    std::filesystem::create_directory(folder_ / folder);
    server_ = std::make_unique<SimServer>(loop_, random_, fleet_, folder_ / folder);
    server_->Start();
  }
  std::unique_ptr<SimAgent> NewAgent(const std::string& folder) {
    std::filesystem::create_directory(folder_ / folder);
    return std::make_unique<SimAgent>(SimAgent::Setting{loop_, random_, fleet_.signed_root},
                                      folder_ / folder, id_, key_, network_.MakeConnector());
  }
  // Some batches, stored.
  void Work(SimAgent& agent, int changes) {
    for (int i = 0; i < changes; ++i) {
      agent.Put("file" + std::to_string(i % 5), ++content_ % kContents);
      agent.Look();
      loop_.RunFor(std::chrono::seconds(3));
    }
  }
  bool Settles() {
    return loop_.RunUntil(
        [this] {
          const auto counts = agent_->journal().Count();
          return agent_->connected() && counts->pending_events == 0 &&
                 counts->unacknowledged_batches == 0;
        },
        minutes(20));
  }
  // The disk as it is, with the process dead for a moment.
  void CopyAgent(const std::string& to) {
    agent_->Kill();
    std::filesystem::copy(folder_ / "agent", folder_ / to, kRecursively);
    agent_->Start();
  }
  void KillServer() {
    network_.ForgetServerEnds();
    server_->Kill();
  }
  // The rules of all findings but those about models.
  std::set<std::string> Findings() {
    std::set<std::string> rules;
    const auto queries = server_->Look();
    const auto page = queries->ListFindings(server::store::Scope::WholeFleet(), true, {});
    for (const auto& finding : page->rows) {
      if (finding.rule != server::findings::kDeniedModel &&
          finding.rule != server::findings::kRiskyModel) {
        rules.insert(finding.rule);
      }
    }
    return rules;
  }
  server::store::EndpointRow Row() {
    return server_->Look()->ListEndpoints(server::store::Scope::WholeFleet(), {})->rows.at(0);
  }

  const tests::TempFolder folder_;
  tests::SimLoop loop_;
  base::SeededRandom random_{7};
  const tests::TestFleet fleet_ = tests::MakeTestFleet();
  const model::Id id_{{1}};
  const openssl::PrivateKey& key_ = tests::TestKey(10);
  std::unique_ptr<SimServer> server_;
  Network network_{loop_, loop_, random_, [this](std::unique_ptr<wire::ServerChannel> channel) {
                     return server_->Accept(std::move(channel));
                   }};
  std::unique_ptr<SimAgent> agent_;
  std::unique_ptr<SimAgent> twin_;
  int content_ = 0;
};

TEST_F(RewindTest, AMachineRestoredFromASnapshotGoesOnInANewChainAndIsNoClone) {
  Work(*agent_, 5);
  ASSERT_TRUE(Settles());
  CopyAgent("snapshot");
  Work(*agent_, 5);
  ASSERT_TRUE(Settles());
  const model::Id old_chain = agent_->journal().head().chain;

  agent_->Kill();
  std::filesystem::remove_all(folder_ / "agent");
  std::filesystem::rename(folder_ / "snapshot", folder_ / "agent");
  agent_->Start();
  Work(*agent_, 5);
  ASSERT_TRUE(Settles()) << agent_->last_error();
  EXPECT_NE(agent_->journal().head().chain, old_chain);
  EXPECT_EQ(Row().coverage, agent_->inventory().Coverages().value()) << "it tells only changes";
  EXPECT_EQ(Findings(), std::set<std::string>{});
  EXPECT_EQ(Row().state, server::store::EndpointState::kActive);
}

TEST_F(RewindTest, TwoLiveMachinesWithOneKeyAreFound) {
  Work(*agent_, 5);
  ASSERT_TRUE(Settles());
  CopyAgent("twin");
  twin_ = NewAgent("twin");
  Work(*agent_, 2);
  ASSERT_TRUE(Settles());
  twin_->Start();
  for (int i = 0; i < 20; ++i) {
    Work(*agent_, 1);
    Work(*twin_, 1);
  }
  EXPECT_TRUE(Findings().contains(std::string(server::findings::kClone)));
  EXPECT_EQ(Row().state, server::store::EndpointState::kQuarantined);
  EXPECT_FALSE(agent_->connected() || twin_->connected());
}

// Killed after the new chain was begun and before the server heard of it, as often as one likes.
TEST_F(RewindTest, AKillBeforeTheNewChainIsSentLeavesOneChainToTellOf) {
  Work(*agent_, 5);
  ASSERT_TRUE(Settles());
  CopyAgent("snapshot");
  Work(*agent_, 3);
  ASSERT_TRUE(Settles());
  agent_->Kill();
  std::filesystem::remove_all(folder_ / "agent");
  std::filesystem::rename(folder_ / "snapshot", folder_ / "agent");
  agent_->Start();
  const model::Id old_chain = agent_->journal().head().chain;
  ASSERT_TRUE(
      loop_.RunUntil([&] { return agent_->journal().head().chain != old_chain; }, minutes(5)));
  const model::Id new_chain = agent_->journal().head().chain;
  agent_->Kill();
  agent_->Start();
  Work(*agent_, 3);
  ASSERT_TRUE(Settles()) << agent_->last_error();
  EXPECT_EQ(agent_->journal().head().chain, new_chain);
  EXPECT_EQ(Findings(), std::set<std::string>{});
}

TEST_F(RewindTest, AServerRestoredFromABackupIsRefilledAndBlamesNobody) {
  Work(*agent_, 5);
  ASSERT_TRUE(Settles());
  KillServer();
  std::filesystem::copy(folder_ / "server", folder_ / "backup", kRecursively);
  server_->Start();
  Work(*agent_, 10);
  ASSERT_TRUE(Settles());
  const model::Id chain = agent_->journal().head().chain;
  const std::uint64_t stored = Row().events_stored;

  KillServer();
  StartServer("backup");
  EXPECT_LT(Row().events_stored, stored);
  ASSERT_TRUE(loop_.RunUntil([&] { return Row().events_stored == stored; }, minutes(20)))
      << agent_->last_error();
  EXPECT_EQ(agent_->journal().head().chain, chain) << "every batch was still kept";
  Work(*agent_, 3);
  ASSERT_TRUE(Settles());
  EXPECT_EQ(Findings(), std::set<std::string>{});
  EXPECT_EQ(Row().state, server::store::EndpointState::kActive);
}

TEST_F(RewindTest, AServerRestoredFromTooOldABackupGetsANewChainAndSaysWhatIsMissing) {
  Work(*agent_, 5);
  ASSERT_TRUE(Settles());
  KillServer();
  std::filesystem::copy(folder_ / "server", folder_ / "backup", kRecursively);
  server_->Start();
  Work(*agent_, 5);
  ASSERT_TRUE(Settles());
  loop_.RunFor(base::limits::kMaxAcknowledgedAge + std::chrono::hours(1));
  Work(*agent_, 2);  // lets go of what was acknowledged a week ago
  ASSERT_TRUE(Settles());
  const model::Id old_chain = agent_->journal().head().chain;

  KillServer();
  StartServer("backup");
  ASSERT_TRUE(
      loop_.RunUntil([&] { return agent_->journal().head().chain != old_chain; }, minutes(20)));
  Work(*agent_, 2);
  ASSERT_TRUE(Settles()) << agent_->last_error();
  EXPECT_EQ(Findings(), std::set<std::string>{std::string(server::findings::kGap)});
  EXPECT_EQ(Row().state, server::store::EndpointState::kActive);
}

}  // namespace
}  // namespace weighmaster::sim
