#include "agent/inventory/inventory.h"

#include <algorithm>
#include <limits>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

#include "agent/inventory/row.h"
#include "policy/base/check.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::inventory {
namespace {

constexpr std::string_view kSchema[] = {
    R"(
CREATE TABLE sightings (
  id INTEGER PRIMARY KEY,
  path BLOB NOT NULL UNIQUE,
  identity BLOB NOT NULL,
  size_bytes INTEGER NOT NULL,
  modified_ns INTEGER NOT NULL,
  changed_ns INTEGER NOT NULL,
  lasting INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  digest_state INTEGER NOT NULL,
  sighting BLOB NOT NULL,
  verdict BLOB
) STRICT;
CREATE INDEX sightings_by_identity ON sightings (identity);
CREATE INDEX sightings_by_outcome ON sightings (outcome, digest_state);
CREATE TABLE coverage (
  sensor TEXT NOT NULL,
  root BLOB NOT NULL,
  coverage BLOB NOT NULL,
  PRIMARY KEY (sensor, root)
) STRICT;
)",
    // What was told before anything could be withheld was told whole.
    R"(
ALTER TABLE sightings ADD COLUMN withheld INTEGER NOT NULL DEFAULT 0;
)"};

constexpr std::int64_t kPageRows =
    static_cast<std::int64_t>(base::limits::kMaxSightingsPerTransaction);

// Sizes past int64 do not exist in a file system; the message holds the exact number all the same.
std::int64_t Column(std::uint64_t value) {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(value, std::numeric_limits<std::int64_t>::max()));
}

std::string WithoutTrailingSlash(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  return path;
}

// Folders without a slash at their end, "" for "/".
using Folders = std::set<std::string, std::less<>>;

// Whether `holds` says so of the path or of any folder above it, the nearest first.
template <typename Predicate>
bool AnyAbove(std::string_view path, const Predicate& holds) {
  while (true) {
    if (holds(path)) return true;
    if (path.empty()) return false;
    const std::size_t cut = path.rfind('/');
    path = path.substr(0, cut == std::string_view::npos ? 0 : cut);
  }
}

bool IsBelow(std::string_view path, const Folders& folders) {
  return AnyAbove(path, [&](std::string_view above) { return folders.contains(above); });
}

// A new time of verification of the same bytes is nothing to tell.
bool SameToTell(const model::Sighting& a, const model::Sighting& b) {
  model::Sighting with_time_of_b = a;
  with_time_of_b.digest.verified_at = b.digest.verified_at;
  return with_time_of_b == b;
}

bool IsWalked(const model::Coverage& coverage) {
  using Reason = model::CoverageReason;
  return coverage.state != model::CoverageState::kCouldNot ||
         (coverage.reason != Reason::kRemoteFileSystem &&
          coverage.reason != Reason::kPseudoFileSystem && coverage.reason != Reason::kExcluded);
}

// Counts of files change at every walk, and are nothing to tell by themselves.
bool SameToTell(const model::Coverage& a, const model::Coverage& b) {
  model::Coverage with_counts_of_b = a;
  with_counts_of_b.files_seen = b.files_seen;
  with_counts_of_b.files_failed = b.files_failed;
  return with_counts_of_b == b;
}

model::SightingJudged JudgedEvent(const model::Sighting& sighting, const model::Verdict& verdict) {
  return {sighting.path, sighting.digest.sha256, verdict};
}

}  // namespace

class Inventory::Step {
 public:
  static base::Result<Step> Begin(sqlite::Database& database) {
    WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(database));
    return Step(database, std::move(transaction));
  }

  sqlite::Transaction& transaction() { return *transaction_; }

  // After each sighting that was changed.
  base::Status CountOne() {
    if (++done_ < base::limits::kMaxSightingsPerTransaction) return {};
    done_ = 0;
    WM_RETURN_IF_ERROR(Commit());
    WM_ASSIGN_OR_RETURN(sqlite::Transaction next, sqlite::Transaction::Begin(*database_));
    transaction_.emplace(std::move(next));
    return {};
  }

  base::Status Commit() {
    base::Status status = transaction_->Commit();
    transaction_.reset();
    return status;
  }

 private:
  Step(sqlite::Database& database, sqlite::Transaction transaction)
      : database_(&database), transaction_(std::move(transaction)) {}

  sqlite::Database* database_;
  std::optional<sqlite::Transaction> transaction_;
  std::size_t done_ = 0;
};

