#include "agent/sensors/artifacts/artifact_sensor.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/formats/recognise.h"
#include "agent/os/directory.h"
#include "agent/os/machine.h"
#include "agent/os/open_file.h"
#include "agent/os/priority.h"

namespace weighmaster::agent::sensors {
namespace {

namespace limits = base::limits;

// How much slower the pass over small files goes than the budget allows.
constexpr int kSmallPassSlowness = 4;
// Files that need not be opened between two looks at the budget.
constexpr std::uint64_t kFilesBetweenRests = 256;
// Candidates wait this long for their batch to fill.
constexpr std::chrono::milliseconds kBatchWait{500};
// Up to this size a file that may still be changing is hashed all the same, and again when it has
// settled, so that its verdict does not wait; a larger one is read once.
constexpr std::uint64_t kHashAtOnceBytes = 256 * base::limits::kMiB;
// The wait before a look at a changing file doubles this often: 2 seconds to about 4 minutes.
constexpr int kMaxDoublings = 7;

model::Coverage CoverageOf(const Root& root, const WalkSummary& summary, std::uint64_t files_failed,
                           std::uint64_t hashes_refused) {
  model::Coverage coverage;
  coverage.sensor = kSensorName;
  coverage.root = {root.path};
  coverage.state = model::CoverageState::kPartly;
  coverage.files_seen = summary.files;
  coverage.files_failed = files_failed;
  // The gravest first; one reason is what a line has room for.
  if (summary.unreadable_folders > 0 || files_failed > 0) {
    coverage.reason = model::CoverageReason::kPermission;
    coverage.detail = std::to_string(summary.unreadable_folders) + " folders could not be read";
  } else if (summary.failed > 0) {
    coverage.reason = model::CoverageReason::kIoError;
    coverage.detail = std::to_string(summary.failed) + " entries could not be read";
  } else if (summary.beyond_limit > 0) {
    coverage.reason = model::CoverageReason::kLimit;
    coverage.detail = std::to_string(summary.beyond_limit) + " paths are longer than " +
                      std::to_string(limits::kMaxPathBytes) + " bytes";
  } else if (hashes_refused > 0) {
    coverage.reason = model::CoverageReason::kLimit;
    coverage.detail = std::to_string(hashes_refused) + " files wait for the next walk to be hashed";
  } else if (summary.excluded > 0) {
    coverage.reason = model::CoverageReason::kExcluded;
    coverage.detail = std::to_string(summary.excluded) + " excluded";
  } else {
    coverage.state = model::CoverageState::kLooked;
    if (root.identity.kind() == os::IdentityKind::kDeviceAndInode) {
      coverage.reason = model::CoverageReason::kNoFileHandles;
    }
  }
  return coverage;
}

model::Facts NotInspected(model::Format sniffed, const base::Error& error) {
  model::Facts facts;
  facts.format = sniffed;
  model::Risk risk;
  risk.id = "not_inspected";
  risk.severity = model::Severity::kMedium;
  risk.message =
      "The file looks like a model but could not be inspected, because the parser does "
      "not run; it is looked at again on the next walk.";
  risk.evidence = error.message().substr(0, limits::kMaxEvidenceBytes);
  facts.risks.push_back(std::move(risk));
  return facts;
}

// Far fewer bytes on the disk than in the file; compression alone does not do that to weights.
bool IsSparse(const os::FileStatus& status) {
  constexpr std::uint64_t kLeastShare = 8;
  return status.size_bytes >= limits::kMiB &&
         status.allocated_bytes < status.size_bytes / kLeastShare;
}

bool SameButForDigests(const model::Sighting& a, const model::Sighting& b) {
  model::Sighting with_digests_of_b = a;
  with_digests_of_b.digest = b.digest;
  with_digests_of_b.weights_digest = b.weights_digest;
  with_digests_of_b.weights_reason = b.weights_reason;
  return with_digests_of_b == b;
}

// An agent before this one may have known nothing of weights.
bool IsHashed(const model::Sighting& sighting) {
  return sighting.digest.state == model::DigestState::kVerified &&
         (sighting.weights_digest.has_value() ||
          sighting.weights_reason != model::WeightsReason::kNone);
}

base::WallTime WallTimeFromNanoseconds(std::int64_t ns) {
  return base::WallTimeFromMicroseconds(ns / 1000);
}

}  // namespace

ArtifactSensorOptions ScanOptions(std::vector<std::string> paths, unsigned threads) {
  ArtifactSensorOptions options;
  options.roots = std::move(paths);
  options.min_size_bytes = 0;
  options.settle_time = base::Duration{0};
  options.written_back_age = base::Duration{0};  // nothing is kept that a later write could outlive
  options.hash_threads = threads;
  options.checkpoint_bytes = 0;
  return options;
}

ArtifactSensor::ArtifactSensor(ArtifactSensorOptions options, ArtifactSensorSeams seams)
    : options_(std::move(options)),
      seams_(std::move(seams)),
      // Without one (no /proc) identities that rest on the boot merely repeat after a reboot.
      boot_id_(os::ReadBootId().value_or(model::Id{})),
      pacer_(options_.budget, seams_.clock, Pacer::AskMachine),
      outbox_(seams_.sink, seams_.clock, stop_.get_token()),
      hashes_(
          {options_.hash_threads, options_.checkpoint_bytes, options_.budget.background},
          seams_.executor, pacer_, seams_.checkpoints, seams_.map_tensors, seams_.clock,
          stop_.get_token(),
          [this](const HashJob& job, const HashedFile& hashed) { Hashed(job, hashed); },
          [this](const HashJob& job) { ChangedWhileHashed(job); }),
      walker_(options_.excluded),
      sniffed_(seams_.random),
      next_min_size_bytes_(options_.min_size_bytes) {}

ArtifactSensor::~ArtifactSensor() {
  Stop();
  Wait();
}

void ArtifactSensor::StartWalk() {
  const std::lock_guard lock(mutex_);
  walk_requested_ = true;
  KickLocked();
}

void ArtifactSensor::Tune(std::uint64_t min_size_bytes, const Budget& budget) {
  pacer_.Set(budget);
  const std::lock_guard lock(mutex_);
  next_min_size_bytes_ = min_size_bytes;
}

void ArtifactSensor::Stop() { stop_.request_stop(); }

void ArtifactSensor::Wait() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return !running_; });
    // Hashing may ask for a second look and a look for hashing; only when no run began while the
    // hashing came to its end is there nothing left.
    const std::uint64_t runs = runs_;
    lock.unlock();
    hashes_.Wait();
    lock.lock();
    if (!running_ && runs == runs_) return;
  }
}

