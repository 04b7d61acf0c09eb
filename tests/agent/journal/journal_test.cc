#include "agent/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/agent/journal/journal_fixture.h"

namespace weighmaster::agent::journal {
namespace {

using model::PriorityClass;
using testing::ElementsAre;

TEST(Journal, BeginsAChainWhoseFirstBatchHoldsTheFirstEventAlone) {
  JournalFixture fixture;
  ASSERT_TRUE(fixture.Append(PriorityClass::kInventory, "earlier").has_value());
  ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
  EXPECT_FALSE(fixture.journal->head().chain.is_zero());
  EXPECT_EQ(fixture.journal->head().number, 1);
  EXPECT_THAT(fixture.BodiesOf(1), ElementsAre("started"));
  fixture.SealAll();
  EXPECT_THAT(fixture.BodiesOf(2), ElementsAre("earlier"));
}

TEST(Journal, RefusesToSealBeforeTheFirstChain) {
  JournalFixture fixture;
  EXPECT_EQ(fixture.journal->Seal().error().code(), base::ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(fixture.journal->last_error().has_value());
}

TEST(Journal, SealsOneClassABatchBeginningWithTheOldestEvent) {
  JournalFixture fixture;
  ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
  ASSERT_TRUE(fixture.Append(PriorityClass::kInventory, "a").has_value());
  ASSERT_TRUE(fixture.Append(PriorityClass::kVerdict, "b").has_value());
  ASSERT_TRUE(fixture.Append(PriorityClass::kInventory, "c").has_value());
  EXPECT_TRUE(fixture.journal->Seal().value());
  EXPECT_TRUE(fixture.journal->Seal().value());
  EXPECT_FALSE(fixture.journal->Seal().value());
  EXPECT_THAT(fixture.BodiesOf(2), ElementsAre("a", "c"));
  EXPECT_THAT(fixture.BodiesOf(3), ElementsAre("b"));
  const auto headers = fixture.VerifiedHeaders(1);
  EXPECT_EQ(headers[1].priority, PriorityClass::kInventory);
  EXPECT_EQ(headers[2].priority, PriorityClass::kVerdict);
}

TEST(Journal, KeepsABatchWithinItsLimits) {
  JournalFixture fixture;
  ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
  const std::size_t count = base::limits::kMaxEventsPerBatch + 1;
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_TRUE(fixture.Append(PriorityClass::kActivity, "x").has_value());
  }
  for (int i = 0; i < 40; ++i) {
    const std::string largest(base::limits::kMaxEventBytes, 'y');
    ASSERT_TRUE(fixture.Append(PriorityClass::kInventory, largest).has_value());
  }
  fixture.SealAll();
  for (std::uint64_t n = 1; n <= fixture.journal->head().number; ++n) {
    const auto batch = fixture.journal->Read(n);
    EXPECT_LE((*batch)->events.size(), base::limits::kMaxEventsPerBatch);
    EXPECT_LE((*batch)->ByteSize(), base::limits::kMaxBatchBytes);
  }
  EXPECT_EQ(fixture.AllBodies().size(), 1 + count + 40);
}

TEST(Journal, RefusesAnEventThatIsEmptyOrTooLong) {
  JournalFixture fixture;
  EXPECT_EQ(fixture.Append(PriorityClass::kControl, "").error().code(),
            base::ErrorCode::kInvalidArgument);
  const std::string longer(base::limits::kMaxEventBytes + 1, 'x');
  EXPECT_EQ(fixture.Append(PriorityClass::kControl, longer).error().code(),
            base::ErrorCode::kInvalidArgument);
}

TEST(Journal, ForgetsAnEventWhoseTransactionWasRolledBack) {
  JournalFixture fixture;
  ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
  {
    auto transaction = sqlite::Transaction::Begin(*fixture.database);
    ASSERT_TRUE(
        fixture.journal->Append(*transaction, PriorityClass::kControl, "never was").has_value());
  }
  EXPECT_FALSE(fixture.journal->Seal().value());
  EXPECT_EQ(fixture.journal->Count()->bytes, std::string("started").size());
}

TEST(Journal, AcknowledgesOnlyWhatItSealed) {
  JournalFixture fixture;
  ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
  ASSERT_TRUE(fixture.Append(PriorityClass::kVerdict, "a").has_value());
  fixture.SealAll();
  Journal& journal = *fixture.journal;
  const model::Id chain = journal.head().chain;
  const model::Sha256 digest = *journal.head().header_digest;
  const auto refused = base::ErrorCode::kFailedPrecondition;
  EXPECT_EQ(journal.Acknowledge(model::Id{{9}}, 2, digest).error().code(), refused);
  EXPECT_EQ(journal.Acknowledge(chain, 1, digest).error().code(), refused);
  EXPECT_EQ(journal.Acknowledge(chain, 3, digest).error().code(), refused);
  EXPECT_EQ(journal.acknowledged_number(), 0);
  EXPECT_TRUE(journal.Acknowledge(chain, 2, digest).has_value());
  EXPECT_TRUE(fixture.Acknowledge(1).has_value()) << "an old acknowledgement is no error";
  EXPECT_EQ(journal.acknowledged_number(), 2);
  EXPECT_EQ(journal.Count()->unacknowledged_batches, 0);
}

TEST(Journal, RetiresAcknowledgedBatchesByBytesAndByAge) {
  Limits limits;
  limits.max_acknowledged_bytes = 250;
  JournalFixture fixture(limits);
  ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(fixture.Append(PriorityClass::kVerdict, std::string(100, 'v')).has_value());
    fixture.SealAll();
  }
  ASSERT_TRUE(fixture.Acknowledge(5).has_value());
  EXPECT_EQ(fixture.journal->OldestKept().value(), 4) << "4 and 5 are 200 bytes";
  fixture.loop.RunFor(std::chrono::hours(24 * 8));
  ASSERT_TRUE(fixture.Append(PriorityClass::kVerdict, "new").has_value());
  fixture.SealAll();
  EXPECT_EQ(fixture.journal->OldestKept().value(), 6) << "unacknowledged ones do not age";
  fixture.Reopen();
  EXPECT_EQ(fixture.journal->head().number, 7);
}

TEST(Journal, KeepsTheHeadWhenEveryBatchWasRetired) {
  JournalFixture fixture;
  ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
  ASSERT_TRUE(fixture.Acknowledge(1).has_value());
  const model::Sha256 digest = *fixture.journal->head().header_digest;
  fixture.loop.RunFor(std::chrono::hours(24 * 8));
  ASSERT_TRUE(fixture.Append(PriorityClass::kVerdict, "a").has_value());
  fixture.SealAll();
  fixture.Reopen();
  EXPECT_EQ(fixture.VerifiedHeaders(2)[0].previous, digest);
  EXPECT_EQ(fixture.journal->Knows(1, digest).value(), Knowledge::kOurs)
      << "the next header still names it";
  EXPECT_EQ(fixture.journal->Knows(1, model::Sha256{}).value(), Knowledge::kForeign);
}

// A journal with room for a dozen batches, each with one event of 300 bytes, whose class begins it.
class SmallJournal : public JournalFixture {
 public:
  SmallJournal() : JournalFixture(Few()) {
    WM_CHECK(journal->StartChain("started", 0).has_value());
  }

