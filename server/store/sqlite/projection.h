#pragma once

#include <cstdint>

#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// Keeps the tables that answer questions (sightings, verdicts, coverage, policy in force) at what
// an endpoint's events say. Used inside the transaction that stores the events; the endpoint is its
// small number. A value over the writer's connection.
//
// Batches hold one class of events each, so a verdict may come before the sighting that it judges:
// verdicts are kept by path on their own and joined when read. Within a class order is the
// endpoint's.
class Projection {
 public:
  explicit Projection(sqlite::Database& database) : database_(database) {}

  base::Status Apply(std::int64_t endpoint, base::Duration clock_offset, const model::Event& event);

  // The small number of a digest, made when it is new.
  base::Result<std::int64_t> Artifact(const model::Sha256& sha256);

 private:
  struct At {
    std::int64_t endpoint;
    base::WallTime time;  // of the event, corrected
  };
  // The alternatives of model::EventBody that change nothing here share the template.
  template <typename Other>
  base::Status On(const At&, const Other&) {
    return {};
  }
  base::Status On(const At& at, const model::SightingAppeared& event);
  base::Status On(const At& at, const model::SightingChanged& event);
  base::Status On(const At& at, const model::SightingGone& event);
  base::Status On(const At& at, const model::SightingJudged& event);
  base::Status On(const At& at, const model::CoverageChanged& event);
  base::Status On(const At& at, const model::PolicyApplied& event);
  base::Status On(const At& at, const model::AgentStarted& event);

  base::Status Put(const At& at, const model::Sighting& sighting);
  base::Status OpenInterval(const At& at, const model::Sighting& sighting,
                            const model::Sha256& path_key, std::optional<std::int64_t> artifact);

  sqlite::Database& database_;
};

}  // namespace weighmaster::server::store
