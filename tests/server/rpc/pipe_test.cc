#include "proto/wire/stream/pipe.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/base/random.h"
#include "tests/support/sim_loop.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;

using TextPipe = Pipe<std::string, std::string>;
using TextChannel = PipeChannel<std::string, std::string>;

// Does what it is told when the test says so, and notes every breach of the Pipe's promises.
class FakeTransport final : public Transport<std::string, std::string> {
 public:
  void StartRead(std::string* into) override {
    Promise(!finished && reading == nullptr);
    reading = into;
  }
  void StartWrite(const std::string* frame) override {
    Promise(!finished && writing == nullptr);
    writing = frame;
  }
  void Cancel() override {
    Promise(!finished);
    cancelled = true;
  }
  void Finish(bool by_peer, const std::optional<base::Error>& why) override {
    Promise(!finished && writing == nullptr);
    finished = true;
    finished_by_peer = by_peer;
    finished_why = why;
  }

  void CompleteRead(TextPipe& pipe, std::string frame) {
    *std::exchange(reading, nullptr) = std::move(frame);
    pipe.OnRead(true);
  }
  void FailRead(TextPipe& pipe) {
    reading = nullptr;
    pipe.OnRead(false);
  }
  void CompleteWrite(TextPipe& pipe, bool ok) {
    if (ok) written.push_back(*writing);
    writing = nullptr;
    pipe.OnWritten(ok);
  }

  std::string* reading = nullptr;
  const std::string* writing = nullptr;
  bool cancelled = false;
  bool finished = false;
  bool finished_by_peer = false;
  std::optional<base::Error> finished_why;
  std::vector<std::string> written;
  int broken_promises = 0;

 private:
  void Promise(bool kept) { broken_promises += kept ? 0 : 1; }
};

class Session final : public Listener<std::string> {
 public:
  void OnFrame(const std::string& frame) override {
    frames.push_back(frame);
    if (drop_channel_in_frame) channel.reset();
  }
  void OnClosed(const base::Error& why) override {
    ++closed_count;
    closed = why;
    if (drop_channel_in_closed) channel.reset();
  }

  std::unique_ptr<TextChannel> channel;
  std::vector<std::string> frames;
  std::optional<base::Error> closed;
  int closed_count = 0;
  bool drop_channel_in_frame = false;
  bool drop_channel_in_closed = false;
};

class PipeTest : public testing::Test {
 protected:
  PipeTest() { session.channel = std::make_unique<TextChannel>(pipe); }
  ~PipeTest() override { EXPECT_EQ(transport.broken_promises, 0); }

  tests::SimLoop loop;
  FakeTransport transport;
  std::shared_ptr<TextPipe> pipe = std::make_shared<TextPipe>(loop, transport);
  Session session;
};

