#include "agent/inventory/known_sightings.h"

#include <gtest/gtest.h>

#include "tests/agent/rooms.h"
#include "tests/agent/sightings.h"

namespace weighmaster::agent::inventory {
namespace {

using sensors::Observation;

class KnownSightingsTest : public testing::Test {
 protected:
  KnownSightingsTest() {
    auto opened = KnownSightings::Open(rooms_.folder / "state.db");
    WM_CHECK(opened.has_value());
    known_ = std::move(opened).value();
  }
  void Apply(const sensors::ModelSeen& seen) {
    const Observation observation = seen;
    ASSERT_TRUE(rooms_.inventory->Apply({&observation, 1}).has_value());
  }
  static sensors::FileStamp StampOf(const sensors::ModelSeen& seen) {
    return {seen.sighting.identity, seen.sighting.size_bytes, seen.modified_ns, seen.changed_ns};
  }

  tests::AgentRooms rooms_;
  std::unique_ptr<KnownSightings> known_;
};

TEST_F(KnownSightingsTest, FindsAFileInExactlyTheStateThatWasSeen) {
  const sensors::ModelSeen seen = tests::Seen("/m/a");
  EXPECT_FALSE(known_->Find(seen.sighting.path, StampOf(seen)).has_value());
  EXPECT_FALSE(known_->HasModelAt(seen.sighting.path));
  Apply(seen);
  const auto found = known_->Find(seen.sighting.path, StampOf(seen));
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(found->lasting);
  EXPECT_EQ(found->sighting, seen.sighting);
  sensors::FileStamp other = StampOf(seen);
  other.changed_ns += 1;
  EXPECT_FALSE(known_->Find(seen.sighting.path, other).has_value());
  other = StampOf(seen);
  other.size_bytes += 1;
  EXPECT_FALSE(known_->Find(seen.sighting.path, other).has_value());
  EXPECT_TRUE(known_->HasModelAt(seen.sighting.path));
}

TEST_F(KnownSightingsTest, FindsAFileByAnotherOfItsNames) {
  const sensors::ModelSeen seen = tests::Seen("/m/a");
  Apply(seen);
  const auto found = known_->Find({"/m/hard-link"}, StampOf(seen));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->sighting.path.bytes, "/m/a");
  EXPECT_FALSE(known_->HasModelAt({"/m/hard-link"}));
}

TEST_F(KnownSightingsTest, NeverSparesAFileThatWasStillChanging) {
  sensors::ModelSeen seen = tests::Seen("/m/a");
  seen.lasting = false;
  Apply(seen);
  const auto found = known_->Find(seen.sighting.path, StampOf(seen));
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(found->lasting);
  EXPECT_FALSE(known_->Find({"/m/hard-link"}, StampOf(seen)).has_value());
}

TEST_F(KnownSightingsTest, AnswersWhileTheLoopWrites) {
  const sensors::ModelSeen seen = tests::Seen("/m/a");
  Apply(seen);
  const auto transaction = sqlite::Transaction::Begin(*rooms_.database);
  ASSERT_TRUE(rooms_.database->Execute("DELETE FROM sightings").has_value());
  EXPECT_TRUE(known_->Find(seen.sighting.path, StampOf(seen)).has_value());
}

}  // namespace
}  // namespace weighmaster::agent::inventory
