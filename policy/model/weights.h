#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "policy/model/named.h"

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
// Every reason and its name, as it appears in policies, JSON and tables.
inline constexpr Named<WeightsReason> kWeightsReasons[] = {
    {WeightsReason::kNone, "none"},
    {WeightsReason::kNoTensors, "no_tensors"},
    {WeightsReason::kIncomplete, "incomplete"},
    {WeightsReason::kUnknownType, "unknown_type"},
    {WeightsReason::kRepeats, "repeats"},
    {WeightsReason::kSparse, "sparse"},
    {WeightsReason::kScales, "scales"},
    {WeightsReason::kPacked, "packed"},
    {WeightsReason::kNotSupported, "not_supported"},
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
