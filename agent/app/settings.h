#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/limits.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/settings.h"
#include "third_party/spdlog/log.h"

namespace weighmaster::agent::app {

// The agent's settings file, weighmaster-agent.yaml(5), as values. What is not set has the value
// that fits a laptop; of `scan`, what a policy may say as well, see Effective().
struct Settings {
  std::string state_folder = "/var/lib/weighmaster";
  std::string control_socket = "/run/weighmaster/agent.sock";
  std::string cage_program;          // "": weighmaster-cage beside this program
  std::string enrolment_token_file;  // "": enrolled already, or not at all
  std::string policy_line = "default";
  std::vector<std::string> roots;  // empty: every local, non-pseudo file system
  std::vector<std::string> excluded;
  model::ScanSettings scan;
  base::Duration rescan_every = base::limits::kDefaultRescanInterval;
  std::uint32_t hash_threads = 1;
  bool background = true;  // of the sensor's threads
  logging::Options log;
};

// INVALID_ARGUMENT holds every diagnostic, each with file, line, column and hint.
base::Result<Settings> ParseSettings(std::string_view file, std::string_view text);

// Reads and parses the file.
base::Result<Settings> LoadSettings(const std::string& path);

}  // namespace weighmaster::agent::app