  static std::string BodyOf(PriorityClass priority) {
    std::string body(model::PriorityClassName(priority));
    body.resize(300, '.');
    return body;
  }
  // The number of its batch.
  std::uint64_t Fill(PriorityClass priority) {
    WM_CHECK(Append(priority, BodyOf(priority)).has_value());
    SealAll();
    return ++filled_;
  }
  // More control until bodies are dropped for it; what was dropped so far, as headers tell it.
  std::map<PriorityClass, std::uint64_t> Press() {
    const std::uint64_t before = journal->Count()->dropped_events;
    for (int i = 0; i < 12 && journal->Count()->dropped_events == before; ++i) {
      WM_CHECK(Append(PriorityClass::kControl, BodyOf(PriorityClass::kControl)).has_value());
      SealAll();
    }
    return VerifiedHeaders(1).back().dropped;
  }
  std::size_t Kept(PriorityClass priority) {
    return static_cast<std::size_t>(std::ranges::count(AllBodies(), BodyOf(priority)));
  }
  std::vector<std::string> DropsTold() {
    std::vector<std::string> told;
    for (std::string& body : AllBodies()) {
      if (body.starts_with("dropped ")) told.push_back(std::move(body));
    }
    return told;
  }

 private:
  static Limits Few() {
    Limits limits;
    limits.max_bytes = 4000;
    return limits;
  }
  std::uint64_t filled_ = 1;
};

TEST(Journal, DropsTheLeastValuableBodiesFirstAndSaysSo) {
  SmallJournal journal;
  // The most valuable are the oldest, so that age alone would drop them first.
  const std::vector<PriorityClass> classes = {PriorityClass::kVerdict, PriorityClass::kInventory,
                                              PriorityClass::kActivity};
  for (const PriorityClass priority : classes) {
    for (int i = 0; i < 2; ++i) journal.Fill(priority);
  }
  using Drops = std::map<PriorityClass, std::uint64_t>;
  EXPECT_EQ(journal.Press(), (Drops{{PriorityClass::kActivity, 2}}));
  EXPECT_EQ(journal.Kept(PriorityClass::kActivity), 0);
  EXPECT_EQ(journal.Kept(PriorityClass::kInventory), 2);
  EXPECT_EQ(journal.Kept(PriorityClass::kVerdict), 2);
  EXPECT_THAT(journal.DropsTold(), ElementsAre("dropped activity 2"));

  EXPECT_EQ(journal.Press(),
            (Drops{{PriorityClass::kActivity, 2}, {PriorityClass::kInventory, 2}}));
  EXPECT_EQ(journal.Kept(PriorityClass::kInventory), 0);
  EXPECT_EQ(journal.Kept(PriorityClass::kVerdict), 2);

  const Drops all = {
      {PriorityClass::kActivity, 2}, {PriorityClass::kInventory, 2}, {PriorityClass::kVerdict, 2}};
  EXPECT_EQ(journal.Press(), all);
  EXPECT_EQ(journal.Kept(PriorityClass::kVerdict), 0);
  EXPECT_THAT(journal.DropsTold(),
              ElementsAre("dropped activity 2", "dropped inventory 2", "dropped verdict 2"));
  EXPECT_EQ(journal.journal->Count()->dropped_events, 6);

  const std::size_t control = journal.Kept(PriorityClass::kControl);
  EXPECT_EQ(journal.Press(), all) << "nothing is left that may be dropped";
  EXPECT_EQ(journal.Kept(PriorityClass::kControl), control + 12);
}

TEST(Journal, DropsTheOldestBodiesOfAClassAndNoMoreThanItMust) {
  SmallJournal journal;
  std::vector<std::uint64_t> numbers;
  for (int i = 0; i < 4; ++i) numbers.push_back(journal.Fill(PriorityClass::kActivity));
  EXPECT_EQ(journal.Press().at(PriorityClass::kActivity), 2);
  EXPECT_THAT(journal.BodiesOf(numbers[0]), ElementsAre());
  EXPECT_THAT(journal.BodiesOf(numbers[1]), ElementsAre());
  EXPECT_THAT(journal.BodiesOf(numbers[2]), ElementsAre(journal.BodyOf(PriorityClass::kActivity)));
  EXPECT_THAT(journal.BodiesOf(numbers[3]), ElementsAre(journal.BodyOf(PriorityClass::kActivity)));
}

TEST(Journal, NeverDropsControl) {
  Limits limits;
  limits.max_bytes = 1000;
  JournalFixture fixture(limits);
  ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(fixture.Append(PriorityClass::kControl, std::string(300, 'c')).has_value());
    fixture.SealAll();
  }
  EXPECT_EQ(fixture.AllBodies().size(), 9);
  EXPECT_EQ(fixture.journal->Count()->dropped_events, 0);
}