Inventory::Inventory(sqlite::Database& database, journal::EventLog& events,
                     const decide::Judge& judge, base::Loop& loop)
    : database_(database), events_(events), judge_(judge), loop_(loop), rejudge_timer_(loop) {}

base::Result<std::unique_ptr<Inventory>> Inventory::Open(sqlite::Database& database,
                                                         journal::EventLog& events,
                                                         const decide::Judge& judge,
                                                         base::Loop& loop) {
  WM_RETURN_IF_ERROR(database.Migrate("inventory", kSchema));
  return std::unique_ptr<Inventory>(new Inventory(database, events, judge, loop));
}

base::Status Inventory::Apply(std::span<const sensors::Observation> observations) {
  WM_CHECK(loop_.OnLoop());
  WM_ASSIGN_OR_RETURN(Step step, Step::Begin(database_));
  for (const sensors::Observation& observation : observations) {
    WM_RETURN_IF_ERROR(ApplyOne(step, observation));
  }
  WM_RETURN_IF_ERROR(step.Commit());
  // Not before the commit: until then the same observations may come again.
  for (const sensors::Observation& observation : observations) {
    const auto* finished = std::get_if<sensors::WalkFinished>(&observation);
    if (finished != nullptr) walks_.erase(WithoutTrailingSlash(finished->coverage.root.bytes));
    const auto* chosen = std::get_if<sensors::RootsChosen>(&observation);
    if (chosen != nullptr) chosen_[chosen->sensor] = chosen->roots;
  }
  return {};
}

base::Status Inventory::ApplyOne(Step& step, const sensors::Observation& observation) {
  return std::visit(
      [&](const auto& seen) -> base::Status {
        using Seen = std::decay_t<decltype(seen)>;
        if constexpr (std::is_same_v<Seen, sensors::ModelSeen>) {
          return See(step, seen);
        } else if constexpr (std::is_same_v<Seen, sensors::ModelHashed>) {
          return Hash(step, seen);
        } else if constexpr (std::is_same_v<Seen, sensors::ModelGone>) {
          return Lose(step, seen.path,
                      seen.deleted ? model::GoneReason::kDeleted : model::GoneReason::kNoModel);
        } else if constexpr (std::is_same_v<Seen, sensors::ModelStillThere>) {
          return StillThere(seen.path);
        } else if constexpr (std::is_same_v<Seen, sensors::RootsChosen>) {
          return Choose(step, seen);
        } else if constexpr (std::is_same_v<Seen, sensors::WalkStarted>) {
          walks_[WithoutTrailingSlash(seen.root.bytes)].clear();
          return {};
        } else if constexpr (std::is_same_v<Seen, sensors::WalkFinished>) {
          return Finish(step, seen);
        } else {
          return Cover(step, seen.coverage);
        }
      },
      observation);
}

base::Status Inventory::See(Step& step, const sensors::ModelSeen& seen) {
  WM_ASSIGN_OR_RETURN(const std::optional<Row> known, FindRow(seen.sighting.path));
  std::optional<model::Sighting> sighting = AsStored(seen.sighting);
  if (!sighting.has_value()) return {};
  Row row;
  row.sighting = *std::move(sighting);
  row.modified_ns = seen.modified_ns;
  row.changed_ns = seen.changed_ns;
  row.lasting = seen.lasting;
  if (known.has_value()) {
    MarkSeen(known->sighting.path, known->id);
    return Change(step, *known, std::move(row));
  }
  row.verdict = judge_.Of(row.sighting);
  row.withheld = withheld();
  WM_RETURN_IF_ERROR(Insert(row));
  MarkSeen(row.sighting.path, row.id);
  WM_RETURN_IF_ERROR(events_.Append(
      step.transaction(), model::SightingAppeared{model::Without(row.withheld, row.sighting)}));
  WM_RETURN_IF_ERROR(events_.Append(step.transaction(), JudgedEvent(row.sighting, *row.verdict)));
  return step.CountOne();
}

