#include "agent/sensors/artifacts/hash_queue.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "agent/os/directory.h"
#include "agent/os/open_file.h"
#include "agent/os/priority.h"
#include "agent/sensors/artifacts/weights_lane.h"
#include "policy/base/limits.h"
#include "third_party/openssl/resumable_sha256.h"

namespace weighmaster::agent::sensors {
namespace {

// Small enough to stay near the processor between the read and the hash: a chunk of 256 KiB or more
// costs a third more for the same bytes.
constexpr std::size_t kChunkBytes = 64 * base::limits::kKiB;
// What is worth a second thread.
constexpr std::uint64_t kLaneBytes = 1 * base::limits::kMiB;
// How much is read before the page cache is told that it may have it back; telling costs, too.
constexpr std::uint64_t kGiveBackBytes = 1 * base::limits::kMiB;
// How far the hashing of the weights has come, in a checkpoint: some 6,000 tensors. Past it a file
// leaves none, because as many as limits::kMaxHashCheckpoints lie on the disk.
constexpr std::size_t kMaxWeightsStateBytes = 256 * base::limits::kKiB;
// And of all files that wait in the middle of being hashed; past it one begins anew.
constexpr std::size_t kMaxHeldWeightsBytes = 64 * base::limits::kMiB;
// How much of a file is read before a smaller one that came meanwhile is.
constexpr std::uint64_t kSliceBytes = 32 * base::limits::kMiB;
// One turn in so many is that of whoever has waited longest.
constexpr std::uint64_t kTurnsBySize = 4;

bool Matches(const os::FileStatus& status, const FileStamp& stamp) {
  return status.size_bytes == stamp.size_bytes && status.modified_ns == stamp.modified_ns &&
         status.changed_ns == stamp.changed_ns;
}

// What a job weighs in the queue, where most are held twice: by themselves, and as what is read.
std::size_t CostOf(const HashJob& job) {
  return 2 * (sizeof job + job.path.bytes.size() + job.stamp.identity.bytes.size());
}

}  // namespace

HashQueue::HashQueue(const HashOptions& options, base::Executor& executor, Pacer& pacer,
                     HashCheckpoints& checkpoints, MapTensors map_tensors, const base::Clock& clock,
                     std::stop_token stop, Done done, Changed changed)
    : options_(options),
      executor_(executor),
      pacer_(pacer),
      checkpoints_(checkpoints),
      map_tensors_(std::move(map_tensors)),
      clock_(clock),
      stop_(std::move(stop)),
      done_(std::move(done)),
      changed_(std::move(changed)) {}

bool HashQueue::Add(HashJob job) {
  std::unique_lock lock(mutex_);
  const auto finished = finished_links_.find(job.stamp.identity.bytes);
  if (finished != finished_links_.end() && finished->second.stamp == job.stamp) {
    const HashedFile hashed = finished->second.hashed;
    lock.unlock();
    done_(job, hashed);
    return true;
  }
  const std::size_t cost = CostOf(job);
  if (const auto present = by_identity_.find(job.stamp.identity.bytes);
      present != by_identity_.end() && present->second->first.stamp == job.stamp) {
    std::set<HashJob, ByPath>& jobs = present->second->jobs;
    if (const auto same_path = jobs.find(job); same_path != jobs.end()) {
      jobs.erase(same_path);
      queued_bytes_ -= cost;
    }
    if (queued_bytes_ + cost > base::limits::kMaxHashQueueBytes) return false;
    queued_bytes_ += cost;
    Entry& entry = *present->second;
    if (queue_.contains(entry.rank) && !entry.progress.has_value()) {
      entry.first.lasting = entry.first.lasting || job.lasting;
    }
    jobs.insert(std::move(job));
    return true;
  }
  if (queued_bytes_ + cost > base::limits::kMaxHashQueueBytes) return false;
  queued_bytes_ += cost;
  bytes_to_hash_ += job.stamp.size_bytes;
  const Rank rank{job.sparse, job.stamp.size_bytes, next_number_++};
  const auto entry = std::make_shared<Entry>(Entry{job, rank, {}, {}});
  by_identity_[job.stamp.identity.bytes] = entry;
  entry->jobs.insert(std::move(job));
  PushLocked(entry);
  if (drains_ < std::max(options_.threads, 1U)) {
    ++drains_;
    lock.unlock();
    executor_.Submit([this] { Drain(); });
  }
  return true;
}

void HashQueue::Wait() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return drains_ == 0; });
}

