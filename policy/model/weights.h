#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/base/result.h"
#include "policy/model/digest.h"

namespace weighmaster::model {

// Why a model has no weights digest (docs/formats/weights-digest.md, "When there is none"). Stored
// and sent as these numbers.
enum class WeightsReason : std::uint8_t {
  kNone = 0,  // it has one
  kNoTensors = 1,
  kIncomplete = 2,
  kUnknownType = 3,
  kRepeats = 4,
  kSparse = 5,
  kScales = 6,
  kPacked = 7,
  kNotSupported = 8,
};
// A file's weights digest, or why it has none; neither before the file was read.
struct WeightsIdentity {
  std::optional<Sha256> digest;
  WeightsReason reason = WeightsReason::kNone;
  friend bool operator==(const WeightsIdentity&, const WeightsIdentity&) = default;
};

std::string_view WeightsReasonName(WeightsReason reason);  // "none", "no_tensors", …
base::Result<WeightsReason> ParseWeightsReason(std::string_view name);

}  // namespace weighmaster::model
