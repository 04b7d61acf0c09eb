#include "server/ctl/program/watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <sstream>
#include <utility>
#include <vector>

#include "policy/base/limits.h"

namespace weighmaster::server::ctl {
namespace {

using Looks = std::vector<base::Result<std::string>>;

// The time that passes is that which was waited.
class ScriptedPause final : public Pause, public base::Clock {
 public:
  explicit ScriptedPause(std::size_t waits) : waits_(waits) {}

  void Begin() override { ++begun_; }
  bool Wait(base::Duration time) override {
    now_ += time;
    return waits_-- > 0;
  }
  base::WallTime Now() const override { return now_; }
  base::BootTime SinceBoot() const override { return {}; }

  int begun() const { return begun_; }

 private:
  std::size_t waits_;
  int begun_ = 0;
  base::WallTime now_{std::chrono::hours(24)};
};

struct Seen {
  base::Status status;
  std::string out;
  std::string err;
};

enum class To { kTerminal, kPipe, kProgram };

// One look after the other, 2 s apart, until there is none any more.
Seen WatchThrough(To to, const Looks& looks) {
  ScriptedPause pause(looks.size() - 1);
  std::ostringstream out;
  std::ostringstream err;
  std::size_t at = 0;
  const WatchView view{out, err, to == To::kTerminal, to == To::kProgram ? err : out,
                       std::chrono::seconds(2)};
  base::Status status = Watch(view, pause, pause, [&] { return looks.at(at++); });
  EXPECT_EQ(pause.begun(), 1);
  return {std::move(status), out.str(), err.str()};
}

TEST(Watch, DrawsAgainOnATerminalWhenSomethingChanged) {
  const Seen seen = WatchThrough(To::kTerminal, {"a\nb\n", "a\nb\n", "a\nc\n"});
  EXPECT_TRUE(seen.status.has_value());
  EXPECT_EQ(seen.out,
            "\x1b[H\x1b[2J1970-01-02T00:00:00Z\na\nb\n"
            "\x1b[H\x1b[2J1970-01-02T00:00:04Z\na\nc\n");
}

TEST(Watch, PrintsOnlyNewLinesWhereNoTerminalIs) {
  const Seen seen = WatchThrough(
      To::kPipe, {"NAME  N\na     1\n", "NAME         N\na            1\na-long-name  2\n", ""});
  EXPECT_EQ(seen.out,
            "1970-01-02T00:00:00Z\nNAME  N\na     1\n"
            "1970-01-02T00:00:02Z\na-long-name  2\n")
      << "wider columns are no news, and neither is what went";
}

TEST(Watch, PrintsALineAsOftenAsItIsThere) {
  const Seen seen = WatchThrough(To::kPipe, {"a\n", "a\na\n"});
  EXPECT_EQ(seen.out, "1970-01-02T00:00:00Z\na\n1970-01-02T00:00:02Z\na\n");
}

TEST(Watch, GivesProgramsTheRowsAloneAndTheTimesBeside) {
  const Seen seen = WatchThrough(To::kProgram, {"n\r\n1\r\n", "n\r\n2\r\n1\r\n"});
  EXPECT_EQ(seen.out, "n\r\n1\r\n2\r\n");
  EXPECT_EQ(seen.err, "1970-01-02T00:00:00Z\n1970-01-02T00:00:02Z\n");
}

TEST(Watch, GoesOnWhileTheServerIsAwayAndSaysSoOnce) {
  const auto away = base::Unavailable("nothing listens at a:1");
  const Seen seen = WatchThrough(
      To::kPipe, {away, "a\n", away, base::ResourceExhausted("too many calls"), "a\nb\n"});
  EXPECT_TRUE(seen.status.has_value());
  EXPECT_EQ(seen.out, "1970-01-02T00:00:02Z\na\n1970-01-02T00:00:08Z\nb\n");
  EXPECT_EQ(seen.err,
            "weighctl: 1970-01-02T00:00:00Z: nothing listens at a:1; looking again until it "
            "answers\n"
            "weighctl: 1970-01-02T00:00:02Z: the server answers again\n"
            "weighctl: 1970-01-02T00:00:04Z: nothing listens at a:1; looking again until it "
            "answers\n"
            "weighctl: 1970-01-02T00:00:08Z: the server answers again\n");
}

TEST(Watch, EndsWithAnErrorThatWaitingDoesNotMend) {
  const Seen seen = WatchThrough(To::kPipe, {"a\n", base::Unauthenticated("revoked"), "b\n"});
  ASSERT_FALSE(seen.status.has_value());
  EXPECT_EQ(seen.status.error().message(), "revoked");
}

TEST(Watch, RefusesWhatIsTooLongToBeCompared) {
  const Seen seen =
      WatchThrough(To::kPipe, {std::string(base::limits::kMaxWatchedBytes + 1, 'x'), "a\n"});
  ASSERT_FALSE(seen.status.has_value());
  EXPECT_NE(seen.status.error().message().find("--limit"), std::string::npos);
}

TEST(Watch, EndsWhenNobodyReadsAnyMore) {
  ScriptedPause pause(1'000'000);
  std::ostringstream out;
  std::ostringstream err;
  int looks = 0;
  const WatchView view{out, err, false, out, std::chrono::seconds(2)};
  const auto look = [&]() -> base::Result<std::string> {
    if (++looks == 3) out.setstate(std::ios::badbit);
    return std::to_string(looks) + "\n";
  };
  EXPECT_TRUE(Watch(view, pause, pause, look).has_value());
  EXPECT_EQ(looks, 3);
}

}  // namespace
}  // namespace weighmaster::server::ctl