void HashQueue::Drain() {
  if (options_.background) os::EnterBackground();
  std::unique_lock lock(mutex_);
  while (!queue_.empty() && !stop_.stop_requested()) {
    const std::shared_ptr<Entry> entry = PopLocked();
    lock.unlock();
    const Reading reading = Read(*entry);
    if (reading.end != ReadingEnd::kOutranked && reading.end != ReadingEnd::kStopped) {
      Finish(entry, reading);
    }
    lock.lock();
    if (reading.end == ReadingEnd::kOutranked) PutBackLocked(entry);
  }
  // Notified under the lock: once it is free, the queue may be gone.
  if (--drains_ == 0) idle_.notify_all();
}

void HashQueue::PutBackLocked(const std::shared_ptr<Entry>& entry) {
  Progress& progress = *entry->progress;
  progress.held_bytes = progress.weights.has_value() ? progress.weights->held_bytes() : 0;
  if (held_bytes_ + progress.held_bytes > kMaxHeldWeightsBytes) {
    bytes_hashed_ -= progress.hasher.size();
    entry->progress.reset();
  } else {
    held_bytes_ += progress.held_bytes;
  }
  PushLocked(entry);
}

void HashQueue::PushLocked(const std::shared_ptr<Entry>& entry) {
  queue_.emplace(entry->rank, entry);
  by_age_.emplace(entry->rank.number, entry->rank);
}

std::shared_ptr<HashQueue::Entry> HashQueue::PopLocked() {
  const bool by_age = ++turns_ % kTurnsBySize == 0;
  const auto next = by_age ? queue_.find(by_age_.begin()->second) : queue_.begin();
  by_age_.erase(next->first.number);
  std::shared_ptr<Entry> entry = queue_.extract(next).mapped();
  if (entry->progress.has_value()) {
    held_bytes_ -= std::exchange(entry->progress->held_bytes, 0);
  }
  return entry;
}

void HashQueue::ForgetLinks() {
  const std::lock_guard lock(mutex_);
  finished_links_.clear();
}

void HashQueue::Finish(const std::shared_ptr<Entry>& entry, const Reading& reading) {
  const HashJob& first = entry->first;
  const std::uint64_t read = entry->progress.has_value() ? entry->progress->hasher.size() : 0;
  std::set<HashJob, ByPath> jobs;
  {
    const std::lock_guard lock(mutex_);
    jobs = std::move(entry->jobs);
    for (const HashJob& job : jobs) queued_bytes_ -= CostOf(job);
    const auto present = by_identity_.find(first.stamp.identity.bytes);
    if (present != by_identity_.end() && present->second == entry) by_identity_.erase(present);
    if (reading.end == ReadingEnd::kVerified && first.links > 1 && first.lasting) {
      if (finished_links_.size() >= base::limits::kMaxHardLinkedFiles) finished_links_.clear();
      finished_links_[first.stamp.identity.bytes] = {first.stamp, reading.hashed};
    }
  }
  ++files_hashed_;
  bytes_hashed_ += first.stamp.size_bytes - read;  // what nobody will read of it
  while (!jobs.empty()) {
    HashJob job = std::move(jobs.extract(jobs.begin()).value());
    job.lasting = job.lasting && first.lasting;
    if (reading.end == ReadingEnd::kChanged) {
      changed_(job);
    } else {
      done_(job, reading.hashed);
    }
  }
}

bool HashQueue::IsOutranked(const Rank& rank) {
  const std::lock_guard lock(mutex_);
  return !queue_.empty() && queue_.begin()->first < rank;
}

HashQueue::Reading HashQueue::Read(Entry& entry) {
  const HashJob& job = entry.first;
  base::Result<os::OpenedFile> file =
      os::OpenRegularBeneath(job.root->fd.get(), RelativeTo(*job.root, job.path.bytes));
  if (!file.has_value()) {
    const base::ErrorCode code = file.error().code();
    // Gone, or something else by now: the next look finds out what.
    const bool changed =
        code == base::ErrorCode::kNotFound || code == base::ErrorCode::kFailedPrecondition;
    return changed ? Reading{ReadingEnd::kChanged, {}} : Failed(file.error());
  }
  const base::Result<model::FileIdentity> identity =
      job.root->identity.Identify(file->fd.get(), "");
  if (!identity.has_value() || *identity != job.stamp.identity ||
      !Matches(file->status, job.stamp)) {
    return {ReadingEnd::kChanged, {}};
  }
  return ReadOpened(entry, file->fd.get());
}

