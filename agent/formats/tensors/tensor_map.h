#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/formats/tensors/element_type.h"
#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/model/weights.h"

namespace weighmaster::agent::formats {

// Where the elements of one tensor lie in its file, and how.
struct Tensor {
  const ElementType* type = nullptr;
  std::vector<std::uint64_t> dims;     // outermost first
  std::vector<std::uint64_t> strides;  // of each extent, in elements; empty: row-major, no gaps
  std::uint64_t begin = 0;             // of the first element, in bytes
  bool big_endian = false;
};

// How many bytes of the file a tensor spans, from its first element to behind its last, with the
// gaps that strides leave; the largest number where they can't be counted. Nothing where strides
// may reach the same bytes twice.
std::optional<std::uint64_t> SpanOf(const Tensor& tensor);

// Gathers what a reader finds of the tensors of a file, in few bytes a tensor, and nothing when
// nobody wants it. Once there is a reason why the map is not whole it holds that reason alone, the
// first that was given.
class TensorMapWriter {
 public:
  explicit TensorMapWriter(bool wanted) : wanted_(wanted) {}

  bool wanted() const { return wanted_; }
  // Readers that find tensors say so first; of the formats of all others the map is kNotSupported.
  void Begin();
  void Add(const Tensor& tensor);
  // What is added to every `begin`, for formats that count from the end of their table.
  void set_base(std::uint64_t base) { base_ = base; }
  void Fail(model::WeightsReason reason);

  // What TensorMap::Decode reads.
  base::Bytes Take() &&;

 private:
  bool wanted_;
  bool begun_ = false;
  model::WeightsReason reason_ = model::WeightsReason::kNone;
  std::uint64_t base_ = 0;
  std::uint64_t count_ = 0;
  base::Bytes records_;
};

// The tensors of one file whose digests make its weights digest: each has elements and lies in the
// file, views of the same bytes stand in it once, and reading all of them is at most twice the work
// of reading the file. In the order in which they begin. A value.
class TensorMap {
 public:
  // Of a file of `file_bytes`. Every byte of `encoded` may have been chosen by the file:
  // INVALID_ARGUMENT when it is no map. A map that does not hold what is said above has no tensors
  // and a reason.
  static base::Result<TensorMap> Decode(base::ByteView encoded, std::uint64_t file_bytes);

  // No tensors, for a reason.
  static TensorMap Without(model::WeightsReason reason);

  // kNone: all tensors of the file are there, at least one.
  model::WeightsReason reason() const { return reason_; }
  std::size_t size() const { return places_.size(); }
  std::size_t held_bytes() const {
    return records_.capacity() + places_.capacity() * sizeof(Place);
  }

  // Its extents are without the ones that they begin with, its strides empty where they are those
  // of a row-major tensor.
  Tensor At(std::size_t index) const;
  // The bytes of its elements.
  std::uint64_t BytesAt(std::size_t index) const { return places_[index].bytes; }
  // Where they lie: from the first to behind the last, with the gaps that strides leave.
  std::uint64_t BeginAt(std::size_t index) const { return places_[index].begin; }
  std::uint64_t EndAt(std::size_t index) const { return places_[index].end; }
  // Whether they lie there as they are hashed: row-major, without gaps, little-endian.
  bool IsInOrderAt(std::size_t index) const { return places_[index].in_order; }

 private:
  // What is kept beside the record.
  struct Place {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t bytes = 0;
    std::uint32_t record = 0;  // where it begins in records_
    std::uint32_t record_bytes = 0;
    bool in_order = true;
  };

  // Adds a tensor that holds, in its normal form; or says why it does not.
  model::WeightsReason Add(Tensor tensor, std::uint64_t file_bytes);
  void SortAndMerge();
  model::WeightsReason CheckWork(std::uint64_t file_bytes) const;
  base::ByteView RecordOf(const Place& place) const {
    return base::ByteView(records_).subspan(place.record, place.record_bytes);
  }

  model::WeightsReason reason_ = model::WeightsReason::kNone;
  base::Bytes records_;
  std::vector<Place> places_;
};

}  // namespace weighmaster::agent::formats
