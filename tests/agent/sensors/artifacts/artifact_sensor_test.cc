#include "agent/sensors/artifacts/artifact_sensor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "agent/os/directory.h"
#include "tests/support/live_loop.h"
#include "tests/support/model_files.h"
#include "tests/support/temp_folder.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::agent::sensors {
namespace {

// What a test of unchanged files rests on; overlays and tmpfs do not have it.
#define SKIP_UNLESS_TIMES_ARE_RENEWED()                                   \
  if (!os::RenewsTimes(os::OpenFolder(folder_.path())->get())) {          \
    GTEST_SKIP() << "times prove nothing on the file system of the test"; \
  }

// An inventory in small: keeps what is delivered, and knows it at the next walk.
class NotingInventory final : public ObservationSink, public KnownFiles {
 public:
  void Deliver(std::vector<Observation> batch, std::stop_token) override {
    for (const Observation& observation : batch) {
      if (std::holds_alternative<WalkFinished>(observation) && on_walk_finished) {
        std::exchange(on_walk_finished, nullptr)();
      }
    }
    const std::lock_guard lock(mutex_);
    largest_batch = std::max(largest_batch, batch.size());
    for (Observation& observation : batch) {
      if (const auto* seen = std::get_if<ModelSeen>(&observation)) {
        Known& known = files[seen->sighting.path];
        known.stamp = {seen->sighting.identity, seen->sighting.size_bytes, seen->modified_ns,
                       seen->changed_ns};
        known.file = {seen->sighting, seen->lasting};
      } else if (const auto* hashed = std::get_if<ModelHashed>(&observation)) {
        const auto at = files.find(hashed->path);
        if (at != files.end() && at->second.stamp == hashed->stamp) {
          at->second.file.sighting.digest = hashed->digest;
          at->second.file.sighting.weights_digest = hashed->weights.digest;
          at->second.file.sighting.weights_reason = hashed->weights.reason;
          at->second.file.lasting = hashed->lasting;
        }
      } else if (const auto* gone = std::get_if<ModelGone>(&observation)) {
        files.erase(gone->path);
      }
      log.push_back(std::move(observation));
    }
  }
  std::optional<KnownFile> Find(const model::Path& path, const FileStamp& stamp) override {
    const std::lock_guard lock(mutex_);
    const auto at = files.find(path);
    if (at == files.end() || at->second.stamp != stamp) return std::nullopt;
    return at->second.file;
  }
  bool HasModelAt(const model::Path& path) override {
    const std::lock_guard lock(mutex_);
    return files.contains(path);
  }

  struct Known {
    FileStamp stamp;
    KnownFile file;
  };

  template <typename T>
  std::vector<T> Of() const {
    std::vector<T> out;
    for (const Observation& observation : log) {
      if (const T* one = std::get_if<T>(&observation)) out.push_back(*one);
    }
    return out;
  }

  // Looked at by the test when the sensor is idle.
  std::vector<Observation> log;
  std::map<model::Path, Known> files;
  std::size_t largest_batch = 0;
  std::function<void()> on_walk_finished;  // called once, by the sensor

 private:
  std::mutex mutex_;
};

class ArtifactSensorTest : public testing::Test {
 protected:
  // As a scan, but for what is kept from one walk to the next.
  ArtifactSensorTest() {
    options_ = ScanOptions({folder_.path()}, 2);
    options_.written_back_age = ArtifactSensorOptions().written_back_age;
  }

  std::unique_ptr<ArtifactSensor> MakeSensor() {
    return std::make_unique<ArtifactSensor>(
        options_, ArtifactSensorSeams{
                      clock_, random_, executor_,
                      [this](std::span<const cage::CageFile> files) {
                        parsed_ += files.size();
                        return parse_error_.has_value()
                                   ? base::Result<std::vector<model::Facts>>(*parse_error_)
                                   : cage_->ParseBatch(files);
                      },
                      [this](int fd, std::uint64_t bytes) { return cage_->MapTensors(fd, bytes); },
                      inventory_, checkpoints_, inventory_});
  }

  void Walk(ArtifactSensor& sensor) {
    inventory_.log.clear();
    sensor.StartWalk();
    sensor.Wait();
  }

  std::string WriteGguf(const std::string& name, const std::string& model_name) {
    const base::Bytes content = tests::GgufWriter()
                                    .Text("general.architecture", "llama")
                                    .Text("general.name", model_name)
                                    .Build();
    const std::string path = folder_.Write(name, content);
    digests_[path] = openssl::Sha256Of(content);
    return path;
  }

