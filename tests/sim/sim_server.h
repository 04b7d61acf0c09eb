#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/fleet/fleet.h"
#include "server/ingest/ingest.h"
#include "server/rollout/rollout.h"
#include "server/store/store.h"
#include "tests/sim/executor.h"
#include "tests/support/keys.h"
#include "tests/support/sim_loop.h"

namespace weighmaster::sim {

// The server of the simulated fleet: a store on disk that outlives it, and the product's own rooms
// while the process lives.
class SimServer {
 public:
  SimServer(tests::SimLoop& loop, base::Random& random, tests::TestFleet fleet, std::string folder);
  ~SimServer();
  SimServer(const SimServer&) = delete;
  SimServer& operator=(const SimServer&) = delete;

  void Start();
  // At once, wherever it is: work that was submitted and has not begun is lost.
  void Kill();
  bool alive() const { return fleet_ != nullptr; }

  // For a network: who listens to a new stream; null while dead.
  wire::ServerListener* Accept(std::unique_ptr<wire::ServerChannel> channel);

  void Enrol(const model::Id& id, const openssl::PublicKey& key);
  void Publish(std::uint64_t version);
  std::uint64_t published() const { return published_; }

  // What the disk says, whether or not the process lives. The queries live as long as `this`.
  std::unique_ptr<server::store::Queries> Look();

 private:
  tests::SimLoop& loop_;
  base::Random& random_;
  const tests::TestFleet fleet_document_;
  const std::string path_;
  std::uint64_t published_ = 0;  // whose publication was acknowledged

  // The disk's view for checks, apart from the process.
  std::unique_ptr<server::store::Store> reading_;

  // The process, in the order of making.
  std::unique_ptr<server::store::Store> store_;
  std::unique_ptr<server::store::Queries> queries_;
  std::unique_ptr<server::rollout::ListsDeltas> lists_deltas_;
  std::unique_ptr<ProcessExecutor> writer_;
  std::unique_ptr<ProcessExecutor> reader_;
  std::unique_ptr<ProcessExecutor> pool_;
  std::unique_ptr<server::ingest::Ingest> ingest_;
  std::unique_ptr<server::rollout::Rollout> rollout_;
  std::unique_ptr<server::rollout::ExceptionRollout> exceptions_;
  std::unique_ptr<server::fleet::Fleet> fleet_;
};

}  // namespace weighmaster::sim
