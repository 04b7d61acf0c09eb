#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/cage/parser.h"
#include "agent/decide/judge.h"
#include "agent/inventory/checkpoint_file.h"
#include "agent/inventory/intake.h"
#include "agent/inventory/inventory.h"
#include "agent/inventory/known_sightings.h"
#include "agent/journal/event_log.h"
#include "agent/journal/journal.h"
#include "agent/journal/state_file.h"
#include "agent/sensors/artifacts/artifact_sensor.h"
#include "tests/bench/bench.h"
#include "tests/support/keys.h"
#include "tests/support/temp_folder.h"
#include "third_party/asio/asio_loop.h"
#include "third_party/asio/thread_pool.h"
#include "third_party/openssl/random.h"
#include "third_party/posix/system_clock.h"

namespace weighmaster::bench {
namespace {

namespace inventory = agent::inventory;
namespace journal = agent::journal;
namespace sensors = agent::sensors;

// The rooms of an agent that a walk touches, with no budget: the bar is about what a walk costs,
// and a budget only stretches it.
class LookingAgent {
 public:
  LookingAgent(asio::AsioLoop& loop, const std::string& tree, const std::string& cage_program)
      : cage_(Must(agent::cage::Cage::Launch(agent::cage::DefaultCageSpec(cage_program)))) {
    database_ = Must(journal::OpenStateFile(state_ / "state.db"));
    const journal::EventStamp stamp(clock_, model::Id{{1}});
    journal::Journal::Options journaling;
    journaling.boot_id = model::Id{{1}};
    journaling.report_drop = stamp.MakeDropReporter();
    journal_ = Must(journal::Journal::Open(*database_, clock_, random_, tests::TestKey(10),
                                           std::move(journaling)));
    events_ = std::make_unique<journal::EventLog>(*journal_, stamp);
    Must(events_->StartChain(model::ChainReason::kEnrolled, 0));
    inventory_ = Must(inventory::Inventory::Open(*database_, *events_, judge_, loop));
    known_ = Must(inventory::KnownSightings::Open(state_ / "state.db"));
    checkpoints_ = Must(inventory::CheckpointFile::Open(state_ / "checkpoints.db"));
    intake_ = std::make_unique<inventory::Intake>(loop, *inventory_);
    sensors::ArtifactSensorOptions options;
    options.roots = {tree};
    sensor_ = std::make_unique<sensors::ArtifactSensor>(
        std::move(options),
        sensors::ArtifactSensorSeams{
            clock_, random_, pool_,
            [this](std::span<const agent::cage::CageFile> files) {
              return cage_->ParseBatch(files);
            },
            [this](int fd, std::uint64_t bytes) { return cage_->MapTensors(fd, bytes); }, *known_,
            *checkpoints_, *intake_});
  }

  double SecondsOfWalk() {
    const Stopwatch watch;
    sensor_->StartWalk();
    sensor_->Wait();
    return watch.Seconds();
  }
  sensors::ArtifactProgress progress() const { return sensor_->progress(); }

 private:
  const tests::TempFolder state_;
  posix::SystemClock clock_;
  openssl::SystemRandom random_;
  const std::unique_ptr<agent::cage::Cage> cage_;
  std::unique_ptr<sqlite::Database> database_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<journal::EventLog> events_;
  agent::decide::Judge judge_{clock_};
  std::unique_ptr<inventory::Inventory> inventory_;
  std::unique_ptr<inventory::KnownSightings> known_;
  std::unique_ptr<inventory::CheckpointFile> checkpoints_;
  std::unique_ptr<inventory::Intake> intake_;
  asio::ThreadPool pool_{2, "artifacts"};
  std::unique_ptr<sensors::ArtifactSensor> sensor_;
};

// find(1) over the same tree, its output thrown away.
double SecondsOfFind(const std::string& tree) {
  std::string words[] = {"find", tree, "-printf", "%s %T@\\n"};
  char* const argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(),
                        nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  const Stopwatch watch;
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, "find", &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) Stop(base::FromErrno(error, "start find"));
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid || status != 0) {
    Stop(base::Internal("find did not end well"));
  }
  return watch.Seconds();
}

void Measure(LookingAgent& agent, const std::string& tree, int pairs) {
  agent.SecondsOfWalk();  // finds everything
  agent.SecondsOfWalk();  // as the agent will from now on
  const sensors::ArtifactProgress seen = agent.progress();
  std::printf("{\"files\": %llu, \"models\": %llu}\n",
              static_cast<unsigned long long>(seen.files_seen / 2),
              static_cast<unsigned long long>(seen.models_seen));
  for (int pair = 0; pair < pairs; ++pair) {
    const bool walk_first = pair % 2 == 0;
    double walk = walk_first ? agent.SecondsOfWalk() : 0;
    const double find = SecondsOfFind(tree);
    if (!walk_first) walk = agent.SecondsOfWalk();
    std::printf("{\"walk\": %.6f, \"find\": %.6f}\n", walk, find);
    std::fflush(stdout);
  }
}

}  // namespace

int Walk(const Arguments& arguments) {
  asio::AsioLoop loop;
  LookingAgent agent(loop, arguments[0], arguments[1]);
  std::thread measuring([&] {
    Measure(agent, arguments[0], std::stoi(arguments[2]));
    loop.Stop();
  });
  loop.Run();
  measuring.join();
  return 0;
}

}  // namespace weighmaster::bench
