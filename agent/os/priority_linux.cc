#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/os/priority.h"

namespace weighmaster::agent::os {
namespace {

// ioprio_set(2). Its header, <linux/ioprio.h>, is not C++ in every kernel of Debian 12: it has a
// parameter named "class".
constexpr int kIoPriorityWhoProcess = 1;
constexpr int kIoPriorityClassIdle = 3;
constexpr int kIoPriorityClassShift = 13;

}  // namespace

void EnterBackground() {
  const struct sched_param none = {};
  if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0) {
    // In Linux the nice value belongs to the thread.
    constexpr int kLowest = 19;
    static_cast<void>(::setpriority(PRIO_PROCESS, 0, kLowest));
  }
  static_cast<void>(::syscall(SYS_ioprio_set, kIoPriorityWhoProcess, 0,
                              kIoPriorityClassIdle << kIoPriorityClassShift));
}

}  // namespace weighmaster::agent::os
