#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/app/answers.h"
#include "agent/app/enrolling.h"
#include "agent/app/settings.h"
#include "agent/app/state.h"
#include "agent/cage/parser.h"
#include "agent/control/server.h"
#include "agent/decide/judge.h"
#include "agent/decide/policy_in_force.h"
#include "agent/decide/vault.h"
#include "agent/inventory/checkpoint_file.h"
#include "agent/inventory/intake.h"
#include "agent/inventory/inventory.h"
#include "agent/inventory/known_sightings.h"
#include "agent/journal/sealer.h"
#include "agent/os/machine.h"
#include "agent/sensors/artifacts/artifact_sensor.h"
#include "agent/sync/grpc/connector.h"
#include "agent/sync/grpc/enrolment_client.h"
#include "agent/sync/session.h"
#include "third_party/asio/asio_loop.h"
#include "third_party/asio/thread_pool.h"
#include "third_party/openssl/random.h"
#include "third_party/posix/folder_lock.h"

namespace weighmaster::agent::app {

// The agent: every room, made in the order in which they stand on each other, and taken down in the
// reverse. Loop-owned; loop and clock must outlive it.
//
// It looks, journals and judges whether or not it has enrolled or reaches its server.
class Agent {
 public:
  // Opens the state folder and everything in it. An error says what keeps the agent from working at
  // all: settings, permissions, another agent, no cage. A damaged state file is moved aside and
  // begun anew.
  static base::Result<std::unique_ptr<Agent>> Open(asio::AsioLoop& loop, const base::Clock& clock,
                                                   Settings settings, TokenSource token);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Begins to look, to judge, to listen to local questions, and to reach the server.
  base::Status Start();

 private:
  Agent(asio::AsioLoop& loop, const base::Clock& clock, Settings settings, TokenSource token);

  base::Status OpenState();
  base::Status OpenPolicy();
  base::Status OpenSensors();
  void OnIdentity(const EnrolledIdentity& identity);
  void OnSealed();
  void Tune();
  void Rescan();

  // Constant after construction.
  asio::AsioLoop& loop_;
  const base::Clock& clock_;
  const Settings settings_;
  const TokenSource token_;
  openssl::SystemRandom random_;
  os::Machine machine_;

  // In the order of making; each may use what stands above it.
  posix::FolderLock lock_;
  std::optional<openssl::PrivateKey> key_;
  State state_;
  decide::Judge judge_;
  std::unique_ptr<inventory::Inventory> inventory_;
  std::unique_ptr<decide::PolicyVault> vault_;
  std::unique_ptr<decide::PolicyInForce> policy_;
  std::unique_ptr<journal::Sealer> sealer_;
  const sync::GrpcEnrolmentClient enrolment_client_;
  std::unique_ptr<Enrolling> enrolling_;
  std::unique_ptr<asio::ThreadPool> network_pool_;
  std::unique_ptr<sync::GrpcConnector> connector_;
  std::unique_ptr<sync::Session> session_;
  base::Timer install_root_;  // again, after a disk that was full

  std::unique_ptr<cage::Cage> cage_;
  std::unique_ptr<inventory::KnownSightings> known_;
  std::unique_ptr<inventory::CheckpointFile> checkpoints_;
  std::unique_ptr<inventory::Intake> intake_;
  std::unique_ptr<asio::ThreadPool> sensor_pool_;
  std::unique_ptr<sensors::ArtifactSensor> sensor_;
  base::Timer rescan_;

  std::unique_ptr<Answers> answers_;
  std::unique_ptr<control::Server> control_;
};

}  // namespace weighmaster::agent::app
