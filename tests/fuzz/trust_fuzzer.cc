// Signed roots, bundles and acknowledgements, as they travel and as the bytes inside.

#include <cstddef>
#include <cstdint>

#include "policy/base/check.h"
#include "proto/wire/trust.h"
#include "tests/support/keys.h"
#include "weighmaster/v1/batch.pb.h"
#include "weighmaster/v1/trust.pb.h"

namespace {

namespace base = weighmaster::base;
namespace tests = weighmaster::tests;
namespace v1 = weighmaster::v1;
namespace wire = weighmaster::wire;

template <typename Proto>
base::Result<wire::SignedDocument> ReadDocument(const std::uint8_t* data, std::size_t size) {
  Proto proto;
  if (!proto.ParseFromArray(data, static_cast<int>(size))) {
    return base::InvalidArgument("no message");
  }
  return wire::FromProto(proto);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const wire::Root kFleetRoot = tests::MakeRoot({1, 4, 5}, 2);
  if (const auto root = ReadDocument<v1::SignedRoot>(data, size)) {
    const auto parsed = wire::ParseRoot(root->bytes);
    if (parsed) WM_CHECK(wire::ParseRoot(wire::SerialiseRoot(*parsed)).has_value());
    static_cast<void>(wire::VerifyRoot(*root));
    static_cast<void>(wire::VerifyNextRoot(kFleetRoot, *root));
  }
  if (const auto bundle = ReadDocument<v1::SignedBundle>(data, size)) {
    const auto parsed = wire::ParseManifest(bundle->bytes);
    if (parsed) WM_CHECK(wire::ParseManifest(wire::SerialiseManifest(*parsed)).has_value());
    static_cast<void>(wire::CheckBundle(*bundle, kFleetRoot, "default", 1));
  }
  if (const auto acknowledgement = ReadDocument<v1::SignedAcknowledgement>(data, size)) {
    static_cast<void>(wire::VerifyAcknowledgement(*acknowledgement, kFleetRoot));
  }
  return 0;
}
