#pragma once

#include <string_view>

namespace weighmaster::agent::formats {

// Whether the operators of a domain come with ONNX or ONNX Runtime; those of any other need a
// library of their own.
bool IsKnownOperatorDomain(std::string_view domain);

}  // namespace weighmaster::agent::formats
