#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/cage/parser.h"
#include "agent/sensors/artifacts/budget.h"
#include "agent/sensors/artifacts/hash_queue.h"
#include "agent/sensors/artifacts/outbox.h"
#include "agent/sensors/artifacts/roots.h"
#include "agent/sensors/artifacts/sniffed_files.h"
#include "agent/sensors/artifacts/walker.h"
#include "agent/sensors/known_files.h"
#include "agent/sensors/observation_sink.h"
#include "policy/base/limits.h"
#include "policy/base/loop.h"

namespace weighmaster::agent::sensors {

struct ArtifactSensorOptions {
  // With the local mounts below them; empty: every local, non-pseudo mount.
  std::vector<std::string> roots;
  std::vector<std::string> excluded;  // full paths
  // Smaller files wait for a second, slower pass of the first walk. 0: one pass over everything.
  std::uint64_t min_size_bytes = base::limits::kDefaultMinFileBytes;
  // A file that changed this lately is looked at again after. 0: never, for a single look.
  base::Duration settle_time = base::limits::kSettleTime;
  // By then the kernel has written back what was dirty when a file last changed, and the next write
  // through a mapping renews its times. By default that takes it half a minute
  // (vm.dirty_expire_centisecs).
  base::Duration written_back_age = std::chrono::minutes(10);
  Budget budget;
  unsigned hash_threads = 1;
  std::uint64_t checkpoint_bytes = base::limits::kHashCheckpointBytes;  // 0: none
};
// For `weighmaster scan`: everything is sniffed, once, as fast as it goes.
ArtifactSensorOptions ScanOptions(std::vector<std::string> paths, unsigned threads);

// How the sensor reaches the rest. All of it must outlive the sensor.
struct ArtifactSensorSeams {
  // Parses opened files and returns their facts in the same order; Cage::ParseBatch in the
  // programs.
  using ParseFiles =
      std::function<base::Result<std::vector<model::Facts>>(std::span<const cage::CageFile>)>;

  const base::Clock& clock;
  base::Random& random;
  // Its threads are the sensor's for minutes and go to the background for good when the budget says
  // so; nothing else should wait for them. At least one more than hash_threads keeps walks and
  // hashing side by side; with fewer they take turns.
  base::Executor& executor;
  ParseFiles parse;
  MapTensors map_tensors;
  KnownFiles& known;
  HashCheckpoints& checkpoints;
  ObservationSink& sink;
};

// Where the sensor stands, for a progress bar and for status.
struct ArtifactProgress {
  bool walking = false;
  Pause pause = Pause::kNone;
  std::uint64_t files_seen = 0;  // regular files, over all walks
  std::uint64_t models_seen = 0;
  std::uint64_t files_hashed = 0;
  std::uint64_t bytes_to_hash = 0;  // all that was ever queued
  std::uint64_t bytes_hashed = 0;
  std::uint64_t checkpoint_failures = 0;
};

// Finds model files below its roots by their content, has them parsed in the cage, hashes them, and
// tells what it saw. Its work runs on the executor; the public functions may be called from any
// thread. What it can't look at becomes coverage, never silence. Holds no policy and knows no
// event.
class ArtifactSensor {
 public:
  ArtifactSensor(ArtifactSensorOptions options, ArtifactSensorSeams seams);
  // Stops and waits.
  ~ArtifactSensor();
  ArtifactSensor(const ArtifactSensor&) = delete;
  ArtifactSensor& operator=(const ArtifactSensor&) = delete;

  // Asks for a walk over all roots; one that has begun is finished first. Its observations are
  // RootsChosen, WalkStarted for every root, what was seen, WalkFinished for every root.
  void StartWalk();

  // Instead of those in the options: the size from the next walk on, the budget at once, all of it
  // but `background`.
  void Tune(std::uint64_t min_size_bytes, const Budget& budget);

  // Breaks off: the walk stays unfinished, hashing leaves its checkpoints. For good.
  void Stop();

  // Blocks until nothing is under way: no walk, no second look, no hashing. Not on the executor.
  void Wait();

  ArtifactProgress progress() const;

