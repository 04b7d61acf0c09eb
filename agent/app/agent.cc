#include "agent/app/agent.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "agent/app/effective_settings.h"
#include "agent/os/this_program.h"
#include "agent/sensors/artifacts/roots.h"
#include "policy/base/limits.h"
#include "policy/base/version.h"
#include "third_party/posix/files.h"
#include "third_party/spdlog/log.h"

namespace weighmaster::agent::app {
namespace {

// The user that nothing belongs to, by Debian's convention (base-passwd).
constexpr cage::RunAs kNobody{65534, 65534};

// Every user may reach the socket: mode 0755 where the folder is not there yet.
base::Status MakeSocketFolder(const std::string& socket_path) {
  const auto folder = std::filesystem::path(socket_path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return base::FromErrno(error.value(), "making the folder " + folder.string());
  return {};
}

}  // namespace

Agent::Agent(asio::AsioLoop& loop, const base::Clock& clock, Settings settings, TokenSource token)
    : loop_(loop),
      clock_(clock),
      settings_(std::move(settings)),
      token_(std::move(token)),
      judge_(clock),
      enrolment_client_(clock),
      install_root_(loop),
      rescan_(loop) {}

base::Result<std::unique_ptr<Agent>> Agent::Open(asio::AsioLoop& loop, const base::Clock& clock,
                                                 Settings settings, TokenSource token) {
  std::unique_ptr<Agent> agent(new Agent(loop, clock, std::move(settings), std::move(token)));
  WM_RETURN_IF_ERROR(agent->OpenState());
  WM_RETURN_IF_ERROR(agent->OpenPolicy());
  WM_RETURN_IF_ERROR(agent->OpenSensors());
  return agent;
}

Agent::~Agent() {
  if (sensor_ != nullptr) sensor_->Stop();
  if (session_ != nullptr) session_->Stop();
}

base::Status Agent::OpenState() {
  WM_ASSIGN_OR_RETURN(machine_, os::ReadMachine());
  WM_RETURN_IF_ERROR(posix::MakePrivateFolder(settings_.state_folder));
  WM_ASSIGN_OR_RETURN(lock_, posix::FolderLock::Take(settings_.state_folder, "agent"));
  const bool first_run = !HasKey(settings_.state_folder);
  WM_ASSIGN_OR_RETURN(key_, LoadOrMakeKey(settings_.state_folder));
  WM_ASSIGN_OR_RETURN(
      state_, app::OpenState({settings_.state_folder + "/state.db", machine_.boot_id, first_run,
                              clock_, random_, *key_}));
  WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction,
                      sqlite::Transaction::Begin(*state_.database));
  WM_RETURN_IF_ERROR(state_.events->Append(
      transaction, model::AgentStarted{std::string(base::kVersion), machine_.os,
                                       machine_.os_release, machine_.hostname}));
  return transaction.Commit();
}

base::Status Agent::OpenPolicy() {
  WM_ASSIGN_OR_RETURN(inventory_,
                      inventory::Inventory::Open(*state_.database, *state_.events, judge_, loop_));
  WM_ASSIGN_OR_RETURN(vault_, decide::PolicyVault::Open(settings_.state_folder + "/policy"));
  WM_ASSIGN_OR_RETURN(
      policy_, decide::PolicyInForce::Open(
                   {*vault_, judge_, *inventory_, *state_.events, *state_.database, loop_, clock_},
                   settings_.policy_line));
  sealer_ = std::make_unique<journal::Sealer>(loop_, *state_.journal);
  return {};
}

base::Status Agent::OpenSensors() {
  std::string program = settings_.cage_program;
  if (program.empty()) {
    WM_ASSIGN_OR_RETURN(program, os::BesideThisProgram("weighmaster-cage"));
  }
  cage::CageSpec spec = cage::DefaultCageSpec(program);
  if (::geteuid() == 0) spec.run_as = kNobody;
  WM_ASSIGN_OR_RETURN(cage_, cage::Cage::Launch(std::move(spec)));
  WM_ASSIGN_OR_RETURN(known_,
                      inventory::KnownSightings::Open(settings_.state_folder + "/state.db"));
  WM_ASSIGN_OR_RETURN(checkpoints_,
                      inventory::CheckpointFile::Open(settings_.state_folder + "/checkpoints.db"));
  intake_ = std::make_unique<inventory::Intake>(loop_, *inventory_);

  sensors::ArtifactSensorOptions options;
  options.roots = settings_.roots;
  options.excluded = settings_.excluded;
  options.excluded.push_back(settings_.state_folder);
  const EffectiveSettings effective = Effective(settings_, policy_->settings());
  options.min_size_bytes = effective.min_size_bytes;
  options.budget = effective.budget;
  options.hash_threads = settings_.hash_threads;
  sensor_pool_ = std::make_unique<asio::ThreadPool>(settings_.hash_threads + 1, "artifacts");
  sensor_ = std::make_unique<sensors::ArtifactSensor>(
      std::move(options),
      sensors::ArtifactSensorSeams{
          clock_, random_, *sensor_pool_,
          [this](std::span<const cage::CageFile> files) { return cage_->ParseBatch(files); },
          [this](int fd, std::uint64_t bytes) { return cage_->MapTensors(fd, bytes); }, *known_,
          *checkpoints_, *intake_});
  policy_->set_on_settings([this] { Tune(); });
  return {};
}

base::Status Agent::Start() {
  network_pool_ = std::make_unique<asio::ThreadPool>(2, "network");
  enrolling_ = std::make_unique<Enrolling>(
      Enrolling::Rooms{loop_, *network_pool_, clock_, random_, *key_, enrolment_client_},
      settings_.state_folder, token_, machine_,
      [this](const EnrolledIdentity& identity) { OnIdentity(identity); });
  answers_ = std::make_unique<Answers>(Answers::Rooms{*inventory_, *state_.journal, *policy_,
                                                      *intake_, *sensor_, *enrolling_, settings_},
                                       [this]() -> const sync::Session* { return session_.get(); });
  WM_RETURN_IF_ERROR(MakeSocketFolder(settings_.control_socket));
  control::ServerOptions options;
  options.socket_path = settings_.control_socket;
  WM_ASSIGN_OR_RETURN(control_, control::Server::Listen(loop_, *answers_, options));

  sealer_->set_on_sealed([this] { OnSealed(); });
  sealer_->SealSoon();
  policy_->Resume();
  WM_ASSIGN_OR_RETURN(std::optional<EnrolledIdentity> identity,
                      LoadIdentity(settings_.state_folder));
  enrolling_->Start(std::move(identity));
  Rescan();
  logging::Info("agent", "weighmaster-agent " + std::string(base::kVersion) + " is at work");
  return {};
}

void Agent::OnIdentity(const EnrolledIdentity& identity) {
  if (session_ != nullptr) return;  // renewed; the connector takes it at its next connection
  if (!policy_->root().has_value()) {
    if (const auto installed = policy_->InstallRoot(identity.root); !installed.has_value()) {
      logging::Error("policy", installed.error().message());
      install_root_.Start(base::limits::kStorageRetryDelay,
                          [this] { OnIdentity(*enrolling_->identity()); });
      return;
    }
  }
  connector_ = std::make_unique<sync::GrpcConnector>(
      loop_, *network_pool_, clock_, [this] { return enrolling_->connector_options(); });
  session_ = std::make_unique<sync::Session>(
      sync::Session::Rooms{loop_, clock_, random_, *connector_, *state_.journal, *state_.events,
                           *policy_, *key_},
      sync::Endpoint{identity.endpoint_id, machine_.hostname, machine_.os, machine_.os_release,
                     std::string(base::kVersion), machine_.machine_sha256});
  session_->Start();
}

void Agent::OnSealed() {
  if (session_ != nullptr) session_->OnSealed();
}

void Agent::Tune() {
  const EffectiveSettings effective = Effective(settings_, policy_->settings());
  sensor_->Tune(effective.min_size_bytes, effective.budget);
}

void Agent::Rescan() {
  sensor_->StartWalk();
  rescan_.Start(settings_.rescan_every, [this] { Rescan(); });
}

}  // namespace weighmaster::agent::app
