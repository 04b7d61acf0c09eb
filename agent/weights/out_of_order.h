#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "agent/formats/tensors/tensor_map.h"
#include "policy/base/bytes.h"
#include "policy/base/result.h"

namespace weighmaster::agent::weights {

// Fills `out` from a place in the file, or says why not; a short read is an error.
using ReadAt = std::function<base::Status(std::uint64_t offset, std::span<std::uint8_t> out)>;

// What reading a tensor out of order costs: bytes, and a fixed price for every read. Nothing: more
// than 64 bits count.
std::optional<std::uint64_t> OutOfOrderWork(const formats::Tensor& tensor);

// Gives the elements of a tensor that has strides, or the other byte order, to `take`: in row-major
// order, each little-endian, in pieces of whole elements. Of a map that was checked
// (formats::TensorMap); needs a few megabytes whatever the tensor. Errors are those of `read`.
base::Status ReadOutOfOrder(const formats::Tensor& tensor, const ReadAt& read,
                            const std::function<void(base::ByteView)>& take);

}  // namespace weighmaster::agent::weights
