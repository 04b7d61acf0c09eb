#include "agent/journal/journal.h"

#include <array>
#include <utility>

#include "policy/base/check.h"

namespace weighmaster::agent::journal {
namespace {

constexpr std::string_view kSchema[] = {
    R"(
CREATE TABLE journal (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  chain BLOB,
  next_number INTEGER NOT NULL DEFAULT 1,
  next_event INTEGER NOT NULL DEFAULT 1,
  head_digest BLOB,
  acknowledged_number INTEGER NOT NULL DEFAULT 0,
  pending_bytes INTEGER NOT NULL DEFAULT 0,
  unacknowledged_bytes INTEGER NOT NULL DEFAULT 0,
  acknowledged_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO journal (id) VALUES (1);
CREATE TABLE batches (
  number INTEGER PRIMARY KEY,
  priority INTEGER NOT NULL,
  event_count INTEGER NOT NULL,
  header BLOB NOT NULL,
  signature BLOB NOT NULL,
  header_digest BLOB NOT NULL,
  body_bytes INTEGER NOT NULL,
  acknowledged_time_us INTEGER
) STRICT;
CREATE INDEX batches_to_drop ON batches (priority, number)
  WHERE acknowledged_time_us IS NULL AND body_bytes > 0;
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY,
  priority INTEGER NOT NULL,
  body BLOB NOT NULL,
  salt BLOB,
  batch INTEGER
) STRICT;
CREATE INDEX events_pending ON events (priority, sequence) WHERE batch IS NULL;
CREATE INDEX events_sealed ON events (batch, sequence) WHERE batch IS NOT NULL;
CREATE TABLE drops (
  priority INTEGER PRIMARY KEY,
  events INTEGER NOT NULL,
  told_events INTEGER NOT NULL DEFAULT 0
) STRICT;
)"};

// What a sealed event costs in a batch beside its body: salt, tags and lengths.
constexpr std::uint64_t kEventOverheadBytes = 32;
// Header, signature and their framing, generously.
constexpr std::uint64_t kHeaderAllowanceBytes = 4096;

constexpr std::array kClasses = {model::PriorityClass::kControl, model::PriorityClass::kVerdict,
                                 model::PriorityClass::kInventory, model::PriorityClass::kActivity};

std::int64_t Signed(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::uint64_t Unsigned(std::int64_t value) { return static_cast<std::uint64_t>(value); }
std::int64_t Signed(model::PriorityClass priority) { return static_cast<std::int64_t>(priority); }

std::optional<base::ByteView> ViewOf(const std::optional<model::Sha256>& digest) {
  if (!digest.has_value()) return std::nullopt;
  return digest->view();
}

base::Error DamagedHead(std::string detail) {
  return base::DataLoss("the journal in the state file contradicts itself (" + std::move(detail) +
                        "); move the state file aside and start the agent again");
}

}  // namespace

Journal::Journal(sqlite::Database& database, const base::Clock& clock, base::Random& random,
                 const openssl::Signer& signer, Options options)
    : database_(database),
      clock_(clock),
      random_(random),
      signer_(signer),
      options_(std::move(options)) {}

base::Result<std::unique_ptr<Journal>> Journal::Open(sqlite::Database& database,
                                                     const base::Clock& clock, base::Random& random,
                                                     const openssl::Signer& signer,
                                                     Options options) {
  WM_RETURN_IF_ERROR(database.Migrate("journal", kSchema));
  std::unique_ptr<Journal> journal(
      new Journal(database, clock, random, signer, std::move(options)));
  WM_ASSIGN_OR_RETURN(const State state, journal->LoadState());
  WM_RETURN_IF_ERROR(journal->CheckHead(state));
  journal->Adopt(state);
  return journal;
}

base::Result<Journal::State> Journal::LoadState() {
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement find,
      database_.Prepare("SELECT chain, next_number, next_event, head_digest, acknowledged_number, "
                        "pending_bytes, unacknowledged_bytes, acknowledged_bytes FROM journal"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Step());
  if (!found) return DamagedHead("its one row is missing");
  State state;
  if (!find.IsNull(0)) {
    WM_ASSIGN_OR_RETURN(state.chain, model::IdFromBytes(find.Blob(0)));
  }
  state.next_number = Unsigned(find.Int(1));
  state.next_event = Unsigned(find.Int(2));
  if (!find.IsNull(3)) {
    WM_ASSIGN_OR_RETURN(state.head_digest, model::Sha256FromBytes(find.Blob(3)));
  }
  state.acknowledged_number = Unsigned(find.Int(4));
  state.pending_bytes = Unsigned(find.Int(5));
  state.unacknowledged_bytes = Unsigned(find.Int(6));
  state.acknowledged_bytes = Unsigned(find.Int(7));
  return state;
}

base::Status Journal::StoreState(const State& state) {
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement put,
      database_.Prepare("UPDATE journal SET chain = ?, next_number = ?, next_event = ?, "
                        "head_digest = ?, acknowledged_number = ?, pending_bytes = ?, "
                        "unacknowledged_bytes = ?, acknowledged_bytes = ?"));
  if (state.chain.has_value()) {
    put.Bind(state.chain->view());
  } else {
    put.BindNull();
  }
  return put.Bind(Signed(state.next_number))
      .Bind(Signed(state.next_event))
      .Bind(ViewOf(state.head_digest))
      .Bind(Signed(state.acknowledged_number))
      .Bind(Signed(state.pending_bytes))
      .Bind(Signed(state.unacknowledged_bytes))
      .Bind(Signed(state.acknowledged_bytes))
      .Run();
}

void Journal::Adopt(const State& state) {
  head_ = Head{state.chain.value_or(model::Id{}), state.next_number - 1, state.head_digest};
  acknowledged_number_ = state.acknowledged_number;
  last_error_.reset();
}

base::Status Journal::CheckHead(const State& state) {
  WM_ASSIGN_OR_RETURN(sqlite::Statement newest,
                      database_.Prepare("SELECT number, header FROM batches "
                                        "ORDER BY number DESC LIMIT 1"));
  WM_ASSIGN_OR_RETURN(const bool found, newest.Step());
  if (!found) {
    const bool all_retired = state.acknowledged_number + 1 == state.next_number;
    return all_retired ? base::Status() : DamagedHead("batches that are not stored are missing");
  }
  if (Unsigned(newest.Int(0)) + 1 != state.next_number) {
    return DamagedHead("the newest batch is not the head");
  }
  if (wire::HeaderDigest(base::AsText(newest.Blob(1))) != state.head_digest) {
    return DamagedHead("the newest header has another digest");
  }
  return {};
}

template <typename T>
T Journal::Noted(T result) {
  if (!result.has_value() && result.error().code() != base::ErrorCode::kFailedPrecondition) {
    last_error_ = result.error();
  }
  return result;
}

base::Status Journal::Append(sqlite::Transaction& transaction, model::PriorityClass priority,
                             std::string_view body) {
  WM_CHECK(&transaction.database() == &database_);
  if (body.empty()) return base::InvalidArgument("an event has a body");
  if (body.size() > base::limits::kMaxEventBytes) {
    return base::InvalidArgument("an event of " + std::to_string(body.size()) +
                                 " bytes is longer than an event may be");
  }
  WM_ASSIGN_OR_RETURN(State state, Noted(LoadState()));
  if (state.pending_bytes + body.size() > options_.limits.max_bytes) {
    return Noted(base::Status(base::ResourceExhausted(
        "the journal is full of events that could not be sealed; see the journal's last error")));
  }
  WM_RETURN_IF_ERROR(Noted(Insert(state, priority, body)));
  WM_RETURN_IF_ERROR(Noted(StoreState(state)));
  if (on_append_) on_append_(priority);
  return {};
}

base::Status Journal::Insert(State& state, model::PriorityClass priority, std::string_view body) {
  WM_ASSIGN_OR_RETURN(sqlite::Statement put,
                      database_.Prepare("INSERT INTO events (priority, body) VALUES (?, ?)"));
  WM_RETURN_IF_ERROR(put.Bind(Signed(priority)).Bind(base::AsBytes(body)).Run());
  state.pending_bytes += body.size();
  return {};
}

base::Result<bool> Journal::Seal() { return Noted(TrySeal()); }

base::Result<bool> Journal::TrySeal() {
  WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(database_));
  WM_ASSIGN_OR_RETURN(State state, LoadState());
  if (!state.chain.has_value()) return base::FailedPrecondition("no chain has been started");
  WM_RETURN_IF_ERROR(EnforceLimit(state));
  WM_ASSIGN_OR_RETURN(Pending pending, TakePending());
  if (pending.bodies.empty()) return false;
  WM_RETURN_IF_ERROR(SealPending(state, std::move(pending)));
  WM_RETURN_IF_ERROR(Retire(state, options_.limits.max_acknowledged_bytes,
                            clock_.Now() - options_.limits.max_acknowledged_age));
  WM_RETURN_IF_ERROR(StoreState(state));
  WM_RETURN_IF_ERROR(transaction.Commit());
  Adopt(state);
  return true;
}

