#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/model/digest.h"
#include "proto/wire/evidence.h"
#include "proto/wire/seal.h"
#include "proto/wire/trust.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::v1 {
class EvidenceBatch;
class EvidenceHeader;
class EvidencePart;
class EvidencePolicy;
class EvidenceRecord;
class EvidenceReport;
class EvidenceTrailer;
class SignedAcknowledgement;
class SignedEvidenceStatement;
class SignedExceptions;
class SignedRoot;
}  // namespace weighmaster::v1

namespace weighmaster::wire {

// Checks a file of evidence from its bytes alone, in the order in which they stand, and keeps no
// more of it than its roots, its statement and one record. Everything in the file is foreign.
//
// What is wrong is named, and the check goes on behind it: further problems are no echo of the
// first. Only where no record can be told from the next, or there is no statement to check by, it
// ends.
class EvidenceCheck {
 public:
  // `pinned_root`: SHA-256 of the root document that trust begins with. None: the first one of the
  // file is trusted on sight, and the report says so.
  explicit EvidenceCheck(std::optional<model::Sha256> pinned_root);
  ~EvidenceCheck();
  EvidenceCheck(const EvidenceCheck&) = delete;
  EvidenceCheck& operator=(const EvidenceCheck&) = delete;

  // The next bytes of the file, however it is cut.
  void Add(std::string_view bytes);
  // After the last byte. The check is over with it.
  v1::EvidenceReport Finish();

 private:
  // Of the chain whose batches come now: where the next one has to fit.
  struct Place {
    std::uint64_t number = 1;
    // None: the batch before is not in the file, or is not one to go by.
    std::optional<model::Sha256> previous;
    std::optional<std::uint64_t> next_event;
    std::map<model::PriorityClass, std::uint64_t> dropped;
    std::uint64_t bodies = 0;
    bool whole = true;  // every batch so far held
  };
  struct Policy {
    EvidenceAppliedPolicy applied;
    bool in_file = false;
  };
  // What a policy of the file consists of.
  struct Part {
    std::uint64_t size_bytes = 0;
    std::uint64_t policy_version = 0;  // of the first that names it
    bool in_file = false;
  };

  void Problem(const std::string& what);
  void Abandon(const std::string& why);

  // The container.
  bool TakeRecord();
  void OnRecord(std::string_view bytes, std::string_view framed);
  bool Follows(const v1::EvidenceRecord& record);
  void Dispatch(const v1::EvidenceRecord& record);
  void OnHeader(const v1::EvidenceHeader& header);
  void OnTrailer(const v1::EvidenceTrailer& trailer);
  void CheckComplete();

  // What batches are checked by.
  void OnRoot(const v1::SignedRoot& proto);
  void EndRoots();
  void OnStatement(const v1::SignedEvidenceStatement& proto);
  void OnExceptions(const v1::SignedExceptions& proto);
  void OnPolicy(const v1::EvidencePolicy& proto);
  void OnAcknowledgement(const v1::SignedAcknowledgement& proto);
  void OnPart(const v1::EvidencePart& proto);
  bool EnterPart(const model::Sha256& sha256);
  void ClosePart();

  void OnBatch(const v1::EvidenceBatch& proto);
  void OnQuarantined(const v1::EvidenceBatch& proto);
  // Once a key of the endpoint has signed it, for batches of its number if that counts.
  std::optional<BatchHeader> VerifyHeader(const SealedBatch& batch, const std::string& where,
                                          bool by_number);
  // Names the event that was changed.
  bool CheckEvents(const SealedBatch& batch, const v1::EvidenceBatch& proto,
                   const BatchHeader& header, const std::string& where);
  void CheckAppliedPolicies(const SealedBatch& batch, const BatchHeader& header);

  // Whether the batch is of this chain or of a later one, which begins then.
  bool EnterChain(const model::Id& chain, const std::string& where);
  bool CheckPlace(const BatchHeader& header, const model::Sha256& digest, const std::string& where);
  void BeginChain();
  void CloseChain();
  std::string NextPlace() const;
  void SkipPlace();

  const std::optional<model::Sha256> pinned_root_;
  const std::unique_ptr<v1::EvidenceReport> report_;

  std::string buffer_;        // what is not a whole record yet
  std::uint64_t offset_ = 0;  // of the buffer in the file
  std::uint64_t records_ = 0;
  std::uint64_t batches_ = 0;
  std::uint64_t bodies_ = 0;
  int kind_ = 0;  // of the last record
  openssl::Sha256Hasher hasher_;
  bool abandoned_ = false;

  std::vector<Root> roots_;  // that are trusted, ascending
  std::optional<Root> last_root_;
  std::size_t roots_read_ = 0;
  bool roots_hold_ = true;
  std::optional<EvidenceStatement> statement_;
  std::vector<Policy> policies_;  // of the statement
  std::map<model::Id, Acknowledgement> acknowledgements_;
  std::map<model::Sha256, Part> parts_;  // of these policies
  std::uint64_t fleet_exceptions_ = 0;
  std::uint64_t endpoint_exceptions_ = 0;

  std::size_t chain_ = 0;  // of the statement's
  bool in_chain_ = false;
  Place place_;
  std::set<model::Sha256> quarantined_seen_;

  // Of the part whose pieces come now.
  std::optional<model::Sha256> part_;
  std::uint64_t part_bytes_ = 0;
  openssl::Sha256Hasher part_hasher_;
};

}  // namespace weighmaster::wire
