#pragma once

#include <sys/types.h>

#include <string>

#include "agent/cage/confinement.h"
#include "policy/base/result.h"

namespace weighmaster::agent::cage {

// How a worker ends when it does not give an answer; anything else is the signal that killed it.
enum class WorkerExit : int {
  kAnswered = 0,
  kNoFile = 1,         // the zygote is gone, or sent no descriptor
  kOutOfMemory = 2,    // RLIMIT_AS, as a rule
  kAnswerTooLong = 3,  // more facts than limits::kMaxCageAnswerBytes hold
  kNotConfined = 4,    // the kernel refused a limit or the filter; no byte was read
};

// What comes beside the one descriptor that a worker gets.
inline constexpr char kAskFacts = 'f';
inline constexpr char kAskTensors = 't';

// What a packet of a worker's answer begins with: the last one (facts take one, a map of tensors as
// many as it needs), or one before. Facts of a file that is no model after all are no bytes, and a
// packet of no bytes can't be told from a worker that has gone.
inline constexpr char kAnswerMark = '=';
inline constexpr char kMoreMark = '+';

// The life of a forked worker: `socket` is its only connection. Gives up everything else, waits for
// one descriptor, shuts itself in, parses, sends one serialised weighmaster.v1.Facts or what
// formats::MapTensors gives, and ends.
[[noreturn]] void RunWorker(int socket, pid_t zygote, const WorkerLimits& limits);

// In a child of its own: whether this kernel grants all of the confinement.
base::Status TryConfinement(const WorkerLimits& limits);

// "it was killed by signal 9 (Killed)", for the status that waitpid gave.
std::string DescribeEnd(int wait_status);

}  // namespace weighmaster::agent::cage
