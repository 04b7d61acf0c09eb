#pragma once

#include <functional>

#include "agent/app/enrolling.h"
#include "agent/app/settings.h"
#include "agent/control/answerer.h"
#include "agent/decide/policy_in_force.h"
#include "agent/inventory/intake.h"
#include "agent/inventory/inventory.h"
#include "agent/journal/journal.h"
#include "agent/sensors/artifacts/artifact_sensor.h"
#include "agent/sync/session.h"

namespace weighmaster::agent::app {

// What the agent tells those who ask through its socket, gathered from the rooms that know it.
// Loop-owned; the rooms must outlive it.
class Answers final : public control::Answerer {
 public:
  struct Rooms {
    inventory::Inventory& inventory;
    journal::Journal& journal;
    decide::PolicyInForce& policy;
    inventory::Intake& intake;
    sensors::ArtifactSensor& sensor;
    Enrolling& enrolling;
    const Settings& settings;
  };
  // `session` is null until the endpoint has enrolled.
  Answers(Rooms rooms, std::function<const sync::Session*()> session)
      : rooms_(rooms), session_(std::move(session)) {}

  base::Status Status(local::v1::StatusAnswer& answer) override;
  base::Status Why(const model::Path& path, local::v1::WhyAnswer& answer) override;

 private:
  base::Status CountSightings(local::v1::StatusAnswer& answer);
  base::Status CountJournal(local::v1::StatusAnswer& answer);
  void TellConnection(local::v1::StatusAnswer& answer) const;
  void TellSettings(local::v1::StatusAnswer& answer) const;

  const Rooms rooms_;
  const std::function<const sync::Session*()> session_;
};

}  // namespace weighmaster::agent::app