  // 512 KiB of tensor data at its end.
  std::string WriteGgufWithWeights(const std::string& name) {
    return folder_.Write(name, tests::GgufWriter()
                                   .Text("general.architecture", "llama")
                                   .Tensor("t", {128 * 1024}, 0, 512 * 1024)
                                   .Build());
  }

  const tests::TempFolder folder_;
  tests::SystemClock clock_;
  base::SeededRandom random_{1};
  tests::ThreadExecutor executor_;
  const std::unique_ptr<cage::Cage> cage_ =
      cage::Cage::Launch(cage::DefaultCageSpec(WEIGHMASTER_CAGE_PROGRAM)).value();
  NotingInventory inventory_;
  NoCheckpoints checkpoints_;
  ArtifactSensorOptions options_;
  std::map<std::string, model::Sha256> digests_;
  std::size_t parsed_ = 0;
  std::optional<base::Error> parse_error_;
};

TEST_F(ArtifactSensorTest, FindsModelsByContentAndVerifiesThem) {
  WriteGguf("model.gguf", "One");
  WriteGguf("sub/holiday.jpg", "Two");
  WriteGguf("new\nline\xff", "Three");
  folder_.Write("fake.gguf", "this is no model");
  folder_.Write("empty", "");
  std::filesystem::create_symlink(folder_ / "model.gguf", folder_ / "link.gguf");
  const auto sensor = MakeSensor();
  Walk(*sensor);

  for (const ModelSeen& seen : inventory_.Of<ModelSeen>()) {
    EXPECT_EQ(seen.sighting.digest.state, model::DigestState::kPending);
  }
  ASSERT_EQ(inventory_.files.size(), digests_.size());
  for (const auto& [path, digest] : digests_) {
    ASSERT_TRUE(inventory_.files.contains({path})) << path;
    const KnownFile& known = inventory_.files[{path}].file;
    EXPECT_EQ(known.sighting.digest.sha256, digest);
    EXPECT_EQ(known.sighting.facts.architecture, "llama");
    EXPECT_EQ(known.sighting.owner.id, std::to_string(::getuid()));
  }
  const auto finished = inventory_.Of<WalkFinished>();
  ASSERT_EQ(finished.size(), 1U);
  EXPECT_TRUE(finished[0].complete);
  EXPECT_EQ(finished[0].coverage.state, model::CoverageState::kLooked);
  EXPECT_EQ(finished[0].coverage.files_seen, 5U);
  EXPECT_EQ(sensor->progress().files_seen, 5U);
  EXPECT_EQ(sensor->progress().bytes_hashed, sensor->progress().bytes_to_hash);
  EXPECT_FALSE(sensor->progress().walking);
}

TEST_F(ArtifactSensorTest, LeavesUnchangedFilesAloneAndSeesChangedOnes) {
  SKIP_UNLESS_TIMES_ARE_RENEWED();
  const std::string kept = WriteGguf("kept", "Kept");
  const std::string rewritten = WriteGguf("rewritten", "Before");
  const std::string emptied = WriteGguf("no-model-any-more", "Gone");
  folder_.Write("text", std::string(1000, 'x'));
  const auto sensor = MakeSensor();
  Walk(*sensor);
  parsed_ = 0;
  WriteGguf("rewritten", "After, and longer");
  folder_.Write("no-model-any-more", "just text now");
  Walk(*sensor);
  EXPECT_EQ(parsed_, 1U);
  const auto still = inventory_.Of<ModelStillThere>();
  ASSERT_EQ(still.size(), 1U);
  EXPECT_EQ(still[0].path.bytes, kept);
  const auto gone = inventory_.Of<ModelGone>();
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0].path.bytes, emptied);
  EXPECT_FALSE(gone[0].deleted);
  EXPECT_EQ(inventory_.files[{rewritten}].file.sighting.digest.sha256, digests_[rewritten]);
  EXPECT_EQ(inventory_.files[{rewritten}].file.sighting.facts.name, "After, and longer");
}

TEST_F(ArtifactSensorTest, HashesAKnownFileWhoseDigestIsStillPending) {
  SKIP_UNLESS_TIMES_ARE_RENEWED();
  const std::string path = WriteGguf("model", "Model");
  Walk(*MakeSensor());
  inventory_.files[{path}].file.sighting.digest = {};  // as after a restart
  parsed_ = 0;
  Walk(*MakeSensor());
  EXPECT_EQ(parsed_, 0U);
  EXPECT_EQ(inventory_.files[{path}].file.sighting.digest.sha256, digests_[path]);
}

