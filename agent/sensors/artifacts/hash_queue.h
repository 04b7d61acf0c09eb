#pragma once

#include <atomic>
#include <compare>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>

#include "agent/formats/tensors/tensor_map.h"
#include "agent/sensors/artifacts/budget.h"
#include "agent/sensors/artifacts/roots.h"
#include "agent/sensors/hash_checkpoints.h"
#include "agent/weights/weights_hasher.h"
#include "policy/base/loop.h"
#include "policy/model/sighting.h"
#include "third_party/openssl/resumable_sha256.h"

namespace weighmaster::agent::sensors {

// A file to hash, in the state in which it was seen. It holds nothing of what the file says, so
// that many may wait.
struct HashJob {
  std::shared_ptr<const Root> root;
  model::Path path;
  FileStamp stamp;
  std::uint64_t links = 1;
  bool sparse = false;  // most of it was never written
  // Whether another write would show in the stamp: not when it changed a moment ago, and not where
  // times are not renewed.
  bool lasting = true;
  int attempt = 1;
};

// What reading a file gave.
struct HashedFile {
  model::ContentDigest digest;
  model::WeightsIdentity weights;  // when the digest is verified
};

// Where the tensors of an opened file of so many bytes lie; Cage::MapTensors in the programs.
using MapTensors =
    std::function<base::Result<formats::TensorMap>(int fd, std::uint64_t file_bytes)>;

struct HashOptions {
  unsigned threads = 1;
  std::uint64_t checkpoint_bytes = 0;
  bool background = false;
};

// Reads files and gives their SHA-256 and, of those whose tensors can be mapped, the weights
// digest, several side by side on the executor, within the budget. A digest is `verified` only when
// every byte was read and the file's size and times were the same before and after. Large files
// leave checkpoints and go on from them. Links of one file wait for one reading. Small files come
// first, also while a large one is read, and files with holes last: a file that claims an exabyte
// keeps nobody waiting. Now and then it is the turn of the one that has waited longest, so that
// nobody waits for ever. Any thread may call it; `mutex_` guards the queue. Executor, pacer,
// checkpoints and clock must outlive it; Wait() before it goes.
class HashQueue {
 public:
  // Both are called on the executor's threads, with the job as it was added but for `lasting`,
  // which is true only when it was so during the reading as well.
  using Done = std::function<void(const HashJob&, const HashedFile&)>;
  // The file was not, or did not stay, in the state of its stamp: look at it anew.
  using Changed = std::function<void(const HashJob&)>;

  HashQueue(const HashOptions& options, base::Executor& executor, Pacer& pacer,
            HashCheckpoints& checkpoints, MapTensors map_tensors, const base::Clock& clock,
            std::stop_token stop, Done done, Changed changed);

  // False when the queue is full (limits::kMaxHashQueueBytes): the digest stays pending. A job for
  // the same path in the same state replaces the one that waits.
  bool Add(HashJob job);

  // Forgets the digests that are kept for further links of a file, which are good for one walk.
  void ForgetLinks();

  // Blocks until nothing is queued or under way, which `stop` brings about soon.
  void Wait();

  std::uint64_t bytes_to_hash() const { return bytes_to_hash_; }
  std::uint64_t bytes_hashed() const { return bytes_hashed_; }  // of those, read so far
  std::uint64_t files_hashed() const { return files_hashed_; }
  std::uint64_t bytes_read() const { return bytes_read_; }  // without what checkpoints spared
  std::uint64_t checkpoint_failures() const { return checkpoint_failures_; }

 private:
  // Whose turn it is: the smallest's, mostly.
  struct Rank {
    bool sparse = false;
    std::uint64_t size_bytes = 0;
    std::uint64_t number = 0;  // in the order of coming
    auto operator<=>(const Rank&) const = default;
  };
  struct ByPath {
    bool operator()(const HashJob& a, const HashJob& b) const { return a.path < b.path; }
  };
  // How far the reading of a file has come.
  struct Progress {
    openssl::ResumableSha256 hasher;
    std::optional<weights::WeightsHasher> weights;  // as far as the other; none: with a reason
    model::WeightsReason weights_reason = model::WeightsReason::kNone;
    std::size_t held_bytes = 0;  // of its weights, while it waits
    bool checkpointed = false;
    std::uint64_t next_checkpoint = 0;
  };
  // One file and every job that waits for it.
  struct Entry {
    HashJob first;  // the path that is read; `lasting` is guarded by mutex_ until it is
    const Rank rank;
    std::set<HashJob, ByPath> jobs;    // guarded by mutex_
    std::optional<Progress> progress;  // of whoever took it off the queue
  };
  enum class ReadingEnd { kVerified, kChanged, kFailed, kOutranked, kStopped };
  struct Reading {
    ReadingEnd end = ReadingEnd::kStopped;
    HashedFile hashed;
  };
  struct Finished {
    FileStamp stamp;
    HashedFile hashed;
  };

  void Drain();
  void PushLocked(const std::shared_ptr<Entry>& entry);
  void PutBackLocked(const std::shared_ptr<Entry>& entry);  // in the middle of being hashed
  std::shared_ptr<Entry> PopLocked();
  void Finish(const std::shared_ptr<Entry>& entry, const Reading& reading);
  bool IsOutranked(const Rank& rank);
  Reading Read(Entry& entry);
  Reading ReadOpened(Entry& entry, int fd);
  Progress Begin(HashJob& job, int fd);
  bool LeavesCheckpoints(const HashJob& job) const;
  // Sets the hashers to where the last checkpoint left both, if it did.
  bool Resume(const HashJob& job, const formats::TensorMap& map, Progress& progress);
  // Nothing: everything was read.
  base::Result<std::optional<ReadingEnd>> ReadChunks(Entry& entry, int fd);
  Reading EndReading(const HashJob& job, Progress& progress, int fd);
  base::Status ReadAgain(const HashJob& job, int fd, std::uint64_t offset,
                         std::span<std::uint8_t> out, base::BootTime& began);
  void StoreCheckpoint(const HashJob& job, Progress& progress);
  Reading Failed(const base::Error& error) const;

  const HashOptions options_;
  base::Executor& executor_;
  Pacer& pacer_;
  HashCheckpoints& checkpoints_;
  const MapTensors map_tensors_;
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
  std::map<Rank, std::shared_ptr<Entry>> queue_;
  std::map<std::uint64_t, Rank> by_age_;  // of the same entries, by number
  std::uint64_t turns_ = 0;
  std::size_t queued_bytes_ = 0;  // of every job that has not come to its end
  std::size_t held_bytes_ = 0;    // of the progress of those that wait
  std::uint64_t next_number_ = 0;
  std::unordered_map<std::string, std::shared_ptr<Entry>> by_identity_;  // queued or being read
  std::unordered_map<std::string, Finished> finished_links_;
  unsigned drains_ = 0;
};

}  // namespace weighmaster::agent::sensors
