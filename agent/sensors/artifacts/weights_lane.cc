#include "agent/sensors/artifacts/weights_lane.h"

#include "agent/os/priority.h"

namespace weighmaster::agent::sensors {

WeightsLane::WeightsLane(weights::WeightsHasher& hasher, std::size_t chunk_bytes, bool background)
    : hasher_(hasher) {
  for (Chunk& chunk : chunks_) chunk.bytes.resize(chunk_bytes);
  thread_ = std::thread([this, background] { Run(background); });
}

WeightsLane::~WeightsLane() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  moved_.notify_all();
  thread_.join();
}

base::Bytes& WeightsLane::Take() {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [this] { return given_ - hashed_ < kChunks; });
  return chunks_[given_ % kChunks].bytes;
}

void WeightsLane::Give(std::size_t count) {
  {
    const std::lock_guard lock(mutex_);
    chunks_[given_ % kChunks].count = count;
    ++given_;
  }
  moved_.notify_all();
}

void WeightsLane::Wait() {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [this] { return given_ == hashed_; });
}

void WeightsLane::Run(bool background) {
  if (background) os::EnterBackground();
  std::unique_lock lock(mutex_);
  while (true) {
    moved_.wait(lock, [this] { return closed_ || given_ != hashed_; });
    if (given_ == hashed_) return;
    const Chunk& chunk = chunks_[hashed_ % kChunks];
    const base::ByteView bytes = base::ByteView(chunk.bytes).first(chunk.count);
    lock.unlock();
    hasher_.Update(bytes);
    lock.lock();
    ++hashed_;
    moved_.notify_all();
  }
}

}  // namespace weighmaster::agent::sensors
