#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "agent/formats/tensors/tensor_map.h"
#include "agent/weights/weights_hasher.h"
#include "policy/base/bytes.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::agent::weights {

inline void AppendNumber(base::Bytes& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

inline void AppendText(base::Bytes& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

// A tensor's elements by docs/formats/weights-digest.md, one after another.
inline base::Bytes NaiveElements(const formats::Tensor& tensor, const base::Bytes& file) {
  const std::size_t element = tensor.type->block_bytes;
  std::vector<std::uint64_t> index(tensor.dims.size(), 0);
  base::Bytes out;
  std::uint64_t count = 1;
  for (const std::uint64_t extent : tensor.dims) count *= extent;
  for (std::uint64_t n = 0; n < count; ++n) {
    std::uint64_t place = 0;
    for (std::size_t i = 0; i < index.size(); ++i) {
      place = tensor.strides.empty() ? place * tensor.dims[i] + index[i]
                                     : place + index[i] * tensor.strides[i];
    }
    const auto* const from = file.data() + tensor.begin + place * element;
    base::Bytes bytes(from, from + element);
    if (tensor.big_endian) {
      const auto word = static_cast<std::ptrdiff_t>(tensor.type->word_bytes);
      for (auto at = bytes.begin(); at != bytes.end(); at += word) std::reverse(at, at + word);
    }
    out.insert(out.end(), bytes.begin(), bytes.end());
    for (std::size_t i = index.size(); i-- > 0;) {
      if (++index[i] < tensor.dims[i]) break;
      index[i] = 0;
    }
  }
  return out;
}

inline TensorDigest NaiveTensorDigest(std::string_view type, std::vector<std::uint64_t> dims,
                                      const base::Bytes& elements) {
  while (!dims.empty() && dims.front() == 1) dims.erase(dims.begin());
  base::Bytes text;
  AppendText(text, "weighmaster wd1 tensor\n");
  AppendNumber(text, type.size(), 1);
  AppendText(text, type);
  AppendNumber(text, dims.size(), 4);
  for (const std::uint64_t extent : dims) AppendNumber(text, extent, 8);
  AppendNumber(text, elements.size(), 8);
  text.insert(text.end(), elements.begin(), elements.end());
  return {openssl::Sha256Of(text), elements.size()};
}

inline model::Sha256 NaiveWeightsDigest(std::vector<TensorDigest> tensors) {
  std::sort(tensors.begin(), tensors.end());
  base::Bytes text;
  AppendText(text, "weighmaster wd1 model\n");
  AppendNumber(text, tensors.size(), 8);
  for (const TensorDigest& tensor : tensors) {
    text.insert(text.end(), tensor.digest.bytes.begin(), tensor.digest.bytes.end());
  }
  return openssl::Sha256Of(text);
}

// Reads from a file in memory, counting.
struct CountedFile {
  const base::Bytes& bytes;
  std::uint64_t reads = 0;
  std::uint64_t bytes_read = 0;

  base::Status Read(std::uint64_t offset, std::span<std::uint8_t> out) {
    ++reads;
    bytes_read += out.size();
    if (offset > bytes.size() || out.size() > bytes.size() - offset) {
      return base::DataLoss("past the end");
    }
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }
};

}  // namespace weighmaster::agent::weights
