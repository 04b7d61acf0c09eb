#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "policy/base/result.h"

namespace weighmaster::agent::cage {

// The two descriptors of a worker, at numbers that the filter names.
inline constexpr int kWorkerSocket = 3;
inline constexpr int kWorkerFile = 4;

// The system calls that a worker may make once it has its file, as the kernel's own program; any
// other kills the process. Built once by the zygote, because compiling it costs more than most
// files do.
using FilterProgram = std::vector<sock_filter>;
base::Result<FilterProgram> BuildFilter();

struct WorkerLimits {
  std::uint32_t cpu_seconds = 0;
  std::uint64_t address_space_bytes = 0;  // 0: no limit
  const FilterProgram* filter = nullptr;  // null: none
};

// Of the calling process, and for good. False: the kernel refused. A worker applies its limits
// before it has a file and the filter before it reads a byte of it.
bool ApplyLimits(const WorkerLimits& limits);
bool ApplyFilter(const WorkerLimits& limits);

}  // namespace weighmaster::agent::cage