base::Status Inventory::Hash(Step& step, const sensors::ModelHashed& hashed) {
  WM_ASSIGN_OR_RETURN(const std::optional<Row> known, FindRow(hashed.path));
  // Another file or another state by now, which has a digest of its own to wait for.
  if (!known.has_value() || StampOf(*known) != hashed.stamp) return {};
  Row row = *known;
  row.sighting.digest = hashed.digest;
  row.sighting.weights_digest = hashed.weights.digest;
  row.sighting.weights_reason = hashed.weights.reason;
  std::optional<model::Sighting> sighting = AsStored(row.sighting);
  if (!sighting.has_value()) return {};
  row.sighting = *std::move(sighting);
  row.lasting = hashed.lasting;
  return Change(step, *known, std::move(row));
}

// As it will be read again, so that a text that was cut on its way in is no change the next time.
// Nothing, and counted, when it is past the limits.
std::optional<model::Sighting> Inventory::AsStored(const model::Sighting& sighting) {
  auto stored = SightingFromColumn(base::AsBytes(ToColumn(sighting)));
  if (stored.has_value()) return std::move(stored).value();
  ++refused_sightings_;
  return std::nullopt;
}

const model::WithheldFields& Inventory::withheld() const {
  return judge_.policy()->rules().settings.withheld;
}

base::Status Inventory::Change(Step& step, const Row& known, Row row) {
  WM_ASSIGN_OR_RETURN(const Renewed renewed, Renew(step.transaction(), known, std::move(row)));
  return renewed.stored ? step.CountOne() : base::Status();
}

// Stores what is different in the row of `known`, judges it, and tells what there is to tell: a
// sighting where the form that is sent now differs from the one that was sent last.
base::Result<Inventory::Renewed> Inventory::Renew(sqlite::Transaction& transaction,
                                                  const Row& known, Row row) {
  row.id = known.id;
  row.verdict = known.verdict;
  row.withheld = withheld();
  const model::Verdict verdict = judge_.Of(row.sighting);
  const bool judged_anew = !known.verdict.has_value() || !SameJudgement(*known.verdict, verdict);
  if (judged_anew) row.verdict = verdict;
  const bool sent_anew = known.sighting != row.sighting || known.withheld != row.withheld;
  if (!sent_anew && !judged_anew && known.lasting == row.lasting &&
      known.modified_ns == row.modified_ns && known.changed_ns == row.changed_ns) {
    return Renewed{};
  }
  WM_RETURN_IF_ERROR(Update(row));
  if (sent_anew) {
    model::Sighting sent = model::Without(row.withheld, row.sighting);
    if (!SameToTell(model::Without(known.withheld, known.sighting), sent)) {
      WM_RETURN_IF_ERROR(events_.Append(transaction, model::SightingChanged{std::move(sent)}));
    }
  }
  if (judged_anew) {
    WM_RETURN_IF_ERROR(events_.Append(transaction, JudgedEvent(row.sighting, verdict)));
  }
  return Renewed{true, judged_anew};
}

