#pragma once

#include <cstdint>
#include <functional>

namespace weighmaster::agent::decide {

struct RejudgeCounts {
  std::uint64_t judged = 0;
  std::uint64_t changed = 0;  // verdict, rule or basis
  std::uint64_t allow = 0;
  std::uint64_t warn = 0;
  std::uint64_t deny = 0;
};

// What is judged again when the policy changes; the inventory, in the agent. Loop-owned.
class Subjects {
 public:
  virtual ~Subjects() = default;
  // Judges everything that is known by the Judge's policy, and tells it again where that withholds
  // other fields than when it was told; in bounded transactions with the loop free in between.
  // Calls `done` on the loop: before it returns where one transaction is enough. One at a time.
  // Storage that fails is tried again until it does not.
  virtual void Rejudge(std::function<void(const RejudgeCounts&)> done) = 0;
};

}  // namespace weighmaster::agent::decide
