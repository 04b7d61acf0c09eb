#pragma once

#include <functional>
#include <thread>

#include "agent/ctl/program.h"
#include "agent/sensors/artifacts/artifact_sensor.h"

namespace weighmaster::agent::ctl {

// One line on standard error that is drawn anew a few times a second while it lives, and wiped at
// its end. Draws nothing where standard error is no terminal.
class ProgressBar {
 public:
  // `progress` is called from a thread of the bar's own and must outlive it.
  ProgressBar(Terminal terminal, std::function<sensors::ArtifactProgress()> progress);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

 private:
  const Terminal terminal_;
  const std::function<sensors::ArtifactProgress()> progress_;
  std::jthread thread_;
};

// "[#######·············] 35 %  1.2 of 3.4 GB hashed, 12 models in 4,096 files".
std::string ProgressLine(const sensors::ArtifactProgress& progress);

}  // namespace weighmaster::agent::ctl
