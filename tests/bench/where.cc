#include <algorithm>
#include <filesystem>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/ingesting.h"

namespace weighmaster::bench {
namespace {

constexpr int kEndpoints = 10'000;
constexpr int kSightingsEach = 100;
constexpr int kEndpointsAtOnce = 500;  // within the server's queue

// Filled through the server's own ingest, so that every table is as the product makes it.
void FillStore(const std::string& path) {
  IngestingServer server(path, kEndpoints);
  for (int first = 0; first < kEndpoints; first += kEndpointsAtOnce) {
    std::vector<IngestingServer::Sent> batches;
    for (int n = first; n < first + kEndpointsAtOnce; ++n) {
      TellingEndpoint endpoint(n);
      batches.push_back({n, endpoint.Start()});
      for (wire::SealedBatch& batch : endpoint.TellInventory(kSightingsEach)) {
        batches.push_back({n, std::move(batch)});
      }
    }
    server.Take(std::move(batches));
  }
}

}  // namespace

int Where(const Arguments& arguments) {
  const std::string path = arguments[0] + "/where.db";
  const int runs = std::stoi(arguments[1]);
  if (!std::filesystem::exists(path)) {
    const std::string unfinished = arguments[0] + "/unfinished-where.db";
    std::filesystem::remove(unfinished);
    FillStore(unfinished);
    std::filesystem::rename(unfinished, path);
  }
  const auto store = Must(server::store::SqliteStore::Open(path));
  const auto queries = Must(store->OpenQueries());
  server::store::SightingQuery query;
  query.sha256 = TellingEndpoint::CommonDigest();
  for (int run = 0; run < runs; ++run) {
    const Stopwatch watch;
    const auto page = Must(queries->ListSightings(server::store::Scope::WholeFleet(), query));
    const double seconds = watch.Seconds();
    std::printf(
        "{\"seconds\": %.6f, \"rows\": %zu, \"total\": %llu, \"endpoints\": %llu, "
        "\"looked\": %llu}\n",
        seconds, page.rows.size(), static_cast<unsigned long long>(page.total),
        static_cast<unsigned long long>(page.endpoints),
        static_cast<unsigned long long>(page.coverage.looked));
  }
  return 0;
}

}  // namespace weighmaster::bench
