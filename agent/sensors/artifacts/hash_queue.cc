#include "agent/sensors/artifacts/hash_queue.h"

#include <algorithm>
#include <utility>

#include "agent/os/directory.h"
#include "agent/os/open_file.h"
#include "agent/os/priority.h"
#include "policy/base/limits.h"
#include "third_party/openssl/resumable_sha256.h"

namespace weighmaster::agent::sensors {
namespace {

// Small enough to stay near the processor between the read and the hash: a chunk of 256 KiB or more
// costs a third more for the same bytes.
constexpr std::size_t kChunkBytes = 64 * base::limits::kKiB;
// How much is read before the page cache is told that it may have it back; telling costs, too.
constexpr std::uint64_t kGiveBackBytes = 1 * base::limits::kMiB;
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
                     HashCheckpoints& checkpoints, const base::Clock& clock, std::stop_token stop,
                     Done done, Changed changed)
    : options_(options),
      executor_(executor),
      pacer_(pacer),
      checkpoints_(checkpoints),
      clock_(clock),
      stop_(std::move(stop)),
      done_(std::move(done)),
      changed_(std::move(changed)) {}

bool HashQueue::Add(HashJob job) {
  std::unique_lock lock(mutex_);
  const auto finished = finished_links_.find(job.stamp.identity.bytes);
  if (finished != finished_links_.end() && finished->second.stamp == job.stamp) {
    const model::ContentDigest digest = finished->second.digest;
    lock.unlock();
    done_(job, digest);
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
    if (reading.end == ReadingEnd::kOutranked) PushLocked(entry);
  }
  // Notified under the lock: once it is free, the queue may be gone.
  if (--drains_ == 0) idle_.notify_all();
}

void HashQueue::PushLocked(const std::shared_ptr<Entry>& entry) {
  queue_.emplace(entry->rank, entry);
  by_age_.emplace(entry->rank.number, entry->rank);
}

std::shared_ptr<HashQueue::Entry> HashQueue::PopLocked() {
  const bool by_age = ++turns_ % kTurnsBySize == 0;
  const auto next = by_age ? queue_.find(by_age_.begin()->second) : queue_.begin();
  by_age_.erase(next->first.number);
  return queue_.extract(next).mapped();
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
      finished_links_[first.stamp.identity.bytes] = {first.stamp, reading.digest};
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
      done_(job, reading.digest);
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

HashQueue::Progress HashQueue::Begin(const HashJob& job) {
  Progress progress;
  if (LeavesCheckpoints(job)) {
    if (std::optional<openssl::ResumableSha256> resumed = Resume(job)) {
      progress.hasher = *std::move(resumed);
      progress.checkpointed = true;
    }
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
  const HashJob& job = entry.first;
  const std::uint64_t size = job.stamp.size_bytes;
  if (!entry.progress.has_value()) entry.progress = Begin(job);
  openssl::ResumableSha256& hasher = entry.progress->hasher;
  const bool leaves_checkpoints = LeavesCheckpoints(job);
  const bool keep_cached = os::IsMostlyCached(fd, size);
  os::AdviseSequential(fd);
  std::uint64_t given_back = hasher.size();
  std::uint64_t slice_end = hasher.size() + kSliceBytes;
  base::Bytes chunk(static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, size)));
  while (hasher.size() < size) {
    if (hasher.size() >= slice_end) {
      if (IsOutranked(entry.rank)) return {ReadingEnd::kOutranked, {}};
      slice_end = hasher.size() + kSliceBytes;
    }
    const base::BootTime began = clock_.SinceBoot();
    const std::uint64_t offset = hasher.size();
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), size - offset));
    const base::Result<std::size_t> n = os::ReadAt(fd, offset, chunk.data(), wanted);
    if (!n.has_value()) return Failed(n.error());
    const base::Result<os::FileStatus> now = os::StatusOf(fd);
    // Told at once: the rest of a large file that is still being written is not worth reading.
    if (*n != wanted || !now.has_value() || !Matches(*now, job.stamp)) {
      return {ReadingEnd::kChanged, {}};
    }
    hasher.Update(base::ByteView(chunk.data(), *n));
    if (!keep_cached && (hasher.size() - given_back >= kGiveBackBytes || hasher.size() == size)) {
      os::AdviseDone(fd, given_back, hasher.size() - given_back);
      given_back = hasher.size();
    }
    bytes_hashed_ += *n;
    bytes_read_ += *n;
    const bool going_on = pacer_.Spend(*n, clock_.SinceBoot().since_boot - began.since_boot, stop_);
    if (leaves_checkpoints && hasher.size() < size &&
        (!going_on || hasher.size() >= entry.progress->next_checkpoint)) {
      StoreCheckpoint(job, hasher.size(), hasher.Serialise());
      entry.progress->checkpointed = true;
      entry.progress->next_checkpoint = hasher.size() + options_.checkpoint_bytes;
    }
    if (!going_on && hasher.size() < size) return {ReadingEnd::kStopped, {}};
  }
  if (entry.progress->checkpointed && !checkpoints_.Erase(job.stamp.identity).has_value()) {
    ++checkpoint_failures_;
  }
  Reading reading{ReadingEnd::kVerified, {}};
  reading.digest.state = model::DigestState::kVerified;
  reading.digest.sha256 = hasher.Finish();
  reading.digest.verified_at = clock_.Now();
  return reading;
}

std::optional<openssl::ResumableSha256> HashQueue::Resume(const HashJob& job) {
  const base::Result<std::optional<HashCheckpoint>> known = checkpoints_.Load(job.stamp.identity);
  if (!known.has_value()) ++checkpoint_failures_;
  if (!known.has_value() || !known->has_value() || (*known)->stamp != job.stamp)
    return std::nullopt;
  base::Result<openssl::ResumableSha256> hasher =
      openssl::ResumableSha256::Restore((*known)->state);
  if (!hasher.has_value() || hasher->size() != (*known)->offset_bytes ||
      hasher->size() > job.stamp.size_bytes) {
    return std::nullopt;
  }
  return *std::move(hasher);
}

void HashQueue::StoreCheckpoint(const HashJob& job, std::uint64_t offset, base::Bytes state) {
  HashCheckpoint checkpoint;
  checkpoint.stamp = job.stamp;
  checkpoint.offset_bytes = offset;
  checkpoint.state = std::move(state);
  if (!checkpoints_.Store(checkpoint).has_value()) ++checkpoint_failures_;
}

HashQueue::Reading HashQueue::Failed(const base::Error& error) const {
  Reading reading{ReadingEnd::kFailed, {}};
  reading.digest.state = model::DigestState::kFailed;
  reading.digest.detail = error.message();
  return reading;
}

}  // namespace weighmaster::agent::sensors
