#pragma once

#include <memory>
#include <string>

#include "agent/journal/event_log.h"
#include "agent/journal/journal.h"
#include "policy/base/random.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "third_party/openssl/key.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::agent::app {

// The agent's memory on disk, open, with a chain begun. In the order in which they stand on each
// other.
struct State {
  std::unique_ptr<sqlite::Database> database;
  std::unique_ptr<journal::Journal> journal;
  std::unique_ptr<journal::EventLog> events;
};

struct StateSetting {
  std::string path;  // of state.db
  model::Id boot_id;
  // The endpoint's key was made just now. Whoever had a key before had a journal too: where there
  // is none any more, whatever took it, the new chain says journal_lost. A second chain that called
  // itself the key's first would be taken for a clone's.
  bool first_run = false;
  const base::Clock& clock;
  base::Random& random;
  const openssl::Signer& signer;
};

// A file that is damaged, or whose journal contradicts itself, is moved aside, which is logged, and
// begun anew.
base::Result<State> OpenState(const StateSetting& setting);

}  // namespace weighmaster::agent::app
