// A policy document: parse, lint, compile, and make a judge of what has no errors. What the input
// names as a list file is the input itself.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "policy/base/check.h"
#include "policy/lang/compile.h"
#include "policy/lang/diff.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weighmaster;  // NOLINT(google-build-using-namespace): one function
  const std::string text(base::AsText({data, size}));
  const lang::Reading reading = lang::ReadDocument(
      "fuzz.yaml", text, [&](const std::string&) -> base::Result<std::string> { return text; },
      base::WallTime());
  WM_CHECK(base::IsUtf8(reading.diagnostics.ToText()));
  if (reading.diagnostics.has_errors()) return 0;
  WM_CHECK(lang::ChangesBetween(reading.document, reading.document).empty());
  const auto policy = lang::MakePolicy(1, reading);
  WM_CHECK(policy.has_value());
  model::Sighting sighting;
  sighting.path.bytes = text;
  sighting.facts.name = text;
  const model::Verdict verdict = (*policy)->Judge(sighting, base::WallTime());
  WM_CHECK(verdict.basis == model::Basis::kPartial);
  return 0;
}