ArtifactProgress ArtifactSensor::progress() const {
  ArtifactProgress progress;
  {
    const std::lock_guard lock(mutex_);
    progress.walking = walking_;
  }
  progress.pause = pacer_.pause();
  progress.files_seen = files_seen_;
  progress.models_seen = models_seen_;
  progress.files_hashed = hashes_.files_hashed();
  progress.bytes_to_hash = hashes_.bytes_to_hash();
  progress.bytes_hashed = hashes_.bytes_hashed();
  progress.checkpoint_failures = hashes_.checkpoint_failures();
  return progress;
}

void ArtifactSensor::KickLocked() {
  changed_.notify_all();
  if (running_ || stop_.stop_requested()) return;
  running_ = true;
  ++runs_;
  seams_.executor.Submit([this] { Run(); });
}

void ArtifactSensor::Run() {
  if (options_.budget.background) os::EnterBackground();
  std::unique_lock lock(mutex_);
  while (!stop_.stop_requested()) {
    if (walk_requested_) {
      walk_requested_ = false;
      walking_ = true;
      min_size_bytes_ = next_min_size_bytes_;
      lock.unlock();
      Walk();
      lock.lock();
      walking_ = false;
      continue;
    }
    if (unsettled_.empty()) break;
    const base::Duration wait =
        unsettled_.front().due.since_boot - seams_.clock.SinceBoot().since_boot;
    if (wait > base::Duration{0}) {
      const base::BootTime due = unsettled_.front().due;
      changed_.wait_for(lock, stop_.get_token(), wait,
                        [this, due] { return walk_requested_ || unsettled_.front().due < due; });
      continue;
    }
    const Unsettled file = std::move(unsettled_.front());
    unsettled_.pop_front();
    lock.unlock();
    LookAgain(file);
    ParseCandidates();
    outbox_.Flush();
    lock.lock();
  }
  running_ = false;
  // Notified under the lock: once it is free, the sensor may be gone.
  changed_.notify_all();
}

