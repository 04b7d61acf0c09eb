#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string_view>

#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Adds up the constants of a graph: how many there are, of how many elements, and of which type
// most of them. Sums that overflow or miss something are not told.
class TensorCount {
 public:
  // `type` names a row of a constant table; empty where it is not known.
  void Add(std::string_view type, std::span<const std::uint64_t> dims);
  void Add(std::string_view type, std::uint64_t elements);
  // One whose elements can't be counted.
  void AddUncounted();
  // That there are more of them.
  void Miss() { complete_ = false; }
  void Add(const TensorCount& other);

  // Sets quantization, parameters and tensor_count.
  void Tell(model::Facts& facts) const;

 private:
  std::uint64_t tensors_ = 0;
  std::uint64_t elements_ = 0;
  bool complete_ = true;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

}  // namespace weighmaster::agent::formats
