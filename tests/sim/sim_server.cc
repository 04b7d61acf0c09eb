#include "tests/sim/sim_server.h"

#include <utility>

#include "policy/base/check.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/sim/models.h"

namespace weighmaster::sim {
namespace {

template <typename T>
T Must(base::Result<T> result) {
  WM_CHECK(result.has_value());
  return std::move(*result);
}
void Must(const base::Status& status) { WM_CHECK(status.has_value()); }

constexpr std::chrono::hours kTokenLife{24};

}  // namespace

SimServer::SimServer(tests::SimLoop& loop, base::Random& random, tests::TestFleet fleet,
                     std::string folder)
    : loop_(loop),
      random_(random),
      fleet_document_(std::move(fleet)),
      path_(folder + "/store.db") {}

SimServer::~SimServer() { Kill(); }

void SimServer::Start() {
  store_ = Must(server::store::SqliteStore::Open(path_));
  model::Id lineage;
  random_.Fill(lineage.bytes);
  Must(store_->AdoptFleet(fleet_document_.root.fleet_id, lineage, fleet_document_.root.version,
                          fleet_document_.signed_root));
  queries_ = Must(store_->OpenQueries());
  writer_ = std::make_unique<ProcessExecutor>(loop_, loop_, random_);
  reader_ = std::make_unique<ProcessExecutor>(loop_, loop_, random_);
  pool_ = std::make_unique<ProcessExecutor>(loop_, loop_, random_);
  ingest_ =
      std::make_unique<server::ingest::Ingest>(loop_, loop_, random_, *pool_, *writer_, *store_);
  rollout_ = std::make_unique<server::rollout::Rollout>(loop_, loop_, *pool_, *writer_, *store_);
  Must(rollout_->Load(*queries_));
  exceptions_ = std::make_unique<server::rollout::ExceptionRollout>(loop_, loop_, *pool_, *writer_,
                                                                    *store_, *rollout_);
  Must(exceptions_->Load(*queries_));
  lists_deltas_ = std::make_unique<server::rollout::ListsDeltas>(*queries_);
  fleet_ = std::make_unique<server::fleet::Fleet>(server::fleet::Services{
      loop_, loop_, random_, *ingest_, *rollout_, *exceptions_, *reader_, *queries_, *lists_deltas_,
      *writer_, *store_, tests::ServerKey(), Must(queries_->Fleet()).lineage});
}

void SimServer::Kill() {
  fleet_.reset();
  exceptions_.reset();
  rollout_.reset();
  ingest_.reset();
  pool_.reset();
  reader_.reset();
  writer_.reset();
  lists_deltas_.reset();
  queries_.reset();
  store_.reset();
}

wire::ServerListener* SimServer::Accept(std::unique_ptr<wire::ServerChannel> channel) {
  if (!alive()) return nullptr;
  return fleet_->Accept(std::move(channel), std::nullopt);
}

void SimServer::Enrol(const model::Id& id, const openssl::PublicKey& key) {
  server::store::EnrolmentTokenRecord token;
  random_.Fill(token.secret_sha256.bytes);
  token.created = loop_.Now();
  token.expires = loop_.Now() + kTokenLife;
  Must(store_->AddToken(token));
  const server::store::NewEndpoint endpoint{id, key, {}};
  Must(store_->Enrol(token.secret_sha256, loop_.Now(), endpoint));
}

void SimServer::Publish(std::uint64_t version) {
  rollout_->Publish(MakePublication(version, loop_.Now()), [this, version](const auto& published) {
    if (published.has_value()) published_ = std::max(published_, version);
  });
}

std::unique_ptr<server::store::Queries> SimServer::Look() {
  reading_ = Must(server::store::SqliteStore::Open(path_));
  return Must(reading_->OpenQueries());
}

}  // namespace weighmaster::sim
