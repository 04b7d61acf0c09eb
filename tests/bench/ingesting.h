#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/ingest/ingest.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/bench/endpoints.h"
#include "third_party/asio/asio_loop.h"
#include "third_party/asio/thread_pool.h"
#include "third_party/openssl/random.h"
#include "third_party/posix/system_clock.h"

namespace weighmaster::bench {

// A server's way from a sealed batch to its commit, made as weighmaster-server makes it: a store on
// disk, one thread that writes, as many that verify as there are processors. Endpoints 0 to
// `endpoints` - 1 are enrolled. Belongs to the thread that makes it.
class IngestingServer {
 public:
  struct Sent {
    int endpoint = 0;
    wire::SealedBatch batch;
  };

  IngestingServer(const std::string& path, int endpoints);

  // Takes them in and returns the seconds until the last is committed. Every batch must be stored.
  double Take(std::vector<Sent> batches);

  server::store::Store& store() { return *store_; }
  std::uint64_t commits() const { return ingest_->counters().groups; }

 private:
  const posix::SystemClock clock_;
  openssl::SystemRandom random_;
  asio::AsioLoop loop_;
  std::unique_ptr<server::store::Store> store_;
  asio::ThreadPool writer_{1, "store"};
  std::unique_ptr<asio::ThreadPool> pool_;
  std::unique_ptr<server::ingest::Ingest> ingest_;
};

}  // namespace weighmaster::bench