TEST_F(ArtifactSensorTest, ParsesAndReadsHardLinksOnce) {
  SKIP_UNLESS_TIMES_ARE_RENEWED();
  const std::string one = WriteGguf("one", "Model");
  for (int i = 0; i < 50; ++i) {
    std::filesystem::create_hard_link(one, folder_ / ("link-" + std::to_string(i)));
  }
  const auto sensor = MakeSensor();
  Walk(*sensor);
  EXPECT_LE(parsed_, 32U);  // at most one batch, before the first of them is known
  EXPECT_EQ(inventory_.files.size(), 51U);
  for (const auto& [path, known] : inventory_.files) {
    EXPECT_EQ(known.file.sighting.digest.sha256, digests_[one]);
    EXPECT_EQ(known.stamp, inventory_.files[{one}].stamp);
  }
  EXPECT_EQ(sensor->progress().files_hashed, 1U);
}

TEST_F(ArtifactSensorTest, WalksByTheSizeThatItWasGivenLast) {
  WriteGguf("small", "Small");
  for (const std::uint64_t min_size_bytes : {std::uint64_t{0}, std::uint64_t{64 * 1024}}) {
    options_.min_size_bytes = 64 * 1024 - min_size_bytes;
    const auto sensor = MakeSensor();
    sensor->Tune(min_size_bytes, {});
    Walk(*sensor);
    EXPECT_EQ(inventory_.Of<CoverageSeen>().size(), min_size_bytes == 0 ? 0U : 1U)
        << "small files that are pending";
  }
}

TEST_F(ArtifactSensorTest, TakesSmallFilesInASecondPassThatCoverageSpeaksOf) {
  options_.min_size_bytes = 64 * 1024;
  const std::string small = WriteGguf("a-small", "Small");
  const base::Bytes large_content = tests::GgufWriter()
                                        .Text("general.name", std::string(300, 'L'))
                                        .Tensor("t", {32 * 1024}, 0, 128 * 1024)
                                        .Build();
  const std::string large = folder_.Write("z-large", large_content);
  Walk(*MakeSensor());
  std::vector<std::string> order;
  for (const Observation& observation : inventory_.log) {
    if (const auto* seen = std::get_if<ModelSeen>(&observation)) {
      if (seen->sighting.digest.state == model::DigestState::kPending) {
        order.push_back(seen->sighting.path.bytes);
      }
    } else if (const auto* coverage = std::get_if<CoverageSeen>(&observation)) {
      EXPECT_EQ(coverage->coverage.reason, model::CoverageReason::kSmallFilesPending);
      order.push_back("coverage");
    }
  }
  EXPECT_EQ(order, (std::vector<std::string>{large, "coverage", small}));
}

TEST_F(ArtifactSensorTest, LooksAgainAtAFileThatChangedAMomentAgo) {
  SKIP_UNLESS_TIMES_ARE_RENEWED();
  options_.settle_time = std::chrono::milliseconds(200);
  const std::string path = WriteGguf("fresh", "Fresh");
  Walk(*MakeSensor());
  // Told once, at first in a state that spares no later look; at last, settled, in one that does.
  const auto seen = inventory_.Of<ModelSeen>();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_FALSE(seen.front().lasting);
  const auto hashed = inventory_.Of<ModelHashed>();
  ASSERT_GE(hashed.size(), 1U);
  for (const ModelHashed& one : hashed) EXPECT_EQ(one.digest.sha256, digests_[path]);
  EXPECT_TRUE(hashed.back().lasting);
}

TEST_F(ArtifactSensorTest, DoesNotTellAFreshFileAnewAtAWalkBeforeItsSecondLook) {
  options_.settle_time = std::chrono::milliseconds(500);
  const std::string path = WriteGguf("fresh", "Fresh");
  const auto sensor = MakeSensor();
  inventory_.on_walk_finished = [&sensor] { sensor->StartWalk(); };
  Walk(*sensor);
  ASSERT_EQ(inventory_.Of<WalkFinished>().size(), 2U);
  EXPECT_EQ(inventory_.Of<ModelSeen>().size(), 1U);
  EXPECT_EQ(inventory_.files[{path}].file.sighting.digest.sha256, digests_[path]);
}

