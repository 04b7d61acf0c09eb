#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/model/event.h"
#include "server/store/event_write.h"
#include "server/store/sqlite/columns/sightings_table.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

struct PlaceVerdict {
  VerdictColumns columns;
  std::string blob;
  base::WallTime judged;
};

// One interval of a sighting: a row of `sightings`. Of one that is in the table only what changes.
struct PlaceInterval {
  std::optional<std::int64_t> id;  // none: not in the table yet
  std::optional<std::int64_t> artifact;
  std::optional<std::int64_t> weights;
  // What was told last; null: nothing in this transaction.
  const EventWrite* told = nullptr;
  const model::Sighting* sighting = nullptr;  // of it
  base::WallTime first_seen;
  base::WallTime last_change;
  std::optional<base::WallTime> gone;
  std::optional<model::GoneReason> gone_reason;
  std::optional<PlaceVerdict> verdict;  // of one that ended: its last
};

// A path of an endpoint, and what the tables say of it.
struct Place {
  std::optional<PlaceInterval> open;
  std::optional<PlaceVerdict> verdict;  // the newest
  bool judged = false;                  // in this transaction
  // What was replaced in this transaction: intervals that ended, verdicts and until when they held.
  std::vector<PlaceInterval> ended;
  std::vector<std::pair<PlaceVerdict, base::WallTime>> past;
  // Told in this transaction of intervals that had ended by then.
  std::vector<PlaceVerdict> late;
};

// The places that a transaction speaks of: read when first asked for, changed in memory, written
// once. A model is told of several times in a row (seen, judged, hashed, judged); written one by
// one each would change the same rows and indices again, and an upsert or an update by a key that
// is no primary one makes SQLite keep a copy of every page that it touches. A value over the
// writer's connection; what was told must outlive it.
class Places {
 public:
  explicit Places(sqlite::Database& database) : database_(database) {}

  // Stays where it is until Write or Forget.
  base::Result<Place*> At(std::int64_t endpoint, const model::Sha256& path_sha256);
  // In the order in which they were first asked for; then nothing is held any more.
  base::Status Write();
  void Forget();

 private:
  using Key = std::pair<std::int64_t, model::Sha256>;

  base::Result<Place> Read(const Key& key);
  base::Status WritePlace(const Key& key, const Place& place);
  base::Status WritePast(const Key& key, const PlaceVerdict& verdict, base::WallTime until);
  base::Status WriteVerdict(const Key& key, const PlaceVerdict& verdict);
  base::Status Insert(const Key& key, const PlaceInterval& interval,
                      const std::optional<PlaceVerdict>& verdict);
  base::Status Update(const PlaceInterval& interval);
  // False when more than its digest has changed; nothing is written then.
  base::Result<bool> UpdateDigest(const PlaceInterval& interval);
  base::Status UpdateAll(const PlaceInterval& interval);
  base::Status Mark(std::int64_t sighting, const PlaceVerdict& verdict);
  base::Status MarkEnded(const Key& key, const PlaceVerdict& verdict);

  sqlite::Database& database_;
  // Ordered, because endpoints may have any path at all, and so could make a hash table slow.
  std::map<Key, Place> places_;
  std::vector<std::map<Key, Place>::value_type*> in_order_;
};

}  // namespace weighmaster::server::store
