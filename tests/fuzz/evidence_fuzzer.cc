// A file of evidence, in two pieces: whatever the bytes are, the answer is a report, and the same
// one however the file is cut.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "policy/base/check.h"
#include "proto/wire/evidence.h"
#include "proto/wire/evidence_check.h"
#include "weighmaster/v1/evidence.pb.h"

namespace base = weighmaster::base;
namespace v1 = weighmaster::v1;
namespace wire = weighmaster::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file = base::AsText({data, size});
  wire::EvidenceCheck whole(std::nullopt);
  whole.Add(file);
  const v1::EvidenceReport report = whole.Finish();
  wire::EvidenceCheck cut(std::nullopt);
  cut.Add(file.substr(0, size / 2));
  cut.Add(file.substr(size / 2));
  WM_CHECK(cut.Finish().SerializeAsString() == report.SerializeAsString());
  WM_CHECK(report.verified() == (report.problems_size() == 0));
  const auto statement = wire::ParseStatement(file);
  if (statement) WM_CHECK(wire::ParseStatement(wire::SerialiseStatement(*statement)).has_value());
  return 0;
}