base::Result<std::optional<model::PriorityClass>> Journal::ClassOfOldest() {
  std::optional<model::PriorityClass> oldest;
  std::int64_t oldest_sequence = 0;
  for (const model::PriorityClass priority : kClasses) {
    WM_ASSIGN_OR_RETURN(
        sqlite::Statement find,
        database_.Prepare("SELECT sequence FROM events WHERE batch IS NULL AND priority = ? "
                          "ORDER BY sequence LIMIT 1"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(Signed(priority)).Step());
    if (found && (!oldest.has_value() || find.Int(0) < oldest_sequence)) {
      oldest = priority;
      oldest_sequence = find.Int(0);
    }
  }
  return oldest;
}

base::Result<Journal::Pending> Journal::TakePending() {
  WM_ASSIGN_OR_RETURN(const std::optional<model::PriorityClass> priority, ClassOfOldest());
  Pending pending;
  if (!priority.has_value()) return pending;
  pending.priority = *priority;
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement find,
      database_.Prepare("SELECT sequence, body FROM events WHERE batch IS NULL AND priority = ? "
                        "ORDER BY sequence LIMIT ?"));
  find.Bind(Signed(*priority)).Bind(Signed(base::limits::kMaxEventsPerBatch));
  std::uint64_t size = kHeaderAllowanceBytes;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool row, find.Step());
    if (!row) break;
    const base::ByteView body = find.Blob(1);
    size += body.size() + kEventOverheadBytes;
    if (size > base::limits::kMaxBatchBytes) break;
    pending.sequences.push_back(find.Int(0));
    pending.bodies.emplace_back(base::AsText(body));
    pending.bytes += body.size();
  }
  return pending;
}