void ArtifactSensor::Walk() {
  links_.clear();
  hashes_.ForgetLinks();
  hashes_refused_ = 0;
  rested_at_ = seams_.clock.SinceBoot();
  std::vector<Target> targets = OpenRoots();
  // Every root begins before any is looked at and ends after all have been: roots may lie in one
  // another, and what is below the inner one is below the outer one, too.
  for (const Target& target : targets) outbox_.Add(WalkStarted{{target.root->path}});
  // Once everything has been sniffed, a walk meets few files that it does not know: one pass.
  if (min_size_bytes_ == 0 || walked_before_) {
    WalkPass(Pass::kEverything, targets);
  } else {
    WalkPass(Pass::kLarge, targets);
    for (const Target& target : targets) {
      model::Coverage coverage = CoverageOf(*target.root, target.summary, target.files_failed, 0);
      coverage.state = model::CoverageState::kPartly;
      coverage.reason = model::CoverageReason::kSmallFilesPending;
      outbox_.Add(CoverageSeen{std::move(coverage)});
    }
    outbox_.Flush();
    WalkPass(Pass::kSmall, targets);
  }
  if (stop_.stop_requested()) return;
  FinishWalk(targets);
  walked_before_ = true;
  outbox_.Flush();
}

std::vector<ArtifactSensor::Target> ArtifactSensor::OpenRoots() {
  std::vector<std::string> named;
  // Whether all that is missing now is known to be gone: a link that leads nowhere may have led to
  // anything, and a table that can't be read whole may hold everything.
  bool certain = true;
  for (const std::string& root : options_.roots) {
    std::optional<std::string> resolved = ResolveRoot(root);
    certain = certain && resolved.has_value();
    named.push_back(std::move(resolved).value_or(root));
  }
  const base::Result<os::MountTable> table = os::ReadMounts();
  ChosenRoots chosen;
  if (table.has_value()) {
    chosen = ChooseRoots(*table, std::move(named), options_.excluded);
    mounts_known_ = table->beyond_limit + table->unreadable == 0;
  } else {
    chosen = {std::move(named), {CouldNotOpen("/", table.error())}};
    mounts_known_ = false;
  }
  certain = certain && mounts_known_;
  if (certain) {
    RootsChosen told{kSensorName, {}};
    for (const std::string& path : chosen.paths) told.roots.push_back({path});
    for (const model::Coverage& other : chosen.others) told.roots.push_back(other.root);
    outbox_.Add(std::move(told));
  }
  for (model::Coverage& other : chosen.others) outbox_.Add(CoverageSeen{std::move(other)});
  std::vector<Target> targets;
  for (const std::string& path : chosen.paths) {
    base::Result<std::shared_ptr<const Root>> root = OpenRoot(path, boot_id_);
    if (root.has_value()) {
      Target target;
      target.root = *std::move(root);
      targets.push_back(std::move(target));
    } else {
      outbox_.Add(CoverageSeen{CouldNotOpen(path, root.error())});
    }
  }
  return targets;
}

