#include "agent/weights/out_of_order.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "policy/base/limits.h"

namespace weighmaster::agent::weights {
namespace {

using base::Status;
using formats::Tensor;

// What is put in order at a time; a tile that is larger costs less reading of tensors that lie
// across it.
constexpr std::uint64_t kTileBytes = 4 * base::limits::kMiB;
constexpr std::uint64_t kRunBytes = 64 * base::limits::kKiB;
// What one read costs, in bytes that are read straight on.
constexpr std::uint64_t kReadWork = 8 * base::limits::kKiB;

// One extent of the part of a tensor that is put in order.
struct Axis {
  std::uint64_t extent = 1;
  std::uint64_t stride = 1;  // in the file, in elements
  std::uint64_t step = 1;    // in the tile, in elements
};

std::vector<std::uint64_t> RowMajorStrides(const std::vector<std::uint64_t>& dims) {
  std::vector<std::uint64_t> strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

// A tensor as tiles: ranges of one axis, each with all that is inside it, which follow one another
// in the logical order.
class Tiles {
 public:
  explicit Tiles(const Tensor& tensor)
      : element_(tensor.type->block_bytes),
        dims_(tensor.dims),
        strides_(tensor.strides.empty() ? RowMajorStrides(dims_) : tensor.strides) {
    const std::uint64_t most = std::max<std::uint64_t>(kTileBytes / element_, 1);
    split_ = dims_.size();
    while (split_ > 0 && inside_ * dims_[split_ - 1] <= most) inside_ *= dims_[--split_];
    if (split_ > 0) rows_ = std::min(dims_[split_ - 1], most / inside_);
    index_.assign(split_, 0);
  }

  // The extents of a tile of so many rows, those that lie closest together in the file last.
  std::vector<Axis> AxesOf(std::uint64_t rows) const {
    std::vector<Axis> axes;
    std::uint64_t step = 1;
    for (std::size_t i = dims_.size(); i-- > split_;) {
      axes.push_back({dims_[i], strides_[i], step});
      step *= dims_[i];
    }
    if (split_ > 0) axes.push_back({rows, strides_[split_ - 1], step});
    std::erase_if(axes, [](const Axis& axis) { return axis.extent == 1; });
    std::sort(axes.begin(), axes.end(),
              [](const Axis& left, const Axis& right) { return left.stride > right.stride; });
    if (axes.empty()) axes.push_back({});
    Join(axes);
    return axes;
  }
  std::uint64_t ElementsOf(std::uint64_t rows) const { return inside_ * rows; }

  // Of the tile at the place that is reached.
  std::uint64_t Rows() const {
    return split_ == 0 ? 1 : std::min(rows_, dims_[split_ - 1] - index_[split_ - 1]);
  }
  // Its first element, in elements from that of the tensor.
  std::uint64_t Place() const {
    std::uint64_t place = 0;
    for (std::size_t i = 0; i < split_; ++i) place += index_[i] * strides_[i];
    return place;
  }
  std::uint64_t element_bytes() const { return element_; }

  // How many tiles have so many rows: most the same, the last ones fewer.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> CountsByRows() const {
    if (split_ == 0) return {{1, 1}};
    std::uint64_t outer = 1;
    for (std::size_t i = 0; i + 1 < split_; ++i) outer *= dims_[i];
    const std::uint64_t last = dims_[split_ - 1];
    std::vector<std::pair<std::uint64_t, std::uint64_t>> counts = {{rows_, outer * (last / rows_)}};
    if (last % rows_ != 0) counts.emplace_back(last % rows_, outer);
    return counts;
  }

  // False: that was the last.
  bool Next() {
    for (std::size_t i = split_; i-- > 0;) {
      index_[i] += i + 1 == split_ ? Rows() : 1;
      if (index_[i] < dims_[i]) return true;
      index_[i] = 0;
    }
    return false;
  }

 private:
  // Makes one of two that lie in the file as they do in the tile.
  static void Join(std::vector<Axis>& axes) {
    for (std::size_t i = axes.size() - 1; i-- > 0;) {
      const Axis& inner = axes[i + 1];
      if (axes[i].stride != inner.stride * inner.extent ||
          axes[i].step != inner.step * inner.extent) {
        continue;
      }
      axes[i] = {axes[i].extent * inner.extent, inner.stride, inner.step};
      axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
  }

  const std::uint64_t element_;
  const std::vector<std::uint64_t> dims_;
  const std::vector<std::uint64_t> strides_;
  std::size_t split_ = 0;             // axes from here on are whole in every tile
  std::uint64_t inside_ = 1;          // elements of those
  std::uint64_t rows_ = 1;            // of the axis before, in a tile
  std::vector<std::uint64_t> index_;  // of the axes before split_
};

// How many elements of the innermost axis one read takes.
std::uint64_t ElementsPerRead(const Axis& inner, std::uint64_t element) {
  const std::uint64_t apart = inner.stride * element;
  return std::clamp<std::uint64_t>(kRunBytes / apart, 1, inner.extent);
}

// Reads one tile into its logical order.
class TileReader {
 public:
  TileReader(const Tensor& tensor, const ReadAt& read) : tensor_(tensor), read_(read) {}

  Status Read(const Tiles& tiles, base::Bytes& out) {
    element_ = tiles.element_bytes();
    axes_ = tiles.AxesOf(tiles.Rows());
    out.resize(static_cast<std::size_t>(tiles.ElementsOf(tiles.Rows()) * element_));
    std::vector<std::uint64_t> index(axes_.size() - 1, 0);
    while (true) {
      std::uint64_t place = tiles.Place();
      std::uint64_t target = 0;
      for (std::size_t i = 0; i < index.size(); ++i) {
        place += index[i] * axes_[i].stride;
        target += index[i] * axes_[i].step;
      }
      WM_RETURN_IF_ERROR(ReadRun(place, target, out));
      std::size_t i = index.size();
      while (i > 0 && ++index[i - 1] == axes_[i - 1].extent) index[--i] = 0;
      if (i == 0) return {};
    }
  }

 private:
  Status ReadRun(std::uint64_t place, std::uint64_t target, base::Bytes& out) {
    const Axis& inner = axes_.back();
    const std::uint64_t most = ElementsPerRead(inner, element_);
    for (std::uint64_t done = 0; done < inner.extent;) {
      const std::uint64_t count = std::min(most, inner.extent - done);
      run_.resize(static_cast<std::size_t>(((count - 1) * inner.stride + 1) * element_));
      WM_RETURN_IF_ERROR(read_(tensor_.begin + (place + done * inner.stride) * element_, run_));
      for (std::uint64_t i = 0; i < count; ++i) {
        std::memcpy(&out[static_cast<std::size_t>((target + (done + i) * inner.step) * element_)],
                    &run_[static_cast<std::size_t>(i * inner.stride * element_)],
                    static_cast<std::size_t>(element_));
      }
      done += count;
    }
    return {};
  }

  const Tensor& tensor_;
  const ReadAt& read_;
  std::uint64_t element_ = 1;
  std::vector<Axis> axes_;
  base::Bytes run_;
};

void TurnAround(std::uint32_t word_bytes, base::Bytes& bytes) {
  for (std::size_t at = 0; at + word_bytes <= bytes.size(); at += word_bytes) {
    const auto word = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    std::reverse(word, word + word_bytes);
  }
}

}  // namespace

std::optional<std::uint64_t> OutOfOrderWork(const Tensor& tensor) {
  const Tiles tiles(tensor);
  std::uint64_t work = 0;
  for (const auto& [rows, count] : tiles.CountsByRows()) {
    const std::vector<Axis> axes = tiles.AxesOf(rows);
    const Axis& inner = axes.back();
    const std::uint64_t most = ElementsPerRead(inner, tiles.element_bytes());
    const std::uint64_t reads = (inner.extent + most - 1) / most;
    const std::uint64_t elements = (inner.extent - reads) * inner.stride + reads;
    const std::uint64_t runs = tiles.ElementsOf(rows) / inner.extent;
    std::uint64_t cost = runs * (reads * kReadWork + elements * tiles.element_bytes());
    if (__builtin_mul_overflow(cost, count, &cost) || __builtin_add_overflow(work, cost, &work)) {
      return std::nullopt;
    }
  }
  return work;
}

Status ReadOutOfOrder(const Tensor& tensor, const ReadAt& read,
                      const std::function<void(base::ByteView)>& take) {
  TileReader reader(tensor, read);
  Tiles tiles(tensor);
  base::Bytes tile;
  do {
    WM_RETURN_IF_ERROR(reader.Read(tiles, tile));
    if (tensor.big_endian) TurnAround(tensor.type->word_bytes, tile);
    take(tile);
  } while (tiles.Next());
  return {};
}

}  // namespace weighmaster::agent::weights
