#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/sensors/artifacts/budget.h"
#include "agent/sensors/artifacts/roots.h"
#include "agent/sensors/hash_checkpoints.h"
#include "policy/base/loop.h"
#include "policy/model/sighting.h"
#include "third_party/openssl/resumable_sha256.h"

namespace weighmaster::agent::sensors {

// A file to hash: the sighting that waits for its digest, and the state in which the file was seen.
struct HashJob {
  std::shared_ptr<const Root> root;
  FileStamp stamp;
  model::Sighting sighting;
  std::uint64_t links = 1;
  bool settled =
      true;  // false: it changed so lately that another write might not show in its stamp
  int attempt = 1;
};

struct HashOptions {
  unsigned threads = 1;
  std::uint64_t checkpoint_bytes = 0;
  bool background = false;
};

// Reads files and gives their SHA-256, several side by side on the executor, within the budget. A
// digest is `verified` only when every byte was read and the file's size and times were the same
// before and after. Large files leave checkpoints and go on from them. Links of one file wait for
// one reading. Any thread may call it; `mutex_` guards the queue. Executor, pacer, checkpoints and
// clock must outlive it; Wait() before it goes.
class HashQueue {
 public:
  // Both are called on the executor's threads.
  using Done = std::function<void(const HashJob&, const model::ContentDigest&)>;
  // The file was not, or did not stay, in the state of its stamp: look at it anew.
  using Changed = std::function<void(const HashJob&)>;

  HashQueue(const HashOptions& options, base::Executor& executor, Pacer& pacer,
            HashCheckpoints& checkpoints, const base::Clock& clock, std::stop_token stop, Done done,
            Changed changed);

  // False when the queue is full (limits::kMaxHashQueue): the digest stays pending.
  bool Add(HashJob job);

  // Blocks until nothing is queued or under way, which `stop` brings about soon.
  void Wait();

  std::uint64_t bytes_to_hash() const { return bytes_to_hash_; }
  std::uint64_t bytes_hashed() const { return bytes_hashed_; }  // of those, read so far
  std::uint64_t files_hashed() const { return files_hashed_; }
  std::uint64_t bytes_read() const { return bytes_read_; }  // without what checkpoints spared
  std::uint64_t checkpoint_failures() const { return checkpoint_failures_; }

 private:
  // One file and every job that waits for it.
  struct Entry {
    std::vector<HashJob> jobs;
  };
  enum class ReadingEnd { kVerified, kChanged, kFailed, kStopped };
  struct Reading {
    ReadingEnd end = ReadingEnd::kStopped;
    model::ContentDigest digest;
  };
  struct Finished {
    FileStamp stamp;
    model::ContentDigest digest;
  };

  void Drain();
  void Process(const std::shared_ptr<Entry>& entry);
  Reading Read(const HashJob& job);
  Reading ReadOpened(const HashJob& job, int fd);
  std::optional<openssl::ResumableSha256> Resume(const HashJob& job);
  void StoreCheckpoint(const HashJob& job, std::uint64_t offset, base::Bytes state);
  Reading Failed(const base::Error& error) const;

  const HashOptions options_;
  base::Executor& executor_;
  Pacer& pacer_;
  HashCheckpoints& checkpoints_;
  const base::Clock& clock_;
  const std::stop_token stop_;
  const Done done_;
  const Changed changed_;

  std::atomic<std::uint64_t> bytes_to_hash_ = 0;
  std::atomic<std::uint64_t> bytes_hashed_ = 0;
  std::atomic<std::uint64_t> files_hashed_ = 0;
  std::atomic<std::uint64_t> bytes_read_ = 0;
  std::atomic<std::uint64_t> checkpoint_failures_ = 0;

  std::mutex mutex_;
  std::condition_variable idle_;
  // Guarded by mutex_.
  std::deque<std::shared_ptr<Entry>> queue_;
  std::unordered_map<std::string, std::shared_ptr<Entry>> by_identity_;  // queued or being read
  std::unordered_map<std::string, Finished> finished_links_;
  unsigned drains_ = 0;
};

}  // namespace weighmaster::agent::sensors
