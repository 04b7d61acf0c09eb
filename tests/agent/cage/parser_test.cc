#include "agent/cage/parser.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "agent/os/open_file.h"
#include "tests/support/model_files.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::agent::cage {
namespace {

using base::limits::kMiB;

constexpr const char* kProgram = WEIGHMASTER_CAGE_PROGRAM;

class CageTest : public testing::Test {
 protected:
  std::unique_ptr<Cage> Launch(const CageSpec& spec) {
    base::Result<std::unique_ptr<Cage>> cage = Cage::Launch(spec);
    EXPECT_TRUE(cage.has_value()) << cage.error().ToString();
    return cage.has_value() ? *std::move(cage) : nullptr;
  }

  CageFile Open(const std::string& name, base::ByteView content, model::Format sniffed) {
    files_.push_back(std::move(os::OpenRegular(folder_.Write(name, content))->fd));
    return {files_.back().get(), sniffed};
  }

  CageFile Gguf(const std::string& name, const std::string& model_name) {
    return Open(name,
                tests::GgufWriter()
                    .Text("general.architecture", "llama")
                    .Text("general.name", model_name)
                    .Build(),
                model::Format::kGguf);
  }

  // A pickle that keeps a worker's processor and memory busy: the longer, the longer.
  CageFile LongPickle(const std::string& name, std::size_t opcodes) {
    std::string pickle = "\x80\x02";
    for (std::size_t i = 0; i < opcodes; ++i) pickle += "N0";  // push None, pop
    pickle += "N.";
    return Open(name, base::AsBytes(pickle), model::Format::kPickle);
  }

  const tests::TempFolder folder_;
  std::vector<os::Fd> files_;
};

// A line of /proc/PID/status by its name, without blanks.
std::string StatusLine(const std::string& process, const std::string& name) {
  std::ifstream in(process + "/status");
  std::string word;
  while (in >> word) {
    std::string rest;
    std::getline(in, rest);
    if (word == name + ":")
      return rest.substr(std::min(rest.size(), rest.find_first_not_of("\t ")));
  }
  return {};
}

// The folders in /proc of a cage's workers.
std::vector<std::string> WorkersOf(pid_t cage) {
  std::vector<std::string> workers;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string path = entry.path().string();
    if (StatusLine(path, "PPid") == std::to_string(cage)) workers.push_back(path);
  }
  return workers;
}

// Soft and hard, as /proc/PID/limits shows them.
std::string LimitOf(const std::string& process, const std::string& name) {
  std::ifstream in(process + "/limits");
  std::string line;
  while (std::getline(in, line)) {
    if (line.rfind(name, 0) != 0) continue;
    std::istringstream words(line.substr(name.size()));
    std::string soft;
    std::string hard;
    words >> soft >> hard;
    return soft + " " + hard;
  }
  return {};
}

// Asks again until it is so, for a minute.
bool Becomes(const std::function<bool()>& true_now) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!true_now()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

bool HasMalformed(const model::Facts& facts, const std::string& evidence) {
  for (const model::Risk& risk : facts.risks) {
    if (risk.id == "malformed" && risk.evidence.find(evidence) != std::string::npos) return true;
  }
  return false;
}

TEST_F(CageTest, ParsesEachFileOfABatchInItsPlace) {
  const auto cage = Launch(DefaultCageSpec(kProgram));
  std::vector<CageFile> batch;
  // More than one message holds.
  for (int i = 0; i < 40; ++i) {
    batch.push_back(Gguf("model-" + std::to_string(i), "Model " + std::to_string(i)));
  }
  const auto facts = cage->ParseBatch(batch);
  ASSERT_TRUE(facts.has_value()) << facts.error().ToString();
  ASSERT_EQ(facts->size(), batch.size());
  for (int i = 0; i < 40; ++i) {
    const model::Facts& one = (*facts)[static_cast<std::size_t>(i)];
    EXPECT_EQ(one.format, model::Format::kGguf);
    EXPECT_EQ(one.name, "Model " + std::to_string(i));
    EXPECT_EQ(one.architecture, "llama");
  }
  EXPECT_EQ(cage->restarts(), 0U);
}