TEST(Journal, PrefersLosingWhatTheServerHasOverDropping) {
  Limits limits;
  limits.max_bytes = 1000;
  JournalFixture fixture(limits);
  ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(fixture.Append(PriorityClass::kVerdict, std::string(300, 'v')).has_value());
    fixture.SealAll();
  }
  ASSERT_TRUE(fixture.Acknowledge(3).has_value());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(fixture.Append(PriorityClass::kActivity, std::string(250, 'a')).has_value());
    fixture.SealAll();
  }
  EXPECT_EQ(fixture.journal->Count()->dropped_events, 0);
  EXPECT_GT(fixture.journal->OldestKept().value(), 1);
}

TEST(Journal, TellsAgainInANewChainWhatTheOldOneCouldNotDeliver) {
  JournalFixture fixture;
  ASSERT_TRUE(fixture.journal->StartChain("first chain", 0).has_value());
  const model::Id old_chain = fixture.journal->head().chain;
  for (const char* const body : {"told", "untold", "untold too"}) {
    ASSERT_TRUE(fixture.Append(PriorityClass::kInventory, body).has_value());
    fixture.SealAll();
  }
  ASSERT_TRUE(fixture.Acknowledge(2).has_value());
  ASSERT_TRUE(fixture.Append(PriorityClass::kVerdict, "waiting").has_value());
  ASSERT_TRUE(fixture.journal->StartChain("second chain", 2).has_value());
  fixture.Reopen();
  fixture.SealAll();
  EXPECT_NE(fixture.journal->head().chain, old_chain);
  EXPECT_EQ(fixture.journal->acknowledged_number(), 0);
  EXPECT_THAT(fixture.AllBodies(), ElementsAre("second chain", "untold", "untold too", "waiting"));
  fixture.VerifiedHeaders(1);
}

