#include "policy/model/weights.h"

#include "policy/model/named.h"

namespace weighmaster::model {
namespace {

constexpr Named<WeightsReason> kWeightsReasons[] = {
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

}  // namespace

std::string_view WeightsReasonName(WeightsReason reason) { return NameOf(kWeightsReasons, reason); }
base::Result<WeightsReason> ParseWeightsReason(std::string_view name) {
  return ValueOf(kWeightsReasons, name, "reason for no weights digest");
}

}  // namespace weighmaster::model
