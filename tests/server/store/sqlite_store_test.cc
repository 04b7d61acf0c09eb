#include "server/store/sqlite/sqlite_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/server/store/conformance.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {
namespace {

std::unique_ptr<Store> OpenAt(const std::string& path) {
  auto store = SqliteStore::Open(path);
  EXPECT_TRUE(store.has_value()) << store.error().ToString();
  return store.has_value() ? *std::move(store) : nullptr;
}

class MemoryPlace final : public StorePlace {
 public:
  std::unique_ptr<Store> Open() override { return OpenAt(":memory:"); }
  bool lasts() const override { return false; }
};

class DiskPlace final : public StorePlace {
 public:
  DiskPlace() {
    std::string pattern = ::testing::TempDir() + "/weighmaster-store-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~DiskPlace() override { std::filesystem::remove_all(folder_); }
  DiskPlace(const DiskPlace&) = delete;
  DiskPlace& operator=(const DiskPlace&) = delete;

  std::unique_ptr<Store> Open() override { return OpenAt(path()); }
  bool lasts() const override { return true; }
  std::string path() const { return folder_ + "/server.db"; }

 private:
  std::string folder_;
};

INSTANTIATE_TEST_SUITE_P(SqliteInMemory, StoreConformance,
                         ::testing::Values([] { return std::make_unique<MemoryPlace>(); }));
INSTANTIATE_TEST_SUITE_P(SqliteOnDisk, StoreConformance,
                         ::testing::Values([] { return std::make_unique<DiskPlace>(); }));

TEST(SqliteStore, ReadersSeeTheLastCommitWhileTheWriterWrites) {
  DiskPlace place;
  const auto store = place.Open();
  const auto queries = store->OpenQueries();
  ASSERT_TRUE(queries.has_value());
  auto other = sqlite::Database::Open(place.path());
  ASSERT_TRUE(other.has_value());
  auto transaction = sqlite::Transaction::Begin(**other);
  ASSERT_TRUE(transaction.has_value());
  const auto coverage = (*queries)->Coverage();
  ASSERT_TRUE(coverage.has_value()) << coverage.error().ToString();
  EXPECT_EQ(coverage->endpoints, 0U);
}

class SqliteStoreOnDisk : public StoreConformance {
 protected:
  // A file that only this test's statements break.
  DiskPlace& place() { return static_cast<DiskPlace&>(*place_); }
};

TEST_P(SqliteStoreOnDisk, WhatWasTakenBackWithABatchIsNotRememberedForTheNext) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  Commit({Write(endpoint, script.Start())});
  {
    const auto other = sqlite::Database::Open(place().path());
    ASSERT_TRUE((*other)
                    ->Execute("CREATE TRIGGER refuse BEFORE INSERT ON sightings "
                              "WHEN NEW.path_display = '/m/refused' "
                              "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END")
                    .has_value());
  }
  const auto seen = [](const char* path, int content) {
    return model::EventBody(model::SightingAppeared{tests::TestSighting(path, content)});
  };
  const auto refused = script.Seal({seen("/m/refused", 1)});
  const auto outcomes = Commit({Write(endpoint, refused)});
  EXPECT_EQ(outcomes.at(0).kind, Kind::kRefused);
  // Another endpoint names a new model, and then the one whose number was taken back.
  const model::Id second = Enrol(2);
  tests::EndpointScript others(tests::TestKey(12), tests::TestId(0xc2));
  Commit({Write(endpoint, refused), Write(second, others.Start()),
          Write(second, others.Seal({seen("/m/b", 2), seen("/m/a", 1)}))});
  for (const auto& [content, path] : {std::pair(1, "/m/a"), std::pair(2, "/m/b")}) {
    SightingQuery where;
    where.sha256 = tests::TestDigest(content);
    const auto found = queries_->ListSightings(where);
    ASSERT_TRUE(found.has_value());
    ASSERT_EQ(found->rows.size(), 1U);
    EXPECT_EQ(found->rows[0].sighting.path.bytes, path);
  }
}
INSTANTIATE_TEST_SUITE_P(Sqlite, SqliteStoreOnDisk,
                         ::testing::Values([] { return std::make_unique<DiskPlace>(); }));

}  // namespace
}  // namespace weighmaster::server::store