TEST(Journal, CarriesDropsThatNoStoredHeaderToldIntoTheNewChain) {
  Limits limits;
  limits.max_bytes = 1000;
  JournalFixture fixture(limits);
  ASSERT_TRUE(fixture.journal->StartChain("first chain", 0).has_value());
  const auto add = [&](PriorityClass priority) {
    ASSERT_TRUE(fixture.Append(priority, std::string(400, 'x')).has_value());
    fixture.SealAll();
  };
  for (int i = 0; i < 4; ++i) add(PriorityClass::kActivity);
  const std::uint64_t told = fixture.journal->Count()->dropped_events;
  ASSERT_GT(told, 0);
  ASSERT_TRUE(fixture.Acknowledge(fixture.journal->head().number).has_value());
  for (int i = 0; i < 6; ++i) add(PriorityClass::kActivity);
  const std::uint64_t all = fixture.journal->Count()->dropped_events;
  ASSERT_GT(all, told);
  const std::uint64_t acknowledged = fixture.journal->acknowledged_number();
  ASSERT_TRUE(fixture.journal->StartChain("second chain", acknowledged).has_value());
  EXPECT_EQ(fixture.VerifiedHeaders(1)[0].dropped.at(PriorityClass::kActivity), all - told);
}

TEST(Journal, LosesNothingOnAFullDiskAndGoesOnByItself) {
  // The disk has room for n more pages, for n = 0, 1, 2 … until everything fits.
  for (int room = 0; room < 60; ++room) {
    JournalFixture fixture;
    ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
    auto pages = fixture.database->Prepare("PRAGMA page_count");
    ASSERT_TRUE(pages->Step().value());
    const std::string limit = std::to_string(pages->Int(0) + room);
    { const auto done = std::move(pages); }
    ASSERT_TRUE(fixture.database->Execute("PRAGMA max_page_count=" + limit).has_value());
    std::vector<std::string> accepted = {"started"};
    bool failed = false;
    for (int i = 0; i < 12; ++i) {
      const std::string body = std::to_string(i) + std::string(9000, 'x');
      const auto appended = fixture.Append(PriorityClass::kInventory, body);
      if (appended.has_value()) {
        accepted.push_back(body);
      } else {
        failed = true;
        EXPECT_EQ(appended.error().code(), base::ErrorCode::kResourceExhausted);
      }
      const auto sealed = fixture.journal->Seal();
      if (!sealed.has_value()) {
        failed = true;
        EXPECT_EQ(sealed.error().code(), base::ErrorCode::kResourceExhausted);
        EXPECT_TRUE(fixture.journal->last_error().has_value());
      }
    }
    if (room % 2 == 1) fixture.Reopen();
    ASSERT_TRUE(fixture.database->Execute("PRAGMA max_page_count=1000000").has_value());
    ASSERT_TRUE(fixture.Append(PriorityClass::kInventory, "room again").has_value());
    accepted.push_back("room again");
    fixture.SealAll();
    EXPECT_FALSE(fixture.journal->last_error().has_value());
    EXPECT_EQ(fixture.AllBodies(), accepted);
    fixture.VerifiedHeaders(1);
    if (!failed) return;
  }
  FAIL() << "the sweep never reached a run without a fault";
}