base::Status Inventory::StillThere(const model::Path& path) {
  WM_ASSIGN_OR_RETURN(sqlite::Statement find,
                      database_.Prepare("SELECT id FROM sightings WHERE path = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(base::AsBytes(path.bytes)).Step());
  if (found) MarkSeen(path, find.Int(0));
  return {};
}

// In the walks of the roots above it; there may be thousands of others.
void Inventory::MarkSeen(const model::Path& path, std::int64_t id) {
  AnyAbove(path.bytes, [&](std::string_view above) {
    if (const auto walk = walks_.find(above); walk != walks_.end()) walk->second.insert(id);
    return false;
  });
}

base::Status Inventory::Lose(Step& step, const model::Path& path, model::GoneReason reason) {
  {
    WM_ASSIGN_OR_RETURN(sqlite::Statement remove,
                        database_.Prepare("DELETE FROM sightings WHERE path = ?"));
    WM_RETURN_IF_ERROR(remove.Bind(base::AsBytes(path.bytes)).Run());
  }
  if (database_.Changes() == 0) return {};
  WM_RETURN_IF_ERROR(events_.Append(step.transaction(), model::SightingGone{path, reason}));
  return step.CountOne();
}

base::Status Inventory::Finish(Step& step, const sensors::WalkFinished& walk) {
  const std::string root = WithoutTrailingSlash(walk.coverage.root.bytes);
  const auto found = walks_.find(root);
  if (walk.complete && found != walks_.end()) {
    WM_RETURN_IF_ERROR(LoseUnseen(step, root, found->second, walk.unread));
  }
  return Cover(step, walk.coverage);
}

base::Status Inventory::LoseUnseen(Step& step, const std::string& root,
                                   const std::unordered_set<std::int64_t>& seen,
                                   std::span<const model::Path> unread) {
  // What has walks of its own, and what could not be read.
  WM_ASSIGN_OR_RETURN(Folders not_known, RootsInside(root));
  for (const model::Path& path : unread) not_known.insert(WithoutTrailingSlash(path.bytes));
  // Bytes sort so that everything below root lies between "root/" and "root0"; '0' follows '/'.
  const std::string below = root + "/";
  const std::string end = root + "0";
  std::string last = root;
  while (true) {
    std::vector<model::Path> gone;
    std::int64_t rows = 0;
    {
      WM_ASSIGN_OR_RETURN(
          sqlite::Statement page,
          database_.Prepare("SELECT id, path, sighting FROM sightings WHERE path >= ? AND path < ? "
                            "ORDER BY path LIMIT ?"));
      page.Bind(base::AsBytes(last)).Bind(base::AsBytes(end)).Bind(kPageRows);
      while (true) {
        WM_ASSIGN_OR_RETURN(const bool row, page.Step());
        if (!row) break;
        ++rows;
        last = base::AsText(page.Blob(1));
        const bool is_inside = last == root || last.starts_with(below);
        if (!is_inside || seen.contains(page.Int(0)) || IsBelow(last, not_known)) continue;
        WM_ASSIGN_OR_RETURN(const model::Sighting sighting, SightingFromColumn(page.Blob(2)));
        gone.push_back(sighting.path);
      }
    }
    for (const model::Path& path : gone) {
      WM_RETURN_IF_ERROR(Lose(step, path, model::GoneReason::kDeleted));
    }
    if (rows < kPageRows) return {};
    last += '\0';  // the next path after the last one looked at
  }
}

// Those that have walks of their own; what is not walked any more is for the walk around it to
// miss.
base::Result<std::set<std::string, std::less<>>> Inventory::RootsInside(const std::string& root) {
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement inner,
      database_.Prepare("SELECT root, coverage FROM coverage WHERE root > ? AND root < ?"));
  const std::string first = root + "/";
  const std::string end = root + "0";
  inner.Bind(base::AsBytes(first)).Bind(base::AsBytes(end));
  Folders inside;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool row, inner.Step());
    if (!row) return inside;
    WM_ASSIGN_OR_RETURN(const model::Coverage coverage, CoverageFromColumn(inner.Blob(1)));
    if (IsWalked(coverage)) inside.emplace(base::AsText(inner.Blob(0)));
  }
}

