#include "server/store/sqlite/sqlite_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/limits.h"
#include "server/store/sqlite/schema.h"
#include "tests/server/store/conformance.h"
#include "third_party/sqlite/database.h"
#include "weighmaster/v1/batch.pb.h"
#include "weighmaster/v1/exceptions.pb.h"

namespace weighmaster::server::store {
namespace {

std::unique_ptr<Store> OpenAt(const std::string& path) {
  auto store = SqliteStore::Open(path);
  EXPECT_TRUE(store.has_value()) << store.error().ToString();
  return store.has_value() ? *std::move(store) : nullptr;
}

class MemoryPlace final : public StorePlace {
 public:
  std::unique_ptr<Store> Open() override { return OpenAt(":memory:"); }
  bool lasts() const override { return false; }
};

class DiskPlace final : public StorePlace {
 public:
  DiskPlace() {
    std::string pattern = ::testing::TempDir() + "/weighmaster-store-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~DiskPlace() override { std::filesystem::remove_all(folder_); }
  DiskPlace(const DiskPlace&) = delete;
  DiskPlace& operator=(const DiskPlace&) = delete;

  std::unique_ptr<Store> Open() override { return OpenAt(path()); }
  bool lasts() const override { return true; }
  std::string path() const { return folder_ + "/server.db"; }

 private:
  std::string folder_;
};

INSTANTIATE_TEST_SUITE_P(SqliteInMemory, StoreConformance,
                         ::testing::Values([] { return std::make_unique<MemoryPlace>(); }));
INSTANTIATE_TEST_SUITE_P(SqliteOnDisk, StoreConformance,
                         ::testing::Values([] { return std::make_unique<DiskPlace>(); }));
INSTANTIATE_TEST_SUITE_P(SqliteInMemory, ScopeConformance,
                         ::testing::Values([] { return std::make_unique<MemoryPlace>(); }));
INSTANTIATE_TEST_SUITE_P(SqliteOnDisk, ScopeConformance,
                         ::testing::Values([] { return std::make_unique<DiskPlace>(); }));

TEST(SqliteStore, TakesOverTokensOfTheFirstVersionAsThoseOfAdmins) {
  const DiskPlace place;
  {
    auto file = sqlite::Database::Open(place.path());
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE((*file)->Migrate(kSchemaRoom, SchemaSteps().first(1)).has_value());
    ASSERT_TRUE((*file)
                    ->Execute("INSERT INTO admin_tokens (secret_sha256, name, created_us, "
                              "expires_us) VALUES (x'" +
                              tests::TestDigest(1).ToHex() + "', 'init', 7, NULL), (x'" +
                              tests::TestDigest(2).ToHex() + "', 'bo', 8, 9)")
                    .has_value());
  }
  const auto store = OpenAt(place.path());
  const auto queries = store->OpenQueries();
  const auto token = (*queries)->FindAdminToken(tests::TestDigest(1));
  ASSERT_TRUE(token.has_value()) << token.error().ToString();
  EXPECT_EQ(token->role, AdminRole::kAdmin);
  EXPECT_TRUE(token->scope.is_whole_fleet());
  EXPECT_EQ(base::ToMicroseconds(token->created), 7);
  EXPECT_FALSE(token->expires.has_value() || token->revoked.has_value());
  const auto page = (*queries)->ListAdminTokens(Scope::WholeFleet(), {});
  ASSERT_EQ(page->rows.size(), 2U);
  EXPECT_NE(page->rows[0].id, page->rows[1].id);
  EXPECT_EQ(base::ToMicroseconds(page->rows[1].expires.value()), 9);
}

// As version 3 wrote it: the facts and the verdict are in blobs alone.
void WriteVersion3(const std::string& path) {
  const auto file = sqlite::Database::Open(path);
  ASSERT_TRUE(file.has_value());
  ASSERT_TRUE((*file)->Migrate(kSchemaRoom, SchemaSteps().first(3)).has_value());
  ASSERT_TRUE((*file)
                  ->Execute("INSERT INTO endpoints (endpoint_id, state, hostname, os, os_release, "
                            "agent_version, machine_sha256, enrolled_us) VALUES (x'" +
                            tests::TestId(1).ToHex() + "', 1, 'host', 'linux', '', '', x'', 5)")
                  .has_value());
  const EventWrite seen(
      {tests::kTestEpoch, {}, {}, model::SightingAppeared{tests::TestSighting("/m/a", 1)}});
  const EventWrite judged(
      {tests::kTestEpoch,
       {},
       {},
       model::SightingJudged{{"/m/a"}, std::nullopt, tests::TestVerdict(model::Outcome::kDeny)}});
  {
    auto put = (*file)->Prepare(
        "INSERT INTO sightings (endpoint, path_sha256, path, path_encoding, path_display, "
        "sighting, "
        "first_seen_us, last_change_us) VALUES (1, ?, ?, 1, '/m/a', ?, 1, 1)");
    ASSERT_TRUE(put->Bind(seen.path_sha256.view())
                    .Bind(base::AsBytes("/m/a"))
                    .Bind(base::AsBytes(seen.blob))
                    .Run()
                    .has_value());
  }
  auto put = (*file)->Prepare("INSERT INTO verdicts VALUES (1, ?, 3, ?, 2)");
  ASSERT_TRUE(
      put->Bind(judged.path_sha256.view()).Bind(base::AsBytes(judged.blob)).Run().has_value());
}

TEST(SqliteStore, FindsSightingsOfVersion3ByTheirFactsAndVerdicts) {
  DiskPlace place;
  WriteVersion3(place.path());
  const auto store = OpenAt(place.path());
  const auto queries = store->OpenQueries();
  for (const std::string_view filter :
       {"format = gguf AND owner = ada AND size = 1000 AND digest_state = verified",
        "verdict = deny AND rule = default AND basis = verified"}) {
    SightingQuery query;
    query.page.filter = query::ParseFilter(query::Sightings(), filter).value();
    const auto page = (*queries)->ListSightings(Scope::WholeFleet(), query);
    ASSERT_TRUE(page.has_value()) << page.error().ToString();
    EXPECT_EQ(page->total, 1U) << filter;
    query.page.filter->kind = query::Filter::Kind::kNot;
    query.page.filter->parts = {query::ParseFilter(query::Sightings(), filter).value().value()};
    EXPECT_EQ((*queries)->ListSightings(Scope::WholeFleet(), query)->total, 0U) << filter;
  }
}

TEST(SqliteStore, EndsWhatWasPresentOnEndpointsThatVersion6Revoked) {
  DiskPlace place;
  WriteVersion3(place.path());
  {
    const auto file = sqlite::Database::Open(place.path());
    ASSERT_TRUE((*file)->Migrate(kSchemaRoom, SchemaSteps().first(6)).has_value());
    ASSERT_TRUE((*file)->Execute("UPDATE endpoints SET state = 2, revoked_us = 7").has_value());
  }
  const auto store = OpenAt(place.path());
  const auto queries = store->OpenQueries();
  EXPECT_EQ((*queries)->ListSightings(Scope::WholeFleet(), {})->total, 0U);
  SightingQuery all;
  all.include_gone = true;
  const auto rows = (*queries)->ListSightings(Scope::WholeFleet(), all)->rows;
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(base::ToMicroseconds(rows[0].gone.value()), 7);
}

TEST(SqliteStore, FindsVerdictsOfVersion6ByAllThatTheySay) {
  DiskPlace place;
  model::Verdict verdict = tests::TestVerdict(model::Outcome::kDeny);
  verdict.mode = model::Mode::kEnforce;
  verdict.severity = model::Severity::kCritical;
  verdict.step = model::JudgementStep::kAlwaysRule;
  verdict.audits = {"watch-nc", "watch-all"};
  const EventWrite judged(
      {tests::kTestEpoch, {}, {}, model::SightingJudged{{"/m/a"}, std::nullopt, verdict}});
  verdict.audits = {"watch"};
  const EventWrite before(
      {tests::kTestEpoch, {}, {}, model::SightingJudged{{"/m/a"}, std::nullopt, verdict}});
  WriteVersion3(place.path());
  {
    // As version 6 wrote them: filled but for what it had no columns for.
    const auto file = sqlite::Database::Open(place.path());
    ASSERT_TRUE((*file)->Migrate(kSchemaRoom, SchemaSteps().first(6)).has_value());
    auto newest = (*file)->Prepare("UPDATE verdicts SET rule = 'r', basis = 1, verdict = ?");
    ASSERT_TRUE(newest->Bind(base::AsBytes(judged.blob)).Run().has_value());
    auto past = (*file)->Prepare("INSERT INTO past_verdicts VALUES (1, ?, 1, 2, 3, 'r', 1, ?)");
    ASSERT_TRUE(
        past->Bind(before.path_sha256.view()).Bind(base::AsBytes(before.blob)).Run().has_value());
  }
  const auto store = OpenAt(place.path());
  const auto queries = store->OpenQueries();
  const auto count = [&](std::string_view filter, std::optional<base::WallTime> as_of) {
    SightingQuery query;
    query.page.as_of = as_of;
    query.page.filter = query::ParseFilter(query::Sightings(), filter).value();
    const auto page = (*queries)->ListSightings(Scope::WholeFleet(), query);
    EXPECT_TRUE(page.has_value()) << page.error().ToString();
    return page->total;
  };
  EXPECT_EQ(count("mode = enforce AND severity = critical AND step = always_rule", {}), 1U);
  EXPECT_EQ(count("audit = watch-nc AND audit = watch-all", {}), 1U);
  EXPECT_EQ(count("audit = watch", {}), 0U) << "a part of a word is not the word";
  EXPECT_EQ(count("audit = watch AND mode = enforce", base::WallTimeFromMicroseconds(1)), 1U);
}

TEST(SqliteStore, CountsFindingsOfVersion8WithoutTheirRows) {
  DiskPlace place;
  WriteVersion3(place.path());
  {
    const auto file = sqlite::Database::Open(place.path());
    ASSERT_TRUE((*file)->Migrate(kSchemaRoom, SchemaSteps().first(8)).has_value());
    ASSERT_TRUE(
        (*file)
            ->Execute("INSERT INTO findings (dedupe_key, rule, endpoint, subject, severity, "
                      "detail, first_us, last_us, count, state) VALUES "
                      "('a', 'r', 1, '', 5, '', 1, 1, 1, 1), "
                      "('b', 'r', 1, '', 5, '', 1, 1, 1, 1), "
                      "('c', 'r', 1, '', 2, '', 1, 1, 1, 4)")
            .has_value());
  }
  const auto store = OpenAt(place.path());
  const auto queries = store->OpenQueries();
  const auto numbers = (*queries)->Statistics(Scope::WholeFleet());
  ASSERT_TRUE(numbers.has_value()) << numbers.error().ToString();
  ASSERT_EQ(numbers->findings.size(), 2U);
  EXPECT_EQ(numbers->findings[0].state, FindingState::kOpen);
  EXPECT_EQ(numbers->findings[0].severity, model::Severity::kCritical);
  EXPECT_EQ(numbers->findings[0].findings, 2U);
  EXPECT_EQ(numbers->findings[1].state, FindingState::kDismissed);
  EXPECT_EQ(numbers->findings[1].findings, 1U);

  const auto file = sqlite::Database::Open(place.path());
  for (const std::string where : {"state > 0", "state > 0 AND endpoint IN (SELECT 1)"}) {
    auto plan = (*file)->Prepare(
        "EXPLAIN QUERY PLAN SELECT state, severity, count(*) FROM findings WHERE " + where +
        " GROUP BY state, severity ORDER BY state, severity");
    ASSERT_TRUE(plan->Step().value());
    EXPECT_NE(plan->Text(3).find("COVERING INDEX findings_counted"), std::string::npos)
        << plan->Text(3);
  }
}

TEST(SqliteStore, TellsOfVersion8WhatIsKnownOfItsPast) {
  DiskPlace place;
  WriteVersion3(place.path());
  model::Exception exception;
  exception.id = tests::TestId(5);
  exception.overrides = "default";
  exception.reason = "why";
  exception.expires = tests::kTestEpoch + std::chrono::hours(1);
  {
    const auto file = sqlite::Database::Open(place.path());
    ASSERT_TRUE((*file)->Migrate(kSchemaRoom, SchemaSteps().first(8)).has_value());
    ASSERT_TRUE(
        (*file)
            ->Execute(
                "UPDATE endpoints SET policy_version = 7, last_contact_us = 500, enrolled_us "
                "= 100;"
                "INSERT INTO keys (endpoint, key_id, spki, added_us) SELECT id, randomblob(32), "
                "x'', 100 FROM endpoints;"
                "INSERT INTO findings (id, dedupe_key, rule, endpoint, subject, severity, "
                "detail, first_us, last_us, count, state) VALUES "
                "(1, 'a', 'r', 1, '', 5, '', 200, 900, 1, 3);"
                "INSERT INTO finding_comments (finding, time_us, token_id, token_name, state, "
                "text) VALUES (1, 600, x'', '', 3, '')")
            .has_value());
    const wire::SignedDocument signed_set =
        tests::SignExceptions(tests::MakeExceptionSet(1, {exception}));
    v1::SignedExceptions message;
    wire::ToProto(signed_set, message);
    auto add = (*file)->Prepare(
        "INSERT INTO exception_sets (scope, version, signed_exceptions, published_us) "
        "VALUES (x'', 1, ?, 300)");
    ASSERT_TRUE(add->Bind(base::AsBytes(message.SerializeAsString())).Run().has_value());
  }
  const auto store = OpenAt(place.path());
  const auto queries = store->OpenQueries();
  const auto at = [](std::int64_t us) {
    PageQuery page;
    page.as_of = base::WallTimeFromMicroseconds(us);
    return page;
  };
  const Scope all = Scope::WholeFleet();
  const auto endpoints = (*queries)->ListEndpoints(all, {at(499), {}});
  ASSERT_TRUE(endpoints.has_value()) << endpoints.error().ToString();
  EXPECT_EQ((*queries)->ListEndpoints(all, {at(499), {}})->rows.at(0).policy_version, 0U);
  EXPECT_EQ((*queries)->ListEndpoints(all, {at(500), {}})->rows.at(0).policy_version, 7U);
  EXPECT_EQ((*queries)->ListFindings(all, true, at(599))->rows.at(0).state, FindingState::kOpen);
  EXPECT_EQ((*queries)->ListFindings(all, true, at(600))->rows.at(0).state,
            FindingState::kAcknowledged);
  const auto granted = (*queries)->ListExceptions(all, {at(300), false, {}});
  ASSERT_EQ(granted->rows.size(), 1U);
  EXPECT_EQ(granted->rows[0].exception, exception);
  EXPECT_EQ(granted->rows[0].version, 1U);
  EXPECT_EQ((*queries)->ListExceptions(all, {at(299), false, {}})->total, 0U);
}

TEST(SqliteStore, TellsOfVersion10WhatWasJudgedOfWhatWent) {
  DiskPlace place;
  WriteVersion3(place.path());
  const EventWrite before(
      {tests::kTestEpoch,
       {},
       {},
       model::SightingJudged{{"/m/a"}, std::nullopt, tests::TestVerdict(model::Outcome::kWarn)}});
  {
    // At the path was one file from 1 to 5 and is another since then; a warning of 2 became at 7
    // what is held against it now.
    const auto file = sqlite::Database::Open(place.path());
    ASSERT_TRUE((*file)->Migrate(kSchemaRoom, SchemaSteps().first(10)).has_value());
    ASSERT_TRUE((*file)
                    ->Execute("UPDATE sightings SET gone_us = 5;"
                              "INSERT INTO sightings (endpoint, path_sha256, path, path_encoding, "
                              "path_display, sighting, first_seen_us, last_change_us) SELECT "
                              "endpoint, path_sha256, path, path_encoding, path_display, sighting, "
                              "5, 5 FROM sightings;"
                              "UPDATE verdicts SET judged_us = 7")
                    .has_value());
    auto past = (*file)->Prepare(
        "INSERT INTO past_verdicts (endpoint, path_sha256, from_us, until_us, outcome, rule, "
        "basis, verdict) VALUES (1, ?, 2, 7, 2, '', 1, ?)");
    ASSERT_TRUE(
        past->Bind(before.path_sha256.view()).Bind(base::AsBytes(before.blob)).Run().has_value());
  }
  const auto store = OpenAt(place.path());
  const auto queries = store->OpenQueries();
  const auto outcome = [](const SightingRow& row) {
    return row.verdict ? std::optional(row.verdict->outcome) : std::nullopt;
  };
  SightingQuery all;
  all.include_gone = true;
  const auto rows = (*queries)->ListSightings(Scope::WholeFleet(), all)->rows;
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(outcome(rows[0]), model::Outcome::kWarn);
  EXPECT_EQ(outcome(rows[1]), model::Outcome::kDeny);
  for (const std::string_view filter : {"verdict = warn AND present = false", "verdict = deny"}) {
    all.page.filter = query::ParseFilter(query::Sightings(), filter).value();
    EXPECT_EQ((*queries)->ListSightings(Scope::WholeFleet(), all)->total, 1U) << filter;
  }
  for (const auto& [us, expected] : {std::pair(1, std::optional<model::Outcome>()),
                                     std::pair(2, std::optional(model::Outcome::kWarn)),
                                     std::pair(6, std::optional(model::Outcome::kWarn)),
                                     std::pair(7, std::optional(model::Outcome::kDeny))}) {
    SightingQuery then;
    then.page.as_of = base::WallTimeFromMicroseconds(us);
    const auto page = (*queries)->ListSightings(Scope::WholeFleet(), then);
    ASSERT_EQ(page->rows.size(), 1U);
    EXPECT_EQ(outcome(page->rows[0]), expected) << us;
    const auto counts = (*queries)->CountVerdicts(Scope::WholeFleet(), {}, then.page.as_of);
    ASSERT_TRUE(counts.has_value()) << counts.error().ToString();
    EXPECT_EQ(counts->pending, expected ? 0U : 1U) << us;
    EXPECT_EQ(counts->warn, expected == model::Outcome::kWarn ? 1U : 0U) << us;
    EXPECT_EQ(counts->deny, expected == model::Outcome::kDeny ? 1U : 0U) << us;
  }
}

TEST(SqliteStore, ReadersSeeTheLastCommitWhileTheWriterWrites) {
  DiskPlace place;
  const auto store = place.Open();
  const auto queries = store->OpenQueries();
  ASSERT_TRUE(queries.has_value());
  auto other = sqlite::Database::Open(place.path());
  ASSERT_TRUE(other.has_value());
  auto transaction = sqlite::Transaction::Begin(**other);
  ASSERT_TRUE(transaction.has_value());
  const auto coverage = (*queries)->Coverage(Scope::WholeFleet());
  ASSERT_TRUE(coverage.has_value()) << coverage.error().ToString();
  EXPECT_EQ(coverage->endpoints, 0U);
}

class SqliteStoreOnDisk : public StoreConformance {
 protected:
  // The file, for what no public call can do to it.
  DiskPlace& place() { return static_cast<DiskPlace&>(*place_); }
};

TEST_P(SqliteStoreOnDisk, WhatWasTakenBackWithABatchIsNotRememberedForTheNext) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  Commit({Write(endpoint, script.Start())});
  {
    const auto other = sqlite::Database::Open(place().path());
    ASSERT_TRUE((*other)
                    ->Execute("CREATE TRIGGER refuse BEFORE INSERT ON sightings "
                              "WHEN NEW.path_display = '/m/refused' "
                              "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END")
                    .has_value());
  }
  const auto seen = [](const char* path, int content) {
    return model::EventBody(model::SightingAppeared{tests::TestSighting(path, content)});
  };
  const auto refused = script.Seal({seen("/m/refused", 1)});
  const auto outcomes = Commit({Write(endpoint, refused)});
  EXPECT_EQ(outcomes.at(0).kind, Kind::kRefused);
  // Another endpoint names a new model, and then the one whose number was taken back.
  const model::Id second = Enrol(2);
  tests::EndpointScript others(tests::TestKey(12), tests::TestId(0xc2));
  Commit({Write(endpoint, refused), Write(second, others.Start()),
          Write(second, others.Seal({seen("/m/b", 2), seen("/m/a", 1)}))});
  for (const auto& [content, path] : {std::pair(1, "/m/a"), std::pair(2, "/m/b")}) {
    SightingQuery where;
    where.sha256 = tests::TestDigest(content);
    const auto found = queries_->ListSightings(Scope::WholeFleet(), where);
    ASSERT_TRUE(found.has_value());
    ASSERT_EQ(found->rows.size(), 1U);
    EXPECT_EQ(found->rows[0].sighting.path.bytes, path);
  }
}
INSTANTIATE_TEST_SUITE_P(Sqlite, SqliteStoreOnDisk,
                         ::testing::Values([] { return std::make_unique<DiskPlace>(); }));

// No query of the product reads evidence, so it is looked for in the file, as whoever investigates
// would.
class SqliteEvidence : public StoreConformance {
 protected:
  struct Kept {
    model::Id chain;
    std::uint64_t number = 0;
    model::Sha256 digest;
    QuarantineReason reason = {};
    std::string bytes;
    bool operator==(const Kept&) const = default;
  };

