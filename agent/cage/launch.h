#pragma once

#include <sys/types.h>

#include <string>

#include "agent/os/fd.h"
#include "policy/base/result.h"

namespace weighmaster::agent::cage {

// A started cage program and our end of its socket.
struct Process {
  pid_t pid = -1;
  os::Fd socket;
};

// Starts `program` by exec, never by a fork of the daemon's memory: no environment, no arguments,
// the socket as descriptor 3, /dev/null as 0 to 2, nothing else open, all signals at their
// defaults, a session of its own.
base::Result<Process> StartProgram(const std::string& program);

// Kills it and waits until it is gone; its workers die with it.
void EndProcess(Process& process);

}  // namespace weighmaster::agent::cage
