// What the journal lets go of, and how it keeps count of it.
#include <array>
#include <utility>

#include "agent/journal/journal.h"

namespace weighmaster::agent::journal {
namespace {

// Least valuable first. Control is not among them: it is never dropped.
constexpr std::array kDroppable = {model::PriorityClass::kActivity,
                                   model::PriorityClass::kInventory,
                                   model::PriorityClass::kVerdict};

std::int64_t Signed(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::uint64_t Unsigned(std::int64_t value) { return static_cast<std::uint64_t>(value); }
std::int64_t Signed(model::PriorityClass priority) { return static_cast<std::int64_t>(priority); }

base::Status DeleteBodies(sqlite::Database& database, std::uint64_t number) {
  WM_ASSIGN_OR_RETURN(sqlite::Statement remove,
                      database.Prepare("DELETE FROM events WHERE batch = ?"));
  return remove.Bind(Signed(number)).Run();
}

}  // namespace

base::Status Journal::Retire(State& state, std::uint64_t max_bytes, base::WallTime older_than) {
  while (true) {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
    {
      WM_ASSIGN_OR_RETURN(sqlite::Statement oldest,
                          database_.Prepare("SELECT number, body_bytes, acknowledged_time_us "
                                            "FROM batches ORDER BY number LIMIT 1"));
      WM_ASSIGN_OR_RETURN(const bool found, oldest.Step());
      if (!found || oldest.IsNull(2)) return {};
      const bool too_old = oldest.Int(2) < base::ToMicroseconds(older_than);
      if (!too_old && state.acknowledged_bytes <= max_bytes) return {};
      number = Unsigned(oldest.Int(0));
      bytes = Unsigned(oldest.Int(1));
    }
    WM_RETURN_IF_ERROR(DeleteBodies(database_, number));
    WM_ASSIGN_OR_RETURN(sqlite::Statement remove,
                        database_.Prepare("DELETE FROM batches WHERE number = ?"));
    WM_RETURN_IF_ERROR(remove.Bind(Signed(number)).Run());
    state.acknowledged_bytes -= bytes;
  }
}

base::Status Journal::EnforceLimit(State& state) {
  const std::uint64_t limit = options_.limits.max_bytes;
  if (state.bytes() <= limit) return {};
  // Down to a sixteenth below the limit, so that a journal that stays full tells of its drops once
  // in many batches and not once in each.
  const std::uint64_t target = limit / 16 * 15;
  const std::uint64_t others = state.pending_bytes + state.unacknowledged_bytes;
  WM_RETURN_IF_ERROR(Retire(state, others < target ? target - others : 0,
                            clock_.Now() - options_.limits.max_acknowledged_age));
  for (const model::PriorityClass priority : kDroppable) {
    WM_ASSIGN_OR_RETURN(const std::uint64_t dropped, DropBodies(state, priority, target));
    if (dropped == 0) continue;
    {
      WM_ASSIGN_OR_RETURN(
          sqlite::Statement count,
          database_.Prepare("INSERT INTO drops (priority, events) VALUES (?, ?) ON CONFLICT "
                            "(priority) DO UPDATE SET events = events + excluded.events"));
      WM_RETURN_IF_ERROR(count.Bind(Signed(priority)).Bind(Signed(dropped)).Run());
    }
    WM_RETURN_IF_ERROR(
        Insert(state, model::PriorityClass::kControl, options_.report_drop(priority, dropped)));
  }
  return {};
}

base::Result<std::uint64_t> Journal::DropBodies(State& state, model::PriorityClass priority,
                                                std::uint64_t target_bytes) {
  std::uint64_t dropped = 0;
  while (state.bytes() > target_bytes) {
    std::uint64_t number = 0;
    {
      WM_ASSIGN_OR_RETURN(sqlite::Statement oldest,
                          database_.Prepare("SELECT number, event_count, body_bytes FROM batches "
                                            "WHERE priority = ? AND acknowledged_time_us IS NULL "
                                            "AND body_bytes > 0 ORDER BY number LIMIT 1"));
      WM_ASSIGN_OR_RETURN(const bool found, oldest.Bind(Signed(priority)).Step());
      if (!found) break;
      number = Unsigned(oldest.Int(0));
      dropped += Unsigned(oldest.Int(1));
      state.unacknowledged_bytes -= Unsigned(oldest.Int(2));
    }
    WM_RETURN_IF_ERROR(DeleteBodies(database_, number));
    WM_ASSIGN_OR_RETURN(sqlite::Statement mark,
                        database_.Prepare("UPDATE batches SET body_bytes = 0 WHERE number = ?"));
    WM_RETURN_IF_ERROR(mark.Bind(Signed(number)).Run());
  }
  return dropped;
}

base::Result<std::map<model::PriorityClass, std::uint64_t>> Journal::Drops() {
  WM_ASSIGN_OR_RETURN(sqlite::Statement all,
                      database_.Prepare("SELECT priority, events FROM drops WHERE events > 0"));
  std::map<model::PriorityClass, std::uint64_t> drops;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool row, all.Step());
    if (!row) return drops;
    drops[static_cast<model::PriorityClass>(all.Int(0))] = Unsigned(all.Int(1));
  }
}

base::Status Journal::CarryDrops() {
  // What the old chain's stored headers have told already does not count again in the new one.
  return database_.Execute("UPDATE drops SET events = events - told_events, told_events = 0");
}

base::Status Journal::NoteDropsTold(std::uint64_t number) {
  wire::BatchHeader header;
  {
    WM_ASSIGN_OR_RETURN(sqlite::Statement find,
                        database_.Prepare("SELECT header FROM batches WHERE number = ?"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(Signed(number)).Step());
    if (!found) return base::DataLoss("the header of an unacknowledged batch is missing");
    WM_ASSIGN_OR_RETURN(header, wire::ParseHeader(base::AsText(find.Blob(0))));
  }
  for (const auto& [priority, events] : header.dropped) {
    WM_ASSIGN_OR_RETURN(sqlite::Statement tell,
                        database_.Prepare("UPDATE drops SET told_events = ? WHERE priority = ?"));
    WM_RETURN_IF_ERROR(tell.Bind(Signed(events)).Bind(Signed(priority)).Run());
  }
  return {};
}

}  // namespace weighmaster::agent::journal
