#pragma once

#include <string>
#include <vector>

#include "proto/wire/evidence.h"
#include "proto/wire/trust.h"
#include "weighmaster/v1/evidence.pb.h"

namespace weighmaster::tests {

// The evidence of an endpoint of the test fleet, whose key is TestKey(11): the chain 0xc1 with the
// batches 1 to 4, of which 2 lacks a body and 3 all of them, and the chain 0xc2 with 1 and 2, which
// took its place; one batch that equivocates; policy 1, its part in two pieces, and exceptions of
// both scopes.
wire::EvidenceStatement EvidenceStatement();
wire::SignedDocument SignStatement(const wire::EvidenceStatement& statement);

// The records of the file, in order, without header and trailer. Those that are signed are the same
// in every call but for their signatures.
std::vector<v1::EvidenceRecord> EvidenceRecords();

// The file of these records, with the trailer that fits them.
std::string EvidenceFile(const std::vector<v1::EvidenceRecord>& records);

}  // namespace weighmaster::tests
