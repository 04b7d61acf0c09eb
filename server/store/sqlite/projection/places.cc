#include "server/store/sqlite/projection/places.h"

#include "server/store/sqlite/columns/rows.h"
#include "server/store/sqlite/columns/sightings_table.h"

namespace weighmaster::server::store {

using base::Result;
using base::Status;
using sqlite::Statement;

namespace {

// The columns of `sightings` that are of its verdict.
#define WM_LAST_VERDICT_COLUMNS WM_VERDICT_COLUMNS ", judged_us"
#define WM_LAST_VERDICT_PARAMETERS WM_VERDICT_PARAMETERS ", ?"

// As many intervals of a place may end before a verdict is told that held for them; further ones
// keep the verdict from before. Of those an endpoint may have told any number.
constexpr std::int64_t kMaxLateIntervals = 16;

void BindLastVerdict(Statement& statement, const PlaceVerdict& verdict) {
  BindVerdictColumns(statement, verdict.columns);
  statement.Bind(Column(verdict.judged));
}

void BindEnd(Statement& statement, const PlaceInterval& interval) {
  std::optional<std::int64_t> gone;
  std::optional<std::int64_t> reason;
  if (interval.gone) gone = Column(*interval.gone);
  if (interval.gone_reason) reason = EnumColumn(*interval.gone_reason);
  statement.Bind(gone).Bind(reason);
}

}  // namespace

Result<Place*> Places::At(std::int64_t endpoint, const model::Sha256& path_sha256) {
  const Key key{endpoint, path_sha256};
  if (const auto known = places_.find(key); known != places_.end()) return &known->second;
  WM_ASSIGN_OR_RETURN(Place place, Read(key));
  const auto added = places_.emplace(key, std::move(place)).first;
  in_order_.push_back(&*added);
  return &added->second;
}

Status Places::Write() {
  for (const auto* const place : in_order_) {
    WM_RETURN_IF_ERROR(WritePlace(place->first, place->second));
  }
  Forget();
  return {};
}

void Places::Forget() {
  in_order_.clear();
  places_.clear();
}

Result<Place> Places::Read(const Key& key) {
  Place place;
  {
    WM_ASSIGN_OR_RETURN(Statement find,
                        database_.Prepare("SELECT id, artifact, first_seen_us FROM sightings "
                                          "WHERE endpoint = ? AND path_sha256 = ? AND gone_us IS "
                                          "NULL"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(key.first).Bind(key.second.view()).Step());
    if (found) {
      PlaceInterval& open = place.open.emplace();
      open.id = find.Int(0);
      if (!find.IsNull(1)) open.artifact = find.Int(1);
      open.first_seen = Time(find, 2);
    }
  }
  WM_ASSIGN_OR_RETURN(Statement find,
                      database_.Prepare("SELECT verdict, judged_us, " WM_VERDICT_COLUMNS
                                        " FROM verdicts WHERE endpoint = ? AND path_sha256 = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(key.first).Bind(key.second.view()).Step());
  if (found) {
    place.verdict = {ReadVerdictColumns(find, 2), std::string(Chars(find, 0)), Time(find, 1)};
  }
  return place;
}

Status Places::WritePlace(const Key& key, const Place& place) {
  for (const auto& [verdict, until] : place.past) {
    WM_RETURN_IF_ERROR(WritePast(key, verdict, until));
  }
  if (place.judged) WM_RETURN_IF_ERROR(WriteVerdict(key, *place.verdict));
  for (const PlaceInterval& interval : place.ended) {
    if (!interval.id) {
      WM_RETURN_IF_ERROR(Insert(key, interval, interval.verdict));
      continue;
    }
    WM_RETURN_IF_ERROR(Update(interval));
    if (interval.verdict) WM_RETURN_IF_ERROR(Mark(*interval.id, *interval.verdict));
  }
  for (const PlaceVerdict& verdict : place.late) WM_RETURN_IF_ERROR(MarkEnded(key, verdict));
  if (!place.open) return {};
  // A verdict that came first stands beside what it judges.
  if (!place.open->id) return Insert(key, *place.open, place.verdict);
  WM_RETURN_IF_ERROR(Update(*place.open));
  return place.judged ? Mark(*place.open->id, *place.verdict) : Status();
}

Status Places::WritePast(const Key& key, const PlaceVerdict& verdict, base::WallTime until) {
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database_.Prepare("INSERT INTO past_verdicts (endpoint, path_sha256, from_us, until_us, "
                        "verdict, " WM_VERDICT_COLUMNS
                        ") VALUES (?, ?, ?, ?, ?, " WM_VERDICT_PARAMETERS
                        ") ON CONFLICT (endpoint, path_sha256, from_us) DO UPDATE SET "
                        "until_us = excluded.until_us, verdict = excluded.verdict, "
                        "(" WM_VERDICT_COLUMNS ") = (" WM_EXCLUDED_VERDICT_COLUMNS ")"));
  put.Bind(key.first)
      .Bind(key.second.view())
      .Bind(Column(verdict.judged))
      .Bind(Column(until))
      .Bind(base::AsBytes(verdict.blob));
  BindVerdictColumns(put, verdict.columns);
  return put.Run();
}

Status Places::WriteVerdict(const Key& key, const PlaceVerdict& verdict) {
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database_.Prepare(
          "INSERT INTO verdicts (endpoint, path_sha256, verdict, judged_us, " WM_VERDICT_COLUMNS
          ") VALUES (?, ?, ?, ?, " WM_VERDICT_PARAMETERS
          ") ON CONFLICT (endpoint, path_sha256) DO UPDATE SET "
          "verdict = excluded.verdict, judged_us = excluded.judged_us, "
          "(" WM_VERDICT_COLUMNS ") = (" WM_EXCLUDED_VERDICT_COLUMNS ")"));
  put.Bind(key.first)
      .Bind(key.second.view())
      .Bind(base::AsBytes(verdict.blob))
      .Bind(Column(verdict.judged));
  BindVerdictColumns(put, verdict.columns);
  return put.Run();
}

Status Places::Insert(const Key& key, const PlaceInterval& interval,
                      const std::optional<PlaceVerdict>& verdict) {
  WM_ASSIGN_OR_RETURN(
      Statement add,
      database_.Prepare(
          "INSERT INTO sightings (endpoint, path_sha256, path, path_encoding, "
          "path_display, artifact, weights, sighting, first_seen_us, last_change_us, gone_us, "
          "gone_reason, " WM_LAST_VERDICT_COLUMNS ", " WM_FACT_COLUMNS
          ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " WM_LAST_VERDICT_PARAMETERS
          ", " WM_FACT_PARAMETERS ")"));
  const model::Path& path = interval.sighting->path;
  add.Bind(key.first)
      .Bind(key.second.view())
      .Bind(base::AsBytes(path.bytes))
      .Bind(EnumColumn(path.encoding))
      .Bind(path.ToDisplay())
      .Bind(interval.artifact)
      .Bind(interval.weights)
      .Bind(base::AsBytes(interval.told->blob))
      .Bind(Column(interval.first_seen))
      .Bind(Column(interval.last_change));
  BindEnd(add, interval);
  if (verdict) {
    BindLastVerdict(add, *verdict);
  } else {
    BindNoVerdict(add);
    add.BindNull();
  }
  BindFacts(add, *interval.sighting);
  return add.Run();
}

Status Places::Update(const PlaceInterval& interval) {
  if (interval.told != nullptr) {
    WM_ASSIGN_OR_RETURN(const bool same_content, UpdateDigest(interval));
    if (!same_content) WM_RETURN_IF_ERROR(UpdateAll(interval));
  }
  if (!interval.gone) return {};
  WM_ASSIGN_OR_RETURN(
      Statement end,
      database_.Prepare("UPDATE sightings SET gone_us = ?, gone_reason = ? WHERE id = ?"));
  BindEnd(end, interval);
  return end.Bind(*interval.id).Run();
}

// A digest that becomes known, by far the most frequent change: what indices hold of the facts is
// not written once more.
Result<bool> Places::UpdateDigest(const PlaceInterval& interval) {
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database_.Prepare(
          "UPDATE sightings SET artifact = ?, weights = ?, sighting = ?, last_change_us = ?, "
          "digest_state = ? WHERE id = ? AND (" WM_CONTENT_COLUMNS ") IS (" WM_CONTENT_PARAMETERS
          ")"));
  put.Bind(interval.artifact)
      .Bind(interval.weights)
      .Bind(base::AsBytes(interval.told->blob))
      .Bind(Column(interval.last_change))
      .Bind(EnumColumn(interval.sighting->digest.state))
      .Bind(*interval.id);
  BindContent(put, *interval.sighting);
  WM_RETURN_IF_ERROR(put.Run());
  return database_.Changes() == 1;
}

Status Places::UpdateAll(const PlaceInterval& interval) {
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database_.Prepare(
          "UPDATE sightings SET artifact = ?, weights = ?, sighting = ?, last_change_us = ?, "
          "(" WM_FACT_COLUMNS ") = (" WM_FACT_PARAMETERS ") WHERE id = ?"));
  put.Bind(interval.artifact)
      .Bind(interval.weights)
      .Bind(base::AsBytes(interval.told->blob))
      .Bind(Column(interval.last_change));
  BindFacts(put, *interval.sighting);
  return put.Bind(*interval.id).Run();
}

