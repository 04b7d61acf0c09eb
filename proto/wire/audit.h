#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"

namespace weighmaster::wire {

// How far an audited call came. The numbers of v1::AuditOutcome.
enum class AuditOutcome : std::uint8_t {
  kBegun = 1,  // written before anything is changed
  kDone,
  kFailed,   // nothing was changed, and `code` says why
  kRefused,  // the caller may not: it never began
};
inline constexpr int kAuditOutcomes = 4;
// "begun", "done", "failed", "refused".
std::string_view AuditOutcomeName(AuditOutcome outcome);

// One row of the server's audit log. docs/formats/audit-log.md
struct AuditRow {
  std::uint64_t number = 0;  // from 1, without a gap
  base::WallTime time;
  model::Id token_id;
  std::string token_name;
  std::string method;  // "RevokeEndpoint"
  AuditOutcome outcome = AuditOutcome::kBegun;
  std::uint64_t begun_number = 0;  // of the row that began the call; 0 in that row and of a refusal
  std::uint32_t code = 0;          // a base::ErrorCode; 0: none
  std::string summary;             // of the request when it begins, of the answer when it is done
};

// Covers the row and, by the digest of the row before it (zeros for the first), all before.
model::Sha256 AuditDigest(const model::Sha256& previous, const AuditRow& row);

// Holds a log against its digests, row by row from the first. An error names the row from which on
// the log is not the one that was written; the chain is no good after it. It can't know that rows
// are missing at the end: compare head() with one that was kept elsewhere.
class AuditChain {
 public:
  base::Status Add(const AuditRow& row, const model::Sha256& digest);

  std::uint64_t number() const { return number_; }  // of the last row; 0: none yet
  const model::Sha256& head() const { return head_; }

 private:
  std::uint64_t number_ = 0;
  model::Sha256 head_;
};

}  // namespace weighmaster::wire
