#include "agent/sensors/artifacts/hash_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/os/directory.h"
#include "policy/base/limits.h"
#include "tests/support/live_loop.h"
#include "tests/support/temp_folder.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::agent::sensors {
namespace {

using base::limits::kMiB;

// Keeps what it is given, and stops the hashing after a number of stores.
class CheckpointShelf final : public HashCheckpoints {
 public:
  base::Result<std::optional<HashCheckpoint>> Load(const model::FileIdentity& identity) override {
    const std::lock_guard lock(mutex_);
    const auto found = kept_.find(identity.bytes);
    if (found == kept_.end()) return std::optional<HashCheckpoint>();
    return std::optional<HashCheckpoint>(found->second);
  }
  base::Status Store(const HashCheckpoint& checkpoint) override {
    const std::lock_guard lock(mutex_);
    if (fail) return base::Unavailable("the disk is full");
    kept_[checkpoint.stamp.identity.bytes] = checkpoint;
    if (on_store) on_store();
    if (++stores_ == stop_after && stop != nullptr) stop->request_stop();
    return {};
  }
  base::Status Erase(const model::FileIdentity& identity) override {
    const std::lock_guard lock(mutex_);
    kept_.erase(identity.bytes);
    return {};
  }
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return kept_.size();
  }
  void Corrupt() {
    const std::lock_guard lock(mutex_);
    for (auto& [identity, checkpoint] : kept_) checkpoint.state.pop_back();
  }

  void StopAtTheNextStore(std::stop_source& source) {
    const std::lock_guard lock(mutex_);
    stop = &source;
    stop_after = stores_ + 1;
  }

  bool fail = false;
  std::function<void()> on_store;  // in the middle of a file
  int stop_after = 0;
  std::stop_source* stop = nullptr;

 private:
  std::mutex mutex_;
  std::map<std::string, HashCheckpoint> kept_;
  int stores_ = 0;
};

// Runs what it was given when it is told to.
class HeldExecutor final : public base::Executor {
 public:
  void Submit(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  void RunAll() {
    while (!tasks_.empty()) std::exchange(tasks_, {}).front()();
  }

 private:
  std::vector<std::function<void()>> tasks_;
};

// A file's bytes as one tensor: in their order, or every second one before the others.
formats::TensorMap OneTensor(std::uint64_t bytes, bool in_order) {
  formats::TensorMapWriter writer(true);
  writer.Begin();
  formats::Tensor tensor{formats::FindElementType("U8"), {bytes}, {}, 0, false};
  if (!in_order) {
    tensor.dims = {2, bytes / 2};
    tensor.strides = {1, 2};
  }
  writer.Add(tensor);
  return formats::TensorMap::Decode(std::move(writer).Take(), bytes).value();
}

model::Sha256 DigestOfOneTensor(std::uint64_t bytes, const std::string& content, bool in_order) {
  weights::WeightsHasher hasher(OneTensor(bytes, in_order));
  hasher.Update(base::AsBytes(content));
  const auto read = [&content](std::uint64_t offset, std::span<std::uint8_t> out) -> base::Status {
    std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  };
  return weights::WeightsDigestOf(std::move(hasher).Finish(read).value());
}

class HashQueueTest : public testing::Test {
 protected:
  struct Outcome {
    std::map<std::string, model::ContentDigest> digests;
    std::map<std::string, model::WeightsIdentity> weights;
    std::vector<std::string> changed;
    std::uint64_t bytes_read = 0;
    std::uint64_t checkpoint_failures = 0;
  };

  HashJob JobFor(const std::string& name) {
    HashJob job;
    job.root = root_;
    job.path = {folder_ / name};
    const auto file = os::OpenRegularBeneath(root_->fd.get(), name);
    job.stamp = {root_->identity.Identify(file->fd.get(), "").value(), file->status.size_bytes,
                 file->status.modified_ns, file->status.changed_ns};
    job.links = file->status.links;
    return job;
  }

