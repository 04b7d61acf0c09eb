#pragma once

namespace weighmaster::base {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace weighmaster::base

// For the impossible only; kept in release. What an input can cause is a Result, never a CHECK.
#define WM_CHECK(condition)     \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::weighmaster::base::CheckFailed(#condition, __FILE__, __LINE__))
