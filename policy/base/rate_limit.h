#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "policy/base/time.h"

namespace weighmaster::base {

// How often each of many may do something: `burst` at once, then one every `interval`. Remembers at
// most `most` of them; past it those whose burst is whole again are forgotten, then all. No lock of
// its own.
// Source: the generic cell rate algorithm, ITU-T I.371.
class RateLimit {
 public:
  RateLimit(Duration interval, int burst, std::size_t most)
      : interval_(interval), burst_(burst), most_(most) {}

  // `now` never goes back. 0: it is taken. Otherwise nothing is, and one will be free so much
  // later.
  Duration Take(std::string_view key, Duration now);

 private:
  void ForgetSome(Duration now);

  const Duration interval_;
  const int burst_;
  const std::size_t most_;
  std::unordered_map<std::string, Duration> whole_at_;  // when the whole burst is there again
};

}  // namespace weighmaster::base