TEST_F(CageTest, AnswersForWhatIsNoModelAfterAll) {
  const auto cage = Launch(DefaultCageSpec(kProgram));
  // Sniffed as an archive, like each office document, and found to hold no model.
  tests::ZipFileMember member;
  member.name = "word/document.xml";
  const base::Bytes document = tests::ZipFile({member});
  const auto facts =
      cage->ParseBatch(std::vector{Open("text", base::AsBytes("plain text"), model::Format::kGguf),
                                   Open("document", document, model::Format::kPyTorchZip)});
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(*facts, (std::vector<model::Facts>(2)));
}

TEST_F(CageTest, LosesOnlyTheFileThatTakesTooLong) {
  CageSpec spec = DefaultCageSpec(kProgram);
  spec.parse_time = std::chrono::milliseconds(0);
  const auto hasty = Launch(spec);
  const auto late = hasty->ParseBatch(std::vector{LongPickle("long", 4'000'000)});
  ASSERT_TRUE(late.has_value());
  EXPECT_EQ((*late)[0].format, model::Format::kPickle);
  EXPECT_TRUE(HasMalformed((*late)[0], "out of time"));
  EXPECT_EQ(hasty->restarts(), 0U);
}

TEST_F(CageTest, LosesOnlyTheFileThatKillsItsWorker) {
#ifdef WEIGHMASTER_SANITIZED
  GTEST_SKIP() << "sanitizers exclude a limit on the address space";
#endif
  CageSpec spec = DefaultCageSpec(kProgram);
  // Less than a worker has mapped when it starts: a small file needs nothing more, a header of
  // megabytes does.
  spec.address_space_bytes = 1 * kMiB;
  const auto cage = Launch(spec);
  const std::string header = R"({"__metadata__":{"note":")" + std::string(8 * kMiB, 'x') + R"("}})";
  const auto facts = cage->ParseBatch(
      std::vector{Open("greedy", tests::SafetensorsFile(header, 0), model::Format::kSafetensors),
                  Gguf("b", "B")});
  ASSERT_TRUE(facts.has_value()) << facts.error().ToString();
  EXPECT_EQ((*facts)[0].format, model::Format::kSafetensors);
  EXPECT_TRUE(HasMalformed((*facts)[0], "died"));
  EXPECT_EQ((*facts)[1].name, "B");
  EXPECT_EQ(cage->restarts(), 0U);
}

TEST_F(CageTest, SaysWhereTheTensorsOfAFileLie) {
  const auto cage = Launch(DefaultCageSpec(kProgram));
  const base::Bytes small = tests::ModelFixture("tiny.safetensors");
  const CageFile file = Open("small", small, model::Format::kSafetensors);
  const auto map = cage->MapTensors(file.fd, small.size());
  ASSERT_TRUE(map.has_value()) << map.error().ToString();
  EXPECT_EQ(map->reason(), model::WeightsReason::kNone);
  EXPECT_EQ(map->size(), 2U);
  EXPECT_EQ(map->EndAt(1), small.size());

  // More than a packet holds.
  constexpr std::size_t kTensors = 30'000;
  std::string header = "{";
  for (std::size_t i = 0; i < kTensors; ++i) {
    const std::string at = std::to_string(i);
    header += "\"t" + at + R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" + at + "," +
              std::to_string(i + 1) + "]},";
  }
  header.back() = '}';
  const base::Bytes large = tests::SafetensorsFile(header, kTensors);
  const CageFile many = Open("large", large, model::Format::kSafetensors);
  const auto large_map = cage->MapTensors(many.fd, large.size());
  ASSERT_TRUE(large_map.has_value()) << large_map.error().ToString();
  EXPECT_EQ(large_map->size(), kTensors);
  // And facts are told again afterwards.
  EXPECT_EQ((*cage->ParseBatch(std::vector{Gguf("a", "A")}))[0].name, "A");
}

