// The bytes of a client of the agent's control socket: first byte, how they are cut into reads and
// who asks; the rest, what is sent.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "agent/control/answer.h"
#include "agent/control/frame.h"
#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "tests/agent/control/known_models.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::control {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t step = 1 + data[0] / 2;
  const std::uint32_t uid = data[0] % 2;
  base::ByteView rest(data + 1, size - 1);

  FrameReader reader(base::limits::kMaxControlRequestBytes);
  KnownModels models;
  models.Add("/m", 1);
  while (!rest.empty()) {
    const base::ByteView chunk = rest.first(std::min(step, rest.size()));
    rest = rest.subspan(chunk.size());
    const base::Result<bool> whole = reader.Append(chunk);
    if (!whole.has_value()) return 0;
    if (!*whole) continue;
    const std::string answer = Answer(models, uid, reader.message());
    local::v1::ControlAnswer parsed;
    WM_CHECK(answer.size() <= base::limits::kMaxControlAnswerBytes);
    WM_CHECK(parsed.ParseFromString(answer));
    WM_CHECK(parsed.answer_case() != local::v1::ControlAnswer::ANSWER_NOT_SET);
  }
  return 0;
}

}  // namespace weighmaster::agent::control
