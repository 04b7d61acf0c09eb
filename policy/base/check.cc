#include "policy/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace weighmaster::base {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "CHECK failed: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace weighmaster::base