TEST(Journal, FindsAHeadThatContradictsItsBatches) {
  JournalFixture fixture;
  ASSERT_TRUE(fixture.journal->StartChain("started", 0).has_value());
  ASSERT_TRUE(fixture.database->Execute("UPDATE batches SET header = x'00'").has_value());
  EXPECT_EQ(fixture.OpenJournal().error().code(), base::ErrorCode::kDataLoss);
  ASSERT_TRUE(fixture.database->Execute("DELETE FROM batches").has_value());
  EXPECT_EQ(fixture.OpenJournal().error().code(), base::ErrorCode::kDataLoss);
}

// Appends, seals, acknowledgements, drops, kills and new chains in random order.
class RandomRun {
 public:
  explicit RandomRun(std::uint64_t seed) : fixture_(SmallLimits(), seed), dice_(seed) {
    WM_CHECK(fixture_.journal->StartChain("started", 0).has_value());
  }

  void Step() {
    switch (dice_.Below(10)) {
      case 0:
        Acknowledge();
        break;
      case 1:
        fixture_.Reopen();
        break;
      case 2:
        if (dice_.Below(8) == 0) StartChain();
        break;
      case 3:
      case 4:
        WM_CHECK(fixture_.journal->Seal().has_value());
        break;
      default:
        Append();
    }
  }

  void Check() {
    fixture_.SealAll();
    fixture_.VerifiedHeaders(fixture_.journal->OldestKept().value());
    std::multiset<std::string> kept;
    for (const std::string& body : fixture_.AllBodies()) {
      if (body.starts_with("event ")) kept.insert(body);
    }
    std::uint64_t lost = 0;
    for (const std::string& body : appended_) {
      EXPECT_LE(kept.count(body), 1) << "doubled";
      if (kept.count(body) == 0 && !delivered_.contains(body)) ++lost;
    }
    EXPECT_LE(lost, DroppedSoFar()) << "an event is neither kept, delivered nor counted";
  }

 private:
  static Limits SmallLimits() {
    Limits limits;
    limits.max_bytes = 6000;
    limits.max_acknowledged_bytes = 2000;
    return limits;
  }

  void Append() {
    const auto priority = static_cast<PriorityClass>(1 + dice_.Below(4));
    std::string body = "event " + std::to_string(appended_.size()) + " ";
    body.resize(20 + dice_.Below(300), '.');
    if (fixture_.Append(priority, body).has_value()) appended_.push_back(body);
  }

  void Acknowledge() {
    const std::uint64_t first = fixture_.journal->acknowledged_number() + 1;
    const std::uint64_t last = fixture_.journal->head().number;
    if (first > last) return;
    const std::uint64_t number = first + dice_.Below(last - first + 1);
    for (std::uint64_t n = first; n <= number; ++n) {
      for (std::string& body : fixture_.BodiesOf(n)) delivered_.insert(std::move(body));
    }
    WM_CHECK(fixture_.Acknowledge(number).has_value());
  }

  void StartChain() {
    drops_of_old_chains_ += fixture_.journal->Count()->dropped_events;
    WM_CHECK(fixture_.journal->StartChain("started", fixture_.journal->acknowledged_number())
                 .has_value());
  }

  std::uint64_t DroppedSoFar() {
    return drops_of_old_chains_ + fixture_.journal->Count()->dropped_events;
  }

  JournalFixture fixture_;
  base::SeededRandom dice_;
  std::vector<std::string> appended_;
  std::set<std::string> delivered_;
  std::uint64_t drops_of_old_chains_ = 0;
};

TEST(Journal, StaysVerifiableAndCountsEveryLossWhateverHappens) {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    SCOPED_TRACE(seed);
    RandomRun run(seed);
    for (int step = 0; step < 150; ++step) run.Step();
    run.Check();
  }
}

}  // namespace
}  // namespace weighmaster::agent::journal
