#include "agent/sensors/artifacts/loop_sink.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "policy/base/limits.h"
#include "tests/support/live_loop.h"

namespace weighmaster::agent::sensors {
namespace {

std::vector<Observation> Batch() { return {WalkStarted{{"/"}}}; }

TEST(LoopSink, HoldsTheSensorUpWhileTheLoopIsBehindAndKeepsTheOrder) {
  tests::LiveLoop loop;
  constexpr std::size_t kBatches = 5 * base::limits::kMaxObservationBatchesInFlight;
  std::size_t taken = 0;
  std::atomic<std::size_t> delivered = 0;
  std::size_t most_ahead = 0;
  bool in_order = true;
  LoopSink sink(loop, [&](std::vector<Observation> batch) {
    most_ahead = std::max(most_ahead, delivered - taken);
    in_order =
        in_order && std::get<WalkStarted>(batch.at(0)).root.bytes == "/" + std::to_string(taken);
    ++taken;
  });
  std::jthread sensor([&] {
    for (std::size_t i = 0; i < kBatches; ++i) {
      sink.Deliver({WalkStarted{{"/" + std::to_string(i)}}}, std::stop_token());
      ++delivered;
    }
  });
  EXPECT_TRUE(loop.RunUntil([&] { return taken == kBatches; }));
  EXPECT_TRUE(in_order);
  EXPECT_LE(most_ahead, base::limits::kMaxObservationBatchesInFlight + 1);
}

TEST(LoopSink, LetsTheSensorGoWhenItIsStopped) {
  tests::LiveLoop loop;
  LoopSink sink(loop, [](std::vector<Observation>) {});
  std::stop_source stop;
  for (std::size_t i = 0; i < base::limits::kMaxObservationBatchesInFlight; ++i) {
    sink.Deliver(Batch(), stop.get_token());
  }
  std::jthread sensor([&] { sink.Deliver(Batch(), stop.get_token()); });
  stop.request_stop();
  sensor.join();
}

TEST(LoopSink, DropsWhatIsStillPostedWhenItGoes) {
  tests::LiveLoop loop;
  int taken = 0;
  {
    LoopSink sink(loop, [&taken](std::vector<Observation>) { ++taken; });
    sink.Deliver(Batch(), std::stop_token());
  }
  bool after = false;
  loop.Post([&after] { after = true; });
  EXPECT_TRUE(loop.RunUntil([&after] { return after; }));
  EXPECT_EQ(taken, 0);
}

}  // namespace
}  // namespace weighmaster::agent::sensors