  SqliteEvidence() {
    auto opened = sqlite::Database::Open(static_cast<const DiskPlace&>(*place_).path());
    EXPECT_TRUE(opened.has_value()) << opened.error().ToString();
    file_ = *std::move(opened);
  }

  // What a quarantined batch must look like in the file.
  static Kept Expected(const wire::SealedBatch& batch, QuarantineReason reason) {
    const auto header = wire::ParseHeader(batch.header);
    EXPECT_TRUE(header.has_value());
    v1::SealedBatch message;
    wire::ToProto(batch, message);
    return {header->chain, header->number, wire::HeaderDigest(batch.header), reason,
            message.SerializeAsString()};
  }

  // In the order in which they came.
  std::vector<Kept> EvidenceOf(const model::Id& endpoint) {
    auto find = file_->Prepare(
        "SELECT chain_id, number, header_digest, reason, sealed_batch FROM quarantined_batches "
        "WHERE endpoint = (SELECT id FROM endpoints WHERE endpoint_id = ?) ORDER BY id");
    EXPECT_TRUE(find.has_value()) << find.error().ToString();
    find->Bind(endpoint.view());
    std::vector<Kept> all;
    while (find->Step().value()) {
      all.push_back(
          {model::IdFromBytes(find->Blob(0)).value(), static_cast<std::uint64_t>(find->Int(1)),
           model::Sha256FromBytes(find->Blob(2)).value(),
           static_cast<QuarantineReason>(find->Int(3)), std::string(base::AsText(find->Blob(4)))});
    }
    return all;
  }

