#include "tests/sim/sim_agent.h"

#include <utility>

#include "agent/journal/state_file.h"
#include "policy/base/check.h"
#include "tests/sim/models.h"

namespace weighmaster::sim {
namespace {

namespace journal = agent::journal;
namespace sensors = agent::sensors;

const model::Path kRoot{"/models", model::PathEncoding::kPosixBytes};

template <typename T>
T Must(base::Result<T> result) {
  WM_CHECK(result.has_value());
  return std::move(*result);
}
void Must(const base::Status& status) { WM_CHECK(status.has_value()); }

}  // namespace

SimAgent::SimAgent(Setting setting, std::string folder, model::Id id,
                   const openssl::PrivateKey& key, std::unique_ptr<wire::Connector> connector)
    : setting_(std::move(setting)),
      folder_(std::move(folder)),
      id_(id),
      key_(key),
      connector_(std::move(connector)) {}

SimAgent::~SimAgent() { Kill(); }

void SimAgent::Start() {
  tests::SimLoop& loop = setting_.loop;
  database_ = Must(journal::OpenStateFile(folder_ + "/state.db"));
  model::Id boot_id;
  setting_.random.Fill(boot_id.bytes);
  const journal::EventStamp stamp(loop, boot_id);
  journal::Journal::Options options;
  options.boot_id = boot_id;
  options.report_drop = stamp.MakeDropReporter();
  journal_ =
      Must(journal::Journal::Open(*database_, loop, setting_.random, key_, std::move(options)));
  events_ = std::make_unique<journal::EventLog>(*journal_, stamp);
  if (journal_->head().chain.is_zero()) {
    Must(events_->StartChain(model::ChainReason::kEnrolled, 0));
  }
  judge_ = std::make_unique<agent::decide::Judge>(loop);
  inventory_ = Must(agent::inventory::Inventory::Open(*database_, *events_, *judge_, loop));
  vault_ = Must(agent::decide::PolicyVault::Open(folder_ + "/policy"));
  policy_ = Must(agent::decide::PolicyInForce::Open(
      {*vault_, *judge_, *inventory_, *events_, *database_, loop, loop}, "default"));
  if (!policy_->root().has_value()) Must(policy_->InstallRoot(setting_.root));
  sealer_ = std::make_unique<journal::Sealer>(loop, *journal_);
  session_ = std::make_unique<agent::sync::Session>(
      agent::sync::Session::Rooms{loop, loop, setting_.random, *connector_, *journal_, *events_,
                                  *policy_, key_},
      agent::sync::Endpoint{id_, "simulated", "linux", "", "0", {}});
  sealer_->set_on_sealed([this] { session_->OnSealed(); });
  sealer_->SealSoon();
  policy_->Resume();
  session_->Start();
}

void SimAgent::Kill() {
  session_.reset();
  sealer_.reset();
  policy_.reset();
  vault_.reset();
  inventory_.reset();
  judge_.reset();
  events_.reset();
  journal_.reset();
  database_.reset();
}

void SimAgent::Look() {
  Report(false);
  Report(true);
}

void SimAgent::Report(bool hashed) {
  Observations observations;
  observations.emplace_back(sensors::WalkStarted{kRoot});
  for (const auto& [path, content] : files_) {
    const model::Path full{kRoot.bytes + "/" + path, model::PathEncoding::kPosixBytes};
    const auto known = Must(inventory_->Find(full));
    const bool unchanged = known.has_value() && IsContent(known->sighting, content);
    if (unchanged) {
      observations.emplace_back(sensors::ModelStillThere{full});
      continue;
    }
    observations.emplace_back(sensors::ModelSeen{MakeSighting(full, content, hashed), 1, 1});
  }
  sensors::WalkFinished finished;
  finished.coverage.sensor = "artifacts";
  finished.coverage.root = kRoot;
  finished.coverage.state = model::CoverageState::kLooked;
  finished.complete = true;
  observations.emplace_back(std::move(finished));
  Must(inventory_->Apply(observations));
}

}  // namespace weighmaster::sim
