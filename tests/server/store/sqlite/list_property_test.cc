// Lists as SQLite answers them against the same lists read whole and filtered, put in order and cut
// without it; and what was there at a moment against the events up to it.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/server/store/sqlite/list_naive.h"
#include "tests/support/endpoint_script.h"
#include "tests/support/keys.h"

namespace weighmaster::server::store {
namespace {

constexpr int kEndpoints = 5;
constexpr int kPaths = 12;
constexpr std::uint64_t kRounds = 120;

struct Listed {
  std::vector<NaiveRow> rows;
  std::optional<query::Position> next;
  std::uint64_t total = 0;
};

template <typename Row>
Listed ListedOf(const base::Result<Row>& page) {
  EXPECT_TRUE(page.has_value()) << page.error().ToString();
  Listed listed;
  if (!page.has_value()) return listed;
  for (const auto& row : page->rows) listed.rows.push_back(Naive(row));
  listed.next = page->next;
  listed.total = page->total;
  return listed;
}

// What an endpoint said of a path, in the order in which it said it.
struct Said {
  int endpoint;
  std::string path;
  std::int64_t at;
  model::EventBody body;
};

// A store of random rows that grows.
class RandomFleet {
 public:
  explicit RandomFleet(std::uint64_t seed) : random_(seed) {
    store_ = SqliteStore::Open(":memory:").value();
    queries_ = store_->OpenQueries().value();
    const tests::TestFleet fleet = tests::MakeTestFleet();
    EXPECT_TRUE(store_->AdoptFleet(fleet.root.fleet_id, tests::TestId(1), 1, fleet.signed_root)
                    .has_value());
    for (int i = 0; i < kEndpoints; ++i) AddEndpoint();
    AddEndpoint();  // which says nothing any more
    EXPECT_TRUE(
        store_->Revoke(Scope::WholeFleet(), IdOf(kEndpoints), Word(), tests::kTestEpoch + Jitter())
            .has_value());
    for (int i = 0; i < kEndpoints; ++i) scripts_[static_cast<std::size_t>(i)]->set_wall(wall_);
    for (int i = 0; i < 60; ++i) {
      Tell();
      AddFinding();
      AddToken();
      AddAudit();
    }
    for (int i = 0; i < 8; ++i) AddPolicy();
    for (const std::uint64_t version : {1U, 2U}) PublishExceptions(version, std::nullopt);
    for (int i = 0; i < kEndpoints; ++i) PublishExceptions(1, IdOf(i));
    PublishExceptions(2, IdOf(0));
  }

  Queries& queries() { return *queries_; }
  const std::vector<Said>& said() const { return said_; }
  base::WallTime Moment() {
    return tests::kTestEpoch +
           base::Duration(
               random_.Below(static_cast<std::uint64_t>((wall_ - tests::kTestEpoch).count()) + 20));
  }
  base::Random& random() { return random_; }
  static model::Id IdOf(int n) { return tests::TestId(static_cast<std::uint8_t>(n + 1)); }

