#include "agent/ctl/progress_bar.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>

#include "policy/report/table.h"

namespace weighmaster::agent::ctl {
namespace {

constexpr std::chrono::milliseconds kBetweenDrawings{150};
constexpr std::size_t kBarCells = 20;
// Back to the line's start, and wipe to its end (ECMA-48, CR and EL).
constexpr const char* kWipeLine = "\r\x1b[K";

void Draw(const Terminal& terminal, const std::function<sensors::ArtifactProgress()>& progress,
          const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    terminal.err << kWipeLine << ProgressLine(progress()) << std::flush;
    wake.wait_for(lock, stop, kBetweenDrawings, [] { return false; });
  }
  terminal.err << kWipeLine << std::flush;
}

}  // namespace

std::string ProgressLine(const sensors::ArtifactProgress& progress) {
  const double share = progress.bytes_to_hash == 0
                           ? 0
                           : static_cast<double>(progress.bytes_hashed) /
                                 static_cast<double>(progress.bytes_to_hash);
  const auto filled = std::min(kBarCells, static_cast<std::size_t>(share * kBarCells));
  std::string line = "[" + std::string(filled, '#') + std::string(kBarCells - filled, '.') + "] ";
  line += std::to_string(static_cast<int>(share * 100)) + " %  ";
  line += report::FormatBytes(progress.bytes_hashed) + " of " +
          report::FormatBytes(progress.bytes_to_hash) + " hashed, ";
  line += std::to_string(progress.models_seen) + " models in " +
          std::to_string(progress.files_seen) + " files";
  return progress.walking ? line + ", looking" : line;
}

ProgressBar::ProgressBar(Terminal terminal, std::function<sensors::ArtifactProgress()> progress)
    : terminal_(terminal), progress_(std::move(progress)) {
  if (!terminal_.err_is_terminal) return;
  thread_ = std::jthread([this](const std::stop_token& stop) { Draw(terminal_, progress_, stop); });
}

ProgressBar::~ProgressBar() = default;

}  // namespace weighmaster::agent::ctl