void ArtifactSensor::WalkPass(Pass pass, std::vector<Target>& targets) {
  for (Target& target : targets) {
    if (stop_.stop_requested()) return;
    target.summary = walker_.Walk(
        *target.root, [&](const FoundFile& file) { Visit(pass, target, file); },
        [&](std::uint64_t) { Rest(pass, 0); }, stop_.get_token());
    ParseCandidates();
  }
}

void ArtifactSensor::Visit(Pass pass, Target& target, const FoundFile& file) {
  if (pass != Pass::kSmall) ++files_seen_;
  const bool small = file.status.size_bytes < min_size_bytes_;
  if ((pass == Pass::kLarge && small) || (pass == Pass::kSmall && !small)) return;
  if (file.status.size_bytes == 0) return;
  if (!Look(target.root, file, nullptr)) {
    ++target.files_failed;
    // It is there, and what it was is all that can be said of it.
    if (seams_.known.HasModelAt({file.path})) outbox_.Add(ModelStillThere{{file.path}});
  }
  // A file that is known costs next to nothing, but there may be a million in one folder.
  if (bytes_sniffed_ > 0 || ++files_since_rest_ >= kFilesBetweenRests) {
    files_since_rest_ = 0;
    Rest(pass, std::exchange(bytes_sniffed_, 0));
  }
}

void ArtifactSensor::FinishWalk(const std::vector<Target>& targets) {
  for (const Target& target : targets) {
    WalkFinished finished;
    finished.coverage =
        CoverageOf(*target.root, target.summary, target.files_failed, hashes_refused_);
    if (!mounts_known_ && finished.coverage.state == model::CoverageState::kLooked) {
      finished.coverage.state = model::CoverageState::kPartly;
      finished.coverage.reason = model::CoverageReason::kLimit;
      finished.coverage.detail = "not every mount is known";
    }
    finished.complete = true;
    // What a root inside could not read is not known of the roots around it either.
    for (const Target& other : targets) {
      if (!IsWithin(other.root->path, target.root->path)) continue;
      finished.complete = finished.complete && other.summary.finished && other.summary.unnamed == 0;
      for (const std::string& path : other.summary.unread) finished.unread.push_back({path});
    }
    finished.complete = finished.complete && finished.unread.size() <= limits::kMaxUnreadPaths;
    if (!finished.complete) finished.unread.clear();
    outbox_.Add(std::move(finished));
  }
}

void ArtifactSensor::LookAgain(const Unsettled& file) {
  const std::string relative = RelativeTo(*file.root, file.path.bytes);
  const std::size_t cut = relative.rfind('/');
  const std::string name = cut == std::string::npos ? relative : relative.substr(cut + 1);
  base::Result<os::Fd> folder = os::OpenFolderBeneath(
      file.root->fd.get(), cut == std::string::npos ? "." : relative.substr(0, cut));
  base::Result<os::FileStatus> status = folder.has_value()
                                            ? os::StatusAt(folder->get(), name)
                                            : base::Result<os::FileStatus>(folder.error());
  if (status.has_value() && status->type == os::FileStatus::Type::kRegular) {
    // One that can't be read now is there all the same; the next walk says so.
    Look(file.root, {folder->get(), name, file.path.bytes, *status}, &file.again);
    return;
  }
  if (!status.has_value() && status.error().code() != base::ErrorCode::kNotFound) return;
  // It was told of a moment ago, so its end is told even before the inventory has stored it.
  outbox_.Add(ModelGone{file.path, !status.has_value()});
}

