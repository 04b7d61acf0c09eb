#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "policy/base/random.h"
#include "tests/sim/network.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_server.h"
#include "tests/support/keys.h"
#include "tests/support/sim_loop.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::sim {

// A fleet and its server on one loop, over bad weather, with everything that happens chosen by one
// seed: files come and go, agents and server are killed between any two turns of the loop, streams
// break, policies are published. At each death of the server and at the end the checkers compare
// what was promised with what is on the disks.
class World {
 public:
  explicit World(std::uint64_t seed);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // All of it; what the checkers found, or nothing.
  std::vector<std::string> Run();

  std::uint64_t published() const { return server_->published(); }
  std::uint64_t frames_lost() const { return network_->frames_lost(); }
  std::uint64_t frames_doubled() const { return network_->frames_doubled(); }
  std::uint64_t part_requests() const { return network_->part_requests(); }
  std::uint64_t part_requests_within() const { return network_->part_requests_within(); }
  std::uint64_t deltas() const { return network_->deltas(); }
  std::uint64_t server_deaths() const { return server_deaths_; }
  std::uint64_t agent_deaths() const { return agent_deaths_; }

 private:
  void Act();
  void ChangeFiles(SimAgent& agent);
  void KillAgent(SimAgent& agent);
  void KillServer();
  void Storm();
  void Settle();
  bool IsSettled();

  // Checkers.
  void CheckAcknowledgements();
  void CheckEnd();
  void CheckEvents(SimAgent& agent, server::store::Queries& queries);
  void CheckInventory(SimAgent& agent, server::store::Queries& queries);
  void CheckFindings(server::store::Queries& queries);
  void Complain(const SimAgent& agent, const std::string& what);

  bool Chance(std::uint64_t thousandths) { return random_.Below(1'000) < thousandths; }
  base::Duration Between(base::Duration least, base::Duration most);

  const tests::TempFolder folder_;
  tests::SimLoop loop_;
  base::SeededRandom random_;
  const tests::TestFleet fleet_ = tests::MakeTestFleet();
  std::unique_ptr<SimServer> server_;
  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<SimAgent>> agents_;
  std::vector<std::string> complaints_;
  std::uint64_t server_deaths_ = 0;
  std::uint64_t agent_deaths_ = 0;
};

}  // namespace weighmaster::sim
