#include <filesystem>
#include <vector>

#include "tests/bench/bare_rows.h"
#include "tests/bench/bench.h"
#include "tests/bench/ingesting.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::bench {
namespace {

constexpr int kEndpoints = 1'000;
constexpr int kEndpointsInARound = 100;
constexpr int kModelsInABatch = 256;
constexpr std::size_t kEventsInARound = std::size_t{kEndpointsInARound} * kModelsInABatch * 4;

// A fleet that fills a server's store, a round of about 100,000 events at a time.
class FillingFleet {
 public:
  explicit FillingFleet(const std::string& path) : server_(path, kEndpoints) {
    std::vector<IngestingServer::Sent> first;
    for (int n = 0; n < kEndpoints; ++n) {
      endpoints_.emplace_back(n);
      first.push_back({n, endpoints_.back().Start()});
    }
    server_.Take(std::move(first));
  }

  // The seconds of a round: sealing it is not counted, as the endpoints do that.
  double Round() {
    std::vector<IngestingServer::Sent> batches;
    for (int i = 0; i < kEndpointsInARound; ++i) {
      const int n = (round_ * kEndpointsInARound + i) % kEndpoints;
      for (wire::SealedBatch& batch :
           endpoints_[static_cast<std::size_t>(n)].FindModels(kModelsInABatch)) {
        batches.push_back({n, std::move(batch)});
      }
    }
    ++round_;
    return server_.Take(std::move(batches));
  }

  std::uint64_t commits() const { return server_.commits(); }

 private:
  IngestingServer server_;
  std::vector<TellingEndpoint> endpoints_;
  int round_ = 0;
};

void CopyStore(const std::string& from, const std::string& to) {
  std::filesystem::remove(to);
  const auto database = Must(sqlite::Database::Open(from));
  Must(database->Execute("VACUUM INTO '" + to + "'"));
}

}  // namespace

int Ingest(const Arguments& arguments) {
  const std::string folder = arguments[0] + "/ingest";
  const int pairs = std::stoi(arguments[1]);
  const std::size_t events = std::stoull(arguments[2]);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  FillingFleet large(folder + "/large.db");
  std::size_t stored = 0;
  for (; stored < events; stored += kEventsInARound) large.Round();
  for (int pair = 0; pair < pairs; ++pair) {
    const std::string path = folder + "/" + std::to_string(pair);
    FillingFleet fresh(path + "-store.db");
    CopyStore(path + "-store.db", path + "-before.db");
    CopyStore(path + "-store.db", path + "-bare.db");
    const std::uint64_t commits_before = fresh.commits();
    const double ingest = fresh.Round();
    const BareRows rows(path + "-store.db", path + "-before.db");
    const double bare = rows.SecondsToInsert(path + "-bare.db", fresh.commits() - commits_before);
    const double late = large.Round();
    std::printf(
        "{\"events\": %zu, \"rows\": %zu, \"ingest\": %.6f, \"bare\": %.6f, "
        "\"late\": %.6f, \"stored\": %zu}\n",
        kEventsInARound, rows.size(), ingest, bare, late, stored);
    std::fflush(stdout);
  }
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace weighmaster::bench