  Outcome Hash(const std::vector<HashJob>& jobs, std::stop_source stop = {}) {
    Outcome outcome;
    std::mutex mutex;
    Pacer pacer({}, clock_, nullptr);
    HashQueue queue(
        {2, 4 * kMiB, false}, executor_, pacer, shelf_, map_tensors_, clock_, stop.get_token(),
        [&](const HashJob& job, const HashedFile& hashed) {
          const std::lock_guard lock(mutex);
          outcome.digests[job.path.FileName()] = hashed.digest;
          outcome.weights[job.path.FileName()] = hashed.weights;
          not_lasting_ += job.lasting ? 0 : 1;
        },
        [&](const HashJob& job) {
          const std::lock_guard lock(mutex);
          outcome.changed.push_back(job.path.FileName());
        });
    for (const HashJob& job : jobs) EXPECT_TRUE(queue.Add(job));
    queue.Wait();
    outcome.bytes_read = queue.bytes_read();
    outcome.checkpoint_failures = queue.checkpoint_failures();
    return outcome;
  }

  std::string Content(std::size_t size) {
    std::string content(size, '\0');
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 2654435761U >> 13);
    return content;
  }

  const tests::TempFolder folder_;
  const std::shared_ptr<const Root> root_ = OpenRoot(folder_.path(), {}).value();
  tests::SystemClock clock_;
  tests::ThreadExecutor executor_;
  CheckpointShelf shelf_;
  MapTensors map_tensors_ = [](int, std::uint64_t bytes) { return OneTensor(bytes, true); };
  int not_lasting_ = 0;  // of the digests
};

TEST_F(HashQueueTest, VerifiesWhatItRead) {
  std::vector<HashJob> jobs;
  std::map<std::string, model::Sha256> expected;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kMiB - 1, kMiB, 3 * kMiB + 17}) {
    const std::string name = "file-" + std::to_string(size);
    const std::string content = Content(size);
    folder_.Write(name, content);
    expected[name] = openssl::Sha256Of(base::AsBytes(content));
    jobs.push_back(JobFor(name));
  }
  const Outcome outcome = Hash(jobs);
  for (const auto& [name, digest] : expected) {
    ASSERT_TRUE(outcome.digests.contains(name));
    EXPECT_EQ(outcome.digests.at(name).state, model::DigestState::kVerified);
    EXPECT_EQ(outcome.digests.at(name).sha256, digest);
    EXPECT_TRUE(outcome.digests.at(name).verified_at.has_value());
  }
}

TEST_F(HashQueueTest, GivesTheDigestOfTheWeightsByTheSameReading) {
  std::vector<HashJob> jobs;
  for (const std::size_t size : {std::size_t{1}, kMiB - 1, 3 * kMiB + 17}) {
    const std::string name = "file-" + std::to_string(size);
    folder_.Write(name, Content(size));
    jobs.push_back(JobFor(name));
  }
  const Outcome outcome = Hash(jobs);
  std::uint64_t bytes = 0;
  for (const HashJob& job : jobs) {
    const std::uint64_t size = job.stamp.size_bytes;
    bytes += size;
    const model::WeightsIdentity& weights = outcome.weights.at(job.path.FileName());
    EXPECT_EQ(weights.digest, DigestOfOneTensor(size, Content(size), true));
    EXPECT_EQ(weights.reason, model::WeightsReason::kNone);
  }
  EXPECT_EQ(outcome.bytes_read, bytes);
}

TEST_F(HashQueueTest, ReadsTensorsThatDoNotLieInTheirOrderOnceMore) {
  map_tensors_ = [](int, std::uint64_t bytes) { return OneTensor(bytes, false); };
  const std::string content = Content(6 * kMiB);
  folder_.Write("model", content);
  const Outcome outcome = Hash({JobFor("model")});
  EXPECT_EQ(outcome.weights.at("model").digest, DigestOfOneTensor(content.size(), content, false));
  EXPECT_EQ(outcome.digests.at("model").sha256, openssl::Sha256Of(base::AsBytes(content)));
  EXPECT_GE(outcome.bytes_read, 2 * content.size());
}

