#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <functional>
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
#include "agent/journal/state_file.h"
#include "agent/sync/grpc/connector.h"
#include "agent/sync/session.h"
#include "tests/bench/bench.h"
#include "tests/bench/endpoints.h"
#include "tests/bench/fleet_trust.h"
#include "third_party/asio/asio_loop.h"
#include "third_party/asio/thread_pool.h"
#include "third_party/openssl/random.h"
#include "third_party/posix/system_clock.h"

namespace weighmaster::bench {
namespace {

namespace journal = agent::journal;
namespace sensors = agent::sensors;

constexpr int kModelsEach = 20;
// How often it is looked whether all agents have come so far. No measured time depends on it.
constexpr std::chrono::milliseconds kLookEvery{20};

// What all agents of the process share.
struct Machine {
  asio::AsioLoop loop;
  posix::SystemClock clock;
  openssl::SystemRandom random;
  asio::ThreadPool network{2, "network"};
};

// The loop as one agent sees it. After each of the agent's own tasks it looks at the agent, so that
// the moment in which a policy comes into force is known however busy the loop is.
class AgentLoop final : public base::Loop {
 public:
  AgentLoop(base::Loop& loop, std::function<void()> look) : loop_(loop), look_(std::move(look)) {}

  void Post(Task task) override { loop_.Post(Watched(std::move(task))); }
  TimerId After(base::Duration delay, Task task) override {
    return loop_.After(delay, Watched(std::move(task)));
  }
  void Cancel(TimerId id) override { loop_.Cancel(id); }
  bool OnLoop() const override { return loop_.OnLoop(); }

 private:
  Task Watched(Task task) {
    return [this, task = std::move(task)] {
      task();
      look_();
    };
  }

  base::Loop& loop_;
  const std::function<void()> look_;
};

// One endpoint with the product's own rooms and its state in a folder of its own, over the
// product's transport. Its sensor has looked once. Loop-owned.
class FleetAgent {
 public:
  FleetAgent(Machine& machine, const FleetTrust& trust, const std::string& folder, int n)
      : loop_(machine.loop, [this] { Look(); }),
        connector_(loop_, machine.network, machine.clock,
                   [options = trust.OptionsFor(n)] { return options; }),
        judge_(machine.clock) {
    ::mkdir(folder.c_str(), 0700);
    database_ = Must(journal::OpenStateFile(folder + "/state.db"));
    model::Id boot_id;
    machine.random.Fill(boot_id.bytes);
    const journal::EventStamp stamp(machine.clock, boot_id);
    journal::Journal::Options options;
    options.boot_id = boot_id;
    options.report_drop = stamp.MakeDropReporter();
    journal_ = Must(journal::Journal::Open(*database_, machine.clock, machine.random,
                                           EndpointKey(n), std::move(options)));
    events_ = std::make_unique<journal::EventLog>(*journal_, stamp);
    const bool is_new = journal_->head().chain.is_zero();
    if (is_new) Must(events_->StartChain(model::ChainReason::kEnrolled, 0));
    inventory_ = Must(agent::inventory::Inventory::Open(*database_, *events_, judge_, loop_));
    if (is_new) Walk();
    OpenPolicy(machine, trust, folder);
    sealer_ = std::make_unique<journal::Sealer>(loop_, *journal_);
    session_ = std::make_unique<agent::sync::Session>(
        agent::sync::Session::Rooms{loop_, machine.clock, machine.random, connector_, *journal_,
                                    *events_, *policy_, EndpointKey(n)},
        agent::sync::Endpoint{
            EndpointId(n), "laptop-" + std::to_string(n), "linux", "6.1", "bench", {}});
    sealer_->set_on_sealed([this] { session_->OnSealed(); });
    sealer_->SealSoon();
    policy_->Resume();
    session_->Start();
  }

  bool connected() const { return session_->status().connected; }
  // The newest policy that has been judged by, and since when on the steady clock.
  std::uint64_t policy_version() const { return policy_version_; }
  double in_force_at() const { return in_force_at_; }