base::Status Journal::SealPending(State& state, Pending pending) {
  wire::ChainPosition position;
  position.chain = *state.chain;
  position.next_number = state.next_number;
  position.next_event = state.next_event;
  position.previous = state.head_digest;
  wire::SealContext context;
  context.priority = pending.priority;
  WM_ASSIGN_OR_RETURN(context.dropped, Drops());
  context.boot_id = options_.boot_id;
  context.wall = clock_.Now();
  context.boot = clock_.SinceBoot();
  context.clock_state = options_.clock_state();
  WM_ASSIGN_OR_RETURN(const wire::SealedBatch batch,
                      wire::Seal(position, context, std::move(pending.bodies), signer_, random_));
  const model::Sha256 header_digest = wire::HeaderDigest(batch.header);
  WM_RETURN_IF_ERROR(PutBatch(state, batch, pending, header_digest));
  state.next_number += 1;
  state.next_event += batch.events.size();
  state.head_digest = header_digest;
  state.pending_bytes -= pending.bytes;
  state.unacknowledged_bytes += pending.bytes;
  return {};
}

base::Status Journal::PutBatch(const State& state, const wire::SealedBatch& batch,
                               const Pending& pending, const model::Sha256& header_digest) {
  {
    WM_ASSIGN_OR_RETURN(
        sqlite::Statement put,
        database_.Prepare("INSERT INTO batches (number, priority, event_count, header, signature, "
                          "header_digest, body_bytes) VALUES (?, ?, ?, ?, ?, ?, ?)"));
    WM_RETURN_IF_ERROR(put.Bind(Signed(state.next_number))
                           .Bind(Signed(pending.priority))
                           .Bind(Signed(batch.events.size()))
                           .Bind(base::AsBytes(batch.header))
                           .Bind(base::ByteView(batch.signature))
                           .Bind(header_digest.view())
                           .Bind(Signed(pending.bytes))
                           .Run());
  }
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement move,
      database_.Prepare("UPDATE events SET salt = ?, batch = ? WHERE sequence = ?"));
  for (std::size_t i = 0; i < batch.events.size(); ++i) {
    WM_RETURN_IF_ERROR(move.Bind(base::AsBytes(batch.events[i].salt))
                           .Bind(Signed(state.next_number))
                           .Bind(pending.sequences[i])
                           .Run());
  }
  return {};
}