  // The header and the signature of the batch of this number that is stored in its chain.
  std::pair<std::string, std::string> InChain(const model::Id& chain, std::int64_t number) {
    auto find = file_->Prepare(
        "SELECT b.header, b.signature FROM batches b JOIN chains c ON c.id = b.chain "
        "WHERE c.chain_id = ? AND b.number = ?");
    EXPECT_TRUE(find.has_value()) << find.error().ToString();
    find->Bind(chain.view()).Bind(number);
    if (!find->Step().value()) return {};
    return {std::string(base::AsText(find->Blob(0))), std::string(base::AsText(find->Blob(1)))};
  }

  std::unique_ptr<sqlite::Database> file_;
};
INSTANTIATE_TEST_SUITE_P(SqliteOnDisk, SqliteEvidence,
                         ::testing::Values([] { return std::make_unique<DiskPlace>(); }));

TEST_P(SqliteEvidence, HoldsBothSidesOfAnEquivocationWholeAndEachOnce) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  const wire::ChainPosition before = script.position();
  const auto truth = script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)}});
  script.position() = before;
  const auto lie = script.Seal({model::SightingAppeared{tests::TestSighting("/m/b", 2)}});
  script.position() = before;
  const auto other = script.Seal({model::SightingAppeared{tests::TestSighting("/m/c", 3)}});
  CommitOne(endpoint, truth);
  for (const auto& batch : {lie, other, lie, truth, other}) CommitOne(endpoint, batch);

  const std::vector<Kept> expected = {Expected(lie, QuarantineReason::kEquivocation),
                                      Expected(other, QuarantineReason::kEquivocation)};
  EXPECT_EQ(EvidenceOf(endpoint), expected);
  const auto [header, signature] = InChain(tests::TestId(0xc1), 2);
  EXPECT_EQ(header, truth.header);
  EXPECT_EQ(signature, base::AsText(base::ByteView(truth.signature)));

  // It convicts by itself: what was kept is the endpoint's own signature.
  v1::SealedBatch message;
  ASSERT_TRUE(message.ParseFromString(EvidenceOf(endpoint).at(0).bytes));
  const auto kept = wire::FromProto(message);
  ASSERT_TRUE(kept.has_value()) << kept.error().ToString();
  EXPECT_TRUE(wire::VerifyBatch(*kept, tests::TestKey(11).public_key()).has_value());
}

