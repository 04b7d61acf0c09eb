#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/decide/judge.h"
#include "agent/decide/policy_in_force.h"
#include "agent/decide/vault.h"
#include "agent/inventory/inventory.h"
#include "agent/journal/event_log.h"
#include "agent/journal/journal.h"
#include "agent/journal/sealer.h"
#include "agent/journal/state_file.h"
#include "policy/base/check.h"
#include "policy/base/random.h"
#include "proto/wire/convert.h"
#include "tests/support/keys.h"
#include "tests/support/sim_loop.h"
#include "tests/support/temp_folder.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::tests {

// The loop-owned rooms of one agent on a simulated loop over real files. Kill() is kill -9: what
// was not committed is gone; Open() is the next start.
class AgentRooms {
 public:
  explicit AgentRooms(agent::journal::Limits limits = {}) : limits_(limits) { Open(); }
  ~AgentRooms() { Kill(); }
  AgentRooms(const AgentRooms&) = delete;
  AgentRooms& operator=(const AgentRooms&) = delete;

  void Open() {
    Take(database, agent::journal::OpenStateFile(folder / "state.db"));
    const agent::journal::EventStamp stamp(loop, boot_id);
    agent::journal::Journal::Options options;
    options.boot_id = boot_id;
    options.report_drop = stamp.MakeDropReporter();
    options.limits = limits_;
    Take(journal, agent::journal::Journal::Open(*database, loop, random, key, std::move(options)));
    events.emplace(*journal, stamp);
    judge.emplace(loop);
    Take(inventory, agent::inventory::Inventory::Open(*database, *events, *judge, loop));
    Take(vault, agent::decide::PolicyVault::Open(folder / "policy"));
    Take(policy, agent::decide::PolicyInForce::Open(
                     {*vault, *judge, *inventory, *events, *database, loop, loop}, "default"));
    if (journal->head().chain.is_zero()) {
      WM_CHECK(events->StartChain(model::ChainReason::kEnrolled, 0).has_value());
    }
    sealer.emplace(loop, *journal);
    policy->Resume();
  }

  void Kill() {
    sealer.reset();
    policy.reset();
    vault.reset();
    inventory.reset();
    judge.reset();
    events.reset();
    journal.reset();
    database.reset();
  }

  // Everything in this chain, sealed or not, as model events.
  std::vector<model::Event> Told() {
    while (journal->Seal().value()) {
    }
    std::vector<model::Event> told;
    for (std::uint64_t n = 1; n <= journal->head().number; ++n) {
      const auto batch = journal->Read(n);
      WM_CHECK(batch.has_value() && batch->has_value());
      WM_CHECK(wire::VerifyBatch(**batch, key.public_key()).has_value());
      for (const wire::BatchEvent& event : (*batch)->events) {
        told.push_back(wire::ParseEvent(event.body).value());
      }
    }
    return told;
  }

  // The bodies of one kind among them.
  template <typename Body>
  std::vector<Body> ToldOf() {
    std::vector<Body> bodies;
    for (model::Event& event : Told()) {
      if (auto* body = std::get_if<Body>(&event.body)) bodies.push_back(std::move(*body));
    }
    return bodies;
  }

  // A disk with room for no more pages than there are, and one with room again.
  void FillDisk() { WM_CHECK(database->Execute("PRAGMA max_page_count=1").has_value()); }
  void FreeDisk() { WM_CHECK(database->Execute("PRAGMA max_page_count=1000000").has_value()); }

  TempFolder folder;
  SimLoop loop;
  base::SeededRandom random{1};
  const openssl::PrivateKey& key = TestKey(10);
  model::Id boot_id{{1, 2, 3}};

  std::unique_ptr<sqlite::Database> database;
  std::unique_ptr<agent::journal::Journal> journal;
  std::optional<agent::journal::EventLog> events;
  std::optional<agent::decide::Judge> judge;
  std::unique_ptr<agent::inventory::Inventory> inventory;
  std::unique_ptr<agent::decide::PolicyVault> vault;
  std::unique_ptr<agent::decide::PolicyInForce> policy;
  std::optional<agent::journal::Sealer> sealer;

 private:
  template <typename T>
  static void Take(std::unique_ptr<T>& into, base::Result<std::unique_ptr<T>> result) {
    WM_CHECK(result.has_value());
    into = std::move(result).value();
  }

  const agent::journal::Limits limits_;
};

}  // namespace weighmaster::tests
