#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/cage/launch.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/base/limits.h"
#include "policy/base/result.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::cage {

// Whom the cage becomes; only root can ask for it.
struct RunAs {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

// A type of its own, so that every place which does without the filter is found by its name.
enum class SystemCallFilter : std::uint8_t {
  kOn = 1,
  kOffForSanitizers = 2,  // they make system calls that the filter kills for
};

struct CageSpec {
  std::string program;  // full path of weighmaster-cage
  std::uint32_t workers = 2;
  std::chrono::milliseconds parse_time = base::limits::kMaxParseTime;
  std::uint32_t cpu_seconds = 30;
  std::uint64_t address_space_bytes = 1 * base::limits::kGiB;  // 0: no limit, as asan needs
  SystemCallFilter filter = SystemCallFilter::kOn;
  std::optional<RunAs> run_as;
};
// The spec with every limit on, but for those that this build's sanitizers exclude.
CageSpec DefaultCageSpec(std::string program);

// A file to parse: open for reading, regular, and what the sniffer took it for.
struct CageFile {
  int fd = -1;
  model::Format sniffed = model::Format::kUnknown;
};

// The way to weighmaster-cage, which parses foreign bytes and holds nothing. Calls block and belong
// on a pool's thread; callers on several threads take turns (`mutex_`). A file that kills its
// worker or runs out of time costs itself a `malformed` risk. A cage that dies is started again,
// and the files that were in flight are tried once more, each alone; the one that kills it again is
// malformed.
class Cage {
 public:
  // Starts the program and hears that it is ready. An error says what to mend: no such program, no
  // seccomp in this kernel.
  static base::Result<std::unique_ptr<Cage>> Launch(CageSpec spec);
  ~Cage();
  Cage(const Cage&) = delete;
  Cage& operator=(const Cage&) = delete;

  // The facts of each file, in their order. An error means that the cage could not be started again
  // and that nothing is known of any of the files.
  base::Result<std::vector<model::Facts>> ParseBatch(std::span<const CageFile> files);

  // Where the tensors of an opened regular file of so many bytes lie, as it is checked by
  // formats::TensorMap. A file that the parser does not survive has an `incomplete` map. An error
  // means that the cage could not be started again.
  base::Result<formats::TensorMap> MapTensors(int fd, std::uint64_t file_bytes);

  // Of the program that runs now, for status; -1 when there is none.
  pid_t pid();
  // How often it had to be started again.
  std::uint64_t restarts();

 private:
  explicit Cage(CageSpec spec) : spec_(std::move(spec)) {}

  base::Status Start();
  base::Status EnsureRunning();
  // Parses the files at `indices`, filling `facts`. An error means that the cage is dead or out of
  // step and has been ended; what was answered before stays.
  base::Status Exchange(std::span<const CageFile> files, std::span<const std::size_t> indices,
                        std::vector<std::optional<model::Facts>>& facts);
  // Everything that was said of the tensors; nothing when the parser did not survive. Errors as of
  // Exchange.
  base::Result<std::optional<std::string>> ExchangeTensors(int fd);
  base::Result<std::optional<std::string>> ReceiveTensors(std::uint64_t id);
  base::Status ReceiveAnswers(std::span<const CageFile> files, std::span<const std::size_t> indices,
                              std::uint64_t first_id,
                              std::vector<std::optional<model::Facts>>& facts);

  const CageSpec spec_;
  std::mutex mutex_;
  // Guarded by mutex_.
  Process process_;
  std::uint64_t next_id_ = 1;
  std::uint64_t restarts_ = 0;
};

}  // namespace weighmaster::agent::cage