HashQueue::Progress HashQueue::Begin(HashJob& job, int fd) {
  Progress progress;
  formats::TensorMap map = formats::TensorMap::Without(model::WeightsReason::kIncomplete);
  if (auto mapped = map_tensors_(fd, job.stamp.size_bytes); mapped.has_value()) {
    map = *std::move(mapped);
  } else {
    job.lasting = false;  // not the file's fault: the next walk asks again
  }
  progress.weights_reason = map.reason();
  if (map.reason() == model::WeightsReason::kNone) {
    progress.weights_reason = weights::CheckWork(map, job.stamp.size_bytes);
  }
  if (LeavesCheckpoints(job) && Resume(job, map, progress)) {
    progress.checkpointed = true;
  } else if (progress.weights_reason == model::WeightsReason::kNone) {
    progress.weights.emplace(std::move(map));
  }
  bytes_hashed_ += progress.hasher.size();
  progress.next_checkpoint = progress.hasher.size() + options_.checkpoint_bytes;
  return progress;
}

bool HashQueue::LeavesCheckpoints(const HashJob& job) const {
  return options_.checkpoint_bytes > 0 && job.stamp.size_bytes > options_.checkpoint_bytes &&
         job.lasting;
}

HashQueue::Reading HashQueue::ReadOpened(Entry& entry, int fd) {
  if (!entry.progress.has_value()) entry.progress = Begin(entry.first, fd);
  os::AdviseSequential(fd);
  const base::Result<std::optional<ReadingEnd>> end = ReadChunks(entry, fd);
  if (!end.has_value()) return Failed(end.error());
  if (end->has_value()) return {**end, {}};
  return EndReading(entry.first, *entry.progress, fd);
}

base::Result<std::optional<HashQueue::ReadingEnd>> HashQueue::ReadChunks(Entry& entry, int fd) {
  const HashJob& job = entry.first;
  Progress& progress = *entry.progress;
  openssl::ResumableSha256& hasher = progress.hasher;
  const std::uint64_t size = job.stamp.size_bytes;
  const auto chunk_bytes = static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, size));
  std::optional<WeightsLane> lane;
  if (progress.weights.has_value() && size - hasher.size() >= kLaneBytes) {
    try {
      lane.emplace(*progress.weights, chunk_bytes, options_.background);
    } catch (const std::system_error&) {
      // The system has no thread to give; one does both.
    }
  }
  base::Bytes own_chunk(lane.has_value() ? 0 : chunk_bytes);
  const bool leaves_checkpoints = LeavesCheckpoints(job);
  const bool keep_cached = os::IsMostlyCached(fd, size);
  std::uint64_t given_back = hasher.size();
  std::uint64_t slice_end = hasher.size() + kSliceBytes;
  while (hasher.size() < size) {
    if (hasher.size() >= slice_end) {
      if (IsOutranked(entry.rank)) return ReadingEnd::kOutranked;
      slice_end = hasher.size() + kSliceBytes;
    }
    const base::BootTime began = clock_.SinceBoot();
    const std::uint64_t offset = hasher.size();
    base::Bytes& chunk = lane.has_value() ? lane->Take() : own_chunk;
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), size - offset));
    WM_ASSIGN_OR_RETURN(const std::size_t n, os::ReadAt(fd, offset, chunk.data(), wanted));
    const base::Result<os::FileStatus> now = os::StatusOf(fd);
    // Told at once: the rest of a large file that is still being written is not worth reading.
    if (n != wanted || !now.has_value() || !Matches(*now, job.stamp)) return ReadingEnd::kChanged;
    if (lane.has_value()) lane->Give(n);
    const base::ByteView bytes(chunk.data(), n);
    hasher.Update(bytes);
    if (!lane.has_value() && progress.weights.has_value()) progress.weights->Update(bytes);
    if (!keep_cached && (hasher.size() - given_back >= kGiveBackBytes || hasher.size() == size)) {
      os::AdviseDone(fd, given_back, hasher.size() - given_back);
      given_back = hasher.size();
    }
    bytes_hashed_ += n;
    bytes_read_ += n;
    // Two processors were busy where there is a lane.
    const base::Duration busy = clock_.SinceBoot().since_boot - began.since_boot;
    const bool going_on = pacer_.Spend(n, lane.has_value() ? 2 * busy : busy, stop_);
    if (leaves_checkpoints && hasher.size() < size &&
        (!going_on || hasher.size() >= progress.next_checkpoint)) {
      if (lane.has_value()) lane->Wait();
      StoreCheckpoint(job, progress);
    }
    if (!going_on && hasher.size() < size) return ReadingEnd::kStopped;
  }
  return std::nullopt;
}