TEST_F(ArtifactSensorTest, BeginsAndEndsRootsThatLieInOneAnotherTogether) {
  WriteGguf("inner/model", "Model");
  options_.roots = {folder_.path(), folder_ / "inner", folder_ / "missing"};
  Walk(*MakeSensor());
  ASSERT_GE(inventory_.log.size(), 4U);
  const auto missing = inventory_.Of<CoverageSeen>();
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_EQ(missing[0].coverage.reason, model::CoverageReason::kNotMounted);
  std::size_t last_start = 0;
  std::size_t first_finish = inventory_.log.size();
  for (std::size_t i = 0; i < inventory_.log.size(); ++i) {
    if (std::holds_alternative<WalkStarted>(inventory_.log[i])) last_start = i;
    if (std::holds_alternative<WalkFinished>(inventory_.log[i])) {
      first_finish = std::min(first_finish, i);
    }
  }
  EXPECT_LT(last_start, first_finish);
  for (std::size_t i = 0; i < last_start; ++i) {
    EXPECT_FALSE(std::holds_alternative<ModelSeen>(inventory_.log[i]));
  }
}

TEST_F(ArtifactSensorTest, SaysThatAFileWasNotInspectedWhenTheCageIsGone) {
  const std::string path = WriteGguf("model", "Model");
  parse_error_ = base::Unavailable("no cage");
  Walk(*MakeSensor());
  ASSERT_TRUE(inventory_.files.contains({path}));
  const KnownFile& known = inventory_.files[{path}].file;
  EXPECT_EQ(known.sighting.facts.format, model::Format::kGguf);
  ASSERT_EQ(known.sighting.facts.risks.size(), 1U);
  EXPECT_EQ(known.sighting.facts.risks[0].id, "not_inspected");
  EXPECT_FALSE(known.lasting);
  parse_error_.reset();
  Walk(*MakeSensor());
  EXPECT_EQ(inventory_.files[{path}].file.sighting.facts.name, "Model");
}