bool ArtifactSensor::Look(const std::shared_ptr<const Root>& root, const FoundFile& file,
                          const Again* again) {
  // What is no model is by far the most: it is known in memory, and neither the file system is
  // asked for its identity nor the inventory for its state.
  if (sniffed_.Contains(root->identity.prefix(), file.status,
                        IsWrittenBack(file.status.changed_ns))) {
    return true;
  }
  base::Result<model::FileIdentity> identity = root->identity.Identify(file.folder, file.name);
  if (!identity.has_value()) return identity.error().code() == base::ErrorCode::kNotFound;
  const FileStamp stamp{*std::move(identity), file.status.size_bytes, file.status.modified_ns,
                        file.status.changed_ns};
  std::optional<model::Sighting> known;
  if (again == nullptr && TellIfKnown(root, file, stamp, known)) return true;
  if (again == nullptr && AwaitsAnotherLook({file.path}, stamp)) {
    ++models_seen_;
    outbox_.Add(ModelStillThere{{file.path}});
    return true;
  }
  return Sniff(root, file, again, std::move(known));
}

// Told in this very state already: telling it anew would make its digest pending again.
bool ArtifactSensor::AwaitsAnotherLook(const model::Path& path, const FileStamp& stamp) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(unsettled_, [&](const Unsettled& file) {
    return file.path == path && file.again.seen == stamp;
  });
}

bool ArtifactSensor::Sniff(const std::shared_ptr<const Root>& root, const FoundFile& file,
                           const Again* again, std::optional<model::Sighting> known) {
  base::Result<os::OpenedFile> opened = os::OpenRegularAt(file.folder, file.name);
  if (!opened.has_value()) {
    // Gone or replaced between its name and this: the next walk sees what is there then.
    return opened.error().code() == base::ErrorCode::kNotFound ||
           opened.error().code() == base::ErrorCode::kFailedPrecondition;
  }
  const int fd = opened->fd.get();
  // What was opened is what counts, whatever the name meant before.
  base::Result<model::FileIdentity> identity = root->identity.Identify(fd, "");
  if (!identity.has_value()) return false;
  FileStamp stamp{*std::move(identity), opened->status.size_bytes, opened->status.modified_ns,
                  opened->status.changed_ns};

  std::array<std::uint8_t, formats::kSniffHeadBytes> head{};
  std::array<std::uint8_t, formats::kSniffTailBytes> tail{};
  const std::size_t tail_size = std::min<std::uint64_t>(tail.size(), stamp.size_bytes);
  const auto head_read = os::ReadAt(fd, 0, head.data(), head.size());
  const auto tail_read = os::ReadAt(fd, stamp.size_bytes - tail_size, tail.data(), tail_size);
  if (!head_read.has_value() || !tail_read.has_value()) return false;
  bytes_sniffed_ += *head_read + *tail_read;
  Candidate candidate;
  candidate.settled = IsSettled(stamp);
  candidate.lasting = candidate.settled && root->renews_times;
  candidate.sighting.facts.format =
      formats::Sniff({base::ByteView(head.data(), *head_read),
                      base::ByteView(tail.data(), *tail_read), stamp.size_bytes});
  if (candidate.sighting.facts.format == model::Format::kUnknown) {
    NoModel(*root, {file.path}, opened->status, candidate.lasting);
    return true;
  }
  // From the stamp's moment on, and not only from now on: a write after this renews the ctime.
  if (candidate.lasting && !IsWrittenBack(stamp.changed_ns)) candidate.lasting = os::WriteBack(fd);
  candidate.root = root;
  candidate.known = std::move(known);
  candidate.fd = std::move(opened->fd);
  candidate.status = opened->status;
  candidate.sighting.path = {file.path};
  candidate.sighting.identity = stamp.identity;
  candidate.sighting.size_bytes = stamp.size_bytes;
  candidate.sighting.modified_at = WallTimeFromNanoseconds(stamp.modified_ns);
  candidate.sighting.owner = {std::to_string(opened->status.owner),
                              OwnerName(opened->status.owner)};
  if (again != nullptr) {
    candidate.attempt = again->attempt;
    candidate.looks = again->looks;
    candidate.tell = again->seen != stamp;
  }
  candidate.stamp = std::move(stamp);
  candidates_.push_back(std::move(candidate));
  if (candidates_.size() >= limits::kMaxDescriptorsPerMessage) ParseCandidates();
  return true;
}

