#include "agent/journal/event_log.h"

#include <utility>

#include "proto/wire/convert.h"

namespace weighmaster::agent::journal {

std::string EventStamp::Serialise(model::EventBody body) const {
  model::Event event;
  event.wall = clock_->Now();
  event.boot = clock_->SinceBoot();
  event.boot_id = boot_id_;
  event.body = std::move(body);
  return wire::SerialiseEvent(event);
}

Journal::DropReporter EventStamp::MakeDropReporter() const {
  return [stamp = *this](model::PriorityClass priority, std::uint64_t count) {
    return stamp.Serialise(model::BodiesDropped{priority, count});
  };
}

base::Status EventLog::Append(sqlite::Transaction& transaction, model::EventBody body) {
  const model::PriorityClass priority = model::PriorityOf(body);
  return journal_.Append(transaction, priority, stamp_.Serialise(std::move(body)));
}

base::Status EventLog::StartChain(model::ChainReason reason, std::uint64_t told_up_to) {
  const Head& old = journal_.head();
  model::ChainStarted started;
  started.reason = reason;
  started.old_chain = old.chain;
  started.old_number = old.number;
  started.old_header = old.header_digest.value_or(model::Sha256{});
  return journal_.StartChain(stamp_.Serialise(started), told_up_to);
}

}  // namespace weighmaster::agent::journal