TEST_F(CageTest, HasNoTensorsOfAFileThatItsWorkerDoesNotSurvive) {
  CageSpec spec = DefaultCageSpec(kProgram);
  spec.parse_time = std::chrono::milliseconds(0);
  const auto hasty = Launch(spec);
  const CageFile file = LongPickle("long", 4'000'000);
  const auto map = hasty->MapTensors(file.fd, 8'000'004);
  ASSERT_TRUE(map.has_value());
  EXPECT_EQ(map->reason(), model::WeightsReason::kIncomplete);
  EXPECT_EQ(hasty->restarts(), 0U);
}

TEST_F(CageTest, IsAskedForTensorsOnceMoreWhenItIsKilled) {
  const auto cage = Launch(DefaultCageSpec(kProgram));
  ASSERT_EQ(::kill(cage->pid(), SIGKILL), 0);
  const base::Bytes bytes = tests::ModelFixture("tiny.gguf");
  const CageFile file = Open("model", bytes, model::Format::kGguf);
  const auto map = cage->MapTensors(file.fd, bytes.size());
  ASSERT_TRUE(map.has_value()) << map.error().ToString();
  EXPECT_EQ(map->reason(), model::WeightsReason::kNone);
}

TEST_F(CageTest, IsStartedAgainWhenItIsKilled) {
  const auto cage = Launch(DefaultCageSpec(kProgram));
  const pid_t first = cage->pid();
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  const auto facts = cage->ParseBatch(std::vector{Gguf("a", "A"), Gguf("b", "B")});
  ASSERT_TRUE(facts.has_value()) << facts.error().ToString();
  EXPECT_EQ((*facts)[0].name, "A");
  EXPECT_EQ((*facts)[1].name, "B");
  EXPECT_NE(cage->pid(), first);
  EXPECT_GE(cage->restarts(), 1U);
}

TEST_F(CageTest, SaysThatItCannotBeStarted) {
  const auto missing = Cage::Launch(DefaultCageSpec(folder_ / "no-such-program"));
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code(), base::ErrorCode::kNotFound);
  const auto other = Cage::Launch(DefaultCageSpec("/bin/true"));
  ASSERT_FALSE(other.has_value());
  EXPECT_NE(other.error().message().find("/bin/true"), std::string::npos);
}

TEST_F(CageTest, FailsTheBatchAndNotTheFilesWhenItCannotBeStartedAgain) {
  const std::string copy = folder_ / "cage";
  std::filesystem::copy_file(kProgram, copy);
  const auto cage = Launch(DefaultCageSpec(copy));
  std::filesystem::remove(copy);
  ::kill(cage->pid(), SIGKILL);
  const auto facts = cage->ParseBatch(std::vector{Gguf("a", "A")});
  ASSERT_FALSE(facts.has_value());
  EXPECT_EQ(facts.error().code(), base::ErrorCode::kNotFound);
  std::filesystem::copy_file(kProgram, copy);
  EXPECT_TRUE(cage->ParseBatch(std::vector{Gguf("a2", "A")}).has_value());
}