// Changes a file without a call that renews its times.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const os::Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    size_ = std::filesystem::file_size(path);
    bytes_ =
        static_cast<char*>(::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
    EXPECT_NE(bytes_, MAP_FAILED);
  }
  ~MappedFile() { ::munmap(bytes_, size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  void SetFirstByte(char value) { bytes_[0] = value; }
  void SetLastByte(char value) { bytes_[size_ - 1] = value; }
  model::Sha256 Digest() const { return openssl::Sha256Of(base::AsBytes({bytes_, size_})); }

 private:
  std::size_t size_ = 0;
  char* bytes_ = nullptr;
};

TEST_F(ArtifactSensorTest, SeesWhatSomebodyWritesThroughAMappingThatHeHadBefore) {
  SKIP_UNLESS_TIMES_ARE_RENEWED();
  const std::string path = WriteGgufWithWeights("model");
  const auto sensor = MakeSensor();
  MappedFile mapped(path);
  mapped.SetLastByte('1');  // from here on, and until it is written back, its times stay
  Walk(*sensor);
  EXPECT_EQ(inventory_.files[{path}].file.sighting.digest.sha256, mapped.Digest());
  EXPECT_TRUE(inventory_.files[{path}].file.lasting);
  // A clock's tick is as fine as times are (CONFIG_HZ).
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  mapped.SetLastByte('2');
  Walk(*sensor);
  EXPECT_EQ(inventory_.files[{path}].file.sighting.digest.sha256, mapped.Digest());
}

TEST_F(ArtifactSensorTest, SniffsOnceMoreWhatMayHaveChangedBeforeItWasWrittenBack) {
  SKIP_UNLESS_TIMES_ARE_RENEWED();
  options_.written_back_age = std::chrono::milliseconds(200);
  const std::string path = WriteGgufWithWeights("model");
  const auto sensor = MakeSensor();
  MappedFile mapped(path);
  mapped.SetFirstByte('X');
  Walk(*sensor);
  EXPECT_TRUE(inventory_.files.empty());
  mapped.SetFirstByte('G');
  std::this_thread::sleep_for(options_.written_back_age);
  Walk(*sensor);
  EXPECT_EQ(inventory_.files[{path}].file.sighting.digest.sha256, mapped.Digest());
}

TEST_F(ArtifactSensorTest, ReadsAgainEveryModelInMemory) {
  char pattern[] = "/dev/shm/weighmaster-XXXXXX";
  if (::mkdtemp(pattern) == nullptr) GTEST_SKIP() << "there is no /dev/shm";
  const std::string folder = pattern;
  const std::string path = folder + "/model";
  std::filesystem::copy_file(WriteGgufWithWeights("model"), path);
  options_.roots = {folder};
  if (os::RenewsTimes(os::OpenFolder(folder)->get())) GTEST_SKIP() << "/dev/shm is no tmpfs";
  const auto sensor = MakeSensor();
  MappedFile mapped(path);
  mapped.SetLastByte('1');
  Walk(*sensor);
  mapped.SetLastByte('2');  // never written back, so that no time is renewed
  Walk(*sensor);
  EXPECT_TRUE(inventory_.Of<ModelSeen>().empty()) << "its digest does not become pending again";
  EXPECT_EQ(inventory_.files[{path}].file.sighting.digest.sha256, mapped.Digest());
  std::filesystem::remove_all(folder);
}

TEST_F(ArtifactSensorTest, GivesUpOnAFileThatChangesAtEveryReading) {
  SKIP_UNLESS_TIMES_ARE_RENEWED();
  // Rewrites a byte whenever the hashing leaves a checkpoint.
  class Restless final : public HashCheckpoints {
   public:
    explicit Restless(std::string path) : path_(std::move(path)) {}
    base::Result<std::optional<HashCheckpoint>> Load(const model::FileIdentity&) override {
      return std::optional<HashCheckpoint>();
    }
    base::Status Store(const HashCheckpoint&) override {
      std::filesystem::last_write_time(path_, std::filesystem::file_time_type::clock::now());
      return {};
    }
    base::Status Erase(const model::FileIdentity&) override { return {}; }

   private:
    const std::string path_;
  };
  const std::string path = WriteGgufWithWeights("model");
  Restless restless(path);
  options_.checkpoint_bytes = 128 * 1024;
  ArtifactSensor sensor(
      options_, {clock_, random_, executor_,
                 [this](std::span<const cage::CageFile> files) { return cage_->ParseBatch(files); },
                 [this](int fd, std::uint64_t bytes) { return cage_->MapTensors(fd, bytes); },
                 inventory_, restless, inventory_});
  Walk(sensor);
  const KnownFile& known = inventory_.files[{path}].file;
  EXPECT_EQ(known.sighting.digest.state, model::DigestState::kFailed);
  EXPECT_THAT(known.sighting.digest.detail, testing::HasSubstr("kept changing"));
  EXPECT_FALSE(known.lasting) << "the next walk tries again";
}

TEST_F(ArtifactSensorTest, ScansASingleFile) {
  const std::string path = WriteGguf("model", "Model");
  WriteGguf("other", "Other");
  options_.roots = {path};
  Walk(*MakeSensor());
  EXPECT_EQ(inventory_.files.size(), 1U);
  EXPECT_EQ(inventory_.files[{path}].file.sighting.digest.sha256, digests_[path]);
}

TEST_F(ArtifactSensorTest, ReachesAModelWhosePathIsLongerThanThePathsOfTheSystem) {
  const std::string name(200, 'd');
  const std::string model = WriteGguf("model", "Deep");
  const std::shared_ptr<const Root> top = OpenRoot(folder_.path(), {}).value();
  os::Fd current = os::OpenFolderBeneath(top->fd.get(), ".").value();
  std::string path = folder_.path();
  for (int depth = 0; depth < 30; ++depth) {
    ASSERT_EQ(::mkdirat(current.get(), name.c_str(), 0700), 0);
    current = os::OpenFolderBeneath(current.get(), name).value();
    path += "/" + name;
  }
  ASSERT_EQ(::renameat(top->fd.get(), "model", current.get(), "model"), 0);
  Walk(*MakeSensor());
  ASSERT_EQ(inventory_.files.size(), 1U);
  EXPECT_EQ(inventory_.files.begin()->first.bytes, path + "/model");
  EXPECT_EQ(inventory_.files.begin()->second.file.sighting.digest.sha256, digests_[model]);
}

TEST_F(ArtifactSensorTest, LeavesAWalkUnfinishedWhenItIsStopped) {
  for (int i = 0; i < 200; ++i) WriteGguf("model-" + std::to_string(i), "Model");
  options_.budget.bytes_per_second = 1;  // waits after its first file
  const auto sensor = MakeSensor();
  sensor->StartWalk();
  sensor->Stop();
  sensor->Wait();
  EXPECT_TRUE(inventory_.Of<WalkFinished>().empty());
}

TEST_F(ArtifactSensorTest, DeliversInBoundedBatches) {
  for (int i = 0; i < 300; ++i) folder_.Write("model-" + std::to_string(i), "");
  for (int i = 0; i < 150; ++i) WriteGguf("m-" + std::to_string(i), "Model");
  Walk(*MakeSensor());
  EXPECT_EQ(inventory_.files.size(), 150U);
  EXPECT_LE(inventory_.largest_batch, base::limits::kMaxObservationsPerBatch);
}

}  // namespace
}  // namespace weighmaster::agent::sensors
