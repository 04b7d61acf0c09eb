#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "server/api/admin_api.h"
#include "server/api/audit_log.h"
#include "server/api/dispatch.h"
#include "server/api/evidence.h"
#include "server/fleet/fleet.h"
#include "server/identity/administrators.h"
#include "server/identity/authority.h"
#include "server/ingest/ingest.h"
#include "server/rest/gateway.h"
#include "server/rest/server.h"
#include "server/rollout/rollout.h"
#include "server/rollout/simulator.h"
#include "server/rpc/calls.h"
#include "server/rpc/server.h"
#include "server/store/store.h"
#include "third_party/asio/asio_loop.h"
#include "third_party/asio/thread_pool.h"
#include "third_party/openssl/random.h"
#include "third_party/posix/folder_lock.h"
#include "third_party/spdlog/log.h"

namespace weighmaster::server::app {

struct ServeOptions {
  std::string data_folder;  // what `init` made
  std::string listen;       // "host:port"
  std::string rest;         // "ip:port"; "": no REST gateway
  logging::Options log;
};

// The server: every room, made in the order in which they stand on each other, and taken down in
// the reverse. Loop-owned; loop and clock must outlive it.
class Server {
 public:
  static base::Result<std::unique_ptr<Server>> Open(asio::AsioLoop& loop, const base::Clock& clock,
                                                    const ServeOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const { return rpc_->port(); }

 private:
  Server(asio::AsioLoop& loop, const base::Clock& clock) : loop_(loop), clock_(clock) {}

  base::Status OpenStore(const std::string& data_folder, const identity::FleetFiles& files);
  base::Status OpenRooms(identity::FleetFiles files, std::string address);
  base::Status Listen(const std::string& address);
  rest::StrangerCounts CountStrangers() const;
  base::Status ListenForRest(const std::string& address);

  // Constant after construction.
  asio::AsioLoop& loop_;
  const base::Clock& clock_;
  openssl::SystemRandom random_;

  // In the order of making; each may use what stands above it.
  posix::FolderLock lock_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::Queries> queries_;
  std::unique_ptr<store::Queries> admin_queries_;
  std::unique_ptr<store::Queries> simulator_queries_;
  std::unique_ptr<rollout::ListsDeltas> lists_deltas_;
  model::Id lineage_;
  // Their tasks use what stands above and post to the loop; they run dry when they go.
  std::unique_ptr<asio::ThreadPool> writer_;
  std::unique_ptr<asio::ThreadPool> reader_;
  // Of lists alone: a filter over a million rows keeps no endpoint waiting.
  std::unique_ptr<asio::ThreadPool> admin_reader_;
  std::unique_ptr<asio::ThreadPool> simulating_;  // one that takes seconds keeps no list waiting
  std::unique_ptr<asio::ThreadPool> pool_;
  std::unique_ptr<identity::Authority> authority_;
  std::unique_ptr<identity::Administrators> administrators_;
  std::unique_ptr<ingest::Ingest> ingest_;
  std::unique_ptr<rollout::Rollout> rollout_;
  std::unique_ptr<rollout::ExceptionRollout> exceptions_;
  std::unique_ptr<rollout::Simulator> simulator_;
  std::unique_ptr<fleet::Fleet> fleet_;
  std::unique_ptr<api::Evidence> evidence_;
  std::unique_ptr<api::AdminApi> api_;
  std::unique_ptr<api::AuditLog> audit_;
  std::unique_ptr<api::Dispatch> dispatch_;
  std::unique_ptr<rpc::AgentCalls> agents_;
  std::unique_ptr<rpc::Server> rpc_;
  std::unique_ptr<rest::Gateway> gateway_;
  std::unique_ptr<rest::Server> rest_;
};

}  // namespace weighmaster::server::app
