#include "server/ingest/ingest.h"

#include <algorithm>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "policy/base/random.h"
#include "proto/wire/convert.h"
#include "server/findings/rules.h"
#include "server/store/ask.h"

namespace weighmaster::server::ingest {
namespace {

namespace limits = base::limits;

using Kind = store::BatchOutcome::Kind;

std::vector<std::optional<store::EventWrite>> ParseEvents(const wire::SealedBatch& batch) {
  std::vector<std::optional<store::EventWrite>> events;
  events.reserve(batch.events.size());
  for (const wire::BatchEvent& sealed : batch.events) {
    std::optional<store::EventWrite>& event = events.emplace_back();
    if (sealed.body.empty()) continue;
    auto parsed = wire::ParseEvent(sealed.body);
    if (parsed.has_value()) event.emplace(*std::move(parsed));
  }
  return events;
}

}  // namespace

Ingest::Ingest(base::Loop& loop, const base::Clock& clock, base::Random& random,
               base::Executor& pool, base::Executor& writer, store::Store& store,
               StoreListener on_store)
    : loop_(loop),
      clock_(clock),
      random_(random),
      pool_(pool),
      writer_(writer),
      store_(store),
      on_store_(std::move(on_store)),
      retry_(loop) {}

Ingest::~Ingest() = default;

bool Ingest::Submit(const Sender& sender, wire::SealedBatch batch, Reply reply) {
  WM_CHECK(loop_.OnLoop());
  const std::size_t bytes = batch.ByteSize();
  if (queue_.size() >= limits::kMaxIngestQueue ||
      queued_bytes_ + bytes > limits::kMaxIngestQueueBytes) {
    ++counters_.turned_away;
    return false;
  }
  auto entry = std::make_shared<Entry>();
  entry->endpoint = sender.endpoint;
  entry->reply = std::move(reply);
  entry->bytes = bytes;
  queued_bytes_ += bytes;
  queue_.push_back(entry);
  store::Ask(
      pool_, loop_, alive_,
      [sender, batch = std::move(batch), now = clock_.Now()]() mutable {
        return Verify(sender, std::move(batch), now);
      },
      [this, entry](Verified verified) { OnVerified(entry, std::move(verified)); });
  return true;
}

void Ingest::Record(store::FindingChange finding) {
  WM_CHECK(loop_.OnLoop());
  // While the store fails, what is one too many is dropped here; the rules see it again.
  if (findings_.size() < limits::kMaxIngestQueue) findings_.push_back(std::move(finding));
  CommitNext();
}

Ingest::Verified Ingest::Verify(const Sender& sender, wire::SealedBatch batch,
                                base::WallTime received) {
  Verified verified;
  if (auto header = wire::ParseHeader(batch.header); header.has_value()) {
    verified.chain = header->chain;
    verified.number = header->number;
  }
  auto header = wire::VerifyBatch(batch, sender.key);
  if (!header.has_value()) {
    verified.error = header.error().message();
    return verified;
  }
  store::BatchWrite write;
  write.endpoint = sender.endpoint;
  write.digest = wire::HeaderDigest(batch.header);
  write.events = ParseEvents(batch);
  write.header = *std::move(header);
  write.batch = std::move(batch);
  write.received = received;
  write.clock_offset = sender.clock_offset;
  verified.write = std::move(write);
  return verified;
}

void Ingest::OnVerified(const std::shared_ptr<Entry>& entry, Verified verified) {
  entry->verified = true;
  entry->write = std::move(verified.write);
  entry->error = std::move(verified.error);
  entry->chain = verified.chain;
  entry->number = verified.number;
  CommitNext();
}

// One group at a time: the longest run of verified batches from the front, so that the order in
// which they came is the order in which they are stored, however the pool finished them.
void Ingest::CommitNext() {
  if (committing_ != nullptr) return;
  auto group = std::make_shared<Group>();
  std::vector<std::shared_ptr<Entry>> bad;
  while (!queue_.empty() && queue_.front()->verified &&
         group->batches.size() < limits::kMaxGroupCommit) {
    const std::shared_ptr<Entry> entry = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= entry->bytes;
    if (entry->write.has_value()) {
      group->batches.push_back(*std::move(entry->write));
      group->replies.push_back(std::move(entry->reply));
    } else {
      findings_.push_back(findings::OfBadBatch(entry->endpoint, entry->error, clock_.Now()));
      bad.push_back(entry);
    }
  }
  group->findings = std::exchange(findings_, {});
  if (!group->batches.empty() || !group->findings.empty()) {
    committing_ = std::move(group);
    Commit();
  }
  for (const std::shared_ptr<Entry>& entry : bad) Refuse(*entry);
}

// Nothing of it will be stored, so there is no commit to wait for.
void Ingest::Refuse(Entry& entry) {
  Outcome outcome;
  outcome.chain = entry.chain;
  outcome.number = entry.number;
  outcome.result.kind = Kind::kRefused;
  outcome.result.detail = entry.error;
  Count(outcome.result);
  entry.reply(outcome);
}

void Ingest::Commit() {
  store::Ask(
      writer_, loop_, alive_,
      [&store = store_, group = committing_]() -> base::Result<std::vector<store::BatchOutcome>> {
        if (!group->findings.empty()) WM_RETURN_IF_ERROR(store.RecordFindings(group->findings));
        group->findings.clear();
        if (group->batches.empty()) return std::vector<store::BatchOutcome>();
        return store.CommitBatches(group->batches, findings::OfBatch);
      },
      [this](base::Result<std::vector<store::BatchOutcome>> outcomes) {
        OnCommitted(std::move(outcomes));
      });
}

void Ingest::OnCommitted(base::Result<std::vector<store::BatchOutcome>> outcomes) {
  if (!outcomes.has_value()) return OnStoreFailed(outcomes.error());
  WM_CHECK(outcomes->size() == committing_->batches.size());
  if (retry_delay_.count() != 0) {
    retry_delay_ = base::Duration(0);
    if (on_store_) on_store_({});
  }
  const std::shared_ptr<Group> group = std::move(committing_);
  committing_ = nullptr;
  if (!group->batches.empty()) ++counters_.groups;
  for (std::size_t i = 0; i < group->batches.size(); ++i) {
    Outcome outcome;
    outcome.result = std::move((*outcomes)[i]);
    outcome.chain = group->batches[i].header.chain;
    outcome.number = group->batches[i].header.number;
    Count(outcome.result);
    if (outcome.result.kind == Kind::kStored) {
      counters_.events += group->batches[i].batch.events.size();
    }
    group->replies[i](outcome);
  }
  CommitNext();
}

void Ingest::OnStoreFailed(const base::Error& error) {
  ++counters_.store_failures;
  if (retry_delay_.count() == 0 && on_store_) on_store_(error);
  constexpr base::Duration kFirst = limits::kFirstRetryDelay;
  constexpr base::Duration kLast = limits::kLastStoreRetryDelay;
  retry_delay_ = std::clamp(retry_delay_ * 2, kFirst, kLast);
  const auto jitter = static_cast<std::int64_t>(
      random_.Below(static_cast<std::uint64_t>(retry_delay_.count() / 2)));
  retry_.Start(retry_delay_ / 2 + base::Duration(jitter), [this] { Commit(); });
}

void Ingest::Count(const store::BatchOutcome& outcome) {
  switch (outcome.kind) {
    case Kind::kStored:
      ++counters_.stored;
      break;
    case Kind::kRepeated:
      ++counters_.repeated;
      break;
    case Kind::kGap:
      ++counters_.gaps;
      break;
    case Kind::kRefused:
      ++counters_.refused;
      break;
    case Kind::kEquivocation:
    case Kind::kBrokenChain:
    case Kind::kClone:
    case Kind::kQuarantined:
      ++counters_.set_apart;
      break;
  }
}

}  // namespace weighmaster::server::ingest
