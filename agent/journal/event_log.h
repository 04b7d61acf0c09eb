#pragma once

#include <cstdint>
#include <string>

#include "agent/journal/journal.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/event.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::agent::journal {

// Gives events the time of this moment and this boot, and makes their bytes. A cheap value; the
// clock must outlive it.
class EventStamp {
 public:
  EventStamp(const base::Clock& clock, model::Id boot_id) : clock_(&clock), boot_id_(boot_id) {}

  std::string Serialise(model::EventBody body) const;
  // What a Journal is given to tell of its drops.
  Journal::DropReporter MakeDropReporter() const;

 private:
  const base::Clock* clock_;
  model::Id boot_id_;
};

// The thin layer by which the rooms that know events write them: stamped, serialised, in the class
// that the event has, inside the transaction that changes the state it tells of. Owned by the loop;
// the journal must outlive it.
class EventLog {
 public:
  EventLog(Journal& journal, EventStamp stamp) : journal_(journal), stamp_(stamp) {}

  base::Status Append(sqlite::Transaction& transaction, model::EventBody body);

  // Begins a chain whose first event says why, and names the old head. Waiting events and those of
  // batches above `told_up_to` are told in the new chain (Journal::StartChain).
  base::Status StartChain(model::ChainReason reason, std::uint64_t told_up_to);

 private:
  Journal& journal_;
  const EventStamp stamp_;
};

}  // namespace weighmaster::agent::journal
