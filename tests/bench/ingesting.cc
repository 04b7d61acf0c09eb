#include "tests/bench/ingesting.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "tests/bench/bench.h"
#include "tests/support/keys.h"

namespace weighmaster::bench {

IngestingServer::IngestingServer(const std::string& path, int endpoints)
    : store_(Must(server::store::SqliteStore::Open(path))),
      pool_(std::make_unique<asio::ThreadPool>(std::max(1U, std::thread::hardware_concurrency()),
                                               "verify")),
      ingest_(std::make_unique<server::ingest::Ingest>(loop_, clock_, random_, *pool_, writer_,
                                                       *store_)) {
  const tests::TestFleet fleet = tests::MakeTestFleet();
  Must(store_->AdoptFleet(fleet.root.fleet_id, model::Id{{1}}, fleet.root.version,
                          fleet.signed_root));
  EnrolEndpoints(*store_, endpoints, clock_.Now());
}

double IngestingServer::Take(std::vector<Sent> batches) {
  std::size_t waiting = batches.size();
  const Stopwatch watch;
  for (Sent& sent : batches) {
    const server::ingest::Sender sender{
        EndpointId(sent.endpoint), EndpointKey(sent.endpoint).public_key(), {}};
    const bool taken =
        ingest_->Submit(sender, std::move(sent.batch), [&](const server::ingest::Outcome& outcome) {
          if (outcome.result.kind != server::ingest::Outcome::Kind::kStored) {
            Stop(base::Internal("a batch was not stored: " + outcome.result.detail));
          }
          if (--waiting == 0) loop_.Stop();
        });
    if (!taken) Stop(base::Internal("more batches at once than the server's queue takes"));
  }
  loop_.Run();
  return watch.Seconds();
}

}  // namespace weighmaster::bench
