#include <linux/ioprio.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/os/priority.h"

namespace weighmaster::agent::os {

void EnterBackground() {
  const struct sched_param none = {};
  if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0) {
    // In Linux the nice value belongs to the thread.
    constexpr int kLowest = 19;
    static_cast<void>(::setpriority(PRIO_PROCESS, 0, kLowest));
  }
  static_cast<void>(
      ::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)));
}

}  // namespace weighmaster::agent::os
