#include "agent/journal/sealer.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/agent/journal/journal_fixture.h"

namespace weighmaster::agent::journal {
namespace {

using model::PriorityClass;
using std::chrono::milliseconds;

class SealerTest : public testing::Test {
 protected:
  SealerTest() {
    WM_CHECK(fixture_.journal->StartChain("started", 0).has_value());
    sealer_ = std::make_unique<Sealer>(fixture_.loop, *fixture_.journal);
    sealer_->set_on_sealed([this] { ++sealed_; });
    fixture_.loop.RunReady();
  }
  void Append(PriorityClass priority, int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(fixture_.Append(priority, std::string(20, 'x')).has_value());
    }
  }

  JournalFixture fixture_;
  std::unique_ptr<Sealer> sealer_;
  int sealed_ = 0;
};

TEST_F(SealerTest, SealsASecondAfterTheFirstEventThatWaits) {
  Append(PriorityClass::kVerdict, 1);
  fixture_.loop.RunFor(milliseconds(600));
  Append(PriorityClass::kVerdict, 1);
  fixture_.loop.RunFor(milliseconds(399));
  EXPECT_EQ(sealed_, 0);
  fixture_.loop.RunFor(milliseconds(1));
  EXPECT_EQ(sealed_, 1);
  EXPECT_EQ(fixture_.BodiesOf(2).size(), 2);
}

TEST_F(SealerTest, SealsAFullClassAtOnce) {
  Append(PriorityClass::kInventory, base::limits::kMaxEventsPerBatch);
  fixture_.loop.RunReady();
  EXPECT_EQ(sealed_, 1);
  EXPECT_EQ(fixture_.BodiesOf(2).size(), base::limits::kMaxEventsPerBatch);
}

TEST_F(SealerTest, SealsEveryClassThatWaits) {
  Append(PriorityClass::kInventory, 3);
  Append(PriorityClass::kVerdict, 3);
  fixture_.loop.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(sealed_, 2);
  EXPECT_EQ(fixture_.journal->Count()->pending_events, 0);
}

TEST_F(SealerTest, SealsWhatAnEarlierRunLeftBehind) {
  sealer_.reset();
  Append(PriorityClass::kVerdict, 1);
  fixture_.Reopen();
  Sealer next(fixture_.loop, *fixture_.journal);
  fixture_.loop.RunReady();
  EXPECT_EQ(fixture_.journal->head().number, 2);
}

TEST_F(SealerTest, TriesAgainWhileTheDiskIsFull) {
  ASSERT_TRUE(fixture_.Append(PriorityClass::kVerdict, std::string(30'000, 'x')).has_value());
  ASSERT_TRUE(fixture_.database->Execute("PRAGMA max_page_count=1").has_value());
  // Small events still find room in pages that are there; a batch of this size does not.
  while (fixture_.Append(PriorityClass::kVerdict, std::string(3000, 'x')).has_value()) {
  }
  fixture_.loop.RunFor(std::chrono::minutes(10));
  const bool sealed_on_a_full_disk = fixture_.journal->head().number > 1;
  ASSERT_TRUE(fixture_.database->Execute("PRAGMA max_page_count=1000000").has_value());
  fixture_.loop.RunFor(base::limits::kStorageRetryDelay);
  EXPECT_GT(fixture_.journal->head().number, 1);
  EXPECT_EQ(fixture_.journal->Count()->pending_events, 0);
  EXPECT_FALSE(fixture_.journal->last_error().has_value());
  EXPECT_FALSE(sealed_on_a_full_disk) << "the disk was not full enough to test anything";
}

}  // namespace
}  // namespace weighmaster::agent::journal
