#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace weighmaster::agent::formats {

// How one kind of element lies in memory. Rows of one table, compared by their address.
struct ElementType {
  std::string_view name;  // as docs/formats/weights-digest.md names it
  // So many elements lie in so many bytes; one element in most types.
  std::uint32_t block_elements = 1;
  std::uint32_t block_bytes = 0;
  // What a byte order turns around: 1 where nothing has an order, 0 where the parts of a block have
  // orders of their own.
  std::uint32_t word_bytes = 0;

  // ggml's blocks do not cross the end of a row; packed elements of other types do.
  bool has_blocks_in_rows() const { return word_bytes == 0; }
};

std::span<const ElementType> ElementTypes();
// By its name in the table; null: none.
const ElementType* FindElementType(std::string_view name);

// The bytes of all elements of a tensor, whose extents are given outermost first and which is
// stored without gaps. Nothing when they are no whole number of blocks, or more than 64 bits count.
std::optional<std::uint64_t> BytesOf(const ElementType& type, std::span<const std::uint64_t> dims);

}  // namespace weighmaster::agent::formats