 private:
  enum class Pass : std::uint8_t { kEverything, kLarge, kSmall };
  struct Target {
    std::shared_ptr<const Root> root;
    WalkSummary summary;
    std::uint64_t files_failed = 0;
  };
  // What is known of a file that is not looked at for the first time.
  struct Again {
    int attempt = 1;  // of hashing it
    int looks = 1;    // since it was found changing
    FileStamp seen;   // its state when it was last told of
  };
  // A file that is to be looked at again.
  struct Unsettled {
    std::shared_ptr<const Root> root;
    model::Path path;
    Again again;
    base::BootTime due;
  };
  // A file that the sniffer takes for a model, on its way to the cage.
  struct Candidate {
    std::shared_ptr<const Root> root;
    os::Fd fd;
    os::FileStatus status;
    FileStamp stamp;
    model::Sighting sighting;
    std::optional<model::Sighting> known;  // what was told of it in this very state
    bool settled = true;
    bool lasting = true;  // as in HashJob
    bool tell = true;     // false: told already, in this very state
    int attempt = 1;
    int looks = 1;
  };

  // --- On the executor, one task at a time (running_) ---
  void Run();
  void Walk();
  std::vector<Target> OpenRoots();
  void WalkPass(Pass pass, std::vector<Target>& targets);
  void Visit(Pass pass, Target& target, const FoundFile& file);
  void FinishWalk(const std::vector<Target>& targets);
  void LookAgain(const Unsettled& file);
  // Looks at one file by its content. False when it could not be read.
  bool Look(const std::shared_ptr<const Root>& root, const FoundFile& file, const Again* again);
  bool Sniff(const std::shared_ptr<const Root>& root, const FoundFile& file, const Again* again,
             std::optional<model::Sighting> known);
  // Whether that was all there is to do; if not, `known` is what was told of it in this state.
  bool TellIfKnown(const std::shared_ptr<const Root>& root, const FoundFile& file,
                   const FileStamp& stamp, std::optional<model::Sighting>& known);
  bool AwaitsAnotherLook(const model::Path& path, const FileStamp& stamp) const;
  void NoModel(const Root& root, const model::Path& path, const os::FileStatus& status,
               bool lasting);
  void ParseCandidates();
  void TellParsed(Candidate candidate, model::Facts facts, bool inspected);
  bool Rest(Pass pass, std::uint64_t bytes);
  bool IsSettled(const FileStamp& stamp) const;
  bool IsWrittenBack(std::int64_t changed_ns) const;
  base::Duration AgeOf(std::int64_t changed_ns) const;
  std::string OwnerName(std::uint32_t uid);

  // --- From hashing threads ---
  void Hashed(const HashJob& job, const HashedFile& hashed);
  void ChangedWhileHashed(const HashJob& job);
  void LookLater(std::shared_ptr<const Root> root, const model::Path& path, Again again);

  void Enqueue(HashJob job);
  void KickLocked();

  const ArtifactSensorOptions options_;
  const ArtifactSensorSeams seams_;
  const model::Id boot_id_;
  std::stop_source stop_;
  Pacer pacer_;
  Outbox outbox_;
  HashQueue hashes_;
  std::atomic<std::uint64_t> files_seen_ = 0;
  std::atomic<std::uint64_t> models_seen_ = 0;
  std::atomic<std::uint64_t> hashes_refused_ = 0;

  // Owned by the running task.
  Walker walker_;
  SniffedFiles sniffed_;
  std::unordered_map<std::string, std::pair<FileStamp, model::Facts>> links_;
  std::unordered_map<std::uint32_t, std::string> owners_;
  std::vector<Candidate> candidates_;
  // Since the last Rest().
  std::uint64_t bytes_sniffed_ = 0;
  std::uint64_t files_since_rest_ = 0;
  base::BootTime rested_at_;
  std::uint64_t min_size_bytes_ = 0;  // of this walk
  bool walked_before_ = false;
  bool mounts_known_ = true;  // all of them, at this walk

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // Guarded by mutex_.
  bool running_ = false;
  bool walking_ = false;
  bool walk_requested_ = false;
  std::uint64_t next_min_size_bytes_;
  std::uint64_t runs_ = 0;
  std::deque<Unsettled> unsettled_;  // by `due`
};

// For programs that stand alone: nothing is known, and nothing is kept.
class NothingKnown final : public KnownFiles {
 public:
  std::optional<KnownFile> Find(const model::Path&, const FileStamp&) override { return {}; }
  bool HasModelAt(const model::Path&) override { return false; }
};
class NoCheckpoints final : public HashCheckpoints {
 public:
  base::Result<std::optional<HashCheckpoint>> Load(const model::FileIdentity&) override {
    return std::optional<HashCheckpoint>();
  }
  base::Status Store(const HashCheckpoint&) override { return {}; }
  base::Status Erase(const model::FileIdentity&) override { return {}; }
};

}  // namespace weighmaster::agent::sensors
