#include <functional>
#include <string>
#include <string_view>

#include "tests/bench/bench.h"
#include "tests/bench/big_store.h"
#include "tests/bench/endpoints.h"
#include "tests/support/keys.h"

namespace weighmaster::bench {
namespace {

using server::store::PageQuery;
using server::store::Queries;
using server::store::SightingQuery;
namespace query = server::query;

PageQuery Page(const query::List& list, std::string_view filter, std::string_view order) {
  PageQuery page;
  page.filter = Must(query::ParseFilter(list, filter));
  page.order = Must(query::ParseOrder(list, order));
  return page;
}

void PrintAnswer(std::string_view list, std::string_view question, double seconds, std::size_t rows,
                 std::uint64_t total) {
  std::printf(
      "{\"list\": \"%s\", \"question\": \"%s\", \"seconds\": %.6f, \"rows\": %zu, \"total\": "
      "%llu}\n",
      std::string(list).c_str(), std::string(question).c_str(), seconds, rows,
      static_cast<unsigned long long>(total));
}

// One question, asked `runs` times; the first, coldest one counts as the others do.
template <typename Ask>
void Measure(std::string_view list, std::string_view question, int runs, Ask ask) {
  for (int run = 0; run < runs; ++run) {
    const Stopwatch watch;
    const auto page = Must(ask());
    PrintAnswer(list, question, watch.Seconds(), page.rows.size(), page.total);
  }
  std::fflush(stdout);
}

struct Question {
  std::string_view filter;
  std::string_view order;
};

std::string NameOf(const Question& question) {
  std::string name(question.filter.empty() ? "all" : question.filter);
  if (!question.order.empty()) name += " by " + std::string(question.order);
  return name;
}

constexpr Question kOfEndpoints[] = {{"", ""},
                                     {"", "hostname"},
                                     {"", "last_contact_time desc"},
                                     {"", "denied desc"},
                                     {"hostname:777", ""},
                                     {"state = active AND denied > 2", ""},
                                     {"state = quarantined", ""},
                                     {"policy_version < 7", "sightings desc"}};
constexpr Question kOfSightings[] = {{"", ""},
                                     {"", "path"},
                                     {"", "path desc"},
                                     {"", "first_seen_time desc"},
                                     {"verdict = deny", ""},
                                     {"verdict != allow", ""},
                                     {"verdict = deny AND format = pickle", "path"},
                                     {"format = gguf", ""},
                                     {"risk_severity >= high", ""},
                                     {"risk_severity = critical", ""},
                                     {"path = '/srv/models/13/*'", ""},
                                     {"path:'model-777'", ""},
                                     {"path:'no such path'", ""},
                                     {"path = '*-77.bin'", "path"},
                                     {"hostname = laptop-777", ""},
                                     {"hostname:laptop-77", ""},
                                     {"hostname:laptop", ""},
                                     {"first_seen_time > 2026-11-01", ""},
                                     {"first_seen_time < 2026-01-02", ""},
                                     {"license = ''", ""}};
constexpr Question kOfFindings[] = {{"", ""},
                                    {"severity >= high", ""},
                                    {"severity = low", ""},
                                    {"subject:'/srv/models/'", ""},
                                    {"hostname = laptop-777", ""},
                                    {"state = open AND first_time > 2026-06-01", ""},
                                    {"", "last_time desc"},
                                    {"", "severity desc, last_time desc"}};
constexpr Question kOfArtifacts[] = {{"", ""},
                                     {"places > 30", ""},
                                     {"format = pickle AND license = mit", ""},
                                     {"", "places desc"},
                                     {"", "sha256"}};
constexpr Question kOfEvents[] = {
    {"", ""}, {"kind = sighting_judged", ""}, {"time < 2026-01-02", "time"}, {"", "number"}};
// Asked of several moments.
constexpr Question kOfMoments[] = {{"", ""},
                                   {"", "path"},
                                   {"verdict = deny", ""},
                                   {"path:'model-777'", ""},
                                   {"hostname = laptop-777", ""}};

// Of the other lists.
constexpr Question kOfPastEndpoints[] = {
    {"", ""}, {"coverage = looked", ""}, {"policy_version < 7", ""}, {"", "sightings desc"}};
constexpr Question kOfPastArtifacts[] = {{"", ""}, {"", "places desc"}, {"places > 30", ""}};

void AskOfAMoment(Queries& queries, int days, int runs) {
  const auto scope = server::store::Scope::WholeFleet();
  const base::WallTime moment = tests::kTestEpoch + std::chrono::days(days);
  const std::string day = "day " + std::to_string(days) + ": ";
  for (const Question& question : kOfPastEndpoints) {
    PageQuery page = Page(query::Endpoints(), question.filter, question.order);
    page.as_of = moment;
    Measure("as_of", day + "endpoints, " + NameOf(question), runs, [&] {
      return queries.ListEndpoints(scope, {page, {}});
    });
  }
  for (const Question& question : kOfPastArtifacts) {
    PageQuery page = Page(query::Artifacts(), question.filter, question.order);
    page.as_of = moment;
    Measure("as_of", day + "artifacts, " + NameOf(question), runs,
            [&] { return queries.ListArtifacts(scope, page); });
  }
  PageQuery all;
  all.as_of = moment;
  Measure("as_of", day + "open findings", runs,
          [&] { return queries.ListFindings(scope, false, all); });
  Measure("as_of", day + "policies", runs, [&] { return queries.ListPolicies(scope, all); });
  for (int run = 0; run < runs; ++run) {
    const Stopwatch watch;
    const auto counts = Must(queries.CountVerdicts(scope, std::nullopt, moment));
    PrintAnswer("verdict_counts", day + "all", watch.Seconds(), 1,
                counts.allow + counts.warn + counts.deny + counts.pending);
  }
}

void AskOfMoments(Queries& queries, int runs) {
  for (const int days : {1, 180, 360}) {
    AskOfAMoment(queries, days, runs);
    for (const Question& question : kOfMoments) {
      SightingQuery query;
      query.page = Page(query::Sightings(), question.filter, question.order);
      query.page.as_of = tests::kTestEpoch + std::chrono::days(days);
      Measure("as_of", "day " + std::to_string(days) + ": " + NameOf(question), runs,
              [&] { return queries.ListSightings(server::store::Scope::WholeFleet(), query); });
    }
    SightingQuery where;
    where.page.as_of = tests::kTestEpoch + std::chrono::days(days);
    where.sha256 = TellingEndpoint::CommonDigest();
    Measure("as_of", "day " + std::to_string(days) + ": where", runs,
            [&] { return queries.ListSightings(server::store::Scope::WholeFleet(), where); });
  }
}

}  // namespace

int Lists(const Arguments& arguments) {
  const auto store = OpenBigStore(arguments[0]);
  const auto queries = Must(store->OpenQueries());
  const int runs = std::stoi(arguments[1]);
  for (const Question& question : kOfEndpoints) {
    const PageQuery page = Page(query::Endpoints(), question.filter, question.order);
    Measure("endpoints", NameOf(question), runs, [&] {
      return queries->ListEndpoints(server::store::Scope::WholeFleet(), {page, {}});
    });
  }
  for (const Question& question : kOfSightings) {
    SightingQuery query;
    query.page = Page(query::Sightings(), question.filter, question.order);
    Measure("sightings", NameOf(question), runs,
            [&] { return queries->ListSightings(server::store::Scope::WholeFleet(), query); });
  }
  SightingQuery of_one;
  of_one.endpoint = EndpointId(777);
  Measure("sightings", "of one endpoint", runs,
          [&] { return queries->ListSightings(server::store::Scope::WholeFleet(), of_one); });
  for (const Question& question : kOfFindings) {
    const PageQuery page = Page(query::Findings(), question.filter, question.order);
    Measure("findings", NameOf(question), runs,
            [&] { return queries->ListFindings(server::store::Scope::WholeFleet(), false, page); });
  }
  for (const Question& question : kOfArtifacts) {
    const PageQuery page = Page(query::Artifacts(), question.filter, question.order);
    Measure("artifacts", NameOf(question), runs,
            [&] { return queries->ListArtifacts(server::store::Scope::WholeFleet(), page); });
  }
  for (const Question& question : kOfEvents) {
    const PageQuery page = Page(query::Events(), question.filter, question.order);
    Measure("events", NameOf(question), runs, [&] {
      return queries->ListEvents(server::store::Scope::WholeFleet(), EndpointId(777), page);
    });
  }
  SightingQuery where;
  where.sha256 = TellingEndpoint::CommonDigest();
  Measure("where", "the worst digest", runs,
          [&] { return queries->ListSightings(server::store::Scope::WholeFleet(), where); });
  AskOfMoments(*queries, runs);
  return 0;
}

}  // namespace weighmaster::bench