TEST_F(HashQueueTest, SaysWhyThereIsNoDigestOfTheWeights) {
  folder_.Write("model", Content(kMiB));
  map_tensors_ = [](int, std::uint64_t) {
    return formats::TensorMap::Without(model::WeightsReason::kSparse);
  };
  const Outcome sparse = Hash({JobFor("model")});
  EXPECT_EQ(sparse.weights.at("model").reason, model::WeightsReason::kSparse);
  EXPECT_EQ(sparse.digests.at("model").state, model::DigestState::kVerified);
  map_tensors_ = [](int, std::uint64_t) -> base::Result<formats::TensorMap> {
    return base::Unavailable("no cage");
  };
  EXPECT_EQ(not_lasting_, 0);
  const Outcome failed = Hash({JobFor("model")});
  EXPECT_EQ(failed.weights.at("model").reason, model::WeightsReason::kIncomplete);
  EXPECT_EQ(not_lasting_, 1) << "it is asked for again at the next walk";
  EXPECT_EQ(failed.weights.at("model").digest, std::nullopt);
}

TEST_F(HashQueueTest, GoesOnInTheMiddleOfAFileAfterARestart) {
  const std::string content = Content(40 * kMiB + 5);
  folder_.Write("large", content);
  const HashJob job = JobFor("large");
  std::stop_source stop;
  shelf_.stop = &stop;
  shelf_.stop_after = 3;
  const Outcome interrupted = Hash({job}, stop);
  EXPECT_TRUE(interrupted.digests.empty());
  EXPECT_EQ(shelf_.size(), 1U);
  EXPECT_LT(interrupted.bytes_read, content.size());

  const Outcome resumed = Hash({job});
  ASSERT_EQ(resumed.digests.size(), 1U);
  EXPECT_EQ(resumed.digests.at("large").sha256, openssl::Sha256Of(base::AsBytes(content)));
  EXPECT_EQ(resumed.weights.at("large").digest, DigestOfOneTensor(content.size(), content, true));
  // Each byte was read once between the two.
  EXPECT_EQ(interrupted.bytes_read + resumed.bytes_read, content.size());
  EXPECT_EQ(shelf_.size(), 0U);
}

TEST_F(HashQueueTest, BeginsAnewWhenTheFileOrTheCheckpointIsNotWhatItWas) {
  const std::string content = Content(16 * kMiB);
  folder_.Write("large", content);
  std::stop_source stop;
  shelf_.stop = &stop;
  shelf_.stop_after = 1;
  Hash({JobFor("large")}, stop);
  ASSERT_EQ(shelf_.size(), 1U);

  std::string other = content;
  other[0] = 'x';
  folder_.Write("large", other);  // the same inode, another stamp
  const Outcome rewritten = Hash({JobFor("large")});
  EXPECT_EQ(rewritten.digests.at("large").sha256, openssl::Sha256Of(base::AsBytes(other)));
  EXPECT_EQ(rewritten.bytes_read, content.size());

  std::stop_source again;
  shelf_.stop = &again;
  shelf_.stop_after = 6;
  Hash({JobFor("large")}, again);
  shelf_.Corrupt();
  const Outcome corrupt = Hash({JobFor("large")});
  EXPECT_EQ(corrupt.digests.at("large").sha256, openssl::Sha256Of(base::AsBytes(other)));

  std::stop_source third;
  shelf_.StopAtTheNextStore(third);
  Hash({JobFor("large")}, third);
  ASSERT_EQ(shelf_.size(), 1U);
  // Read by another agent, the same bytes may be other tensors.
  map_tensors_ = [](int, std::uint64_t bytes) { return OneTensor(bytes, false); };
  const Outcome remapped = Hash({JobFor("large")});
  EXPECT_EQ(remapped.weights.at("large").digest, DigestOfOneTensor(other.size(), other, false));
}

TEST_F(HashQueueTest, HashesOnWhenCheckpointsCannotBeStored) {
  folder_.Write("large", Content(16 * kMiB));
  shelf_.fail = true;
  const Outcome outcome = Hash({JobFor("large")});
  EXPECT_EQ(outcome.digests.at("large").state, model::DigestState::kVerified);
  EXPECT_GT(outcome.checkpoint_failures, 0U);
}

