#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "third_party/openssl/key.h"

namespace weighmaster::openssl {
class Sha256Hasher;
}  // namespace weighmaster::openssl

namespace weighmaster::v1 {
class EvidenceBatch;
class EvidenceRecord;
class SealedBatch;
}  // namespace weighmaster::v1

namespace weighmaster::wire {

// docs/formats/evidence.md: what one endpoint said, in a file that anybody can check without a
// server (evidence_check.h).
inline constexpr std::string_view kDomainEvidence = "weighmaster evidence v1";
inline constexpr std::string_view kEvidenceFormat = "weighmaster evidence";
// What is written; older ones are read. Version 1 has no parts of policies.
inline constexpr std::uint32_t kEvidenceVersion = 2;

// Why a batch lies beside its chain and not in it. The numbers of v1::QuarantineReason, which are
// also in the store.
enum class QuarantineReason : std::uint8_t {
  kRevokedKey = 1,
  kEquivocation = 2,  // its number is taken by a batch with another digest
  kBrokenChain = 3,   // it does not follow the batch before it
  kClone = 4,         // a second live chain of one key
  kEndpoint = 5,      // the endpoint is quarantined already
};
std::string_view QuarantineReasonName(QuarantineReason reason);

struct EvidenceKey {
  openssl::PublicKey key;
  std::uint64_t first_number = 1;  // of the batches that it may sign
  std::optional<std::uint64_t> last_number;
  base::WallTime added;
  std::optional<base::WallTime> revoked;
};

// The batches of a chain from first to last.
struct EvidenceChain {
  model::Id chain;
  std::uint64_t first_number = 1;
  std::uint64_t last_number = 1;
  std::uint64_t bodies = 0;       // of their events, that the server has
  std::uint64_t head_number = 1;  // the newest batch that the server has
  std::optional<base::WallTime> superseded;
};

struct EvidenceQuarantined {
  model::Sha256 header_digest;
  QuarantineReason reason = QuarantineReason::kRevokedKey;
  base::WallTime received;
};

struct EvidenceAppliedPolicy {
  std::uint64_t version = 0;
  model::Sha256 manifest;
  friend auto operator<=>(const EvidenceAppliedPolicy&, const EvidenceAppliedPolicy&) = default;
};

// What the server says of an endpoint and of what a file of evidence has to hold.
struct EvidenceStatement {
  std::string fleet_id;
  model::Id endpoint;
  std::string hostname;
  model::Id lineage;
  base::WallTime server_time;
  std::uint64_t root_version = 0;
  std::vector<EvidenceKey> keys;
  std::vector<EvidenceChain> chains;
  std::vector<EvidenceQuarantined> quarantined;
  std::vector<EvidenceAppliedPolicy> policies;
  std::uint64_t fleet_exceptions_version = 0;
  std::uint64_t endpoint_exceptions_version = 0;
};
std::string SerialiseStatement(const EvidenceStatement& statement);
// Bounds-checked: limits::kMaxEvidence…, no key, chain or policy twice, ranges that are none.
base::Result<EvidenceStatement> ParseStatement(std::string_view bytes);

// A batch with the digests of its leaves beside it, which the file has so that a reader can say
// which event was changed.
base::Status PutBatch(const v1::SealedBatch& batch, v1::EvidenceBatch& out);

// Writes an evidence file piece by piece: Begin, Add for each record, End. Keeps nothing of what it
// wrote. What it is given in a wrong order it writes so, and no reader takes it.
class EvidenceWriter {
 public:
  using Sink = std::function<base::Status(std::string_view)>;

  explicit EvidenceWriter(Sink sink);
  ~EvidenceWriter();
  EvidenceWriter(const EvidenceWriter&) = delete;
  EvidenceWriter& operator=(const EvidenceWriter&) = delete;

  base::Status Begin();
  // RESOURCE_EXHAUSTED past limits::kMaxEvidenceRecordBytes.
  base::Status Add(const v1::EvidenceRecord& record);
  base::Status End();

  std::uint64_t batches() const { return batches_; }
  std::uint64_t bodies() const { return bodies_; }

 private:
  base::Status Write(const v1::EvidenceRecord& record);

  const Sink sink_;
  const std::unique_ptr<openssl::Sha256Hasher> hasher_;  // over what was written
  std::uint64_t records_ = 0;
  std::uint64_t batches_ = 0;
  std::uint64_t bodies_ = 0;
};

}  // namespace weighmaster::wire
