#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "agent/formats/keras/hdf5_bytes.h"

namespace weighmaster::agent::formats {

// Where newer files keep the links of a large group and the attributes of an object that has many:
// the messages in a fractal heap, their places there in a B-tree of version 2. Sections III.A.2 and
// III.G of the specification that hdf5.h names.

// A fractal heap, as far as objects that lie in its blocks ("managed") are found. Heaps that are
// packed by a filter, and objects that are kept beside the heap ("huge"), are not.
class FractalHeap {
 public:
  // Nothing where there is no heap, or one that breaks a rule or is packed.
  static std::optional<FractalHeap> Open(Hdf5Bytes& bytes, std::uint64_t place);

  std::size_t id_bytes() const { return id_bytes_; }
  // The object of this id.
  std::optional<Hdf5Range> Find(std::string_view id);

 private:
  explicit FractalHeap(Hdf5Bytes& bytes) : bytes_(bytes) {}
  bool ReadHeader(std::uint64_t place);
  // Where the byte lies that has this place among all that the blocks hold.
  std::optional<std::uint64_t> PlaceOf(std::uint64_t offset);

  Hdf5Bytes& bytes_;
  std::size_t id_bytes_ = 0;
  std::size_t offset_bytes_ = 0;  // of an id's offset, and of its length
  std::size_t size_bytes_ = 0;
  unsigned width_log2_ = 0;
  unsigned start_log2_ = 0;
  unsigned direct_log2_ = 0;
  std::uint64_t root_ = 0;
  std::uint64_t rows_ = 0;  // of the root; 0: the root is a block itself
};

// The index at `place`: gives `take` the id of every record, until it returns false. `id_begin` is
// where the id begins in a record. False where the index breaks a rule, or its records are not
// those of `id_bytes` there.
bool ReadHeapIds(Hdf5Bytes& bytes, std::uint64_t place, std::size_t id_begin, std::size_t id_bytes,
                 const std::function<bool(const std::string& id)>& take);

}  // namespace weighmaster::agent::formats
