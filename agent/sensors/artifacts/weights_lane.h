#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>

#include "agent/weights/weights_hasher.h"
#include "policy/base/bytes.h"

namespace weighmaster::agent::sensors {

// Hashes the tensors of a file on a thread of its own, while another reads the file and hashes all
// of it: the two hashes of one reading take little longer than one. Owned by the reading thread;
// what the two share is guarded by `mutex_`. The hasher must outlive it and is the lane's until
// Wait().
class WeightsLane {
 public:
  WeightsLane(weights::WeightsHasher& hasher, std::size_t chunk_bytes, bool background);
  // Waits.
  ~WeightsLane();
  WeightsLane(const WeightsLane&) = delete;
  WeightsLane& operator=(const WeightsLane&) = delete;

  // A chunk to fill, of chunk_bytes; blocks while all of them are still to be hashed.
  base::Bytes& Take();
  // Hands over so many of the bytes of the chunk that was taken last. They may still be read.
  void Give(std::size_t count);
  // Blocks until everything that was handed over is hashed.
  void Wait();

 private:
  // Enough for the slower of the two to be waited for seldom, and few enough to stay in a cache.
  static constexpr std::size_t kChunks = 4;
  struct Chunk {
    base::Bytes bytes;
    std::size_t count = 0;
  };

  void Run(bool background);

  weights::WeightsHasher& hasher_;
  std::array<Chunk, kChunks> chunks_;  // from given_ on the reader's, before it the thread's

  std::mutex mutex_;
  std::condition_variable moved_;
  // Guarded by mutex_: how many chunks were handed over, and hashed.
  std::size_t given_ = 0;
  std::size_t hashed_ = 0;
  bool closed_ = false;

  std::thread thread_;
};

}  // namespace weighmaster::agent::sensors
