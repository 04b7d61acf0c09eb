#include "agent/formats/graphs/tensor_count.h"

#include <algorithm>
#include <string>

namespace weighmaster::agent::formats {

void TensorCount::Add(std::string_view type, std::span<const std::uint64_t> dims) {
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : dims) {
    if (__builtin_mul_overflow(elements, extent, &elements)) return AddUncounted();
  }
  Add(type, elements);
}

void TensorCount::Add(std::string_view type, std::uint64_t elements) {
  ++tensors_;
  if (__builtin_add_overflow(elements_, elements, &elements_)) return Miss();
  // No more than all of them, so no sum of one type overflows.
  elements_by_type_[type] += elements;
}

void TensorCount::AddUncounted() {
  ++tensors_;
  Miss();
}

void TensorCount::Add(const TensorCount& other) {
  tensors_ += other.tensors_;
  complete_ = complete_ && other.complete_;
  if (__builtin_add_overflow(elements_, other.elements_, &elements_)) return Miss();
  for (const auto& [type, elements] : other.elements_by_type_) elements_by_type_[type] += elements;
}

void TensorCount::Tell(model::Facts& facts) const {
  facts.tensor_count = tensors_;
  if (complete_) facts.parameters = elements_;
  const auto most = std::max_element(
      elements_by_type_.begin(), elements_by_type_.end(),
      [](const auto& left, const auto& right) { return left.second < right.second; });
  if (most != elements_by_type_.end()) facts.quantization = std::string(most->first);
}

}  // namespace weighmaster::agent::formats