TEST_P(SqliteEvidence, HoldsWhatNamesAnotherPredecessor) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  const wire::ChainPosition begin = script.position();
  const auto no_start = script.Seal({model::BodiesDropped{}});
  EXPECT_EQ(CommitOne(endpoint, no_start), Kind::kBrokenChain);
  script.position() = begin;
  CommitOne(endpoint, script.Start());
  const wire::ChainPosition honest = script.position();
  script.position().previous = tests::TestDigest(7);
  const auto elsewhere = script.Seal({model::BodiesDropped{}});
  script.position() = honest;
  script.position().next_event = 9;
  const auto skipping = script.Seal({model::BodiesDropped{}});
  for (const auto& batch : {elsewhere, skipping, elsewhere}) {
    EXPECT_EQ(CommitOne(endpoint, batch), Kind::kBrokenChain);
  }
  const std::vector<Kept> expected = {Expected(no_start, QuarantineReason::kBrokenChain),
                                      Expected(elsewhere, QuarantineReason::kBrokenChain),
                                      Expected(skipping, QuarantineReason::kBrokenChain)};
  EXPECT_EQ(EvidenceOf(endpoint), expected);
}

TEST_P(SqliteEvidence, HoldsWhatARevokedKeySigned) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  ASSERT_TRUE(store_->Revoke(Scope::WholeFleet(), endpoint, "lost", tests::kTestEpoch).has_value());
  const auto later = script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)}});
  for (int i = 0; i < 2; ++i) EXPECT_EQ(CommitOne(endpoint, later), Kind::kQuarantined);
  const std::vector<Kept> expected = {Expected(later, QuarantineReason::kRevokedKey)};
  EXPECT_EQ(EvidenceOf(endpoint), expected);
}

