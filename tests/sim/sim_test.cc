#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "tests/sim/world.h"

namespace weighmaster::sim {
namespace {

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// WEIGHMASTER_SIM_SEED=n replays one run, WEIGHMASTER_SIM_SEEDS=n makes more of them.
TEST(Simulation, LosesNothingDoublesNothingAndKeepsEveryPromise) {
  const std::uint64_t first = FromEnvironment("WEIGHMASTER_SIM_SEED", 1);
  const std::uint64_t count = std::getenv("WEIGHMASTER_SIM_SEED") != nullptr
                                  ? 1
                                  : FromEnvironment("WEIGHMASTER_SIM_SEEDS", 200);
  std::uint64_t published = 0;
  std::uint64_t lost = 0;
  std::uint64_t doubled = 0;
  std::uint64_t asked = 0;
  std::uint64_t asked_within = 0;
  std::uint64_t deltas = 0;
  std::uint64_t deaths = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    World world(seed);
    for (const std::string& complaint : world.Run()) {
      ADD_FAILURE() << "seed " << seed << ": " << complaint;
    }
    published += world.published();
    lost += world.frames_lost();
    doubled += world.frames_doubled();
    asked += world.part_requests();
    asked_within += world.part_requests_within();
    deltas += world.deltas();
    deaths += world.server_deaths() + world.agent_deaths();
    if (HasFailure()) break;
  }
  // A run in which nothing went wrong would prove nothing.
  if (count > 1 && !HasFailure()) {
    EXPECT_GT(published, count);
    EXPECT_GT(lost, count);
    EXPECT_GT(doubled, count);
    EXPECT_GT(asked, count) << "parts of policies, and not only those that came with an offer";
    EXPECT_GT(asked_within, count) << "parts that take more than one chunk";
    EXPECT_GT(deltas, count) << "lists that came as what had changed of them";
    EXPECT_GT(deaths, count);
  }
}

}  // namespace
}  // namespace weighmaster::sim
