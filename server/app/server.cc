#include "server/app/server.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "policy/base/version.h"
#include "server/app/data_folder.h"
#include "server/store/sqlite/sqlite_store.h"
#include "third_party/posix/files.h"
#include "third_party/spdlog/log.h"

namespace weighmaster::server::app {

base::Result<std::unique_ptr<Server>> Server::Open(asio::AsioLoop& loop, const base::Clock& clock,
                                                   const ServeOptions& options) {
  WM_ASSIGN_OR_RETURN(identity::FleetFiles files, identity::LoadFleet(options.data_folder));
  WM_ASSIGN_OR_RETURN(const std::string address, LoadAddress(options.data_folder));
  std::unique_ptr<Server> server(new Server(loop, clock));
  WM_RETURN_IF_ERROR(server->OpenStore(options.data_folder, files));
  WM_RETURN_IF_ERROR(server->OpenRooms(std::move(files), address));
  WM_RETURN_IF_ERROR(server->Listen(options.listen.empty() ? address : options.listen));
  if (!options.rest.empty()) WM_RETURN_IF_ERROR(server->ListenForRest(options.rest));
  return server;
}

// Streams end first, so that nothing new is asked of the rooms below.
Server::~Server() {
  rest_.reset();
  if (rpc_ != nullptr) rpc_->Stop();
}

base::Status Server::OpenStore(const std::string& data_folder, const identity::FleetFiles& files) {
  WM_ASSIGN_OR_RETURN(lock_, posix::FolderLock::Take(data_folder, "server"));
  WM_ASSIGN_OR_RETURN(store_, store::SqliteStore::Open(StorePath(data_folder)));
  model::Id new_lineage;
  random_.Fill(new_lineage.bytes);
  WM_RETURN_IF_ERROR(
      store_->AdoptFleet(files.root.fleet_id, new_lineage, files.root.version, files.signed_root));
  WM_ASSIGN_OR_RETURN(queries_, store_->OpenQueries());
  WM_ASSIGN_OR_RETURN(admin_queries_, store_->OpenQueries());
  WM_ASSIGN_OR_RETURN(simulator_queries_, store_->OpenQueries());
  WM_ASSIGN_OR_RETURN(const store::FleetRecord fleet, queries_->Fleet());
  lineage_ = fleet.lineage;
  return {};
}

base::Status Server::OpenRooms(identity::FleetFiles files, std::string address) {
  writer_ = std::make_unique<asio::ThreadPool>(1, "store");
  reader_ = std::make_unique<asio::ThreadPool>(1, "queries");
  admin_reader_ = std::make_unique<asio::ThreadPool>(1, "lists");
  simulating_ = std::make_unique<asio::ThreadPool>(1, "simulate");
  pool_ = std::make_unique<asio::ThreadPool>(std::max(1U, std::thread::hardware_concurrency()),
                                             "verify");
  authority_ = std::make_unique<identity::Authority>(loop_, clock_, random_, std::move(files),
                                                     std::move(address), *writer_, *store_,
                                                     *reader_, *queries_);
  administrators_ = std::make_unique<identity::Administrators>(loop_, clock_, random_, *writer_,
                                                               *store_, *reader_, *queries_);
  ingest_ = std::make_unique<ingest::Ingest>(
      loop_, clock_, random_, *pool_, *writer_, *store_, [](const base::Status& status) {
        if (status.has_value()) {
          logging::Info("store", "the store can be written again");
        } else {
          logging::Error("store", status.error().message() +
                                      "; nothing is acknowledged until it can be written");
        }
      });
  rollout_ = std::make_unique<rollout::Rollout>(loop_, clock_, *pool_, *writer_, *store_);
  WM_RETURN_IF_ERROR(rollout_->Load(*queries_));
  exceptions_ = std::make_unique<rollout::ExceptionRollout>(loop_, clock_, *pool_, *writer_,
                                                            *store_, *rollout_);
  WM_RETURN_IF_ERROR(exceptions_->Load(*queries_));
  lists_deltas_ = std::make_unique<rollout::ListsDeltas>(*queries_);
  simulator_ =
      std::make_unique<rollout::Simulator>(loop_, clock_, *simulating_, *simulator_queries_);
  fleet_ = std::make_unique<fleet::Fleet>(fleet::Services{
      loop_, clock_, random_, *ingest_, *rollout_, *exceptions_, *reader_, *queries_,
      *lists_deltas_, *writer_, *store_, authority_->files().ack_key, lineage_});
  evidence_ = std::make_unique<api::Evidence>(clock_, authority_->files().ack_key);
  api_ = std::make_unique<api::AdminApi>(
      loop_, clock_,
      api::AdminApi::Rooms{*authority_, *administrators_, *fleet_, *ingest_, *rollout_,
                           *exceptions_, *simulator_, *evidence_, *admin_reader_, *admin_queries_,
                           *writer_, *store_},
      std::string(base::kVersion));
  audit_ = std::make_unique<api::AuditLog>(loop_, clock_, *writer_, *store_);
  dispatch_ = std::make_unique<api::Dispatch>(clock_, *administrators_, *audit_, *api_);
  return {};
}

base::Status Server::Listen(const std::string& address) {
  agents_ = rpc::MakeAgentCalls(*authority_, *fleet_);
  rpc::Server::Options options;
  options.address = address;
  options.certificate_pem = authority_->files().tls_pem;
  options.private_key_pem = authority_->files().tls_key_pem;
  options.ca_pem = authority_->files().ca_pem;
  WM_ASSIGN_OR_RETURN(rpc_, rpc::Server::Start(options, loop_, clock_, *agents_, dispatch_.get()));
  logging::Info("server", "weighmaster-server " + std::string(base::kVersion) + " serves fleet " +
                              authority_->files().root.fleet_id + " on port " +
                              std::to_string(rpc_->port()));
  return {};
}

rest::StrangerCounts Server::CountStrangers() const {
  const rpc::Doorkeeper::Counts counts = rpc_->counts();
  rest::StrangerCounts strangers{counts.strangers, {}, counts.pauses};
  for (std::size_t i = 0; i < counts.cut.size(); ++i) {
    strangers.cut.emplace_back(rpc::CutReasonName(static_cast<rpc::CutReason>(i)), counts.cut[i]);
  }
  return strangers;
}

base::Status Server::ListenForRest(const std::string& address) {
  gateway_ = std::make_unique<rest::Gateway>(
      loop_, clock_, *pool_, *dispatch_, [this] { return ingest_->store_is_well(); },
      [this] { return CountStrangers(); });
  rest::Server::Options options;
  options.address = address;
  options.certificate_pem = authority_->files().tls_pem;
  options.private_key_pem = authority_->files().tls_key_pem;
  options.ca_pem = authority_->files().ca_pem;
  WM_ASSIGN_OR_RETURN(rest_, rest::Server::Start(loop_, clock_, *gateway_, options));
  logging::Info("server", "REST on port " + std::to_string(rest_->port()));
  return {};
}

}  // namespace weighmaster::server::app
