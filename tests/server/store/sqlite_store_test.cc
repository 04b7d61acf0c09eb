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

}  // namespace
}  // namespace weighmaster::server::store
