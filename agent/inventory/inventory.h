#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "agent/decide/judge.h"
#include "agent/decide/subjects.h"
#include "agent/journal/event_log.h"
#include "agent/sensors/observation.h"
#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "policy/model/event.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::agent::inventory {

struct JudgedSighting {
  model::Sighting sighting;
  model::Verdict verdict;
};

struct Counts {
  std::uint64_t sightings = 0;
  std::uint64_t allow = 0;
  std::uint64_t warn = 0;
  std::uint64_t deny = 0;
  std::uint64_t digests_pending = 0;
};

// What is known of this endpoint's models, on the tables described in docs/formats/journal.md.
// Compares each observation with it; every change and the events that tell of it are one
// transaction, so neither is ever there without the other. Here everything is known and judged
// whole; what the policy withholds is left out where an event is made, and nowhere else.
//
// Owned by the loop, as everything passed to Open(), which must outlive it. A failed call (a full
// disk) has changed nothing or a prefix of what it was given, and is simply made again with the
// same observations: applying one twice changes nothing more.
class Inventory final : public decide::Subjects {
 public:
  static base::Result<std::unique_ptr<Inventory>> Open(sqlite::Database& database,
                                                       journal::EventLog& events,
                                                       const decide::Judge& judge,
                                                       base::Loop& loop);

  // A WalkFinished that is complete makes everything below its root gone that was not reported
  // since its WalkStarted; except what lies below another known root inside it, which has walks of
  // its own, and what lies at or below a path that could not be read. A walk that this object did
  // not see begin concludes nothing.
  base::Status Apply(std::span<const sensors::Observation> observations);

  // decide::Subjects. Stored verdicts and their events change only where model::SameJudgement says
  // so. A sighting that was told with other fields withheld than are now is told again.
  void Rejudge(std::function<void(const decide::RejudgeCounts&)> done) override;

  base::Result<Counts> Count();
  // With the verdict of the policy in force at this moment, and its reason.
  base::Result<std::optional<JudgedSighting>> Find(const model::Path& path);
  base::Result<std::vector<model::Coverage>> Coverages();
  // Sightings past the limits of the wire, which are a defect of their sensor: left out, so that
  // they hold nothing up, and counted.
  std::uint64_t refused_sightings() const { return refused_sightings_; }

 private:
  struct Row {
    std::int64_t id = 0;
    model::Sighting sighting;
    std::optional<model::Verdict> verdict;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    bool lasting = true;
    model::WithheldFields withheld;  // when it was told last
  };
  // What became of a row.
  struct Renewed {
    bool stored = false;
    bool judged_anew = false;
  };
  // A transaction that is committed and begun anew when enough was done in it.
  class Step;
  struct Rejudging {
    std::function<void(const decide::RejudgeCounts&)> done;
    decide::RejudgeCounts counts;
    std::int64_t last_id = 0;
  };

  Inventory(sqlite::Database& database, journal::EventLog& events, const decide::Judge& judge,
            base::Loop& loop);

  base::Status ApplyOne(Step& step, const sensors::Observation& observation);
  base::Status See(Step& step, const sensors::ModelSeen& seen);
  base::Status Hash(Step& step, const sensors::ModelHashed& hashed);
  std::optional<model::Sighting> AsStored(const model::Sighting& sighting);
  base::Status Change(Step& step, const Row& known, Row row);
  base::Result<Renewed> Renew(sqlite::Transaction& transaction, const Row& known, Row row);
  base::Status StillThere(const model::Path& path);
  base::Status Lose(Step& step, const model::Path& path, model::GoneReason reason);
  base::Status Finish(Step& step, const sensors::WalkFinished& walk);
  base::Status LoseUnseen(Step& step, const std::string& root,
                          const std::unordered_set<std::int64_t>& seen,
                          std::span<const model::Path> unread);
  base::Result<std::optional<model::Coverage>> FindCoverage(std::string_view sensor,
                                                            const model::Path& root);
  base::Status Cover(Step& step, const model::Coverage& coverage);
  base::Status Choose(Step& step, const sensors::RootsChosen& chosen);
  base::Status LoseOutside(Step& step, const std::set<std::string, std::less<>>& roots);
  base::Status Uncover(Step& step, model::Coverage coverage);

  static sensors::FileStamp StampOf(const Row& row);
  static base::Result<Row> ReadRow(const sqlite::Statement& statement);
  base::Result<std::optional<Row>> FindRow(const model::Path& path);
  base::Status Insert(Row& row);
  base::Status Update(const Row& row);
  base::Result<std::set<std::string, std::less<>>> RootsInside(const std::string& root);
  void MarkSeen(const model::Path& path, std::int64_t id);

  void ContinueRejudging();
  base::Result<bool> RejudgePage();
  const model::WithheldFields& withheld() const;

  // Constant after construction.
  sqlite::Database& database_;
  journal::EventLog& events_;
  const decide::Judge& judge_;
  base::Loop& loop_;

  // Owned by the loop. Walks in progress by root, with the ids of the sightings reported since.
  std::map<std::string, std::unordered_set<std::int64_t>, std::less<>> walks_;
  // The roots of each sensor for which all that was outside of them has been forgotten.
  std::map<std::string, std::vector<model::Path>> chosen_;
  std::uint64_t refused_sightings_ = 0;
  std::optional<Rejudging> rejudging_;
  base::Timer rejudge_timer_;
};

}  // namespace weighmaster::agent::inventory
