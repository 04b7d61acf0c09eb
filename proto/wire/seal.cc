#include "proto/wire/seal.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "policy/base/limits.h"
#include "proto/wire/fields.h"
#include "proto/wire/merkle.h"
#include "proto/wire/trust.h"
#include "weighmaster/v1/batch.pb.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;
using model::PriorityClass;

constexpr std::size_t kSaltBytes = 16;

std::string SerialiseHeader(const BatchHeader& header) {
  v1::BatchHeader proto;
  proto.set_chain_id(WireBytes(header.chain.view()));
  proto.set_key_id(WireBytes(header.key_id.view()));
  proto.set_algorithm(v1::SIGNATURE_ALGORITHM_ECDSA_P256);
  proto.set_number(header.number);
  proto.set_first_event(header.first_event);
  proto.set_event_count(header.event_count);
  proto.set_priority(static_cast<v1::PriorityClass>(header.priority));
  if (header.previous) proto.set_previous_header_digest(WireBytes(header.previous->view()));
  proto.set_merkle_root(WireBytes(header.merkle_root.view()));
  for (const auto& [priority, events] : header.dropped) {
    if (events == 0) continue;
    v1::DropCount& count = *proto.add_dropped();
    count.set_priority(static_cast<v1::PriorityClass>(priority));
    count.set_events(events);
  }
  proto.set_boot_id(WireBytes(header.boot_id.view()));
  proto.set_wall_time_us(WireTime(header.wall));
  proto.set_boot_time_us(header.boot.since_boot.count());
  proto.set_clock_state(static_cast<v1::ClockState>(header.clock_state));
  return proto.SerializeAsString();
}

base::Result<PriorityClass> ReadPriority(int number, std::string_view what) {
  if (number < 1 || number > model::kPriorityClasses) {
    return FieldError(what, "is " + std::to_string(number) + ", which is no priority class");
  }
  return static_cast<PriorityClass>(number);
}

base::Result<std::map<PriorityClass, std::uint64_t>> ReadDropped(const v1::BatchHeader& proto) {
  std::map<PriorityClass, std::uint64_t> dropped;
  for (const v1::DropCount& count : proto.dropped()) {
    WM_ASSIGN_OR_RETURN(const PriorityClass priority,
                        ReadPriority(count.priority(), "dropped.priority"));
    WM_ASSIGN_OR_RETURN(const std::uint64_t events, ReadCount(count.events(), "dropped.events"));
    if (events == 0) return FieldError("dropped", "holds a zero");
    if (!dropped.empty() && dropped.rbegin()->first >= priority) {
      return FieldError("dropped", "is not in ascending order of class");
    }
    dropped.emplace(priority, events);
  }
  return dropped;
}

// The numbers of a header agree with each other.
base::Status CheckNumbers(const BatchHeader& header) {
  constexpr auto kLast = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  if (header.number == 0 || header.number > kLast) return FieldError("number", "is out of range");
  if (header.event_count == 0 || header.event_count > limits::kMaxEventsPerBatch) {
    return FieldError("event_count", "is " + std::to_string(header.event_count) +
                                         "; a batch holds 1 to " +
                                         std::to_string(limits::kMaxEventsPerBatch));
  }
  // Every earlier batch held an event or more.
  if (header.first_event < header.number || header.first_event > kLast - header.event_count ||
      (header.number == 1 && header.first_event != 1)) {
    return FieldError("first_event", "does not fit the batch's number");
  }
  if ((header.number == 1) == header.previous.has_value()) {
    return FieldError("previous_header_digest",
                      header.previous ? "stands in the first batch of a chain" : "is missing");
  }
  if (header.boot.since_boot < base::Duration(0)) return FieldError("boot_time_us", "is negative");
  return {};
}

base::Status CheckBodies(const std::vector<std::string>& bodies) {
  if (bodies.empty() || bodies.size() > limits::kMaxEventsPerBatch) {
    return base::InvalidArgument(std::to_string(bodies.size()) + " events do not make a batch");
  }
  for (const std::string& body : bodies) {
    if (body.empty() || body.size() > limits::kMaxEventBytes) {
      return base::InvalidArgument("an event has " + std::to_string(body.size()) + " bytes");
    }
  }
  return {};
}

base::Status CheckEvent(const BatchEvent& event, std::size_t index) {
  const std::string what = "event " + std::to_string(index);
  if (event.leaf) {
    if (!event.salt.empty() || !event.body.empty()) {
      return FieldError(what, "has a leaf beside its salt or body");
    }
    return {};
  }
  if (event.salt.size() != kSaltBytes) {
    return FieldError(what, "has a salt of " + std::to_string(event.salt.size()) + " bytes");
  }
  if (event.body.empty() || event.body.size() > limits::kMaxEventBytes) {
    return FieldError(what, "has a body of " + std::to_string(event.body.size()) + " bytes");
  }
  return {};
}

}  // namespace

std::size_t SealedBatch::ByteSize() const {
  std::size_t size = header.size() + signature.size();
  for (const BatchEvent& event : events) {
    size += event.salt.size() + event.body.size() + (event.leaf ? model::Sha256::kBytes : 0);
  }
  return size;
}

