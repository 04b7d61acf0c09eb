#include "server/store/sqlite/batch_writer.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "server/store/sqlite/columns/rows.h"
#include "server/store/sqlite/work_tables.h"
#include "weighmaster/v1/batch.pb.h"

namespace weighmaster::server::store {
namespace {

using base::Result;
using base::Status;
using sqlite::Statement;
using Kind = BatchOutcome::Kind;

BatchOutcome Refused(std::string detail) {
  BatchOutcome outcome;
  outcome.detail = std::move(detail);
  return outcome;
}

BatchOutcome Gap(std::uint64_t expected) {
  BatchOutcome outcome;
  outcome.kind = Kind::kGap;
  outcome.expected = expected;
  return outcome;
}

// The field numbers of weighmaster.v1.Event, in the order of model::EventBody; 0 in the table says
// that this version could not read the body.
constexpr std::int64_t kEventKinds[] = {16, 17, 18, 19, 20, 21, 22, 23, 25, 26};
static_assert(std::size(kEventKinds) == std::variant_size_v<model::EventBody>);

struct DigestOf {
  std::optional<model::Sha256> operator()(const model::SightingAppeared& e) const {
    return e.sighting.digest.sha256;
  }
  std::optional<model::Sha256> operator()(const model::SightingChanged& e) const {
    return e.sighting.digest.sha256;
  }
  std::optional<model::Sha256> operator()(const model::SightingJudged& e) const { return e.sha256; }
  template <typename Other>
  std::optional<model::Sha256> operator()(const Other&) const {
    return std::nullopt;
  }
};

const std::optional<EventWrite>& EventAt(const BatchWrite& write, std::size_t place) {
  static const std::optional<EventWrite> kNone;
  return place < write.events.size() ? write.events[place] : kNone;
}

const model::ChainStarted* ChainStartOf(const BatchWrite& write) {
  const std::optional<EventWrite>& first = EventAt(write, 0);
  return first.has_value() ? std::get_if<model::ChainStarted>(&first->event.body) : nullptr;
}

std::uint64_t DroppedIn(const wire::BatchHeader& header) {
  std::uint64_t sum = 0;
  for (const auto& [priority, events] : header.dropped) sum += events;
  return sum;
}

}  // namespace

Result<BatchOutcome> BatchWriter::Write(const BatchWrite& write) {
  WM_ASSIGN_OR_RETURN(BatchOutcome outcome, Place(write));
  WM_ASSIGN_OR_RETURN(const bool any_open, HasOpenFindings(database_, write.endpoint));
  for (const FindingChange& change : rules_(write, outcome, any_open)) {
    WM_RETURN_IF_ERROR(ApplyFinding(database_, change));
  }
  return outcome;
}

Result<BatchOutcome> BatchWriter::Place(const BatchWrite& write) {
  WM_ASSIGN_OR_RETURN(const std::optional<Sender> sender, FindSender(write));
  if (!sender.has_value()) return Refused("the key of the batch is not one of this endpoint");
  if (sender->key_revoked || sender->state == EndpointState::kRevoked) {
    return SetApart(write, *sender, Kind::kQuarantined, QuarantineReason::kRevokedKey,
                    "the endpoint's key is revoked");
  }
  if (sender->state == EndpointState::kQuarantined) {
    return SetApart(write, *sender, Kind::kQuarantined, QuarantineReason::kEndpoint,
                    "the endpoint is quarantined");
  }
  if (!sender->key_covers_number) {
    return SetApart(write, *sender, Kind::kBrokenChain, QuarantineReason::kBrokenChain,
                    "the key is not the one for batches of this number");
  }
  WM_ASSIGN_OR_RETURN(const std::optional<Chain> chain, FindChain(write.header.chain));
  if (!chain.has_value()) return StartChain(write, *sender);
  if (chain->endpoint != sender->endpoint) return Refused("the chain is another endpoint's");
  return PlaceInChain(write, *sender, *chain);
}

Result<BatchOutcome> BatchWriter::StartChain(const BatchWrite& write, const Sender& sender) {
  if (write.header.number != 1) return Gap(1);
  const model::ChainStarted* start = ChainStartOf(write);
  if (start == nullptr || write.header.first_event != 1) {
    return SetApart(write, sender, Kind::kBrokenChain, QuarantineReason::kBrokenChain,
                    "a chain begins with the event chain_started, numbered 1");
  }
  // Whoever says that this is the key's first chain, while the key has a live one, is a second
  // owner of the key. Any other reason is an honest rewind.
  if (sender.live_chain.has_value() && start->reason == model::ChainReason::kEnrolled) {
    return Clone(write, sender, "a second chain says that it is the first one of this key");
  }
  WM_ASSIGN_OR_RETURN(const Chain chain, AddChain(write, sender));
  return Append(write, sender, chain);
}

Result<BatchOutcome> BatchWriter::PlaceInChain(const BatchWrite& write, const Sender& sender,
                                               const Chain& chain) {
  if (write.header.number < chain.next_number) return Repeated(write, sender, chain);
  if (write.header.number > chain.next_number) return Gap(chain.next_number);
  if (write.header.previous != chain.head) {
    return SetApart(write, sender, Kind::kBrokenChain, QuarantineReason::kBrokenChain,
                    "the batch names another predecessor than the one that is stored");
  }
  if (write.header.first_event != chain.next_event) {
    return SetApart(write, sender, Kind::kBrokenChain, QuarantineReason::kBrokenChain,
                    "the numbers of its events do not follow those of the batch before it");
  }
  if (chain.superseded) {
    return Clone(write, sender, "a chain goes on although a newer one of this key took its place");
  }
  return Append(write, sender, chain);
}

Result<BatchOutcome> BatchWriter::Repeated(const BatchWrite& write, const Sender& sender,
                                           const Chain& chain) {
  bool same = false;
  {
    WM_ASSIGN_OR_RETURN(Statement find,
                        database_.Prepare("SELECT header_digest FROM batches WHERE chain = ? AND "
                                          "number = ?"));
    WM_ASSIGN_OR_RETURN(const bool found,
                        find.Bind(chain.id).Bind(Column(write.header.number)).Step());
    if (!found) return base::DataLoss("a stored chain lacks one of its batches");
    same = std::ranges::equal(find.Blob(0), write.digest.view());
  }
  if (!same) {
    return SetApart(write, sender, Kind::kEquivocation, QuarantineReason::kEquivocation,
                    "batch " + std::to_string(write.header.number) +
                        " was signed twice with different contents");
  }
  BatchOutcome outcome;
  outcome.kind = Kind::kRepeated;
  outcome.head = {write.header.chain, chain.next_number - 1, chain.head};
  return outcome;
}

Result<BatchOutcome> BatchWriter::Clone(const BatchWrite& write, const Sender& sender,
                                        std::string detail) {
  WM_ASSIGN_OR_RETURN(Statement quarantine,
                      database_.Prepare("UPDATE endpoints SET state = ?, quarantined_us = "
                                        "coalesce(quarantined_us, ?) WHERE id = ?"));
  WM_RETURN_IF_ERROR(quarantine.Bind(EnumColumn(EndpointState::kQuarantined))
                         .Bind(Column(write.received))
                         .Bind(sender.endpoint)
                         .Run());
  Change change;
  change.topic = ChangeTopic::kEndpoint;
  change.time = write.received;
  change.endpoint = write.endpoint;
  WM_RETURN_IF_ERROR(AddChange(database_, change));
  return SetApart(write, sender, Kind::kClone, QuarantineReason::kClone, std::move(detail));
}

// Kept as evidence, once by digest, and never more of one endpoint than the limit: past it the
// finding's count alone grows.
Result<BatchOutcome> BatchWriter::SetApart(const BatchWrite& write, const Sender& sender, Kind kind,
                                           QuarantineReason reason, std::string detail) {
  BatchOutcome outcome;
  outcome.kind = kind;
  outcome.detail = std::move(detail);
  {
    WM_ASSIGN_OR_RETURN(Statement find,
                        database_.Prepare("SELECT 1 FROM quarantined_batches WHERE endpoint = ? "
                                          "AND number = ? AND header_digest = ?"));
    WM_ASSIGN_OR_RETURN(const bool kept, find.Bind(sender.endpoint)
                                             .Bind(Column(write.header.number))
                                             .Bind(write.digest.view())
                                             .Step());
    if (kept) return outcome;
  }
  v1::SealedBatch message;
  wire::ToProto(write.batch, message);
  const std::string bytes = message.SerializeAsString();
  WM_ASSIGN_OR_RETURN(
      Statement add,
      database_.Prepare("INSERT INTO quarantined_batches (endpoint, chain_id, number, "
                        "header_digest, reason, sealed_batch, received_us) "
                        "SELECT ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM "
                        "quarantined_batches WHERE endpoint = ?) < ?"));
  WM_RETURN_IF_ERROR(add.Bind(sender.endpoint)
                         .Bind(write.header.chain.view())
                         .Bind(Column(write.header.number))
                         .Bind(write.digest.view())
                         .Bind(EnumColumn(reason))
                         .Bind(base::AsBytes(bytes))
                         .Bind(Column(write.received))
                         .Bind(sender.endpoint)
                         .Bind(Column(base::limits::kMaxQuarantinedBatches))
                         .Run());
  return outcome;
}

Result<std::optional<BatchWriter::Sender>> BatchWriter::FindSender(const BatchWrite& write) {
  WM_ASSIGN_OR_RETURN(
      Statement find,
      database_.Prepare("SELECT e.id, e.state, e.live_chain, k.id, k.revoked_us, k.first_number, "
                        "k.last_number FROM endpoints e JOIN keys k ON k.endpoint = e.id "
                        "WHERE e.endpoint_id = ? AND k.key_id = ?"));
  WM_ASSIGN_OR_RETURN(const bool found,
                      find.Bind(write.endpoint.view()).Bind(write.header.key_id.view()).Step());
  if (!found) return std::optional<Sender>();
  Sender sender;
  sender.endpoint = find.Int(0);
  sender.state = static_cast<EndpointState>(find.Int(1));
  if (!find.IsNull(2)) sender.live_chain = find.Int(2);
  sender.key = find.Int(3);
  sender.key_revoked = !find.IsNull(4);
  sender.key_covers_number = write.header.number >= Number(find, 5) &&
                             (find.IsNull(6) || write.header.number <= Number(find, 6));
  return std::optional<Sender>(sender);
}

Result<std::optional<BatchWriter::Chain>> BatchWriter::FindChain(const model::Id& chain_id) {
  WM_ASSIGN_OR_RETURN(
      Statement find,
      database_.Prepare("SELECT id, endpoint, next_number, next_event, head_digest, superseded_us "
                        "FROM chains WHERE chain_id = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(chain_id.view()).Step());
  if (!found) return std::optional<Chain>();
  Chain chain;
  chain.id = find.Int(0);
  chain.endpoint = find.Int(1);
  chain.next_number = Number(find, 2);
  chain.next_event = Number(find, 3);
  WM_ASSIGN_OR_RETURN(chain.head, Stored(model::Sha256FromBytes(find.Blob(4)), "digest"));
  chain.superseded = !find.IsNull(5);
  return std::optional<Chain>(chain);
}

// The new chain takes the place of the live one, if there is one.
Result<BatchWriter::Chain> BatchWriter::AddChain(const BatchWrite& write, const Sender& sender) {
  if (sender.live_chain.has_value()) {
    WM_ASSIGN_OR_RETURN(Statement supersede,
                        database_.Prepare("UPDATE chains SET superseded_us = ? WHERE id = ?"));
    WM_RETURN_IF_ERROR(supersede.Bind(Column(write.received)).Bind(*sender.live_chain).Run());
  }
  Chain chain;
  chain.endpoint = sender.endpoint;
  {
    WM_ASSIGN_OR_RETURN(Statement add,
                        database_.Prepare("INSERT INTO chains (chain_id, endpoint, next_number, "
                                          "next_event, head_digest, started_us) "
                                          "VALUES (?, ?, 1, 1, ?, ?)"));
    WM_RETURN_IF_ERROR(add.Bind(write.header.chain.view())
                           .Bind(sender.endpoint)
                           .Bind(chain.head.view())
                           .Bind(Column(write.received))
                           .Run());
    chain.id = database_.LastInsertId();
  }
  WM_ASSIGN_OR_RETURN(Statement live,
                      database_.Prepare("UPDATE endpoints SET live_chain = ? WHERE id = ?"));
  WM_RETURN_IF_ERROR(live.Bind(chain.id).Bind(sender.endpoint).Run());
  return chain;
}

Result<BatchOutcome> BatchWriter::Append(const BatchWrite& write, const Sender& sender,
                                         const Chain& chain) {
  WM_RETURN_IF_ERROR(AdvanceHead(write, chain));
  WM_RETURN_IF_ERROR(InsertBatch(write, sender, chain));
  WM_RETURN_IF_ERROR(InsertEvents(write, sender, chain));
  Change change;
  change.topic = ChangeTopic::kEvents;
  change.time = write.received;
  change.endpoint = write.endpoint;
  change.chain = write.header.chain;
  change.number = write.header.first_event;
  change.count = write.header.event_count;
  WM_RETURN_IF_ERROR(AddChange(database_, change));
  BatchOutcome outcome;
  outcome.kind = Kind::kStored;
  outcome.head = {write.header.chain, write.header.number, write.digest};
  return outcome;
}

Status BatchWriter::AdvanceHead(const BatchWrite& write, const Chain& chain) {
  WM_ASSIGN_OR_RETURN(
      Statement advance,
      database_.Prepare("UPDATE chains SET next_number = next_number + 1, next_event = ?, "
                        "head_digest = ?, events_stored = events_stored + ?, "
                        "events_dropped = ?, events_unreadable = events_unreadable + ? "
                        "WHERE id = ? AND next_number = ?"));
  std::int64_t bodies = 0;
  std::int64_t unreadable = 0;
  for (std::size_t i = 0; i < write.batch.events.size(); ++i) {
    if (write.batch.events[i].body.empty()) continue;
    ++bodies;
    if (!EventAt(write, i).has_value()) ++unreadable;
  }
  WM_RETURN_IF_ERROR(advance.Bind(Column(write.header.first_event + write.header.event_count))
                         .Bind(write.digest.view())
                         .Bind(bodies)
                         .Bind(Column(DroppedIn(write.header)))
                         .Bind(unreadable)
                         .Bind(chain.id)
                         .Bind(Column(write.header.number))
                         .Run());
  if (database_.Changes() != 1) return base::Unavailable("another writer advanced the chain");
  return {};
}

Status BatchWriter::InsertBatch(const BatchWrite& write, const Sender& sender, const Chain& chain) {
  WM_ASSIGN_OR_RETURN(
      Statement add,
      database_.Prepare("INSERT INTO batches (chain, number, key, first_event, event_count, "
                        "priority, header, header_digest, signature, received_us, "
                        "clock_offset_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  return add.Bind(chain.id)
      .Bind(Column(write.header.number))
      .Bind(sender.key)
      .Bind(Column(write.header.first_event))
      .Bind(std::int64_t{write.header.event_count})
      .Bind(EnumColumn(write.header.priority))
      .Bind(base::AsBytes(write.batch.header))
      .Bind(write.digest.view())
      .Bind(base::ByteView(write.batch.signature))
      .Bind(Column(write.received))
      .Bind(write.clock_offset.count())
      .Run();
}

Status BatchWriter::InsertEvents(const BatchWrite& write, const Sender& sender,
                                 const Chain& chain) {
  WM_ASSIGN_OR_RETURN(Statement add,
                      database_.Prepare("INSERT INTO events (chain, number, kind, wall_us, "
                                        "artifact, salt, body, leaf) "
                                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
  for (std::size_t i = 0; i < write.batch.events.size(); ++i) {
    const wire::BatchEvent& sealed = write.batch.events[i];
    const std::optional<EventWrite>& event = EventAt(write, i);
    add.Bind(chain.id).Bind(Column(write.header.first_event + i));
    if (event.has_value()) {
      std::optional<std::int64_t> artifact;
      const model::Event& read = event->event;
      if (const auto sha256 = std::visit(DigestOf{}, read.body)) {
        WM_ASSIGN_OR_RETURN(artifact, projection_.Artifact(*sha256));
      }
      add.Bind(kEventKinds[read.body.index()]).Bind(Column(read.wall)).Bind(artifact);
    } else {
      add.Bind(std::int64_t{0}).BindNull().BindNull();
    }
    if (sealed.body.empty()) {
      add.BindNull().BindNull();
    } else {
      add.Bind(base::AsBytes(sealed.salt)).Bind(base::AsBytes(sealed.body));
    }
    add.Bind(sealed.leaf.has_value() ? std::optional(sealed.leaf->view()) : std::nullopt);
    WM_RETURN_IF_ERROR(add.Run());
    if (event.has_value()) {
      WM_RETURN_IF_ERROR(
          projection_.Apply(sender.endpoint, write.clock_offset, write.received, *event));
    }
  }
  return {};
}

}  // namespace weighmaster::server::store
