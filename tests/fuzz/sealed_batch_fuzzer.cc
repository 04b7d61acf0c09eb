// Bytes from an endpoint to a verified batch: whatever they are, the answer is a header or an
// error.

#include <cstddef>
#include <cstdint>

#include "policy/base/check.h"
#include "proto/wire/convert.h"
#include "proto/wire/merkle.h"
#include "proto/wire/seal.h"
#include "tests/support/keys.h"
#include "weighmaster/v1/batch.pb.h"

namespace base = weighmaster::base;
namespace tests = weighmaster::tests;
namespace v1 = weighmaster::v1;
namespace wire = weighmaster::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(wire::ParseHeader(base::AsText({data, size})));
  v1::SealedBatch proto;
  if (!proto.ParseFromArray(data, static_cast<int>(size))) return 0;
  const auto batch = wire::FromProto(proto);
  if (!batch) return 0;
  const auto header = wire::VerifyBatch(*batch, tests::TestKey(10).public_key());
  if (!header || batch->events.empty()) return 0;
  // What verifies can be proved event by event.
  const auto proof = wire::MakeProof(*batch, header->event_count - 1);
  WM_CHECK(proof && wire::VerifyProof(*header, *proof, batch->events.back()));
  return 0;
}
