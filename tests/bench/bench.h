#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/result.h"

namespace weighmaster::bench {

// The commands of weighmaster_bench: each is the part of a row of docs/performance.md that has to
// happen inside a process. tests/bench/run calls them, adds the references, and compares. A command
// prints one JSON object a line on standard output and returns the exit code.
using Arguments = std::vector<std::string>;

// walk TREE CAGE_PROGRAM PAIRS: second walks over a tree by the sensor, beside find(1).
int Walk(const Arguments& arguments);
// ingest FOLDER PAIRS EVENTS: signed batches to a stored commit, beside bare inserts of the same
// rows, and beside the same into a store that holds so many events already.
int Ingest(const Arguments& arguments);
// where FOLDER RUNS: the question for one digest over a million sightings.
int Where(const Arguments& arguments);
// lists FOLDER RUNS: first pages of every list over the big store, which is kept in the folder.
int Lists(const Arguments& arguments);
// simulate FOLDER RUNS: what an ordinary policy would change of the big store.
int Simulate(const Arguments& arguments);
// enrol FLEET COUNT: writes endpoints 0 to COUNT - 1 into the store of a server that does not run.
int Enrol(const Arguments& arguments);
// agents FLEET STATE COUNT: that many agents over mutual TLS, until the process is ended.
int Agents(const Arguments& arguments);
// bare-server FLEET, streams FLEET ADDRESS COUNT: the same transport with nothing behind it.
int BareServer(const Arguments& arguments);
int Streams(const Arguments& arguments);

// What is not measured must not fail: a benchmark that could not run ends here, and says why.
[[noreturn]] inline void Stop(const base::Error& error) {
  std::fprintf(stderr, "weighmaster_bench: %s\n", error.ToString().c_str());
  std::exit(3);
}

template <typename T>
T Must(base::Result<T> result) {
  if (!result.has_value()) Stop(result.error());
  return std::move(*result);
}

inline void Must(const base::Status& status) {
  if (!status.has_value()) Stop(status.error());
}

class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace weighmaster::bench
