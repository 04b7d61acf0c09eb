#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/journal/journal.h"
#include "agent/journal/state_file.h"
#include "policy/base/check.h"
#include "policy/base/random.h"
#include "tests/support/keys.h"
#include "tests/support/sim_loop.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::agent::journal {

// A journal over a real file that can be killed and opened again.
class JournalFixture {
 public:
  explicit JournalFixture(Limits limits = {}, std::uint64_t seed = 1)
      : limits_(limits), random(seed) {
    Open();
  }

  void Open() {
    auto opened = OpenStateFile(folder / "state.db");
    WM_CHECK(opened.has_value());
    database = std::move(opened).value();
    auto made = OpenJournal();
    WM_CHECK(made.has_value());
    journal = std::move(made).value();
  }
  void Kill() {
    journal.reset();
    database.reset();
  }
  void Reopen() {
    Kill();
    Open();
  }

  base::Result<std::unique_ptr<Journal>> OpenJournal() {
    Journal::Options options;
    options.boot_id = model::Id{{1}};
    options.report_drop = [](model::PriorityClass priority, std::uint64_t count) {
      return "dropped " + std::string(model::PriorityClassName(priority)) + " " +
             std::to_string(count);
    };
    options.limits = limits_;
    return Journal::Open(*database, loop, random, key, std::move(options));
  }

  base::Status Append(model::PriorityClass priority, const std::string& body) {
    WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database));
    WM_RETURN_IF_ERROR(journal->Append(transaction, priority, body));
    return transaction.Commit();
  }

  base::Status Acknowledge(std::uint64_t number) {
    WM_ASSIGN_OR_RETURN(const auto batch, journal->Read(number));
    WM_CHECK(batch.has_value());
    return journal->Acknowledge(journal->head().chain, number, wire::HeaderDigest(batch->header));
  }

  void SealAll() {
    while (journal->Seal().value()) {
    }
  }

  // Every kept batch from `first` on verifies and follows the one before it.
  std::vector<wire::BatchHeader> VerifiedHeaders(std::uint64_t first) {
    std::vector<wire::BatchHeader> headers;
    std::optional<model::Sha256> previous;
    for (std::uint64_t n = first; n <= journal->head().number; ++n) {
      const auto batch = journal->Read(n);
      WM_CHECK(batch.has_value() && batch->has_value());
      const auto header = wire::VerifyBatch(**batch, key.public_key());
      WM_CHECK(header.has_value() && header->number == n);
      WM_CHECK(header->chain == journal->head().chain);
      if (n > first) {
        WM_CHECK(header->previous == previous);
        WM_CHECK(header->first_event == headers.back().first_event + headers.back().event_count);
      }
      previous = wire::HeaderDigest((*batch)->header);
      headers.push_back(*header);
    }
    WM_CHECK(headers.empty() || previous == journal->head().header_digest);
    return headers;
  }

  std::vector<std::string> BodiesOf(std::uint64_t number) {
    std::vector<std::string> bodies;
    const auto batch = journal->Read(number);
    WM_CHECK(batch.has_value() && batch->has_value());
    for (const wire::BatchEvent& event : (*batch)->events) bodies.push_back(event.body);
    return bodies;
  }

  std::vector<std::string> AllBodies() {
    std::vector<std::string> bodies;
    for (std::uint64_t n = journal->OldestKept().value(); n <= journal->head().number; ++n) {
      for (std::string& body : BodiesOf(n)) bodies.push_back(std::move(body));
    }
    return bodies;
  }

  const Limits limits_;
  tests::TempFolder folder;
  tests::SimLoop loop;
  base::SeededRandom random;
  const openssl::PrivateKey& key = tests::TestKey(10);
  std::unique_ptr<sqlite::Database> database;
  std::unique_ptr<Journal> journal;
};

}  // namespace weighmaster::agent::journal
