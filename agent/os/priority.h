#pragma once

namespace weighmaster::agent::os {

// Puts the calling thread behind everybody else for the processor (SCHED_IDLE, or the lowest nice
// value) and the disk (the idle class). For good: an unprivileged thread can't come back, so this
// is for threads that do nothing but background work. What the system refuses is left as it was.
void EnterBackground();

}  // namespace weighmaster::agent::os