TEST_P(SqliteEvidence, HoldsTheCloneAndAllThatEitherChainSaysAfterwards) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript one(tests::TestKey(11), tests::TestId(0xc1));
  tests::EndpointScript two(tests::TestKey(11), tests::TestId(0xc2), 2);
  CommitOne(endpoint, one.Start());
  const auto clone = two.Start();
  const auto after = one.Seal({model::BodiesDropped{}});
  EXPECT_EQ(CommitOne(endpoint, clone), Kind::kClone);
  EXPECT_EQ(CommitOne(endpoint, after), Kind::kQuarantined);
  const std::vector<Kept> expected = {Expected(clone, QuarantineReason::kClone),
                                      Expected(after, QuarantineReason::kEndpoint)};
  EXPECT_EQ(EvidenceOf(endpoint), expected);
}

TEST_P(SqliteEvidence, HoldsNoMoreOfAnEndpointThanTheLimitAndStillThatOfOthers) {
  const model::Id full = Enrol(1);
  const model::Id other = Enrol(2);
  ASSERT_TRUE(file_
                  ->Execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
                            "i < " +
                            std::to_string(base::limits::kMaxQuarantinedBatches - 1) +
                            ") INSERT INTO quarantined_batches (endpoint, chain_id, number, "
                            "header_digest, reason, sealed_batch, received_us) "
                            "SELECT (SELECT min(id) FROM endpoints), x'00', i, x'00', 3, x'00', 0 "
                            "FROM n")
                  .has_value());
  auto count = file_->Prepare("SELECT count(*) FROM quarantined_batches");
  ASSERT_TRUE(count.has_value());
  const auto kept = [&] {
    EXPECT_TRUE(count->Step().value());
    const std::int64_t rows = count->Int(0);
    EXPECT_FALSE(count->Step().value());
    return static_cast<std::size_t>(rows);
  };
  ASSERT_EQ(kept(), base::limits::kMaxQuarantinedBatches - 1);

  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  EXPECT_EQ(CommitOne(full, script.Seal({model::BodiesDropped{}})), Kind::kBrokenChain);
  EXPECT_EQ(kept(), base::limits::kMaxQuarantinedBatches) << "up to the limit";
  tests::EndpointScript again(tests::TestKey(11), tests::TestId(0xc2));
  EXPECT_EQ(CommitOne(full, again.Seal({model::BodiesDropped{}})), Kind::kBrokenChain);
  EXPECT_EQ(kept(), base::limits::kMaxQuarantinedBatches) << "and not past it";
  tests::EndpointScript third(tests::TestKey(12), tests::TestId(0xc3));
  EXPECT_EQ(CommitOne(other, third.Seal({model::BodiesDropped{}})), Kind::kBrokenChain);
  EXPECT_EQ(EvidenceOf(other).size(), 1U);
}

}  // namespace
}  // namespace weighmaster::server::store