HashQueue::Reading HashQueue::EndReading(const HashJob& job, Progress& progress, int fd) {
  Reading reading{ReadingEnd::kVerified, {}};
  model::WeightsIdentity& weights = reading.hashed.weights;
  weights.reason = progress.weights_reason;
  if (progress.weights.has_value()) {
    base::BootTime began = clock_.SinceBoot();
    auto tensors =
        std::move(*progress.weights).Finish([&](std::uint64_t offset, std::span<std::uint8_t> out) {
          return ReadAgain(job, fd, offset, out, began);
        });
    if (!tensors.has_value()) {
      const base::ErrorCode code = tensors.error().code();
      if (code == base::ErrorCode::kCancelled) return {ReadingEnd::kStopped, {}};
      if (code == base::ErrorCode::kAborted) return {ReadingEnd::kChanged, {}};
      return Failed(tensors.error());
    }
    weights.digest = weights::WeightsDigestOf(*std::move(tensors));
  }
  if (progress.checkpointed && !checkpoints_.Erase(job.stamp.identity).has_value()) {
    ++checkpoint_failures_;
  }
  reading.hashed.digest.state = model::DigestState::kVerified;
  reading.hashed.digest.sha256 = progress.hasher.Finish();
  reading.hashed.digest.verified_at = clock_.Now();
  return reading;
}

// For tensors that do not lie in their order. What was done since `began` is charged, and it is set
// to when the next piece of work begins.
base::Status HashQueue::ReadAgain(const HashJob& job, int fd, std::uint64_t offset,
                                  std::span<std::uint8_t> out, base::BootTime& began) {
  WM_ASSIGN_OR_RETURN(const std::size_t n, os::ReadAt(fd, offset, out.data(), out.size()));
  const base::Result<os::FileStatus> now = os::StatusOf(fd);
  if (n != out.size() || !now.has_value() || !Matches(*now, job.stamp)) {
    return base::Error(base::ErrorCode::kAborted, "the file changed while it was read");
  }
  bytes_read_ += n;
  const base::Duration busy = clock_.SinceBoot().since_boot - began.since_boot;
  const bool going_on = pacer_.Spend(n, busy, stop_);
  began = clock_.SinceBoot();
  if (going_on) return {};
  return base::Error(base::ErrorCode::kCancelled, "the reading was broken off");
}

bool HashQueue::Resume(const HashJob& job, const formats::TensorMap& map, Progress& progress) {
  const base::Result<std::optional<HashCheckpoint>> known = checkpoints_.Load(job.stamp.identity);
  if (!known.has_value()) ++checkpoint_failures_;
  if (!known.has_value() || !known->has_value() || (*known)->stamp != job.stamp) return false;
  const HashCheckpoint& checkpoint = **known;
  base::Result<openssl::ResumableSha256> hasher =
      openssl::ResumableSha256::Restore(checkpoint.state);
  if (!hasher.has_value() || hasher->size() != checkpoint.offset_bytes ||
      hasher->size() > job.stamp.size_bytes) {
    return false;
  }
  if (progress.weights_reason == model::WeightsReason::kNone) {
    auto weights = weights::WeightsHasher::Restore(map, checkpoint.weights_state);
    if (!weights.has_value() || weights->size() != hasher->size()) return false;
    progress.weights.emplace(*std::move(weights));
  }
  progress.hasher = *std::move(hasher);
  return true;
}

void HashQueue::StoreCheckpoint(const HashJob& job, Progress& progress) {
  progress.next_checkpoint = progress.hasher.size() + options_.checkpoint_bytes;
  HashCheckpoint checkpoint;
  checkpoint.stamp = job.stamp;
  checkpoint.offset_bytes = progress.hasher.size();
  checkpoint.state = progress.hasher.Serialise();
  if (progress.weights.has_value()) checkpoint.weights_state = progress.weights->Serialise();
  if (checkpoint.weights_state.size() > kMaxWeightsStateBytes) return;
  if (!checkpoints_.Store(checkpoint).has_value()) ++checkpoint_failures_;
  progress.checkpointed = true;
}

HashQueue::Reading HashQueue::Failed(const base::Error& error) const {
  Reading reading{ReadingEnd::kFailed, {}};
  reading.hashed.digest.state = model::DigestState::kFailed;
  reading.hashed.digest.detail = error.message();
  return reading;
}

}  // namespace weighmaster::agent::sensors
