#include "agent/formats/tensors/tensor_map.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::formats {
namespace {

namespace limits = base::limits;
using model::WeightsReason;

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kHasStrides = 1;
constexpr std::uint8_t kBigEndian = 2;
constexpr std::size_t kMaxRank = 64;

void AppendVarint(base::Bytes& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

std::optional<std::uint64_t> TakeVarint(base::ByteView& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const std::uint8_t byte = in.front();
    in = in.subspan(1);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// A record: its type's row, flags, rank, extents, and strides where there are any.
void AppendRecord(base::Bytes& out, const Tensor& tensor) {
  AppendVarint(out, static_cast<std::uint64_t>(tensor.type - ElementTypes().data()));
  out.push_back(static_cast<std::uint8_t>((tensor.strides.empty() ? 0 : kHasStrides) |
                                          (tensor.big_endian ? kBigEndian : 0)));
  AppendVarint(out, tensor.dims.size());
  for (const std::uint64_t extent : tensor.dims) AppendVarint(out, extent);
  for (const std::uint64_t stride : tensor.strides) AppendVarint(out, stride);
}

bool TakeNumbers(base::ByteView& in, std::size_t count, std::vector<std::uint64_t>& out) {
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = TakeVarint(in);
    if (!number.has_value()) return false;
    out.push_back(*number);
  }
  return true;
}

std::optional<Tensor> TakeRecord(base::ByteView& in) {
  Tensor tensor;
  const auto row = TakeVarint(in);
  if (!row.has_value() || *row >= ElementTypes().size() || in.empty()) return std::nullopt;
  tensor.type = &ElementTypes()[static_cast<std::size_t>(*row)];
  const std::uint8_t flags = in.front();
  in = in.subspan(1);
  tensor.big_endian = (flags & kBigEndian) != 0;
  const auto rank = TakeVarint(in);
  if (!rank.has_value() || *rank > kMaxRank) return std::nullopt;
  const auto count = static_cast<std::size_t>(*rank);
  if (!TakeNumbers(in, count, tensor.dims)) return std::nullopt;
  if ((flags & kHasStrides) != 0 && !TakeNumbers(in, count, tensor.strides)) return std::nullopt;
  return tensor;
}

bool HasElements(const Tensor& tensor) {
  return std::find(tensor.dims.begin(), tensor.dims.end(), 0U) == tensor.dims.end();
}

bool IsRowMajor(const Tensor& tensor) {
  std::uint64_t expected = 1;
  for (std::size_t i = tensor.dims.size(); i-- > 0;) {
    if (tensor.dims[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.dims[i];
  }
  return true;
}

// Of a tensor with elements, whose bytes can be counted.
void Normalise(Tensor& tensor) {
  if (!tensor.strides.empty() && IsRowMajor(tensor)) tensor.strides.clear();
  const auto first = std::find_if(tensor.dims.begin(), tensor.dims.end(),
                                  [](std::uint64_t extent) { return extent != 1; });
  const auto ones = first - tensor.dims.begin();
  tensor.dims.erase(tensor.dims.begin(), first);
  if (tensor.strides.empty()) return;
  tensor.strides.erase(tensor.strides.begin(), tensor.strides.begin() + ones);
  for (std::size_t i = 0; i < tensor.dims.size(); ++i) {
    if (tensor.dims[i] == 1) tensor.strides[i] = 0;
  }
}

}  // namespace

// Each stride, from the least, has to lead past all that those before it reach.
std::optional<std::uint64_t> SpanOf(const Tensor& tensor) {
  if (!HasElements(tensor)) return 0;
  if (tensor.strides.empty()) return BytesOf(*tensor.type, tensor.dims).value_or(UINT64_MAX);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> axes;  // stride, extent
  for (std::size_t i = 0; i < tensor.dims.size(); ++i) {
    if (tensor.dims[i] > 1) axes.emplace_back(tensor.strides[i], tensor.dims[i]);
  }
  std::sort(axes.begin(), axes.end());
  std::uint64_t reached = 1;
  for (const auto& [stride, extent] : axes) {
    if (stride < reached) return std::nullopt;
    std::uint64_t further = 0;
    if (__builtin_mul_overflow(stride, extent - 1, &further) ||
        __builtin_add_overflow(reached, further, &reached)) {
      return UINT64_MAX;
    }
  }
  std::uint64_t bytes = 0;
  const bool counted =
      !__builtin_mul_overflow(reached, std::uint64_t{tensor.type->block_bytes}, &bytes);
  return counted ? bytes : UINT64_MAX;
}

void TensorMapWriter::Begin() { begun_ = true; }

void TensorMapWriter::Add(const Tensor& tensor) {
  if (!wanted_ || reason_ != WeightsReason::kNone) return;
  if (tensor.type == nullptr) return Fail(WeightsReason::kUnknownType);
  if (++count_ > limits::kMaxMappedTensors || tensor.dims.size() > kMaxRank) {
    return Fail(WeightsReason::kIncomplete);
  }
  AppendRecord(records_, tensor);
  AppendVarint(records_, tensor.begin);
  if (records_.size() > limits::kMaxTensorMapBytes) Fail(WeightsReason::kIncomplete);
}

void TensorMapWriter::Fail(WeightsReason reason) {
  if (reason_ != WeightsReason::kNone) return;
  reason_ = reason;
  records_ = {};
}

base::Bytes TensorMapWriter::Take() && {
  if (!begun_) Fail(WeightsReason::kNotSupported);
  if (count_ == 0) Fail(WeightsReason::kNoTensors);
  base::Bytes map = {kVersion, static_cast<std::uint8_t>(reason_)};
  AppendVarint(map, base_);
  map.insert(map.end(), records_.begin(), records_.end());
  return map;
}

TensorMap TensorMap::Without(WeightsReason reason) {
  TensorMap map;
  map.reason_ = reason;
  return map;
}

base::Result<TensorMap> TensorMap::Decode(base::ByteView encoded, std::uint64_t file_bytes) {
  const base::Error broken = base::InvalidArgument("this is no map of tensors");
  if (encoded.size() < 2 || encoded[0] != kVersion) return broken;
  const std::uint8_t said = encoded[1];
  if (said > static_cast<std::uint8_t>(WeightsReason::kNotSupported)) return broken;
  if (said != 0) return Without(static_cast<WeightsReason>(said));
  base::ByteView rest = encoded.subspan(2);
  const auto base = TakeVarint(rest);
  if (!base.has_value()) return broken;
  TensorMap map;
  for (std::size_t count = 0; !rest.empty(); ++count) {
    auto tensor = TakeRecord(rest);
    const auto begin = TakeVarint(rest);
    if (!tensor.has_value() || !begin.has_value()) return broken;
    if (count == limits::kMaxMappedTensors) return broken;
    if (!HasElements(*tensor)) continue;
    if (__builtin_add_overflow(*base, *begin, &tensor->begin)) {
      return Without(WeightsReason::kIncomplete);
    }
    const WeightsReason reason = map.Add(*std::move(tensor), file_bytes);
    if (reason != WeightsReason::kNone) return Without(reason);
  }
  if (map.size() == 0) return Without(WeightsReason::kNoTensors);
  map.SortAndMerge();
  const WeightsReason reason = map.CheckWork(file_bytes);
  if (reason != WeightsReason::kNone) return Without(reason);
  return map;
}

WeightsReason TensorMap::Add(Tensor tensor, std::uint64_t file_bytes) {
  const ElementType& type = *tensor.type;
  const auto bytes = BytesOf(type, tensor.dims);
  if (!bytes.has_value()) return WeightsReason::kIncomplete;
  Normalise(tensor);
  if (!tensor.strides.empty() && type.block_elements != 1) return WeightsReason::kUnknownType;
  const auto span = SpanOf(tensor);
  if (!span.has_value()) return WeightsReason::kRepeats;
  if (tensor.big_endian && type.word_bytes == 0) return WeightsReason::kUnknownType;
  if (type.word_bytes == 1) tensor.big_endian = false;
  if (tensor.begin > file_bytes || *span > file_bytes - tensor.begin) {
    return WeightsReason::kIncomplete;
  }
  Place place;
  place.begin = tensor.begin;
  place.end = tensor.begin + *span;
  place.bytes = *bytes;
  place.record = static_cast<std::uint32_t>(records_.size());
  place.in_order = tensor.strides.empty() && !tensor.big_endian;
  AppendRecord(records_, tensor);
  place.record_bytes = static_cast<std::uint32_t>(records_.size() - place.record);
  places_.push_back(place);
  return WeightsReason::kNone;
}

void TensorMap::SortAndMerge() {
  const auto key = [this](const Place& place) {
    return std::pair(place.begin, base::AsText(RecordOf(place)));
  };
  std::sort(places_.begin(), places_.end(),
            [&key](const Place& left, const Place& right) { return key(left) < key(right); });
  const auto end = std::unique(
      places_.begin(), places_.end(),
      [&key](const Place& left, const Place& right) { return key(left) == key(right); });
  places_.erase(end, places_.end());
}

WeightsReason TensorMap::CheckWork(std::uint64_t file_bytes) const {
  std::uint64_t work = 0;
  std::vector<std::uint64_t> open;  // where those end that reach past the one that is looked at
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Place& place = places_[i];
    if (__builtin_add_overflow(work, place.bytes, &work) || work / 2 > file_bytes) {
      return WeightsReason::kRepeats;
    }
    std::erase_if(open, [&place](std::uint64_t end) { return end <= place.begin; });
    if (!IsInOrderAt(i)) continue;
    if (open.size() == limits::kMaxOverlappingTensors) return WeightsReason::kRepeats;
    open.push_back(place.end);
  }
  return WeightsReason::kNone;
}

Tensor TensorMap::At(std::size_t index) const {
  const Place& place = places_[index];
  base::ByteView record = RecordOf(place);
  auto tensor = TakeRecord(record);
  WM_CHECK(tensor.has_value());
  tensor->begin = place.begin;
  return *std::move(tensor);
}

}  // namespace weighmaster::agent::formats