base::Status Journal::StartChain(std::string first_body, std::uint64_t told_up_to) {
  WM_RETURN_IF_ERROR(Noted(TryStartChain(std::move(first_body), told_up_to)));
  if (on_append_) on_append_(model::PriorityClass::kControl);  // what goes back waits again
  return {};
}

base::Status Journal::TryStartChain(std::string first_body, std::uint64_t told_up_to) {
  WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(database_));
  {
    // Batch 1 holds nothing but the event that began the old chain; the new chain has its own.
    WM_ASSIGN_OR_RETURN(
        sqlite::Statement tell_again,
        database_.Prepare("UPDATE events SET batch = NULL, salt = NULL WHERE batch > MAX(?, 1)"));
    WM_RETURN_IF_ERROR(tell_again.Bind(Signed(told_up_to)).Run());
  }
  WM_RETURN_IF_ERROR(database_.Execute("DELETE FROM events WHERE batch IS NOT NULL"));
  WM_RETURN_IF_ERROR(database_.Execute("DELETE FROM batches"));
  WM_RETURN_IF_ERROR(CarryDrops());
  State state;
  {
    WM_ASSIGN_OR_RETURN(sqlite::Statement sum,
                        database_.Prepare("SELECT SUM(length(body)) FROM events"));
    WM_ASSIGN_OR_RETURN(const bool row, sum.Step());
    if (row) state.pending_bytes = Unsigned(sum.Int(0));
  }
  state.chain.emplace();
  random_.Fill(state.chain->bytes);
  Pending first;
  first.priority = model::PriorityClass::kControl;
  first.bytes = first_body.size();
  WM_RETURN_IF_ERROR(Insert(state, first.priority, first_body));
  first.sequences.push_back(database_.LastInsertId());
  first.bodies.push_back(std::move(first_body));
  WM_RETURN_IF_ERROR(SealPending(state, std::move(first)));
  WM_RETURN_IF_ERROR(StoreState(state));
  WM_RETURN_IF_ERROR(transaction.Commit());
  Adopt(state);
  return {};
}

base::Result<std::optional<wire::SealedBatch>> Journal::Read(std::uint64_t number) {
  wire::SealedBatch batch;
  {
    WM_ASSIGN_OR_RETURN(
        sqlite::Statement find,
        database_.Prepare("SELECT header, signature FROM batches WHERE number = ?"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(Signed(number)).Step());
    if (!found) return std::optional<wire::SealedBatch>();
    batch.header = base::AsText(find.Blob(0));
    WM_ASSIGN_OR_RETURN(batch.signature, openssl::SignatureFromBytes(find.Blob(1)));
  }
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement events,
      database_.Prepare("SELECT salt, body FROM events WHERE batch = ? ORDER BY sequence"));
  events.Bind(Signed(number));
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool row, events.Step());
    if (!row) break;
    wire::BatchEvent event;
    event.salt = base::AsText(events.Blob(0));
    event.body = base::AsText(events.Blob(1));
    batch.events.push_back(std::move(event));
  }
  return std::optional<wire::SealedBatch>(std::move(batch));
}

