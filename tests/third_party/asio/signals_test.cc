#include "third_party/asio/signals.h"

#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <vector>

namespace weighmaster::asio {
namespace {

TEST(Signals, CallsOnTheLoopForEverySignalThatItWasGiven) {
  AsioLoop loop;
  std::vector<int> seen;
  const Signals signals(loop, {SIGUSR1, SIGUSR2}, [&](int signal) {
    EXPECT_TRUE(loop.OnLoop());
    seen.push_back(signal);
    if (seen.size() == 1) {
      std::raise(SIGUSR2);
    } else {
      loop.Stop();
    }
  });
  std::raise(SIGUSR1);
  EXPECT_TRUE(seen.empty());
  loop.Run();
  EXPECT_EQ(seen, (std::vector<int>{SIGUSR1, SIGUSR2}));
}

TEST(Signals, MayBeDestroyedInsideItsCallback) {
  AsioLoop loop;
  std::unique_ptr<Signals> signals;
  signals = std::make_unique<Signals>(loop, std::vector<int>{SIGUSR1}, [&](int) {
    signals.reset();
    loop.Stop();
  });
  std::raise(SIGUSR1);
  loop.Run();
  EXPECT_EQ(signals, nullptr);
}

TEST(Signals, IsSilentOnceItIsGoneAlsoForASignalThatHadArrived) {
  AsioLoop loop;
  {
    const Signals signals(loop, {SIGUSR1}, [](int) { FAIL() << "called after its end"; });
    std::raise(SIGUSR1);
  }
  loop.After(std::chrono::milliseconds(10), [&] { loop.Stop(); });
  loop.Run();
}

TEST(Signals, KnowsWhatEndsAProgram) {
  EXPECT_EQ(Signals::Termination(), (std::vector<int>{SIGTERM, SIGINT}));
}

}  // namespace
}  // namespace weighmaster::asio
