#include "agent/inventory/intake.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/agent/rooms.h"
#include "tests/agent/sightings.h"

namespace weighmaster::agent::inventory {
namespace {

TEST(Intake, AppliesDeliveriesInTheirOrder) {
  tests::AgentRooms rooms;
  Intake intake(rooms.loop, *rooms.inventory);
  intake.Deliver({tests::Seen("/m/a")}, {});
  intake.Deliver({sensors::ModelGone{{"/m/a"}, true}}, {});
  EXPECT_EQ(rooms.inventory->Count()->sightings, 0) << "only the loop applies";
  rooms.loop.RunReady();
  EXPECT_EQ(rooms.inventory->Count()->sightings, 0);
  EXPECT_EQ(rooms.ToldOf<model::SightingGone>().size(), 1);
}

TEST(Intake, KeepsADeliveryUntilTheDiskHasRoom) {
  tests::AgentRooms rooms;
  Intake intake(rooms.loop, *rooms.inventory);
  rooms.FillDisk();
  std::vector<sensors::Observation> batch;
  for (int i = 0; i < 60; ++i) {
    sensors::ModelSeen seen = tests::Seen("/m/" + std::to_string(i));
    seen.sighting.facts.license = std::string(500, 'l');
    batch.push_back(seen);
  }
  intake.Deliver(batch, {});
  rooms.loop.RunFor(std::chrono::minutes(10));
  ASSERT_TRUE(intake.last_error().has_value());
  EXPECT_EQ(intake.last_error()->code(), base::ErrorCode::kResourceExhausted);
  rooms.FreeDisk();
  rooms.loop.RunFor(base::limits::kStorageRetryDelay);
  EXPECT_FALSE(intake.last_error().has_value());
  EXPECT_EQ(rooms.inventory->Count()->sightings, 60);
}

TEST(Intake, MakesASensorWaitWhileItIsBehindAndLetsItStop) {
  tests::AgentRooms rooms;
  Intake intake(rooms.loop, *rooms.inventory);
  for (std::size_t i = 0; i < base::limits::kMaxObservationBatchesInFlight; ++i) {
    intake.Deliver({tests::Seen("/m/" + std::to_string(i))}, {});
  }
  std::jthread sensor([&](std::stop_token stop) { intake.Deliver({tests::Seen("/m/no")}, stop); });
  sensor.request_stop();
  sensor.join();
  rooms.loop.RunReady();
  EXPECT_EQ(rooms.inventory->Count()->sightings, base::limits::kMaxObservationBatchesInFlight);
}

}  // namespace
}  // namespace weighmaster::agent::inventory
