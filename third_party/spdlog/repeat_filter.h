#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace weighmaster::logging {

// Decides whether a line that was written before is written again, so that a fault in a loop can't
// fill a disk. Remembers at most limits::kMaxLogLinesRemembered lines; the one seen first makes
// room. Not synchronised: the log calls it under its mutex.
class RepeatFilter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // A line that was left out `count` times and is now forgotten.
  struct Forgotten {
    std::string line;
    std::uint64_t count = 0;
  };
  struct Decision {
    bool write = true;
    std::uint64_t left_out = 0;  // of this very line, since it was last written
    std::optional<Forgotten> forgotten;
  };

  Decision Admit(const std::string& line, Time now);

 private:
  struct Seen {
    Time window_start;
    std::uint64_t written = 0;
    std::uint64_t left_out = 0;
  };
  std::optional<Forgotten> MakeRoom();

  std::map<std::string, Seen> seen_;
};

}  // namespace weighmaster::logging
