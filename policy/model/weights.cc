#include "policy/model/weights.h"

namespace weighmaster::model {
std::string_view WeightsReasonName(WeightsReason reason) { return NameOf(kWeightsReasons, reason); }
base::Result<WeightsReason> ParseWeightsReason(std::string_view name) {
  return ValueOf(kWeightsReasons, name, "reason for no weights digest");
}

}  // namespace weighmaster::model
