#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "server/store/sqlite/projection/coverage_table.h"
#include "server/store/sqlite/projection/places.h"
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
  explicit Projection(sqlite::Database& database) : database_(database), places_(database) {}

  // `write` must stay where it is until Flush or Forget. What it tells happened by its own clock,
  // corrected by the offset, and never after it was received.
  base::Status Apply(std::int64_t endpoint, base::Duration clock_offset, base::WallTime received,
                     const EventWrite& write);

  // The small number of a digest, made when it is new.
  base::Result<std::int64_t> Artifact(const model::Sha256& sha256);

  // Writes what is held of sightings and verdicts: before the transaction ends, and before
  // anything of it is taken back.
  base::Status Flush() { return places_.Write(); }

  // To be called when something of the transaction was taken back: small numbers made in it do not
  // stand any more, and what was told since the last Flush was not.
  void Forget() {
    places_.Forget();
    artifacts_.clear();
    weights_.clear();
    coverage_bytes_.clear();
  }

 private:
  struct At {
    std::int64_t endpoint;
    base::WallTime time;  // of the event, corrected
    const EventWrite& write;
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
  base::Status On(const At& at, const model::ChainStarted& event);
  base::Status On(const At& at, const model::CoverageChanged& event);
  base::Status On(const At& at, const model::PolicyApplied& event);
  base::Status On(const At& at, const model::AgentStarted& event);

  base::Result<std::int64_t> Weights(const model::Sha256& digest);
  base::Result<std::int64_t> SmallNumber(const model::Sha256& digest,
                                         std::map<model::Sha256, std::int64_t>& known,
                                         std::string_view select, std::string_view insert);
  base::Status Put(const At& at, const model::Sighting& sighting);
  base::Result<std::size_t> CoverageCost(const CoverageKey& key);
  base::Result<std::size_t*> CoverageBytes(std::int64_t endpoint);
  static void End(Place& place, base::WallTime time, std::optional<model::GoneReason> reason);

  sqlite::Database& database_;
  Places places_;
  // Of this transaction: a model is told of several times in a row. Ordered, because endpoints may
  // name any digest at all, and so could make a hash table slow.
  std::map<model::Sha256, std::int64_t> artifacts_;
  std::map<model::Sha256, std::int64_t> weights_;
  // What an endpoint's rows of coverage cost, once it was asked for.
  std::map<std::int64_t, std::size_t> coverage_bytes_;
};

}  // namespace weighmaster::server::store