TEST_F(HashQueueTest, GivesNoDigestForAFileThatIsNotTheOneThatWasSeen) {
  folder_.Write("written", "before");
  folder_.Write("replaced", "before");
  folder_.Write("deleted", "before");
  const std::vector<HashJob> jobs = {JobFor("written"), JobFor("replaced"), JobFor("deleted")};
  folder_.Write("written", "after, longer");
  folder_.Write("new", "before");
  std::filesystem::rename(folder_ / "new", folder_ / "replaced");
  std::filesystem::remove(folder_ / "deleted");
  std::filesystem::create_symlink("/etc/passwd", folder_ / "deleted");
  const Outcome outcome = Hash(jobs);
  EXPECT_TRUE(outcome.digests.empty());
  EXPECT_EQ(outcome.changed.size(), 3U);
}

TEST_F(HashQueueTest, NoticesAWriteWhileItReadsAndDoesNotReadOn) {
  folder_.Write("large", Content(64 * kMiB));
  shelf_.on_store = [this] { std::filesystem::resize_file(folder_ / "large", 63 * kMiB); };
  const Outcome outcome = Hash({JobFor("large")});
  EXPECT_TRUE(outcome.digests.empty());
  EXPECT_EQ(outcome.changed, std::vector<std::string>{"large"});
  EXPECT_LE(outcome.bytes_read, 6 * kMiB);
}

TEST_F(HashQueueTest, NoticesAReplacementWhileItReads) {
  folder_.Write("large", Content(16 * kMiB));
  folder_.Write("new", "another file");
  shelf_.on_store = [this] {
    std::error_code second_time;
    std::filesystem::rename(folder_ / "new", folder_ / "large", second_time);
  };
  const Outcome outcome = Hash({JobFor("large")});
  EXPECT_TRUE(outcome.digests.empty());
  EXPECT_EQ(outcome.changed, std::vector<std::string>{"large"});
}

TEST_F(HashQueueTest, TakesSmallFilesFirstAndFilesWithHolesLast) {
  for (const auto& [name, size] : {std::pair{"large", 96 * kMiB}, {"small", kMiB}, {"holes", 2}}) {
    folder_.Write(name, std::string(size, 'x'));
  }
  HashJob with_holes = JobFor("holes");
  with_holes.sparse = true;
  Pacer pacer({}, clock_, nullptr);
  std::vector<std::string> order;  // of one thread
  HashQueue* running = nullptr;
  // They come while the large one is being read.
  shelf_.on_store = [&] {
    if (HashQueue* const queue = std::exchange(running, nullptr)) {
      EXPECT_TRUE(queue->Add(with_holes));
      EXPECT_TRUE(queue->Add(JobFor("small")));
    }
  };
  HashQueue queue(
      {1, 4 * kMiB, false}, executor_, pacer, shelf_, map_tensors_, clock_, {},
      [&](const HashJob& job, const HashedFile&) { order.push_back(job.path.FileName()); },
      [](const HashJob&) { ADD_FAILURE(); });
  running = &queue;
  EXPECT_TRUE(queue.Add(JobFor("large")));
  queue.Wait();
  EXPECT_EQ(order, (std::vector<std::string>{"small", "large", "holes"}));
  EXPECT_EQ(queue.bytes_read(), 97 * kMiB + 2) << "the large one went on where it was";
}