bool ArtifactSensor::TellIfKnown(const std::shared_ptr<const Root>& root, const FoundFile& file,
                                 const FileStamp& stamp, std::optional<model::Sighting>& known) {
  const model::Path path{file.path};
  std::optional<KnownFile> found = seams_.known.Find(path, stamp);
  if (!found.has_value()) return false;
  if (!found->lasting) {
    known = std::move(found->sighting);
    return false;
  }
  ++models_seen_;
  const bool hashed = IsHashed(found->sighting);
  if (found->sighting.path == path) {
    outbox_.Add(ModelStillThere{path});
  } else {
    found->sighting.path = path;
    if (!hashed) {
      found->sighting.digest = {};
      found->sighting.weights_digest.reset();
      found->sighting.weights_reason = model::WeightsReason::kNone;
    }
    outbox_.Add(ModelSeen{std::move(found->sighting), stamp.modified_ns, stamp.changed_ns});
  }
  if (!hashed) {
    HashJob job;
    job.root = root;
    job.path = path;
    job.stamp = stamp;
    job.links = file.status.links;
    job.sparse = IsSparse(file.status);
    job.lasting = root->renews_times;
    Enqueue(std::move(job));
  }
  return true;
}

void ArtifactSensor::NoModel(const Root& root, const model::Path& path,
                             const os::FileStatus& status, bool lasting) {
  if (lasting) {
    sniffed_.Insert(root.identity.prefix(), status, IsWrittenBack(status.changed_ns));
  }
  if (seams_.known.HasModelAt(path)) outbox_.Add(ModelGone{path, false});
}

void ArtifactSensor::ParseCandidates() {
  std::vector<Candidate> candidates = std::exchange(candidates_, {});
  std::vector<cage::CageFile> files;
  std::vector<Candidate> to_parse;
  for (Candidate& candidate : candidates) {
    // Links of one file are parsed once.
    const auto link = links_.find(candidate.stamp.identity.bytes);
    if (candidate.status.links > 1 && link != links_.end() &&
        link->second.first == candidate.stamp) {
      TellParsed(std::move(candidate), link->second.second, true);
      continue;
    }
    files.push_back({candidate.fd.get(), candidate.sighting.facts.format});
    to_parse.push_back(std::move(candidate));
  }
  if (files.empty()) return;
  base::Result<std::vector<model::Facts>> facts = seams_.parse(files);
  for (std::size_t i = 0; i < to_parse.size(); ++i) {
    if (facts.has_value()) {
      TellParsed(std::move(to_parse[i]), std::move((*facts)[i]), true);
    } else {
      TellParsed(std::move(to_parse[i]), NotInspected(files[i].sniffed, facts.error()), false);
    }
  }
}

void ArtifactSensor::TellParsed(Candidate candidate, model::Facts facts, bool inspected) {
  if (candidate.status.links > 1 && inspected && links_.size() < limits::kMaxHardLinkedFacts) {
    links_[candidate.stamp.identity.bytes] = {candidate.stamp, facts};
  }
  if (facts.format == model::Format::kUnknown) {
    NoModel(*candidate.root, candidate.sighting.path, candidate.status, candidate.lasting);
    return;
  }
  ++models_seen_;
  candidate.sighting.facts = std::move(facts);
  const bool lasting = candidate.lasting && inspected;
  const model::Path path = candidate.sighting.path;
  if (candidate.known.has_value() && SameButForDigests(candidate.sighting, *candidate.known)) {
    // Only its bytes have to be read again.
    outbox_.Add(ModelStillThere{path});
  } else if (candidate.tell) {
    outbox_.Add(ModelSeen{std::move(candidate.sighting), candidate.stamp.modified_ns,
                          candidate.stamp.changed_ns, lasting});
  }
  if (!candidate.settled) {
    LookLater(candidate.root, path, {candidate.attempt, candidate.looks + 1, candidate.stamp});
    if (candidate.stamp.size_bytes > kHashAtOnceBytes) return;
  }
  HashJob job;
  job.root = std::move(candidate.root);
  job.path = path;
  job.stamp = std::move(candidate.stamp);
  job.links = candidate.status.links;
  job.sparse = IsSparse(candidate.status);
  job.lasting = lasting;
  job.attempt = candidate.attempt;
  Enqueue(std::move(job));
}