  void AddEndpoint() {
    const int n = static_cast<int>(scripts_.size());
    EnrolmentTokenRecord token;
    token.secret_sha256 = tests::TestDigest(5'000 + n);
    token.created = tests::kTestEpoch;
    token.expires = tests::kTestEpoch + std::chrono::hours(1);
    token.labels = SomeLabels();
    labels_[IdOf(n)] = token.labels;
    EXPECT_TRUE(store_->AddToken(token).has_value());
    MachineFacts machine;
    machine.hostname = Word();
    machine.os = random_.Below(2) == 0 ? "linux" : "";
    const auto id = store_->Enrol(token.secret_sha256, tests::kTestEpoch + Jitter(),
                                  {IdOf(n), tests::TestKey(10 + n).public_key(), machine});
    EXPECT_TRUE(id.has_value());
    if (random_.Below(2) == 0) {
      const Contact contact{IdOf(n), tests::kTestEpoch + Jitter(),
                            base::Duration(static_cast<std::int64_t>(random_.Below(9)) - 4),
                            machine};
      EXPECT_TRUE(store_->RecordContacts({&contact, 1}).has_value());
    }
    scripts_.push_back(std::make_unique<tests::EndpointScript>(
        tests::TestKey(10 + n), tests::TestId(static_cast<std::uint8_t>(100 + n))));
    Commit(n, scripts_.back()->Start());
  }

  const Labels& LabelsOf(const model::Id& endpoint) const { return labels_.at(endpoint); }
  void Relabel(int n) {
    labels_[IdOf(n)] = SomeLabels();
    EXPECT_TRUE(store_->SetLabels(Scope::WholeFleet(), IdOf(n), labels_[IdOf(n)], tests::kTestEpoch)
                    .has_value());
  }

  // Something happens to some path: it appears, changes, is hashed, judged, or goes.
  void Tell() {
    const int n = SomeEndpoint();
    Say(n, "/m/" + Word() + std::to_string(random_.Below(kPaths)));
  }
  // A path that was never there.
  void TellOfANewPath() {
    const int n = static_cast<int>(random_.Below(kEndpoints));
    const std::string path = "/m/" + Word() + "/new" + std::to_string(++new_paths_);
    SayOne(n, path, model::SightingAppeared{Sighting(path)});
  }

  // What an endpoint says of its roots and of the policy that is in force.
  void TellOfItself() {
    const int n = SomeEndpoint();
    if (random_.Below(3) == 0) {
      model::PolicyApplied applied;
      applied.version = 1 + random_.Below(4);
      applied.partly = random_.Below(3) == 0;
      return SayOne(n, "", applied);
    }
    model::Coverage coverage;
    coverage.sensor = "artifacts";
    coverage.root.bytes = random_.Below(2) == 0 ? "/" : "/home";
    coverage.state = static_cast<model::CoverageState>(1 + random_.Below(3));
    if (random_.Below(6) == 0) coverage.reason = model::CoverageReason::kRootRemoved;
    if (random_.Below(6) == 0) coverage.reason = model::CoverageReason::kPseudoFileSystem;
    SayOne(n, "", model::CoverageChanged{coverage});
  }
  void RevokeTheLast() {
    talking_ = kEndpoints - 1;
    EXPECT_TRUE(store_->Revoke(Scope::WholeFleet(), IdOf(talking_), "lost", wall_).has_value());
  }
  base::WallTime wall() const { return wall_; }
  // One of few findings is found, has passed, or somebody works on it.
  void TouchFinding() {
    wall_ += base::Duration(1);
    FindingChange change;
    change.dedupe_key = "touched " + std::to_string(random_.Below(4));
    change.rule = "touched";
    change.endpoint = IdOf(0);
    change.severity = static_cast<model::Severity>(1 + random_.Below(5));
    change.at = wall_;
    change.resolve = random_.Below(3) == 0;
    EXPECT_TRUE(store_->RecordFindings({&change, 1}).has_value());
    if (random_.Below(2) == 0) return;
    PageQuery query;
    query.filter = query::ParseFilter(query::Findings(), "rule = touched").value();
    const auto found = queries_->ListFindings(Scope::WholeFleet(), true, query);
    if (!found.has_value() || found->rows.empty()) return;
    constexpr FindingState kStates[] = {FindingState::kOpen, FindingState::kAcknowledged,
                                        FindingState::kDismissed};
    FindingComment comment{wall_, {IdFrom(1), "x"}, kStates[random_.Below(3)], ""};
    EXPECT_TRUE(store_
                    ->UpdateFinding(Scope::WholeFleet(),
                                    found->rows[random_.Below(found->rows.size())].id, comment)
                    .has_value());
  }

  void AddFinding() {
    FindingChange change;
    change.dedupe_key = "key " + std::to_string(++findings_);
    change.rule = Word();
    change.endpoint = IdOf(static_cast<int>(random_.Below(kEndpoints)));
    change.subject = "/m/" + Word();
    change.severity = static_cast<model::Severity>(1 + random_.Below(5));
    change.detail = random_.Below(2) == 0 ? Word() : "";
    change.at = tests::kTestEpoch + Jitter();
    std::vector<FindingChange> changes{change};
    if (random_.Below(3) == 0) changes.push_back(change);
    if (random_.Below(3) == 0) {
      changes.push_back(change);
      changes.back().resolve = true;
    }
    EXPECT_TRUE(store_->RecordFindings(changes).has_value());
  }

  void AddToken() {
    AdminTokenRecord token;
    const int n = ++tokens_;
    token.id = IdFrom(n);
    token.secret_sha256 = tests::TestDigest(n);
    token.name = Word();
    token.role = static_cast<AdminRole>(1 + random_.Below(4));
    constexpr std::string_view kScopes[] = {"", "site=berlin", "site=berlin,team=ml",
                                            "site=berlin-2", "team=ml"};
    token.scope = Scope::Parse(kScopes[random_.Below(std::size(kScopes))]).value();
    token.created = tests::kTestEpoch + Jitter();
    if (n > 1) token.created_by = IdFrom(1 + static_cast<int>(random_.Below(3)));
    if (random_.Below(2) == 0) token.expires = tests::kTestEpoch + Jitter();
    EXPECT_TRUE(store_->AddAdminToken(token).has_value());
  }

  void PublishExceptions(std::uint64_t version, std::optional<model::Id> endpoint) {
    ExceptionSetRecord record;
    std::vector<model::Exception> exceptions;
    for (std::uint64_t i = random_.Below(4); i > 0; --i) {
      model::Exception exception;
      // The next set may have some of them again.
      exception.id = IdFrom(static_cast<int>(10 * (endpoint ? endpoint->bytes[0] : 99) + i));
      exception.digest = tests::TestDigest(static_cast<int>(random_.Below(4)));
      exception.of_weights = random_.Below(2) == 0;
      exception.user = random_.Below(2) == 0 ? Word() : "";
      exception.overrides = Word();
      exception.reason = Word();
      exception.expires = tests::kTestEpoch + std::chrono::hours(1) + Jitter();
      exceptions.push_back(exception);
    }
    record.set = tests::MakeExceptionSet(version, exceptions);
    record.set.endpoint = endpoint;
    record.document = tests::SignExceptions(record.set);
    record.published = tests::kTestEpoch + Jitter();
    record.publisher = Somebody();
    EXPECT_TRUE(store_->PublishExceptions(Scope::WholeFleet(), record).has_value());
  }
  // Of an endpoint that is new as well.
  void AddExceptions() {
    AddEndpoint();
    PublishExceptions(1, IdOf(static_cast<int>(scripts_.size()) - 1));
  }

  // Published, and in force on somebody.
  void AddPolicy() {
    NewBundle bundle;
    ++policies_;
    bundle.manifest = tests::MakeManifest(policies_, policies_ / 2);
    bundle.document = tests::SignBundle(bundle.manifest);
    bundle.published = tests::kTestEpoch + Jitter();
    bundle.publisher = Somebody();
    const auto published = store_->Publish(bundle);
    EXPECT_TRUE(published.has_value()) << published.error().ToString();
    model::PolicyApplied applied;
    applied.version = policies_;
    applied.partly = random_.Below(2) == 0;
    const int n = static_cast<int>(random_.Below(kEndpoints));
    Commit(n, scripts_[static_cast<std::size_t>(n)]->Seal({applied}));
  }

  void AddAudit() {
    wire::AuditRow row;
    row.time = tests::kTestEpoch + Jitter();
    row.token_id = IdFrom(static_cast<int>(random_.Below(4)));
    row.token_name = Word();
    row.method = Word();
    row.outcome = static_cast<wire::AuditOutcome>(1 + random_.Below(4));
    row.begun_number = random_.Below(3);
    row.code = static_cast<std::uint32_t>(random_.Below(3));
    row.summary = random_.Below(2) == 0 ? Word() : "";
    EXPECT_TRUE(store_->AppendAudit(row).has_value());
  }

 private:
  static model::Id IdFrom(int n) {
    model::Id id;
    std::ranges::copy(tests::TestDigest(n).view().first(model::Id::kBytes), id.bytes.begin());
    return id;
  }
  // Few, so that rows are alike; with what SQL and filters could take for their own.
  std::string Word() {
    constexpr std::string_view kWords[] = {"a",  "ab",  "abc", "b",    "*",
                                           "%_", "'\"", "ä",   "日本", "A"};
    return std::string(kWords[random_.Below(std::size(kWords))]);
  }
  // Some are the beginning of others.
  Labels SomeLabels() {
    constexpr std::string_view kSites[] = {"berlin", "berlin-2", "paris"};
    Labels labels;
    if (random_.Below(4) != 0) labels["site"] = kSites[random_.Below(std::size(kSites))];
    if (random_.Below(2) == 0) labels["team"] = random_.Below(2) == 0 ? "ml" : "web";
    return labels;
  }
  int SomeEndpoint() {
    return static_cast<int>(random_.Below(static_cast<std::uint64_t>(talking_)));
  }
  std::optional<Actor> Somebody() {
    if (random_.Below(3) == 0) return std::nullopt;
    return Actor{IdFrom(static_cast<int>(random_.Below(4))), Word()};
  }
  base::Duration Jitter() { return base::Duration(random_.Below(6)); }

  model::Sighting Sighting(const std::string& path) {
    model::Sighting sighting = tests::TestSighting(path, static_cast<int>(random_.Below(4)));
    sighting.size_bytes = random_.Below(5);
    sighting.modified_at += Jitter();
    sighting.owner.name = random_.Below(2) == 0 ? Word() : "";
    sighting.owner.id = random_.Below(2) == 0 ? Word() : "";
    sighting.facts.format = static_cast<model::Format>(random_.Below(6));
    sighting.facts.license = random_.Below(2) == 0 ? Word() : "";
    if (random_.Below(2) == 0) sighting.facts.parameters = random_.Below(4);
    if (random_.Below(2) == 0) sighting.facts.tensor_count = random_.Below(4);
    for (std::uint64_t i = random_.Below(3); i > 0; --i) {
      sighting.facts.risks.push_back(
          {Word(), static_cast<model::Severity>(1 + random_.Below(5)), "a risk", ""});
    }
    if (random_.Below(3) == 0) sighting.digest = {};
    if (random_.Below(3) == 0) {
      sighting.weights_digest = tests::TestDigest(static_cast<int>(random_.Below(3)));
    } else if (random_.Below(2) == 0) {
      sighting.weights_reason = static_cast<model::WeightsReason>(1 + random_.Below(8));
    }
    return sighting;
  }

  void Say(int n, const std::string& path) {
    switch (random_.Below(5)) {
      case 0:
        return SayOne(n, path, model::SightingGone{model::Path{path}, model::GoneReason::kDeleted});
      case 1:
      case 2: {
        model::Verdict verdict =
            tests::TestVerdict(static_cast<model::Outcome>(1 + random_.Below(3)));
        verdict.rule = Word();
        verdict.reason = Word();
        verdict.link = random_.Below(3) == 0 ? Word() : "";
        verdict.policy_version = random_.Below(4);
        if (random_.Below(3) == 0) verdict.until = tests::kTestEpoch + Jitter();
        verdict.basis = static_cast<model::Basis>(1 + random_.Below(3));
        verdict.step = static_cast<model::JudgementStep>(1 + random_.Below(7));
        verdict.mode = static_cast<model::Mode>(random_.Below(3));
        verdict.severity = static_cast<model::Severity>(1 + random_.Below(5));
        for (std::uint64_t i = random_.Below(3); i > 0; --i) verdict.audits.push_back(Word());
        return SayOne(n, path, model::SightingJudged{model::Path{path}, std::nullopt, verdict});
      }
      default:
        return SayOne(n, path, model::SightingAppeared{Sighting(path)});
    }
  }

  void SayOne(int n, const std::string& path, model::EventBody body) {
    wall_ += base::Duration(1 + random_.Below(3));
    tests::EndpointScript& script = *scripts_[static_cast<std::size_t>(n)];
    script.set_wall(wall_);
    said_.push_back({n, path, base::ToMicroseconds(wall_), body});
    Commit(n, script.Seal({std::move(body)}));
  }

  void Commit(int n, wire::SealedBatch batch) {
    BatchWrite write;
    write.endpoint = IdOf(n);
    write.header = wire::ParseHeader(batch.header).value();
    write.digest = wire::HeaderDigest(batch.header);
    for (const wire::BatchEvent& event : batch.events) {
      write.events.emplace_back(EventWrite(wire::ParseEvent(event.body).value()));
    }
    write.batch = std::move(batch);
    write.received = wall_ + base::Duration(1);
    const auto outcomes = store_->CommitBatches(
        {&write, 1},
        [](const BatchWrite&, const BatchOutcome&, bool) { return std::vector<FindingChange>(); });
    ASSERT_TRUE(outcomes.has_value()) << outcomes.error().ToString();
    ASSERT_EQ(outcomes->at(0).kind, BatchOutcome::Kind::kStored) << outcomes->at(0).detail;
  }

  base::SeededRandom random_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Queries> queries_;
  std::vector<std::unique_ptr<tests::EndpointScript>> scripts_;
  std::vector<Said> said_;
  std::map<model::Id, Labels> labels_;
  base::WallTime wall_ = tests::kTestEpoch;
  int talking_ = kEndpoints;
  int new_paths_ = 0;
  std::uint64_t policies_ = 0;
  int findings_ = 0;
  int tokens_ = 0;
};

// One list, as it is asked for and as it grows.
struct Subject {
  const query::List& list;
  std::function<Listed(const PageQuery&)> ask;
  std::function<void()> grow;
};

// A row does not say the labels of its endpoint.
Listed Labelled(const RandomFleet& fleet, Listed listed) {
  for (NaiveRow& row : listed.rows) {
    const auto id =
        model::IdFromBytes(base::AsBytes(std::get<std::string>(row.values.at("endpoint_id"))));
    row.values["label"] = LabelSet(fleet.LabelsOf(id.value()));
  }
  return listed;
}

Subject Sightings(RandomFleet& fleet, const Scope& scope, bool include_gone,
                  std::optional<base::WallTime> as_of) {
  return {query::Sightings(),
          [&fleet, scope, include_gone, as_of](const PageQuery& page) {
            SightingQuery query;
            query.include_gone = include_gone;
            query.page = page;
            query.page.as_of = as_of;
            return Labelled(fleet, ListedOf(fleet.queries().ListSightings(scope, query)));
          },
          [&fleet] { fleet.TellOfANewPath(); }};
}

// Some endpoints are connected.
Subject Endpoints(RandomFleet& fleet, const Scope& scope, std::optional<base::WallTime> as_of) {
  return {query::Endpoints(),
          [&fleet, scope, as_of](PageQuery page) {
            page.as_of = as_of;
            const std::vector<model::Id> connected{RandomFleet::IdOf(1), RandomFleet::IdOf(3)};
            Listed listed = ListedOf(fleet.queries().ListEndpoints(scope, {page, connected}));
            for (NaiveRow& row : listed.rows) {
              const bool is_connected =
                  std::ranges::count(connected, row.name, &model::Id::ToHex) > 0;
              row.values["connected"] = std::int64_t{is_connected && !as_of};
            }
            return listed;
          },
          [&fleet] { fleet.AddEndpoint(); }};
}

Subject Findings(RandomFleet& fleet, const Scope& scope, bool include_resolved,
                 std::optional<base::WallTime> as_of) {
  return {query::Findings(),
          [&fleet, scope, include_resolved, as_of](PageQuery page) {
            page.as_of = as_of;
            return Labelled(fleet,
                            ListedOf(fleet.queries().ListFindings(scope, include_resolved, page)));
          },
          [&fleet] { fleet.AddFinding(); }};
}

Subject Artifacts(RandomFleet& fleet, std::optional<base::WallTime> as_of) {
  return {query::Artifacts(),
          [&fleet, as_of](PageQuery page) {
            page.as_of = as_of;
            return ListedOf(fleet.queries().ListArtifacts(Scope::WholeFleet(), page));
          },
          [] {}};
}

Subject Policies(RandomFleet& fleet, std::optional<base::WallTime> as_of) {
  return {query::Policies(),
          [&fleet, as_of](PageQuery page) {
            page.as_of = as_of;
            return ListedOf(fleet.queries().ListPolicies(Scope::WholeFleet(), page));
          },
          [&fleet] { fleet.AddPolicy(); }};
}

Subject Exceptions(RandomFleet& fleet, const Scope& scope, std::optional<base::WallTime> as_of) {
  return {query::Exceptions(),
          [&fleet, scope, as_of](PageQuery page) {
            page.as_of = as_of;
            return ListedOf(fleet.queries().ListExceptions(scope, {page, true, tests::kTestEpoch}));
          },
          [&fleet] { fleet.AddExceptions(); }};
}

// The lists whose rows are an endpoint's, as a scope sees them.
std::vector<Subject> SubjectsOfEndpoints(RandomFleet& fleet, const Scope& scope,
                                         const std::vector<base::WallTime>& moments) {
  std::vector<Subject> subjects{
      Endpoints(fleet, scope, std::nullopt), Exceptions(fleet, scope, std::nullopt),
      Sightings(fleet, scope, false, std::nullopt), Sightings(fleet, scope, true, std::nullopt)};
  for (const bool include_resolved : {false, true}) {
    subjects.push_back(Findings(fleet, scope, include_resolved, std::nullopt));
  }
  for (const base::WallTime moment : moments) {
    subjects.push_back(Endpoints(fleet, scope, moment));
    subjects.push_back(Exceptions(fleet, scope, moment));
    for (const bool include_resolved : {false, true}) {
      subjects.push_back(Findings(fleet, scope, include_resolved, moment));
    }
    subjects.push_back(Sightings(fleet, scope, false, moment));
  }
  return subjects;
}

std::vector<Subject> Subjects(RandomFleet& fleet) {
  const Scope all = Scope::WholeFleet();
  std::vector<Subject> subjects{
      Artifacts(fleet, std::nullopt),
      Artifacts(fleet, fleet.Moment()),
      Policies(fleet, std::nullopt),
      Policies(fleet, fleet.Moment()),
      {query::Events(),
       [&fleet, all](const PageQuery& page) {
         return ListedOf(fleet.queries().ListEvents(all, RandomFleet::IdOf(1), page));
       },
       [&fleet] { fleet.TellOfANewPath(); }},
      {query::AdminTokens(),
       [&fleet, all](const PageQuery& page) {
         return ListedOf(fleet.queries().ListAdminTokens(all, page));
       },
       [&fleet] { fleet.AddToken(); }},
      {query::AuditEntries(),
       [&fleet](const PageQuery& page) { return ListedOf(fleet.queries().ListAuditEntries(page)); },
       [&fleet] { fleet.AddAudit(); }}};
  for (Subject& subject :
       SubjectsOfEndpoints(fleet, all, {fleet.Moment(), fleet.Moment(), fleet.Moment()})) {
    subjects.push_back(std::move(subject));
  }
  return subjects;
}

std::vector<std::string> NamesOf(const std::vector<NaiveRow>& rows) {
  std::vector<std::string> names;
  for (const NaiveRow& row : rows) names.push_back(row.name);
  return names;
}

std::vector<NaiveRow> Whole(const Subject& subject) {
  PageQuery everything;
  everything.size = base::limits::kMaxPageSize;
  return subject.ask(everything).rows;
}

PageQuery RandomQuestion(const Subject& subject, const std::vector<NaiveRow>& rows,
                         base::Random& random) {
  PageQuery query;
  if (random.Below(8) != 0) query.filter = RandomFilter(subject.list, rows, 3, random);
  query.order = RandomOrder(subject.list, random);
  return query;
}

TEST(Lists, AreWhatAFilterAndAnOrderMeanWithoutSql) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    RandomFleet fleet(seed);
    for (const Subject& subject : Subjects(fleet)) {
      const std::vector<NaiveRow> rows = Whole(subject);
      for (std::uint64_t round = 0; round < kRounds; ++round) {
        PageQuery query = RandomQuestion(subject, rows, fleet.random());
        query.size = base::limits::kMaxPageSize;
        const auto expected = Answer(subject.list, rows, query.filter, query.order);
        const Listed listed = subject.ask(query);
        ASSERT_EQ(NamesOf(listed.rows), NamesOf(expected))
            << subject.list.name << ", seed " << seed << ", round " << round
            << (query.filter.has_value() ? Describe(*query.filter) : "");
        ASSERT_EQ(listed.total, expected.size());
        ASSERT_FALSE(listed.next.has_value());
      }
    }
  }
}

TEST(Lists, NeitherRepeatNorSkipARowWhileOthersAreInserted) {
  RandomFleet fleet(7);
  for (const Subject& subject : Subjects(fleet)) {
    for (int round = 0; round < 12; ++round) {
      const std::vector<NaiveRow> rows = Whole(subject);
      PageQuery query = RandomQuestion(subject, rows, fleet.random());
      const auto expected = NamesOf(Answer(subject.list, rows, query.filter, query.order));
      const std::set<std::string> old(expected.begin(), expected.end());
      std::set<std::string> all;
      std::vector<std::string> seen;
      do {
        query.size = 1 + fleet.random().Below(20);
        const Listed page = subject.ask(query);
        ASSERT_LE(page.rows.size(), query.size);
        ASSERT_EQ(page.total, expected.size())
            << subject.list.name << (query.filter.has_value() ? Describe(*query.filter) : "");
        for (const NaiveRow& row : page.rows) {
          ASSERT_TRUE(all.insert(row.name).second) << row.name << " comes twice";
          ASSERT_TRUE(!query.filter.has_value() || Matches(*query.filter, row));
          if (old.contains(row.name)) seen.push_back(row.name);
        }
        query.after = page.next;
        if (round % 4 == 0) subject.grow();
      } while (query.after.has_value());
      ASSERT_EQ(seen, expected) << subject.list.name << ", round " << round;
    }
  }
}

// From the beginning, page by page.
std::vector<NaiveRow> AllChanges(RandomFleet& fleet, const std::optional<query::Filter>& filter) {
  std::vector<NaiveRow> rows;
  ChangeQuery query{0, filter, 7};
  while (true) {
    const auto page = fleet.queries().ListChanges(Scope::WholeFleet(), query);
    EXPECT_TRUE(page.has_value()) << page.error().ToString();
    if (!page.has_value() || page->next == query.after) return rows;
    for (const Change& change : page->rows) rows.push_back(Naive(change));
    query.after = page->next;
  }
}

TEST(Changes, AreFilteredAsListsAre) {
  RandomFleet fleet(9);
  fleet.Relabel(1);
  const std::vector<NaiveRow> all = AllChanges(fleet, std::nullopt);
  ASSERT_GT(all.size(), 100U);
  for (int round = 0; round < 60; ++round) {
    const auto filter = RandomFilter(query::Changes(), all, 3, fleet.random());
    ASSERT_EQ(NamesOf(AllChanges(fleet, filter)),
              NamesOf(Answer(query::Changes(), all, filter, {})))
        << Describe(filter);
  }
}

// --- Scopes: what the whole fleet's answer says, without the endpoints outside.

constexpr std::string_view kScopes[] = {"site=berlin", "team=ml", "site=berlin,team=ml",
                                        "site=nowhere"};

PageQuery Everything() {
  PageQuery page;
  page.size = base::limits::kMaxPageSize;
  return page;
}

SightingQuery AllSightings(bool include_gone) {
  SightingQuery query;
  query.include_gone = include_gone;
  query.page = Everything();
  return query;
}

bool IsInScope(const RandomFleet& fleet, const Scope& scope, const NaiveRow& row) {
  const auto endpoint = row.values.find("endpoint_id");
  if (endpoint == row.values.end()) return true;  // it is the fleet's
  const auto id = model::IdFromBytes(base::AsBytes(std::get<std::string>(endpoint->second)));
  return scope.Has(fleet.LabelsOf(id.value()));
}

std::vector<NaiveRow> InScope(const RandomFleet& fleet, const Scope& scope,
                              std::vector<NaiveRow> rows) {
  std::erase_if(rows, [&](const NaiveRow& row) { return !IsInScope(fleet, scope, row); });
  return rows;
}

// Asks for all pages.
std::vector<std::string> Walked(const Subject& subject, PageQuery query) {
  std::vector<std::string> names;
  query.size = 7;
  do {
    const Listed page = subject.ask(query);
    for (const NaiveRow& row : page.rows) names.push_back(row.name);
    query.after = page.next;
  } while (query.after.has_value());
  return names;
}

TEST(Scopes, LeaveOfEachListWhatIsOfTheirEndpoints) {
  for (std::uint64_t seed = 21; seed <= 23; ++seed) {
    RandomFleet fleet(seed);
    fleet.Relabel(2);
    const std::vector<base::WallTime> moments{fleet.Moment(), fleet.Moment()};
    const auto whole = SubjectsOfEndpoints(fleet, Scope::WholeFleet(), moments);
    for (const std::string_view text : kScopes) {
      const Scope scope = Scope::Parse(text).value();
      const auto scoped = SubjectsOfEndpoints(fleet, scope, moments);
      for (std::size_t i = 0; i < scoped.size(); ++i) {
        const auto rows = InScope(fleet, scope, Whole(whole[i]));
        ASSERT_EQ(Whole(scoped[i]), rows) << text << " " << whole[i].list.name;
        for (int round = 0; round < 20; ++round) {
          const PageQuery query = RandomQuestion(scoped[i], rows, fleet.random());
          const auto expected = NamesOf(Answer(scoped[i].list, rows, query.filter, query.order));
          ASSERT_EQ(Walked(scoped[i], query), expected) << text << " " << whole[i].list.name;
          ASSERT_EQ(scoped[i].ask(query).total, expected.size());
        }
      }
    }
  }
}

TEST(Scopes, CountTheirEndpointsAlone) {
  for (std::uint64_t seed = 31; seed <= 34; ++seed) {
    RandomFleet fleet(seed);
    const Scope all = Scope::WholeFleet();
    Queries& queries = fleet.queries();
    const auto endpoints = queries.ListEndpoints(all, {Everything(), {}})->rows;
    const auto sightings = queries.ListSightings(all, AllSightings(false))->rows;
    const auto findings = queries.ListFindings(all, true, Everything())->total;
    ASSERT_GT(findings, 0U);
    for (const std::string_view text : kScopes) {
      const Scope scope = Scope::Parse(text).value();
      const auto has = [&](const model::Id& id) { return scope.Has(fleet.LabelsOf(id)); };
      const auto counts = queries.CountVerdicts(scope, std::nullopt, std::nullopt).value();
      std::map<std::optional<model::Outcome>, std::uint64_t> by_outcome;
      for (const SightingRow& row : sightings) {
        if (!has(row.endpoint)) continue;
        ++by_outcome[row.verdict ? std::optional(row.verdict->outcome) : std::nullopt];
      }
      EXPECT_EQ(counts.allow, by_outcome[model::Outcome::kAllow]);
      EXPECT_EQ(counts.warn, by_outcome[model::Outcome::kWarn]);
      EXPECT_EQ(counts.deny, by_outcome[model::Outcome::kDeny]);
      EXPECT_EQ(counts.pending, by_outcome[std::nullopt]);

      const auto numbers = queries.Statistics(scope).value();
      std::uint64_t in_scope = 0;
      std::uint64_t active = 0;
      std::map<std::uint64_t, std::uint64_t> in_force;
      for (const EndpointRow& row : endpoints) {
        if (!has(row.id)) continue;
        ++in_scope;
        if (row.state == EndpointState::kRevoked) continue;
        ++active;
        ++in_force[row.policy_version];
      }
      ASSERT_TRUE(numbers.in_scope.has_value());
      EXPECT_EQ(numbers.in_scope->size(), in_scope);
      EXPECT_EQ(numbers.endpoints_in_force, in_force[numbers.newest_policy]);
      EXPECT_EQ(queries.Coverage(scope)->endpoints, active);
      EXPECT_EQ(queries.FindBundle(scope, 0)->endpoints_total, active);
      const auto policies = queries.ListPolicies(scope, Everything())->rows;
      for (const PolicyRow& policy : policies) {
        EXPECT_EQ(policy.endpoints_in_force, in_force[policy.version]) << text;
      }
      std::uint64_t counted = 0;
      for (const auto& count : numbers.findings) counted += count.findings;
      EXPECT_EQ(counted, queries.ListFindings(scope, true, Everything())->total);
    }
    EXPECT_FALSE(queries.Statistics(all)->in_scope.has_value());
  }
}

TEST(Scopes, LeaveOfArtifactsWhatTheirEndpointsEverHad) {
  for (std::uint64_t seed = 41; seed <= 44; ++seed) {
    RandomFleet fleet(seed);
    Queries& queries = fleet.queries();
    const auto sightings = queries.ListSightings(Scope::WholeFleet(), AllSightings(true))->rows;
    for (const std::string_view text : kScopes) {
      const Scope scope = Scope::Parse(text).value();
      struct Places {
        std::uint64_t present = 0;
        std::set<model::Id> endpoints;
        base::WallTime first = base::WallTime::max();
      };
      std::map<model::Sha256, Places> expected;
      for (const SightingRow& row : sightings) {
        if (!row.sighting.digest.sha256 || !scope.Has(fleet.LabelsOf(row.endpoint))) continue;
        Places& places = expected[*row.sighting.digest.sha256];
        places.first = std::min(places.first, row.first_seen);
        if (row.gone) continue;
        ++places.present;
        places.endpoints.insert(row.endpoint);
      }
      const auto listed = queries.ListArtifacts(scope, Everything()).value();
      EXPECT_EQ(listed.total, expected.size()) << text;
      ASSERT_EQ(listed.rows.size(), expected.size()) << text;
      for (const ArtifactRow& row : listed.rows) {
        ASSERT_TRUE(expected.contains(row.sha256));
        EXPECT_EQ(row.places, expected[row.sha256].present);
        EXPECT_EQ(row.endpoints, expected[row.sha256].endpoints.size());
        EXPECT_EQ(row.first_seen, expected[row.sha256].first);
        SightingQuery question;
        question.sha256 = row.sha256;
        const auto where = queries.ListSightings(scope, question).value();
        EXPECT_EQ(where.total, row.places);
        EXPECT_EQ(where.endpoints, row.endpoints);
      }
    }
  }
}

TEST(Scopes, SeeTokensThatAskForAsMuchAndNoOthers) {
  RandomFleet fleet(51);
  const auto all = fleet.queries().ListAdminTokens(Scope::WholeFleet(), Everything())->rows;
  for (const std::string_view text : kScopes) {
    const Scope scope = Scope::Parse(text).value();
    std::vector<model::Id> expected;
    for (const AdminTokenRecord& token : all) {
      if (scope.Has(token.scope.labels())) expected.push_back(token.id);
    }
    std::vector<model::Id> listed;
    const auto page = fleet.queries().ListAdminTokens(scope, Everything());
    for (const AdminTokenRecord& token : page->rows) listed.push_back(token.id);
    EXPECT_EQ(listed, expected) << text;
  }
}

// The newest verdict and the interval that hold at a moment, from the events alone.
std::map<std::string, std::string> Replay(const std::vector<Said>& said, std::int64_t moment) {
  std::map<std::string, std::string> present;
  std::map<std::string, std::string> verdicts;
  for (const Said& event : said) {
    if (event.at > moment) continue;
    const std::string key = std::to_string(event.endpoint) + event.path;
    if (std::holds_alternative<model::SightingAppeared>(event.body)) present[key];
    if (std::holds_alternative<model::SightingGone>(event.body)) present.erase(key);
    if (const auto* const judged = std::get_if<model::SightingJudged>(&event.body)) {
      verdicts[key] =
          judged->verdict.rule + std::string(model::OutcomeName(judged->verdict.outcome));
    }
  }
  for (auto& [key, verdict] : present) verdict = verdicts[key];
  return present;
}

TEST(AsOf, IsTheReplayOfAllEventsUpToTheMoment) {
  for (std::uint64_t seed = 11; seed <= 14; ++seed) {
    RandomFleet fleet(seed);
    for (int i = 0; i < 400; ++i) fleet.Tell();
    std::map<model::Id, int> numbers;
    for (int n = 0; n < kEndpoints; ++n) numbers[RandomFleet::IdOf(n)] = n;
    for (int round = 0; round < 60; ++round) {
      SightingQuery query;
      query.page.as_of = fleet.Moment();
      query.page.size = base::limits::kMaxPageSize;
      const auto page = fleet.queries().ListSightings(Scope::WholeFleet(), query);
      ASSERT_TRUE(page.has_value()) << page.error().ToString();
      std::map<std::string, std::string> listed;
      for (const SightingRow& row : page->rows) {
        const std::string key = std::to_string(numbers.at(row.endpoint)) + row.sighting.path.bytes;
        ASSERT_FALSE(listed.contains(key));
        listed[key] =
            row.verdict.has_value()
                ? row.verdict->rule + std::string(model::OutcomeName(row.verdict->outcome))
                : "";
      }
      ASSERT_EQ(listed, Replay(fleet.said(), base::ToMicroseconds(*query.page.as_of)));
      ASSERT_EQ(page->total, page->rows.size());
    }
  }
}

// What is told of now, or of a moment, but for what is only ever known of now.
std::vector<std::string> Told(RandomFleet& fleet, const Scope& scope,
                              std::optional<base::WallTime> as_of) {
  std::vector<std::string> told;
  const auto put = [&](const NaiveRow& row) {
    std::string& line = told.emplace_back(row.name);
    for (const auto& [field, value] : row.values) {
      constexpr std::string_view kOfNow[] = {"events_stored", "events_dropped",
                                             "last_contact_time"};
      if (std::ranges::count(kOfNow, field) > 0) continue;
      line += " " + std::string(field) + "=";
      const auto* const text = std::get_if<std::string>(&value);
      line += text != nullptr ? *text : std::to_string(std::get<std::int64_t>(value));
    }
  };
  PageQuery page = Everything();
  page.as_of = as_of;
  const auto endpoints = fleet.queries().ListEndpoints(scope, {page, {}});
  for (const EndpointRow& row : endpoints->rows) {
    put(Naive(row));
    for (const model::Coverage& coverage : row.coverage) {
      told.back() += " " + coverage.root.bytes + std::string(CoverageStateName(coverage.state));
    }
    const auto alone = fleet.queries().GetEndpoint(scope, row.id, as_of);
    EXPECT_EQ(Naive(*alone), Naive(row));
  }
  for (const bool include_resolved : {false, true}) {
    const auto findings = fleet.queries().ListFindings(scope, include_resolved, page);
    for (const FindingRow& row : findings->rows) {
      told.push_back(std::to_string(row.id) + std::string(FindingStateName(row.state)));
    }
  }
  const auto policies = fleet.queries().ListPolicies(scope, page);
  for (const PolicyRow& row : policies->rows) put(Naive(row));
  const auto count = [&](const std::optional<model::Id>& endpoint) {
    const auto counts = fleet.queries().CountVerdicts(scope, endpoint, as_of);
    std::string& line = told.emplace_back("counts");
    for (const std::uint64_t number :
         {counts->allow, counts->warn, counts->deny, counts->pending, counts->coverage.endpoints,
          counts->coverage.looked, counts->coverage.partly, counts->coverage.none}) {
      line += " " + std::to_string(number);
    }
    for (const auto& [rule, number] : counts->audits) line += rule + std::to_string(number);
  };
  count(std::nullopt);
  for (const EndpointRow& row : endpoints->rows) count(row.id);
  return told;
}

TEST(AsOf, TellsWhatWasToldThen) {
  for (std::uint64_t seed = 61; seed <= 63; ++seed) {
    RandomFleet fleet(seed);
    fleet.Tell();  // after all that was published before
    const std::vector<Scope> scopes{Scope::WholeFleet(), Scope::Parse("site=berlin").value()};
    std::map<base::WallTime, std::vector<std::vector<std::string>>> then;
    const auto tell = [&](std::optional<base::WallTime> as_of) {
      std::vector<std::vector<std::string>> told;
      for (const Scope& scope : scopes) told.push_back(Told(fleet, scope, as_of));
      return told;
    };
    for (int step = 0; step < 300; ++step) {
      if (step == 155) fleet.RevokeTheLast();
      switch (fleet.random().Below(3)) {
        case 0:
          fleet.Tell();
          break;
        case 1:
          fleet.TellOfItself();
          break;
        default:
          fleet.TouchFinding();
      }
      if (step % 10 == 0) then[fleet.wall()] = tell(std::nullopt);
    }
    for (const auto& [moment, told] : then) {
      const auto again = tell(moment);
      for (std::size_t i = 0; i < scopes.size(); ++i) {
        ASSERT_EQ(again[i].size(), told[i].size());
        for (std::size_t j = 0; j < told[i].size(); ++j) {
          ASSERT_EQ(again[i][j], told[i][j]) << "seed " << seed << ", " << scopes[i].ToText();
        }
      }
    }
  }
}

TEST(AsOf, OfAnArtifactIsWhereItsSightingsAre) {
  RandomFleet fleet(71);
  for (int i = 0; i < 100; ++i) fleet.Tell();
  for (int round = 0; round < 20; ++round) {
    SightingQuery question;
    question.page = Everything();
    question.page.as_of = fleet.Moment();
    for (const Scope& scope : {Scope::WholeFleet(), Scope::Parse("team=ml").value()}) {
      std::map<model::Sha256, std::set<model::Id>> endpoints;
      std::map<model::Sha256, std::uint64_t> places;
      const auto sightings = fleet.queries().ListSightings(scope, question);
      for (const SightingRow& row : sightings->rows) {
        if (!row.sighting.digest.sha256) continue;
        ++places[*row.sighting.digest.sha256];
        endpoints[*row.sighting.digest.sha256].insert(row.endpoint);
      }
      const auto artifacts = fleet.queries().ListArtifacts(scope, question.page);
      std::uint64_t listed = 0;
      for (const ArtifactRow& row : artifacts->rows) {
        EXPECT_EQ(row.places, places[row.sha256]);
        EXPECT_EQ(row.endpoints, endpoints[row.sha256].size());
        EXPECT_LE(*row.first_seen, *question.page.as_of);
        listed += row.places;
      }
      std::uint64_t there = 0;
      for (const auto& [digest, count] : places) there += count;
      EXPECT_EQ(listed, there);
    }
  }
}

TEST(Lists, CountWhatAFilterLeavesUpToALimit) {
  RandomFleet fleet(3);
  for (std::size_t i = 60; i <= base::limits::kMaxCountedRows; ++i) fleet.AddAudit();
  PageQuery query;
  query.filter.emplace();
  query.filter->term = {query::FindField(query::AuditEntries(), "number"),
                        query::Comparison::kGreater, std::int64_t{0}};
  auto page = fleet.queries().ListAuditEntries(query);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->total, base::limits::kMaxCountedRows);
  EXPECT_TRUE(page->total_is_least);
  query.after = page->next;
  page = fleet.queries().ListAuditEntries(query);
  EXPECT_EQ(page->total, base::limits::kMaxCountedRows);
  EXPECT_TRUE(page->total_is_least);
  query = {};
  page = fleet.queries().ListAuditEntries(query);
  EXPECT_EQ(page->total, base::limits::kMaxCountedRows + 1);
  EXPECT_FALSE(page->total_is_least);
}

}  // namespace
}  // namespace weighmaster::server::store