base::Result<SealedBatch> Seal(const ChainPosition& position, const SealContext& context,
                               std::vector<std::string> bodies, const openssl::Signer& signer,
                               base::Random& random) {
  WM_RETURN_IF_ERROR(CheckBodies(bodies));
  SealedBatch batch;
  std::vector<model::Sha256> leaves;
  for (std::string& body : bodies) {
    std::array<std::uint8_t, kSaltBytes> salt{};
    random.Fill(salt);
    BatchEvent event{.salt = WireBytes(salt), .body = std::move(body), .leaf = std::nullopt};
    leaves.push_back(LeafOf(event));
    batch.events.push_back(std::move(event));
  }
  const BatchHeader header{.chain = position.chain,
                           .key_id = signer.public_key().id(),
                           .number = position.next_number,
                           .first_event = position.next_event,
                           .event_count = static_cast<std::uint32_t>(bodies.size()),
                           .priority = context.priority,
                           .previous = position.previous,
                           .merkle_root = MerkleRoot(leaves),
                           .dropped = context.dropped,
                           .boot_id = context.boot_id,
                           .wall = context.wall,
                           .boot = context.boot,
                           .clock_state = context.clock_state};
  WM_RETURN_IF_ERROR(CheckNumbers(header));
  batch.header = SerialiseHeader(header);
  if (batch.ByteSize() > limits::kMaxBatchBytes) {
    return base::InvalidArgument("the events do not fit one batch");
  }
  WM_ASSIGN_OR_RETURN(batch.signature, signer.Sign(HeaderDigest(batch.header)));
  return batch;
}

model::Sha256 HeaderDigest(std::string_view header) {
  return DomainDigest(kDomainBatchHeader, header);
}

base::Result<BatchHeader> ParseHeader(std::string_view bytes) {
  v1::BatchHeader proto;
  if (bytes.size() > limits::kMaxBatchHeaderBytes ||
      !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("the batch header can't be read");
  }
  if (proto.algorithm() != v1::SIGNATURE_ALGORITHM_ECDSA_P256) {
    return FieldError("algorithm", "is not ECDSA P-256, the only one that this build knows");
  }
  BatchHeader header;
  WM_ASSIGN_OR_RETURN(header.chain, ReadId(proto.chain_id(), "chain_id"));
  WM_ASSIGN_OR_RETURN(header.key_id, ReadSha256(proto.key_id(), "key_id"));
  header.number = proto.number();
  header.first_event = proto.first_event();
  header.event_count = proto.event_count();
  WM_ASSIGN_OR_RETURN(header.priority, ReadPriority(proto.priority(), "priority"));
  if (!proto.previous_header_digest().empty()) {
    WM_ASSIGN_OR_RETURN(header.previous,
                        ReadSha256(proto.previous_header_digest(), "previous_header_digest"));
  }
  WM_ASSIGN_OR_RETURN(header.merkle_root, ReadSha256(proto.merkle_root(), "merkle_root"));
  WM_ASSIGN_OR_RETURN(header.dropped, ReadDropped(proto));
  WM_ASSIGN_OR_RETURN(header.boot_id, ReadId(proto.boot_id(), "boot_id"));
  WM_ASSIGN_OR_RETURN(header.wall, ReadTime(proto.wall_time_us(), "wall_time_us"));
  header.boot.since_boot = base::Duration(proto.boot_time_us());
  WM_ASSIGN_OR_RETURN(header.clock_state,
                      ReadEnum<ClockState>(proto.clock_state(), "clock_state", 0));
  WM_RETURN_IF_ERROR(CheckNumbers(header));
  return header;
}

base::Result<BatchHeader> VerifyBatch(const SealedBatch& batch, const openssl::PublicKey& key) {
  if (batch.ByteSize() > limits::kMaxBatchBytes) {
    return base::InvalidArgument("the batch has " + std::to_string(batch.ByteSize()) + " bytes; " +
                                 std::to_string(limits::kMaxBatchBytes) + " are allowed");
  }
  WM_ASSIGN_OR_RETURN(BatchHeader header, ParseHeader(batch.header));
  if (header.key_id != key.id()) {
    return base::InvalidArgument("the batch names key " + header.key_id.ToHex() + ", not " +
                                 key.id().ToHex());
  }
  if (!key.Verify(HeaderDigest(batch.header), batch.signature)) {
    return base::InvalidArgument("the batch's signature does not hold");
  }
  WM_RETURN_IF_ERROR(VerifyEvents(batch, header));
  return header;
}

base::Status VerifyEvents(const SealedBatch& batch, const BatchHeader& header) {
  if (batch.events.empty()) return {};  // every body was dropped; the header says what there was
  if (batch.events.size() != header.event_count) {
    return base::InvalidArgument("the batch has " + std::to_string(batch.events.size()) +
                                 " events and its header says " +
                                 std::to_string(header.event_count));
  }
  std::vector<model::Sha256> leaves;
  leaves.reserve(batch.events.size());
  for (const BatchEvent& event : batch.events) {
    WM_RETURN_IF_ERROR(CheckEvent(event, leaves.size()));
    leaves.push_back(LeafOf(event));
  }
  if (MerkleRoot(leaves) != header.merkle_root) {
    return base::InvalidArgument("the events are not those of the header (Merkle root)");
  }
  return {};
}

}  // namespace weighmaster::wire