base::Result<std::uint64_t> Journal::OldestKept() {
  WM_ASSIGN_OR_RETURN(sqlite::Statement find,
                      database_.Prepare("SELECT number FROM batches ORDER BY number LIMIT 1"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Step());
  return found ? Unsigned(find.Int(0)) : head_.number + 1;
}

base::Result<Knowledge> Journal::Knows(std::uint64_t number, const model::Sha256& header_digest) {
  const auto compared = [&](base::ByteView ours) {
    return base::AsText(ours) == base::AsText(header_digest.view()) ? Knowledge::kOurs
                                                                    : Knowledge::kForeign;
  };
  if (number == 0 || number > head_.number) return Knowledge::kForeign;
  if (number == head_.number) return compared(head_.header_digest->view());
  WM_ASSIGN_OR_RETURN(sqlite::Statement find,
                      database_.Prepare("SELECT header_digest FROM batches WHERE number = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(Signed(number)).Step());
  if (found) return compared(find.Blob(0));
  // The header after it, where that is kept, still names its digest.
  WM_ASSIGN_OR_RETURN(sqlite::Statement next,
                      database_.Prepare("SELECT header FROM batches WHERE number = ?"));
  WM_ASSIGN_OR_RETURN(const bool next_found, next.Bind(Signed(number + 1)).Step());
  if (!next_found) return Knowledge::kRetired;
  WM_ASSIGN_OR_RETURN(const wire::BatchHeader header,
                      wire::ParseHeader(base::AsText(next.Blob(0))));
  return header.previous == header_digest ? Knowledge::kOurs : Knowledge::kForeign;
}

base::Result<Counts> Journal::Count() {
  WM_ASSIGN_OR_RETURN(const State state, LoadState());
  Counts counts;
  counts.unacknowledged_batches = state.next_number - 1 - state.acknowledged_number;
  counts.bytes = state.bytes();
  WM_ASSIGN_OR_RETURN(sqlite::Statement pending,
                      database_.Prepare("SELECT COUNT(*) FROM events WHERE batch IS NULL"));
  WM_ASSIGN_OR_RETURN(const bool row, pending.Step());
  if (row) counts.pending_events = Unsigned(pending.Int(0));
  WM_ASSIGN_OR_RETURN(const auto drops, Drops());
  for (const auto& [priority, events] : drops) counts.dropped_events += events;
  return counts;
}

base::Status Journal::Acknowledge(const model::Id& chain, std::uint64_t number,
                                  const model::Sha256& header_digest) {
  return Noted(TryAcknowledge(chain, number, header_digest));
}

base::Status Journal::TryAcknowledge(const model::Id& chain, std::uint64_t number,
                                     const model::Sha256& header_digest) {
  if (chain != head_.chain) return base::FailedPrecondition("the chain is not this journal's");
  WM_ASSIGN_OR_RETURN(const Knowledge knowledge, Knows(number, header_digest));
  if (knowledge == Knowledge::kForeign) {
    return base::FailedPrecondition("batch " + std::to_string(number) +
                                    " with that digest was not sealed here");
  }
  if (number <= acknowledged_number_) return {};

  WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(database_));
  WM_ASSIGN_OR_RETURN(State state, LoadState());
  std::uint64_t bytes = 0;
  {
    WM_ASSIGN_OR_RETURN(sqlite::Statement sum,
                        database_.Prepare("SELECT SUM(body_bytes) FROM batches "
                                          "WHERE number > ? AND number <= ?"));
    WM_ASSIGN_OR_RETURN(const bool row,
                        sum.Bind(Signed(state.acknowledged_number)).Bind(Signed(number)).Step());
    if (row) bytes = Unsigned(sum.Int(0));
  }
  {
    WM_ASSIGN_OR_RETURN(sqlite::Statement mark,
                        database_.Prepare("UPDATE batches SET acknowledged_time_us = ? "
                                          "WHERE number > ? AND number <= ?"));
    WM_RETURN_IF_ERROR(mark.Bind(base::ToMicroseconds(clock_.Now()))
                           .Bind(Signed(state.acknowledged_number))
                           .Bind(Signed(number))
                           .Run());
  }
  WM_RETURN_IF_ERROR(NoteDropsTold(number));
  state.acknowledged_number = number;
  state.unacknowledged_bytes -= bytes;
  state.acknowledged_bytes += bytes;
  WM_RETURN_IF_ERROR(Retire(state, options_.limits.max_acknowledged_bytes,
                            clock_.Now() - options_.limits.max_acknowledged_age));
  WM_RETURN_IF_ERROR(StoreState(state));
  WM_RETURN_IF_ERROR(transaction.Commit());
  Adopt(state);
  return {};
}

}  // namespace weighmaster::agent::journal
