// A file of policy cases: whatever can be read can be judged.

#include <cstddef>
#include <cstdint>

#include "policy/base/check.h"
#include "policy/engine/policy.h"
#include "policy/lang/cases.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weighmaster;  // NOLINT(google-build-using-namespace): one function
  const lang::CasesReading reading =
      lang::ReadCases("fuzz.test.yaml", base::AsText({data, size}), base::WallTime());
  WM_CHECK(base::IsUtf8(reading.diagnostics.ToText()));
  const lang::CasesOutcome outcome = lang::RunCases(*engine::Policy::None(), reading.cases);
  WM_CHECK(outcome.passed + outcome.failures.size() == reading.cases.size());
  return 0;
}