TEST_F(CageTest, HoldsNothingButItsSocketAndNoPrivilege) {
  CageSpec spec = DefaultCageSpec(kProgram);
  const bool root = ::geteuid() == 0;
  constexpr std::uint32_t kNobody = 65534;
  if (root) spec.run_as = RunAs{kNobody, kNobody};
  const os::Fd secret(::open("/dev/null", O_RDONLY));  // not close-on-exec, as a careless library's
  const auto cage = Launch(spec);
  const std::string process = "/proc/" + std::to_string(cage->pid());
  std::string status;
  std::string environment;
  {
    std::ifstream in(process + "/status");
    status.assign(std::istreambuf_iterator<char>(in), {});
    std::ifstream env(process + "/environ");
    environment.assign(std::istreambuf_iterator<char>(env), {});
  }
  EXPECT_NE(status.find("NoNewPrivs:\t1"), std::string::npos) << status;
  EXPECT_EQ(environment, "");
  if (root) {
    EXPECT_NE(status.find("Uid:\t65534\t65534\t65534\t65534"), std::string::npos) << status;
    EXPECT_NE(status.find("CapEff:\t0000000000000000"), std::string::npos) << status;
    std::size_t beyond_idle_workers = 0;
    for (const auto& entry : std::filesystem::directory_iterator(process + "/fd")) {
      std::error_code error;
      const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
      const bool expected = target == "/dev/null" || target.starts_with("socket:");
      if (!expected || (target == "/dev/null" && std::stoi(entry.path().filename()) > 2)) {
        ++beyond_idle_workers;
      }
    }
    EXPECT_EQ(beyond_idle_workers, 0U);
  }
  const auto facts = cage->ParseBatch(std::vector{Gguf("a", "A")});
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ((*facts)[0].name, "A");
}

TEST_F(CageTest, HoldsAWorkerToItsLimits) {
  const auto cage = Launch(DefaultCageSpec(kProgram));
  // One is forked ahead of the first file; nothing tells when it has shut itself in.
  std::string worker;
  ASSERT_TRUE(Becomes([&] {
    for (const std::string& path : WorkersOf(cage->pid())) {
      if (LimitOf(path, "Max open files") == "5 5") worker = path;
    }
    return !worker.empty();
  }));
#ifdef WEIGHMASTER_SANITIZED
  const std::string address_space = "unlimited unlimited";
#else
  const std::string address_space = "1073741824 1073741824";
#endif
  EXPECT_TRUE(Becomes([&] { return LimitOf(worker, "Max address space") == address_space; }));
  EXPECT_EQ(LimitOf(worker, "Max cpu time"), "30 30");
  EXPECT_EQ(LimitOf(worker, "Max file size"), "0 0");
  EXPECT_EQ(LimitOf(worker, "Max core file size"), "0 0");
  EXPECT_EQ(LimitOf(worker, "Max processes"), "0 0");
}

TEST_F(CageTest, FiltersTheSystemCallsOfAWorkerThatHasAFile) {
#ifdef WEIGHMASTER_SANITIZED
  GTEST_SKIP() << "sanitizers make system calls that the filter kills for";
#endif
  const auto cage = Launch(DefaultCageSpec(kProgram));
  const CageFile file = LongPickle("long", 4'000'000);
  const pid_t zygote = cage->pid();
  // A container may have put filters on this process and all of its children.
  const int filters = std::stoi(StatusLine("/proc/self", "Seccomp_filters"));
  std::atomic<bool> seen = false;
  // It parses until somebody has looked.
  std::thread parsing([&] {
    while (!seen) EXPECT_TRUE(cage->ParseBatch(std::vector{file}).has_value());
  });
  seen = Becomes([&] {
    for (const std::string& path : WorkersOf(zygote)) {
      if (StatusLine(path, "Seccomp_filters") == std::to_string(filters + 1)) return true;
    }
    return false;
  });
  EXPECT_TRUE(seen);
  seen = true;
  parsing.join();
}

TEST_F(CageTest, GivesEveryFixtureTheFactsThatItsFormatPromises) {
  const auto cage = Launch(DefaultCageSpec(kProgram));
  std::vector<CageFile> batch;
  for (const std::filesystem::path& path : tests::ModelFixtures()) {
    files_.push_back(std::move(os::OpenRegular(path.string())->fd));
    batch.push_back({files_.back().get(), model::Format::kUnknown});
  }
  if (batch.empty()) GTEST_SKIP() << "no fixtures";
  const auto facts = cage->ParseBatch(batch);
  ASSERT_TRUE(facts.has_value());
  for (const model::Facts& one : *facts) {
    EXPECT_FALSE(HasMalformed(one, "died"));
    EXPECT_FALSE(HasMalformed(one, "usable"));
  }
}

}  // namespace
}  // namespace weighmaster::agent::cage
