#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/fleet/fleet.h"
#include "server/ingest/ingest.h"
#include "server/rollout/rollout.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/server/failing_store.h"
#include "tests/support/endpoint_script.h"
#include "tests/support/keys.h"
#include "tests/support/sim_loop.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::tests {

// A server's rooms on one simulated loop, over SQLite in memory, without transport and identity.
class ServerWorld {
 public:
  ServerWorld() {
    const TestFleet fleet = MakeTestFleet();
    EXPECT_TRUE(
        store_->AdoptFleet(fleet.root.fleet_id, TestId(0x11), 1, fleet.signed_root).has_value());
    EXPECT_TRUE(rollout_.Load(*queries_).has_value());
  }

  model::Id Enrol(std::uint8_t n) {
    server::store::EnrolmentTokenRecord token;
    token.secret_sha256 = TestDigest(5000 + n);
    token.expires = loop_.Now() + std::chrono::hours(1);
    EXPECT_TRUE(store_->AddToken(token).has_value());
    EXPECT_TRUE(
        store_
            ->Enrol(token.secret_sha256, loop_.Now(), {TestId(n), TestKey(10 + n).public_key(), {}})
            .has_value());
    return TestId(n);
  }

  server::rollout::Publication Policy(std::uint64_t version, std::uint64_t floor = 0,
                                      const std::string& part = "content",
                                      wire::PartKind kind = wire::PartKind::kContent) {
    const std::string text = "version: " + std::to_string(version);
    wire::BundleManifest manifest = MakeManifest(version, floor);
    manifest.document = openssl::Sha256Of(base::AsBytes(text));
    manifest.parts = {PartOf(kind, part, {})};
    server::rollout::Publication publication;
    publication.document = SignBundle(manifest);
    publication.parts = {{manifest.parts[0], part}};
    publication.text = text;
    return publication;
  }
  base::Status Publish(server::rollout::Publication publication) {
    base::Status status = base::Internal("no reply came");
    rollout_.Publish(std::move(publication), [&](auto published) {
      status = published.has_value() ? base::Status() : base::Status(published.error());
    });
    loop_.RunReady();
    return status;
  }

  std::vector<server::store::FindingRow> Findings() {
    auto page = queries_->ListFindings(server::store::Scope::WholeFleet(), false, {});
    EXPECT_TRUE(page.has_value());
    return page->rows;
  }
  bool HasFinding(std::string_view rule) {
    for (const auto& finding : Findings()) {
      if (finding.rule == rule) return true;
    }
    return false;
  }

  SimLoop loop_;
  SimExecutor executor_{loop_};
  base::SeededRandom random_{1};
  std::unique_ptr<server::store::SqliteStore> sqlite_ =
      std::move(server::store::SqliteStore::Open(":memory:")).value();
  std::unique_ptr<FailingStore> store_ = std::make_unique<FailingStore>(*sqlite_);
  std::unique_ptr<server::store::Queries> queries_ = std::move(sqlite_->OpenQueries()).value();
  server::ingest::Ingest ingest_{loop_, loop_, random_, executor_, executor_, *store_};
  server::rollout::Rollout rollout_{loop_, loop_, executor_, executor_, *store_};
  server::rollout::ExceptionRollout exceptions_{loop_,     loop_,   executor_,
                                                executor_, *store_, rollout_};
  server::rollout::ListsDeltas lists_deltas_{*queries_};
  server::fleet::Fleet fleet_{server::fleet::Services{
      loop_, loop_, random_, ingest_, rollout_, exceptions_, executor_, *queries_, lists_deltas_,
      executor_, *store_, ServerKey(), TestId(0x11)}};
};

}  // namespace weighmaster::tests