Status Places::Mark(std::int64_t sighting, const PlaceVerdict& verdict) {
  WM_ASSIGN_OR_RETURN(Statement mark,
                      database_.Prepare("UPDATE sightings SET (" WM_LAST_VERDICT_COLUMNS
                                        ") = (" WM_LAST_VERDICT_PARAMETERS
                                        ") WHERE id = ? AND (" WM_LAST_VERDICT_COLUMNS
                                        ") IS NOT (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"));
  BindLastVerdict(mark, verdict);
  return mark.Bind(sighting).Run();
}

Status Places::MarkEnded(const Key& key, const PlaceVerdict& verdict) {
  WM_ASSIGN_OR_RETURN(
      Statement mark,
      database_.Prepare(
          "UPDATE sightings SET (" WM_LAST_VERDICT_COLUMNS ") = (" WM_LAST_VERDICT_PARAMETERS
          ") WHERE id IN (SELECT id FROM sightings WHERE endpoint = ? AND path_sha256 = ? AND "
          "gone_us > ?9 ORDER BY gone_us DESC LIMIT ?) AND (judged_us IS NULL OR judged_us <= "
          "?9)"));
  BindLastVerdict(mark, verdict);
  return mark.Bind(key.first).Bind(key.second.view()).Bind(kMaxLateIntervals).Run();
}

}  // namespace weighmaster::server::store
