#include "agent/sensors/artifacts/artifact_sensor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "agent/os/directory.h"
#include "tests/support/live_loop.h"
#include "tests/support/model_files.h"
#include "tests/support/temp_folder.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::agent::sensors {
namespace {

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
        KnownFile known;
        known.identity = seen->sighting.identity;
        known.size_bytes = seen->sighting.size_bytes;
        known.modified_ns = seen->modified_ns;
        known.changed_ns = seen->changed_ns;
        known.is_model = true;
        known.sighting = seen->sighting;
        files[seen->sighting.path] = known;
      } else if (const auto* gone = std::get_if<ModelGone>(&observation)) {
        files.erase(gone->path);
      }
      log.push_back(std::move(observation));
    }
  }
  std::optional<KnownFile> Find(const model::Path& path, const FileStamp& stamp) override {
    const std::lock_guard lock(mutex_);
    const auto at = files.find(path);
    if (at == files.end()) return std::nullopt;
    const KnownFile& known = at->second;
    const FileStamp kept{known.identity, known.size_bytes, known.modified_ns, known.changed_ns};
    if (kept != stamp) return std::nullopt;
    return known;
  }
  bool HasModelAt(const model::Path& path) override {
    const std::lock_guard lock(mutex_);
    return files.contains(path);
  }

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
  std::map<model::Path, KnownFile> files;
  std::size_t largest_batch = 0;
  std::function<void()> on_walk_finished;  // called once, by the sensor

 private:
  std::mutex mutex_;
};

class ArtifactSensorTest : public testing::Test {
 protected:
  ArtifactSensorTest() { options_ = ScanOptions({folder_.path()}, 2); }

  std::unique_ptr<ArtifactSensor> MakeSensor() {
    return std::make_unique<ArtifactSensor>(
        options_,
        ArtifactSensorSeams{clock_, random_, executor_,
                            [this](std::span<const cage::CageFile> files) {
                              parsed_ += files.size();
                              return parse_error_.has_value()
                                         ? base::Result<std::vector<model::Facts>>(*parse_error_)
                                         : cage_->ParseBatch(files);
                            },
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

  std::map<std::string, model::Sighting> last;
  std::map<std::string, model::DigestState> first;
  for (const ModelSeen& seen : inventory_.Of<ModelSeen>()) {
    first.emplace(seen.sighting.path.bytes, seen.sighting.digest.state);
    last[seen.sighting.path.bytes] = seen.sighting;
  }
  ASSERT_EQ(last.size(), digests_.size());
  for (const auto& [path, digest] : digests_) {
    ASSERT_TRUE(last.contains(path)) << path;
    EXPECT_EQ(first[path], model::DigestState::kPending);
    EXPECT_EQ(last[path].digest.sha256, digest);
    EXPECT_EQ(last[path].facts.architecture, "llama");
    EXPECT_EQ(last[path].owner.id, std::to_string(::getuid()));
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
  EXPECT_EQ(inventory_.files[{rewritten}].sighting.digest.sha256, digests_[rewritten]);
  EXPECT_EQ(inventory_.files[{rewritten}].sighting.facts.name, "After, and longer");
}

TEST_F(ArtifactSensorTest, HashesAKnownFileWhoseDigestIsStillPending) {
  const std::string path = WriteGguf("model", "Model");
  Walk(*MakeSensor());
  inventory_.files[{path}].sighting.digest = {};  // as after a restart
  parsed_ = 0;
  Walk(*MakeSensor());
  EXPECT_EQ(parsed_, 0U);
  EXPECT_EQ(inventory_.files[{path}].sighting.digest.sha256, digests_[path]);
}

TEST_F(ArtifactSensorTest, ParsesAndReadsHardLinksOnce) {
  const std::string one = WriteGguf("one", "Model");
  for (int i = 0; i < 50; ++i) {
    std::filesystem::create_hard_link(one, folder_ / ("link-" + std::to_string(i)));
  }
  const auto sensor = MakeSensor();
  Walk(*sensor);
  EXPECT_LE(parsed_, 32U);  // at most one batch, before the first of them is known
  EXPECT_EQ(inventory_.files.size(), 51U);
  for (const auto& [path, file] : inventory_.files) {
    EXPECT_EQ(file.sighting.digest.sha256, digests_[one]);
    EXPECT_EQ(file.identity, inventory_.files[{one}].identity);
  }
  EXPECT_EQ(sensor->progress().files_hashed, 1U);
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
  options_.settle_time = std::chrono::milliseconds(200);
  const std::string path = WriteGguf("fresh", "Fresh");
  Walk(*MakeSensor());
  const auto seen = inventory_.Of<ModelSeen>();
  // At first in a state that spares no later look; at last, settled, in one that does.
  ASSERT_GE(seen.size(), 2U);
  EXPECT_EQ(seen.front().changed_ns, 0);
  EXPECT_NE(seen.back().changed_ns, 0);
  EXPECT_EQ(seen.back().sighting.digest.sha256, digests_[path]);
  for (std::size_t i = 1; i < seen.size(); ++i) {
    EXPECT_NE(seen[i].sighting.digest.state, model::DigestState::kPending);
  }
}

TEST_F(ArtifactSensorTest, DoesNotTellAFreshFileAnewAtAWalkBeforeItsSecondLook) {
  options_.settle_time = std::chrono::milliseconds(500);
  const std::string path = WriteGguf("fresh", "Fresh");
  const auto sensor = MakeSensor();
  inventory_.on_walk_finished = [&sensor] { sensor->StartWalk(); };
  Walk(*sensor);
  ASSERT_EQ(inventory_.Of<WalkFinished>().size(), 2U);
  const auto seen = inventory_.Of<ModelSeen>();
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().sighting.digest.sha256, digests_[path]);
  EXPECT_EQ(1, std::ranges::count_if(seen, [](const ModelSeen& one) {
              return one.sighting.digest.state == model::DigestState::kPending;
            }));
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
  const KnownFile& known = inventory_.files[{path}];
  EXPECT_EQ(known.sighting.facts.format, model::Format::kGguf);
  ASSERT_EQ(known.sighting.facts.risks.size(), 1U);
  EXPECT_EQ(known.sighting.facts.risks[0].id, "not_inspected");
  EXPECT_EQ(known.changed_ns, 0);
  parse_error_.reset();
  Walk(*MakeSensor());
  EXPECT_EQ(inventory_.files[{path}].sighting.facts.name, "Model");
}

TEST_F(ArtifactSensorTest, ScansASingleFile) {
  const std::string path = WriteGguf("model", "Model");
  WriteGguf("other", "Other");
  options_.roots = {path};
  Walk(*MakeSensor());
  EXPECT_EQ(inventory_.files.size(), 1U);
  EXPECT_EQ(inventory_.files[{path}].sighting.digest.sha256, digests_[path]);
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
  EXPECT_EQ(inventory_.files.begin()->second.sighting.digest.sha256, digests_[model]);
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
