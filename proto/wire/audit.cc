#include "proto/wire/audit.h"

#include "policy/model/named.h"
#include "proto/wire/trust.h"

namespace weighmaster::wire {
namespace {

constexpr std::string_view kDomain = "weighmaster audit row v1";

constexpr model::Named<AuditOutcome> kOutcomes[] = {{AuditOutcome::kBegun, "begun"},
                                                    {AuditOutcome::kDone, "done"},
                                                    {AuditOutcome::kFailed, "failed"},
                                                    {AuditOutcome::kRefused, "refused"}};

void AddNumber(std::string& bytes, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>((number >> shift) & 0xff);
}

void AddText(std::string& bytes, std::string_view text) {
  AddNumber(bytes, text.size());
  bytes += text;
}

}  // namespace

std::string_view AuditOutcomeName(AuditOutcome outcome) {
  return model::NameOf(kOutcomes, outcome);
}

model::Sha256 AuditDigest(const model::Sha256& previous, const AuditRow& row) {
  std::string bytes(base::AsText(previous.view()));
  AddNumber(bytes, row.number);
  AddNumber(bytes, static_cast<std::uint64_t>(base::ToMicroseconds(row.time)));
  bytes += base::AsText(row.token_id.view());
  AddText(bytes, row.token_name);
  AddText(bytes, row.method);
  AddNumber(bytes, static_cast<std::uint64_t>(row.outcome));
  AddNumber(bytes, row.begun_number);
  AddNumber(bytes, row.code);
  AddText(bytes, row.summary);
  return DomainDigest(kDomain, bytes);
}

base::Status AuditChain::Add(const AuditRow& row, const model::Sha256& digest) {
  if (row.number != number_ + 1) {
    return base::DataLoss("the audit log has no row " + std::to_string(number_ + 1) +
                          "; the next one is " + std::to_string(row.number));
  }
  if (AuditDigest(head_, row) != digest) {
    return base::DataLoss("row " + std::to_string(row.number) +
                          " of the audit log, or one before it, is not the one that was written");
  }
  number_ = row.number;
  head_ = digest;
  return {};
}

}  // namespace weighmaster::wire