TEST_F(PipeTest, WritesOneFrameAtATimeInOrder) {
  session.channel->Send("a");
  session.channel->Send("b");
  session.channel->Send("c");
  EXPECT_EQ(session.channel->queued(), 2U);
  while (transport.writing != nullptr) transport.CompleteWrite(*pipe, true);
  EXPECT_EQ(transport.written, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(PipeTest, ReadsTheNextFrameOnlyWhenTheListenerIsDoneWithTheLast) {
  pipe->Open(session);
  transport.CompleteRead(*pipe, "first");
  EXPECT_EQ(transport.reading, nullptr);
  loop.RunReady();
  EXPECT_EQ(session.frames, std::vector<std::string>{"first"});
  EXPECT_NE(transport.reading, nullptr);
}

TEST_F(PipeTest, EndsTheStreamOfAPeerThatDoesNotRead) {
  pipe->Open(session);
  for (std::size_t i = 0; i <= limits::kMaxOutboxFrames; ++i) session.channel->Send("x");
  loop.RunReady();
  EXPECT_FALSE(session.closed.has_value());
  session.channel->Send("one too many");
  EXPECT_EQ(session.closed_count, 0) << "not inside Send";
  loop.RunReady();
  ASSERT_TRUE(session.closed.has_value());
  EXPECT_EQ(session.closed->code(), base::ErrorCode::kResourceExhausted);
  EXPECT_TRUE(transport.cancelled);
  EXPECT_FALSE(transport.finished) << "a write is under way";
  transport.CompleteWrite(*pipe, false);
  EXPECT_TRUE(transport.finished);
}

TEST_F(PipeTest, WritesWhatIsQueuedWhenTheChannelIsDestroyed) {
  pipe->Open(session);
  session.channel->Send("refusal");
  session.channel->Send("last word");
  session.channel.reset();
  EXPECT_FALSE(transport.finished);
  transport.CompleteWrite(*pipe, true);
  transport.CompleteWrite(*pipe, true);
  EXPECT_EQ(transport.written, (std::vector<std::string>{"refusal", "last word"}));
  EXPECT_TRUE(transport.finished);
  EXPECT_FALSE(transport.finished_by_peer);
  EXPECT_FALSE(transport.cancelled);
}

TEST_F(PipeTest, GivesUpAFlushThatTakesTooLong) {
  session.channel->Send("stuck");
  session.channel->Send("behind it");
  session.channel.reset();
  loop.RunFor(limits::kMaxFlushTime);
  EXPECT_TRUE(transport.cancelled);
  transport.CompleteWrite(*pipe, false);
  EXPECT_TRUE(transport.finished);
}

TEST_F(PipeTest, FinishesAtOnceWhenNothingIsQueued) {
  pipe->Open(session);
  session.channel.reset();
  EXPECT_TRUE(transport.finished);
  transport.FailRead(*pipe);  // the read that was under way
  loop.RunReady();
  EXPECT_EQ(session.closed_count, 0);
}

TEST_F(PipeTest, TellsAnEndThatCameBeforeAnyoneListened) {
  pipe->Fail(base::Unavailable("gone"));
  loop.RunReady();
  pipe->Open(session);
  loop.RunReady();
  ASSERT_TRUE(session.closed.has_value());
  EXPECT_EQ(session.closed->message(), "gone");
}

TEST_F(PipeTest, TellsTheFirstReasonAndNoOther) {
  pipe->Open(session);
  pipe->Fail(base::DataLoss("first"));
  pipe->Fail(base::Unavailable("second"));
  pipe->OnEnd(base::Unavailable("third"));
  loop.RunReady();
  EXPECT_EQ(session.closed_count, 1);
  EXPECT_EQ(session.closed->message(), "first");
  EXPECT_EQ(transport.finished_why->message(), "first");
}

TEST_F(PipeTest, LeavesTheEndToThePeerThatEndedItsSide) {
  pipe->Open(session);
  transport.FailRead(*pipe);
  EXPECT_TRUE(transport.finished);
  EXPECT_TRUE(transport.finished_by_peer);
}

TEST_F(PipeTest, MayBeDestroyedInsideAFrame) {
  session.drop_channel_in_frame = true;
  pipe->Open(session);
  transport.CompleteRead(*pipe, "the last one");
  loop.RunReady();
  EXPECT_TRUE(transport.finished);
  EXPECT_EQ(transport.reading, nullptr);
}

TEST_F(PipeTest, MayBeDestroyedInsideTheCloseItself) {
  session.drop_channel_in_closed = true;
  pipe->Open(session);
  pipe->Fail(base::Unavailable("gone"));
  loop.RunReady();
  EXPECT_EQ(session.closed_count, 1);
}

TEST_F(PipeTest, DeliversNothingThatArrivedBeforeTheChannelWasDestroyed) {
  pipe->Open(session);
  transport.CompleteRead(*pipe, "posted already");
  session.channel.reset();
  loop.RunReady();
  EXPECT_TRUE(session.frames.empty());
  EXPECT_TRUE(transport.finished);
}

// One life of a stream in which everything that can happen happens in some order.
void LiveAndDie(std::uint64_t seed) {
  base::SeededRandom random(seed);
  tests::SimLoop loop;
  FakeTransport transport;
  const auto pipe = std::make_shared<TextPipe>(loop, transport);
  Session session;
  session.channel = std::make_unique<TextChannel>(pipe);
  pipe->Open(session);
  for (int step = 0; step < 200; ++step) {
    switch (random.Below(step < 100 ? 6 : 9)) {
      case 0:
        if (session.channel) session.channel->Send("frame");
        break;
      case 1:
      case 2:
        if (transport.writing != nullptr) transport.CompleteWrite(*pipe, !transport.cancelled);
        break;
      case 3:
        if (transport.reading != nullptr && !transport.cancelled && !transport.finished) {
          transport.CompleteRead(*pipe, "frame");
        }
        break;
      case 4:
      case 5:
        loop.RunReady();
        break;
      case 6:
        session.channel.reset();
        break;
      case 7:
        pipe->Fail(base::Unavailable("lost"));
        break;
      default:
        if (transport.reading != nullptr) transport.FailRead(*pipe);
        break;
    }
  }
  session.channel.reset();
  loop.RunFor(limits::kMaxFlushTime);
  if (transport.writing != nullptr) transport.CompleteWrite(*pipe, false);
  loop.RunReady();
  EXPECT_TRUE(transport.finished) << "seed " << seed;
  EXPECT_EQ(transport.broken_promises, 0) << "seed " << seed;
  EXPECT_LE(session.closed_count, 1) << "seed " << seed;
}

TEST(PipeLives, FinishExactlyOnceWhateverHappensInWhateverOrder) {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) LiveAndDie(seed);
}

}  // namespace
}  // namespace weighmaster::wire
