#pragma once

#include <memory>
#include <string>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::agent::journal {

// Opens the agent's one state database (docs/formats/journal.md), creates it when it is not there,
// and reads all of it once to see whether it is whole. DATA_LOSS: it is damaged, and the message
// says what to do about it; the caller moves it aside, begins a new file, and starts a new chain
// with ChainReason::kJournalLost.
base::Result<std::unique_ptr<sqlite::Database>> OpenStateFile(const std::string& path);

// Renames the file and what SQLite keeps beside it to "<path>.damaged-<microseconds>", so that a
// person can look at it later. Returns the new name.
base::Result<std::string> MoveStateFileAside(const std::string& path, base::WallTime now);

}  // namespace weighmaster::agent::journal