base::Status Inventory::Cover(Step& step, const model::Coverage& coverage) {
  WM_ASSIGN_OR_RETURN(const std::optional<model::Coverage> known,
                      FindCoverage(coverage.sensor, coverage.root));
  if (known == coverage) return {};
  {
    WM_ASSIGN_OR_RETURN(
        sqlite::Statement put,
        database_.Prepare("INSERT INTO coverage (sensor, root, coverage) VALUES (?, ?, ?) "
                          "ON CONFLICT (sensor, root) DO UPDATE SET coverage = excluded.coverage"));
    WM_RETURN_IF_ERROR(put.Bind(std::string_view(coverage.sensor))
                           .Bind(base::AsBytes(coverage.root.bytes))
                           .Bind(base::AsBytes(ToColumn(coverage)))
                           .Run());
  }
  if (known.has_value() && SameToTell(*known, coverage)) return {};
  return events_.Append(step.transaction(), model::CoverageChanged{coverage});
}

base::Result<std::optional<model::Coverage>> Inventory::FindCoverage(std::string_view sensor,
                                                                     const model::Path& root) {
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement find,
      database_.Prepare("SELECT coverage FROM coverage WHERE sensor = ? AND root = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(sensor).Bind(base::AsBytes(root.bytes)).Step());
  if (!found) return std::optional<model::Coverage>();
  WM_ASSIGN_OR_RETURN(model::Coverage coverage, CoverageFromColumn(find.Blob(0)));
  return std::optional<model::Coverage>(std::move(coverage));
}

// What lies below a root that went, inside one that stays, is for the walk of the latter to miss.
base::Status Inventory::Choose(Step& step, const sensors::RootsChosen& chosen) {
  if (const auto known = chosen_.find(chosen.sensor);
      known != chosen_.end() && known->second == chosen.roots) {
    return {};
  }
  Folders roots;
  for (const model::Path& root : chosen.roots) roots.insert(WithoutTrailingSlash(root.bytes));
  WM_RETURN_IF_ERROR(LoseOutside(step, roots));
  WM_ASSIGN_OR_RETURN(const std::vector<model::Coverage> coverages, Coverages());
  for (const model::Coverage& coverage : coverages) {
    const bool kept = roots.contains(WithoutTrailingSlash(coverage.root.bytes));
    if (coverage.sensor != chosen.sensor || kept) continue;
    WM_RETURN_IF_ERROR(Uncover(step, coverage));
  }
  return {};
}

base::Status Inventory::LoseOutside(Step& step, const std::set<std::string, std::less<>>& roots) {
  std::int64_t last_id = 0;
  while (true) {
    std::vector<model::Path> outside;
    std::int64_t rows = 0;
    {
      WM_ASSIGN_OR_RETURN(sqlite::Statement page,
                          database_.Prepare("SELECT id, path, sighting FROM sightings WHERE id > ? "
                                            "ORDER BY id LIMIT ?"));
      page.Bind(last_id).Bind(kPageRows);
      while (true) {
        WM_ASSIGN_OR_RETURN(const bool row, page.Step());
        if (!row) break;
        ++rows;
        last_id = page.Int(0);
        if (IsBelow(base::AsText(page.Blob(1)), roots)) continue;
        WM_ASSIGN_OR_RETURN(model::Sighting sighting, SightingFromColumn(page.Blob(2)));
        outside.push_back(std::move(sighting.path));
      }
    }
    for (const model::Path& path : outside) {
      WM_RETURN_IF_ERROR(Lose(step, path, model::GoneReason::kRootRemoved));
    }
    if (rows < kPageRows) return {};
  }
}

base::Status Inventory::Uncover(Step& step, model::Coverage coverage) {
  {
    WM_ASSIGN_OR_RETURN(sqlite::Statement remove,
                        database_.Prepare("DELETE FROM coverage WHERE sensor = ? AND root = ?"));
    WM_RETURN_IF_ERROR(remove.Bind(std::string_view(coverage.sensor))
                           .Bind(base::AsBytes(coverage.root.bytes))
                           .Run());
  }
  coverage.state = model::CoverageState::kCouldNot;
  coverage.reason = model::CoverageReason::kRootRemoved;
  coverage.detail.clear();
  coverage.files_seen = 0;
  coverage.files_failed = 0;
  return events_.Append(step.transaction(), model::CoverageChanged{std::move(coverage)});
}

base::Result<Inventory::Row> Inventory::ReadRow(const sqlite::Statement& statement) {
  Row row;
  row.id = statement.Int(0);
  WM_ASSIGN_OR_RETURN(row.sighting, SightingFromColumn(statement.Blob(1)));
  if (!statement.IsNull(2)) {
    WM_ASSIGN_OR_RETURN(row.verdict, VerdictFromColumn(statement.Blob(2)));
  }
  row.modified_ns = statement.Int(3);
  row.changed_ns = statement.Int(4);
  row.lasting = statement.Int(5) != 0;
  row.withheld = WithheldFromColumn(statement.Int(6));
  return row;
}

sensors::FileStamp Inventory::StampOf(const Row& row) {
  return {row.sighting.identity, row.sighting.size_bytes, row.modified_ns, row.changed_ns};
}

base::Result<std::optional<Inventory::Row>> Inventory::FindRow(const model::Path& path) {
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement find,
      database_.Prepare("SELECT id, sighting, verdict, modified_ns, changed_ns, lasting, withheld "
                        "FROM sightings WHERE path = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(base::AsBytes(path.bytes)).Step());
  if (!found) return std::optional<Row>();
  WM_ASSIGN_OR_RETURN(Row row, ReadRow(find));
  return std::optional<Row>(std::move(row));
}

base::Status Inventory::Insert(Row& row) {
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement put,
      database_.Prepare("INSERT INTO sightings (path, identity, size_bytes, modified_ns, "
                        "changed_ns, lasting, outcome, digest_state, sighting, verdict, withheld) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  WM_RETURN_IF_ERROR(put.Bind(base::AsBytes(row.sighting.path.bytes))
                         .Bind(base::AsBytes(row.sighting.identity.bytes))
                         .Bind(Column(row.sighting.size_bytes))
                         .Bind(row.modified_ns)
                         .Bind(row.changed_ns)
                         .Bind(std::int64_t{row.lasting})
                         .Bind(static_cast<std::int64_t>(row.verdict->outcome))
                         .Bind(static_cast<std::int64_t>(row.sighting.digest.state))
                         .Bind(base::AsBytes(ToColumn(row.sighting)))
                         .Bind(base::AsBytes(ToColumn(*row.verdict)))
                         .Bind(ToColumn(row.withheld))
                         .Run());
  row.id = database_.LastInsertId();
  return {};
}

base::Status Inventory::Update(const Row& row) {
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement put,
      database_.Prepare("UPDATE sightings SET identity = ?, size_bytes = ?, modified_ns = ?, "
                        "changed_ns = ?, lasting = ?, outcome = ?, digest_state = ?, sighting = ?, "
                        "verdict = ?, withheld = ? WHERE id = ?"));
  return put.Bind(base::AsBytes(row.sighting.identity.bytes))
      .Bind(Column(row.sighting.size_bytes))
      .Bind(row.modified_ns)
      .Bind(row.changed_ns)
      .Bind(std::int64_t{row.lasting})
      .Bind(static_cast<std::int64_t>(row.verdict->outcome))
      .Bind(static_cast<std::int64_t>(row.sighting.digest.state))
      .Bind(base::AsBytes(ToColumn(row.sighting)))
      .Bind(base::AsBytes(ToColumn(*row.verdict)))
      .Bind(ToColumn(row.withheld))
      .Bind(row.id)
      .Run();
}

void Inventory::Rejudge(std::function<void(const decide::RejudgeCounts&)> done) {
  WM_CHECK(loop_.OnLoop() && !rejudging_.has_value());
  rejudging_ = Rejudging{std::move(done), {}, 0};
  ContinueRejudging();
}

void Inventory::ContinueRejudging() {
  const auto more = RejudgePage();
  if (!more.has_value() || more.value()) {
    const base::Duration pause =
        more.has_value() ? base::Duration(0) : base::Duration(base::limits::kStorageRetryDelay);
    rejudge_timer_.Start(pause, [this] { ContinueRejudging(); });
    return;
  }
  const Rejudging finished = std::move(*rejudging_);
  rejudging_.reset();
  finished.done(finished.counts);
}

base::Result<bool> Inventory::RejudgePage() {
  WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(database_));
  std::vector<Row> rows;
  {
    WM_ASSIGN_OR_RETURN(
        sqlite::Statement page,
        database_.Prepare(
            "SELECT id, sighting, verdict, modified_ns, changed_ns, lasting, withheld "
            "FROM sightings WHERE id > ? ORDER BY id LIMIT ?"));
    page.Bind(rejudging_->last_id).Bind(kPageRows);
    while (true) {
      WM_ASSIGN_OR_RETURN(const bool row, page.Step());
      if (!row) break;
      WM_ASSIGN_OR_RETURN(Row read, ReadRow(page));
      rows.push_back(std::move(read));
    }
  }
  std::uint64_t changed = 0;
  for (const Row& row : rows) {
    WM_ASSIGN_OR_RETURN(const Renewed renewed, Renew(transaction, row, row));
    if (renewed.judged_anew) ++changed;
  }
  WM_RETURN_IF_ERROR(transaction.Commit());
  rejudging_->counts.judged += rows.size();
  rejudging_->counts.changed += changed;
  if (!rows.empty()) rejudging_->last_id = rows.back().id;
  if (rows.size() == base::limits::kMaxSightingsPerTransaction) return true;
  WM_ASSIGN_OR_RETURN(const Counts counts, Count());
  rejudging_->counts.allow = counts.allow;
  rejudging_->counts.warn = counts.warn;
  rejudging_->counts.deny = counts.deny;
  return false;
}