bool ArtifactSensor::Rest(Pass pass, std::uint64_t bytes) {
  const base::BootTime now = seams_.clock.SinceBoot();
  base::Duration busy = now.since_boot - rested_at_.since_boot;
  if (!candidates_.empty() && busy > kBatchWait) ParseCandidates();
  if (pass == Pass::kSmall) busy *= kSmallPassSlowness;
  const bool going_on = pacer_.Spend(bytes, busy, stop_.get_token());
  rested_at_ = seams_.clock.SinceBoot();
  return going_on;
}

bool ArtifactSensor::IsSettled(const FileStamp& stamp) const {
  if (options_.settle_time <= base::Duration{0}) return true;
  const base::Duration age = AgeOf(stamp.changed_ns);
  // Far in the future is a clock that was set back, not a file that changes.
  return age >= options_.settle_time || age < -options_.settle_time;
}

bool ArtifactSensor::IsWrittenBack(std::int64_t changed_ns) const {
  return AgeOf(changed_ns) >= options_.written_back_age;
}

base::Duration ArtifactSensor::AgeOf(std::int64_t changed_ns) const {
  return seams_.clock.Now() - WallTimeFromNanoseconds(changed_ns);
}

std::string ArtifactSensor::OwnerName(std::uint32_t uid) {
  const auto known = owners_.find(uid);
  if (known != owners_.end()) return known->second;
  return owners_[uid] = os::UserName(uid);
}

void ArtifactSensor::Enqueue(HashJob job) {
  if (!hashes_.Add(std::move(job))) ++hashes_refused_;
}

void ArtifactSensor::Hashed(const HashJob& job, const HashedFile& hashed) {
  outbox_.Add(ModelHashed{job.path, job.stamp, job.lasting, hashed.digest, hashed.weights});
  outbox_.Flush();
}

void ArtifactSensor::ChangedWhileHashed(const HashJob& job) {
  if (job.attempt < limits::kMaxHashAttempts) {
    LookLater(job.root, job.path, {job.attempt + 1, job.attempt, {}});
    return;
  }
  HashJob unfit = job;
  unfit.lasting = false;
  HashedFile failed;
  failed.digest.state = model::DigestState::kFailed;
  failed.digest.detail = "the file kept changing while it was read";
  Hashed(unfit, failed);
}

void ArtifactSensor::LookLater(std::shared_ptr<const Root> root, const model::Path& path,
                               Again again) {
  // Each look waits twice as long as the one before, so that a download of hours costs little.
  const base::Duration wait =
      options_.settle_time * (1 << std::min(again.looks - 1, kMaxDoublings));
  const base::BootTime due{seams_.clock.SinceBoot().since_boot + wait};
  const std::lock_guard lock(mutex_);
  // The newest state of a file replaces the one that waits; the one look serves both.
  std::erase_if(unsettled_, [&path](const Unsettled& other) { return other.path == path; });
  if (unsettled_.size() >= limits::kMaxUnsettledFiles) return;
  const auto place = std::upper_bound(
      unsettled_.begin(), unsettled_.end(), due,
      [](base::BootTime time, const Unsettled& other) { return time < other.due; });
  unsettled_.insert(place, Unsettled{std::move(root), path, std::move(again), due});
  KickLocked();
}

}  // namespace weighmaster::agent::sensors
