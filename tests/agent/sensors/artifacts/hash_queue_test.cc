#include "agent/sensors/artifacts/hash_queue.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

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

  bool fail = false;
  std::function<void()> on_store;  // in the middle of a file
  int stop_after = 0;
  std::stop_source* stop = nullptr;

 private:
  std::mutex mutex_;
  std::map<std::string, HashCheckpoint> kept_;
  int stores_ = 0;
};

class HashQueueTest : public testing::Test {
 protected:
  struct Outcome {
    std::map<std::string, model::ContentDigest> digests;
    std::vector<std::string> changed;
    std::uint64_t bytes_read = 0;
    std::uint64_t checkpoint_failures = 0;
  };

  HashJob JobFor(const std::string& name) {
    HashJob job;
    job.root = root_;
    job.sighting.path = {folder_ / name};
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
        {2, 4 * kMiB, false}, executor_, pacer, shelf_, clock_, stop.get_token(),
        [&](const HashJob& job, const model::ContentDigest& digest) {
          const std::lock_guard lock(mutex);
          outcome.digests[job.sighting.path.FileName()] = digest;
        },
        [&](const HashJob& job) {
          const std::lock_guard lock(mutex);
          outcome.changed.push_back(job.sighting.path.FileName());
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
