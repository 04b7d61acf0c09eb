#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "policy/base/check.h"
#include "server/api/admin_api.h"
#include "server/api/audit_log.h"
#include "server/api/dispatch.h"
#include "server/api/evidence.h"
#include "server/fleet/fleet.h"
#include "server/identity/administrators.h"
#include "server/identity/authority.h"
#include "server/ingest/ingest.h"
#include "server/rollout/rollout.h"
#include "server/rollout/simulator.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/support/live_loop.h"
#include "tests/support/temp_folder.h"
#include "third_party/asio/thread_pool.h"
#include "third_party/openssl/random.h"

namespace weighmaster::tests {

template <typename T>
T Must(base::Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().ToString();
  WM_CHECK(result.has_value());
  return std::move(result).value();
}

// The server's own rooms up to the Dispatch, in real time, on SQLite in a folder and on threads;
// and an administrator "ada". What carries calls to it is the test's.
class ServedApi {
 public:
  explicit ServedApi(base::Loop& loop) : loop_(loop) {
    WM_CHECK(server::identity::CreateFleet(folder_ / "fleet",
                                           {{"localhost"}, {"127.0.0.1"}, clock_.Now()}, random_));
    server::identity::FleetFiles files = Must(server::identity::LoadFleet(folder_ / "fleet"));
    WM_CHECK(store_->AdoptFleet(files.root.fleet_id, model::Id{{1}}, 1, files.signed_root));
    bearer_ = MakeBearer(server::store::AdminRole::kAdmin, "ada");
    WM_CHECK(rollout_.Load(*queries_));
    tls_pem_ = files.tls_pem;
    tls_key_pem_ = files.tls_key_pem;
    ca_pem_ = files.ca_pem;
    acknowledger_.emplace(files.ack_key);
    // The port is known only once a server listens.
    authority_.emplace(loop_, clock_, random_, std::move(files), "127.0.0.1:1", writer_, *store_,
                       reader_, *queries_);
    fleet_.emplace(server::fleet::Services{loop_, clock_, random_, ingest_, rollout_, exceptions_,
                                           reader_, *queries_, lists_deltas_, writer_, *store_,
                                           *acknowledger_, model::Id{{1}}});
    evidence_.emplace(clock_, *acknowledger_);
    admin_.emplace(loop_, clock_,
                   server::api::AdminApi::Rooms{*authority_, administrators_, *fleet_, ingest_,
                                                rollout_, exceptions_, simulator_, *evidence_,
                                                reader_, *queries_, writer_, *store_},
                   "test");
    dispatch_.emplace(clock_, administrators_, audit_, *admin_);
  }

  // "Bearer wma1.…" of a new token.
  std::string MakeBearer(server::store::AdminRole role, const std::string& name) {
    const auto token = server::identity::MakeAdminToken(
        name, role, server::store::Scope::WholeFleet(), clock_.Now(), {}, random_);
    WM_CHECK(store_->AddAdminToken(token.record));
    return "Bearer " + token.text;
  }

  base::Loop& loop_;
  TempFolder folder_;
  SystemClock clock_;
  openssl::SystemRandom random_;
  std::string tls_pem_;
  std::string tls_key_pem_;
  std::string ca_pem_;
  std::string bearer_;  // ada's
  const std::unique_ptr<server::store::SqliteStore> store_ =
      Must(server::store::SqliteStore::Open(folder_ / "store.db"));
  const std::unique_ptr<server::store::Queries> queries_ = Must(store_->OpenQueries());
  server::rollout::ListsDeltas lists_deltas_{*queries_};
  asio::ThreadPool pool_{1, "verify"};
  asio::ThreadPool writer_{1, "store"};
  asio::ThreadPool reader_{1, "queries"};
  server::ingest::Ingest ingest_{loop_, clock_, random_, pool_, writer_, *store_};
  server::rollout::Rollout rollout_{loop_, clock_, pool_, writer_, *store_};
  server::rollout::ExceptionRollout exceptions_{loop_, clock_, pool_, writer_, *store_, rollout_};
  server::rollout::Simulator simulator_{loop_, clock_, reader_, *queries_};
  std::optional<server::identity::Authority> authority_;
  std::optional<openssl::PrivateKey> acknowledger_;
  std::optional<server::fleet::Fleet> fleet_;
  server::identity::Administrators administrators_{loop_,   clock_,  random_,  writer_,
                                                   *store_, reader_, *queries_};
  std::optional<server::api::Evidence> evidence_;
  std::optional<server::api::AdminApi> admin_;
  server::api::AuditLog audit_{loop_, clock_, writer_, *store_};
  std::optional<server::api::Dispatch> dispatch_;
};

}  // namespace weighmaster::tests
