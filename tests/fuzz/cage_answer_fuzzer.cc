#include <cstddef>
#include <cstdint>

#include "agent/cage/answer.h"
#include "policy/base/bytes.h"
#include "policy/base/check.h"
#include "policy/base/limits.h"

// Every byte of an answer may have been chosen by the file that was parsed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message = weighmaster::base::AsText({data, size});
  const auto tensors = weighmaster::agent::cage::ParseCageTensors(message);
  if (tensors.has_value()) WM_CHECK(tensors->piece.empty() || tensors->failure.empty());
  const auto answer = weighmaster::agent::cage::ParseCageAnswer(message);
  if (answer.has_value() && answer->parsed) {
    WM_CHECK(answer->facts.name.size() <= weighmaster::base::limits::kMaxFactBytes);
    WM_CHECK(answer->facts.risks.size() <= weighmaster::base::limits::kMaxRisksPerFile);
  }
  return 0;
}
