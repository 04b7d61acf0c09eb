#include "agent/formats/graphs/operator_domains.h"

#include <algorithm>
#include <iterator>

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kDomains[] = {"",
                                         "ai.onnx",
                                         "ai.onnx.ml",
                                         "ai.onnx.training",
                                         "ai.onnx.preview.training",
                                         "com.microsoft",
                                         "com.microsoft.nchwc",
                                         "com.ms.internal.nhwc"};

}  // namespace

bool IsKnownOperatorDomain(std::string_view domain) {
  return std::find(std::begin(kDomains), std::end(kDomains), domain) != std::end(kDomains);
}

}  // namespace weighmaster::agent::formats