TEST_F(HashQueueTest, HoldsWhatFitsAndOneJobForAPath) {
  folder_.Write("model", "content");
  HeldExecutor held;
  Pacer pacer({}, clock_, nullptr);
  int done = 0;
  HashQueue queue(
      {1, 0, false}, held, pacer, shelf_, map_tensors_, clock_, {},
      [&](const HashJob& job, const HashedFile&) {
        done += job.path.FileName() == "model" ? 1 : 0;
      },
      [](const HashJob&) {});
  EXPECT_TRUE(queue.Add(JobFor("model")));
  EXPECT_TRUE(queue.Add(JobFor("model")));
  HashJob filler = JobFor("model");
  filler.path.bytes.resize(4000, 'x');
  std::size_t accepted = 0;
  while (true) {
    filler.stamp.identity.bytes = std::to_string(accepted);
    if (!queue.Add(filler)) break;
    ASSERT_LT(++accepted, base::limits::kMaxHashQueueBytes / 4000);
  }
  EXPECT_GT(accepted, base::limits::kMaxHashQueueBytes / 10'000);
  held.RunAll();
  EXPECT_EQ(done, 1);
  EXPECT_TRUE(queue.Add(filler)) << "there is room again";
  held.RunAll();
}

TEST_F(HashQueueTest, LeavesNoCheckpointsOfAFileWhoseStampProvesNothing) {
  folder_.Write("large", Content(16 * kMiB));
  HashJob job = JobFor("large");
  job.lasting = false;
  int stores = 0;
  shelf_.on_store = [&stores] { ++stores; };
  EXPECT_EQ(Hash({job}).digests.at("large").state, model::DigestState::kVerified);
  EXPECT_EQ(stores, 0);
  EXPECT_EQ(not_lasting_, 1);
}

TEST_F(HashQueueTest, TakesTheWordOfTheNewestJobForAPathThatStillWaits) {
  folder_.Write("model", "content");
  HeldExecutor held;
  Pacer pacer({}, clock_, nullptr);
  bool lasting = false;
  HashQueue queue(
      {1, 0, false}, held, pacer, shelf_, map_tensors_, clock_, {},
      [&](const HashJob& job, const HashedFile&) { lasting = job.lasting; },
      [](const HashJob&) { ADD_FAILURE(); });
  HashJob job = JobFor("model");
  job.lasting = false;  // it changed a moment ago
  EXPECT_TRUE(queue.Add(job));
  job.lasting = true;
  EXPECT_TRUE(queue.Add(job));
  held.RunAll();
  EXPECT_TRUE(lasting);
}

TEST_F(HashQueueTest, LetsNobodyWaitForEver) {
  HeldExecutor held;
  Pacer pacer({}, clock_, nullptr);
  std::vector<std::string> order;
  HashQueue queue(
      {1, 0, false}, held, pacer, shelf_, map_tensors_, clock_, {},
      [&](const HashJob& job, const HashedFile&) { order.push_back(job.path.FileName()); },
      [](const HashJob&) { ADD_FAILURE(); });
  folder_.Write("large", std::string(1000, 'x'));
  EXPECT_TRUE(queue.Add(JobFor("large")));
  for (int i = 0; i < 20; ++i) {
    const std::string name = "small-" + std::to_string(i);
    folder_.Write(name, "x");
    EXPECT_TRUE(queue.Add(JobFor(name)));
  }
  held.RunAll();
  ASSERT_EQ(order.size(), 21U);
  EXPECT_LT(std::ranges::find(order, "large") - order.begin(), 5);
}

TEST_F(HashQueueTest, ReadsALinkAnewAfterTheWalkInWhichItsFileWasRead) {
  folder_.Write("one", "content");
  std::filesystem::create_hard_link(folder_ / "one", folder_ / "two");
  Pacer pacer({}, clock_, nullptr);
  HashQueue queue(
      {1, 0, false}, executor_, pacer, shelf_, map_tensors_, clock_, {},
      [](const HashJob&, const HashedFile&) {}, [](const HashJob&) {});
  EXPECT_TRUE(queue.Add(JobFor("one")));
  queue.Wait();
  EXPECT_TRUE(queue.Add(JobFor("two")));
  queue.Wait();
  EXPECT_EQ(queue.files_hashed(), 1U);
  queue.ForgetLinks();
  EXPECT_TRUE(queue.Add(JobFor("two")));
  queue.Wait();
  EXPECT_EQ(queue.files_hashed(), 2U);
}

TEST_F(HashQueueTest, ReadsHardLinksOnce) {
  const std::string content = Content(2 * kMiB);
  folder_.Write("one", content);
  std::filesystem::create_hard_link(folder_ / "one", folder_ / "two");
  const Outcome outcome = Hash({JobFor("one"), JobFor("two")});
  EXPECT_EQ(outcome.bytes_read, content.size());
  ASSERT_EQ(outcome.digests.size(), 2U);
  EXPECT_EQ(outcome.digests.at("one").sha256, outcome.digests.at("two").sha256);
}

}  // namespace
}  // namespace weighmaster::agent::sensors
