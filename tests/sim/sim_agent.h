#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/decide/judge.h"
#include "agent/decide/policy_in_force.h"
#include "agent/decide/vault.h"
#include "agent/inventory/inventory.h"
#include "agent/journal/event_log.h"
#include "agent/journal/journal.h"
#include "agent/journal/sealer.h"
#include "agent/sensors/observation.h"
#include "agent/sync/session.h"
#include "policy/base/random.h"
#include "proto/wire/stream/channel.h"
#include "proto/wire/trust.h"
#include "tests/support/sim_loop.h"
#include "third_party/openssl/key.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::sim {

// One endpoint of the simulated fleet: a disk that outlives its agent (a folder, and what the test
// says lies on the endpoint), and the product's own rooms while the agent lives. The sensor is
// simulated: Look() reports what lies there, as a walk does.
class SimAgent {
 public:
  struct Setting {
    tests::SimLoop& loop;
    base::Random& random;
    wire::SignedDocument root;
  };
  SimAgent(Setting setting, std::string folder, model::Id id, const openssl::PrivateKey& key,
           std::unique_ptr<wire::Connector> connector);
  ~SimAgent();
  SimAgent(const SimAgent&) = delete;
  SimAgent& operator=(const SimAgent&) = delete;

  // The process: begins on what is on the disk, or ends at once with nothing said.
  void Start();
  void Kill();
  bool alive() const { return session_ != nullptr; }

  // The disk: model number `content` at this path, or nothing any more.
  void Put(const std::string& path, int content) { files_[path] = content; }
  void Remove(const std::string& path) { files_.erase(path); }
  const std::map<std::string, int>& files() const { return files_; }
  // One walk over everything. A file has no digest the first time it is seen, as while it is
  // hashed.
  void Look();

  const model::Id& id() const { return id_; }
  const openssl::PrivateKey& key() const { return key_; }
  agent::journal::Journal& journal() { return *journal_; }
  agent::inventory::Inventory& inventory() { return *inventory_; }
  agent::decide::PolicyInForce& policy() { return *policy_; }
  bool connected() const { return session_->status().connected; }
  const std::string& last_error() { return last_error_ = session_->status().last_error; }

 private:
  using Observations = std::vector<agent::sensors::Observation>;
  void Report(bool hashed);

  const Setting setting_;
  const std::string folder_;
  const model::Id id_;
  const openssl::PrivateKey& key_;
  const std::unique_ptr<wire::Connector> connector_;
  std::map<std::string, int> files_;
  std::string last_error_;

  // The process, in the order of making.
  std::unique_ptr<sqlite::Database> database_;
  std::unique_ptr<agent::journal::Journal> journal_;
  std::unique_ptr<agent::journal::EventLog> events_;
  std::unique_ptr<agent::decide::Judge> judge_;
  std::unique_ptr<agent::inventory::Inventory> inventory_;
  std::unique_ptr<agent::decide::PolicyVault> vault_;
  std::unique_ptr<agent::decide::PolicyInForce> policy_;
  std::unique_ptr<agent::journal::Sealer> sealer_;
  std::unique_ptr<agent::sync::Session> session_;
};

}  // namespace weighmaster::sim