 private:
  void Look() {
    if (policy_->applying() || policy_->version() == policy_version_) return;
    policy_version_ = policy_->version();
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    in_force_at_ = std::chrono::duration<double>(now).count();
  }

  void Walk() {
    std::vector<sensors::Observation> seen;
    const model::Path root{"/home/ada"};
    seen.emplace_back(sensors::WalkStarted{root});
    for (int i = 0; i < kModelsEach; ++i) {
      seen.emplace_back(sensors::ModelSeen{
          tests::TestSighting(root.bytes + "/model-" + std::to_string(i) + ".gguf", i), 1, 1});
    }
    sensors::WalkFinished finished;
    finished.coverage.sensor = "artifacts";
    finished.coverage.root = root;
    finished.coverage.state = model::CoverageState::kLooked;
    finished.complete = true;
    seen.emplace_back(std::move(finished));
    Must(inventory_->Apply(seen));
  }

  void OpenPolicy(Machine& machine, const FleetTrust& trust, const std::string& folder) {
    vault_ = Must(agent::decide::PolicyVault::Open(folder + "/policy"));
    policy_ = Must(agent::decide::PolicyInForce::Open(
        {*vault_, judge_, *inventory_, *events_, *database_, loop_, machine.clock}, "default"));
    if (!policy_->root().has_value()) Must(policy_->InstallRoot(trust.files().signed_root));
  }

  AgentLoop loop_;
  std::uint64_t policy_version_ = 0;
  double in_force_at_ = 0;
  agent::sync::GrpcConnector connector_;
  std::unique_ptr<sqlite::Database> database_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<journal::EventLog> events_;
  agent::decide::Judge judge_;
  std::unique_ptr<agent::inventory::Inventory> inventory_;
  std::unique_ptr<agent::decide::PolicyVault> vault_;
  std::unique_ptr<agent::decide::PolicyInForce> policy_;
  std::unique_ptr<journal::Sealer> sealer_;
  std::unique_ptr<agent::sync::Session> session_;
};

// Says when all are connected, and for each version of the policy, when it came into force on each.
class FleetWatch {
 public:
  FleetWatch(base::Loop& loop, const std::vector<std::unique_ptr<FleetAgent>>& agents)
      : agents_(agents), timer_(loop) {
    Look();
  }

 private:
  void Look() {
    if (!all_connected_) {
      all_connected_ = std::all_of(agents_.begin(), agents_.end(),
                                   [](const auto& agent) { return agent->connected(); });
      if (all_connected_) Say("{\"connected\": " + std::to_string(agents_.size()) + "}");
    }
    const std::uint64_t newest = agents_.front()->policy_version();
    if (newest > version_ && std::all_of(agents_.begin(), agents_.end(), [&](const auto& agent) {
          return agent->policy_version() == newest;
        })) {
      version_ = newest;
      SayInForce();
    }
    timer_.Start(kLookEvery, [this] { Look(); });
  }

  void SayInForce() {
    std::string line = "{\"version\": " + std::to_string(version_) + ", \"in_force_at\": [";
    for (const auto& agent : agents_) {
      line += (agent == agents_.front() ? "" : ", ") + std::to_string(agent->in_force_at());
    }
    Say(line + "]}");
  }

  static void Say(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }

  const std::vector<std::unique_ptr<FleetAgent>>& agents_;
  std::uint64_t version_ = 0;
  bool all_connected_ = false;
  base::Timer timer_;
};

}  // namespace

int Agents(const Arguments& arguments) {
  const FleetTrust trust(arguments[0]);
  const int count = std::stoi(arguments[2]);
  Machine machine;
  std::vector<std::unique_ptr<FleetAgent>> agents;
  for (int n = 0; n < count; ++n) {
    agents.push_back(
        std::make_unique<FleetAgent>(machine, trust, arguments[1] + "/" + std::to_string(n), n));
  }
  FleetWatch watch(machine.loop, agents);
  machine.loop.Run();
  return 0;
}

}  // namespace weighmaster::bench