base::Result<Counts> Inventory::Count() {
  WM_ASSIGN_OR_RETURN(sqlite::Statement groups,
                      database_.Prepare("SELECT outcome, digest_state, COUNT(*) FROM sightings "
                                        "GROUP BY outcome, digest_state"));
  Counts counts;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool row, groups.Step());
    if (!row) return counts;
    const auto count = static_cast<std::uint64_t>(groups.Int(2));
    counts.sightings += count;
    switch (static_cast<model::Outcome>(groups.Int(0))) {
      case model::Outcome::kAllow:
        counts.allow += count;
        break;
      case model::Outcome::kWarn:
        counts.warn += count;
        break;
      case model::Outcome::kDeny:
        counts.deny += count;
        break;
    }
    if (static_cast<model::DigestState>(groups.Int(1)) == model::DigestState::kPending) {
      counts.digests_pending += count;
    }
  }
}

base::Result<std::optional<JudgedSighting>> Inventory::Find(const model::Path& path) {
  WM_ASSIGN_OR_RETURN(const std::optional<Row> row, FindRow(path));
  if (!row.has_value()) return std::optional<JudgedSighting>();
  return std::optional<JudgedSighting>(JudgedSighting{row->sighting, judge_.Of(row->sighting)});
}

base::Result<std::vector<model::Coverage>> Inventory::Coverages() {
  WM_ASSIGN_OR_RETURN(sqlite::Statement all,
                      database_.Prepare("SELECT coverage FROM coverage ORDER BY sensor, root"));
  std::vector<model::Coverage> coverages;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool row, all.Step());
    if (!row) return coverages;
    WM_ASSIGN_OR_RETURN(model::Coverage coverage, CoverageFromColumn(all.Blob(0)));
    coverages.push_back(std::move(coverage));
  }
}

}  // namespace weighmaster::agent::inventory
