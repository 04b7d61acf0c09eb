#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"

namespace weighmaster::agent::formats {

// Whether a file may begin with a FlatBuffer of this file identifier (four bytes), whose root lies
// in the file.
bool BeginsFlatBuffer(const FileEnds& file, std::string_view identifier);

// A table, and the vtable that says which of its fields there are. Places are those of the source.
struct FlatTable {
  std::uint64_t at = 0;
  std::uint64_t vtable = 0;
  std::uint32_t fields = 0;  // that the vtable knows, present or not
};

// Elements in a row: numbers, or offsets of tables and texts. Empty where a field is left out.
struct FlatVector {
  std::uint64_t begin = 0;
  std::uint32_t count = 0;
};

// Reads a FlatBuffer (https://flatbuffers.dev/internals/) at the places that its fields lead to, in
// whatever order they are asked for. Nothing is believed before it was checked: vtables, fields,
// vectors and texts lie whole within the buffer. What breaks a rule, or can't be read any more, is
// as if it were left out; broken() tells the first of it. Fields have the numbers of their order in
// the schema (a union takes two: its type, then its value). Offsets lead forward only, so nothing
// holds itself; but many may lead to the same place.
//
// Pages of the file are kept, because tables that follow one another in a vector lie backwards in
// most files and share their vtables. Each number read has its price, so that loops over what a
// file claims end with the budget; they ask going(). Source and budget must outlive it.
class FlatBuffer {
 public:
  // The buffer is [begin, end) of the source, or what of it lies in the source.
  FlatBuffer(ByteSource& source, WorkBudget& budget, std::uint64_t begin, std::uint64_t end);

  std::uint64_t begin() const { return begin_; }
  std::uint64_t end() const { return end_; }

  std::optional<FlatTable> Root();
  // The file identifier, whether the format has one or not.
  std::string Identifier();

  bool Has(const FlatTable& table, std::uint32_t field);
  std::uint8_t U8(const FlatTable& table, std::uint32_t field, std::uint8_t otherwise = 0);
  std::uint32_t U32(const FlatTable& table, std::uint32_t field, std::uint32_t otherwise = 0);
  std::uint64_t U64(const FlatTable& table, std::uint32_t field, std::uint64_t otherwise = 0);
  std::optional<FlatTable> Table(const FlatTable& table, std::uint32_t field);
  FlatVector Vector(const FlatTable& table, std::uint32_t field, std::uint32_t element_bytes);
  // The first `keep` bytes of a text.
  std::string Text(const FlatTable& table, std::uint32_t field, std::size_t keep);

  // Elements of a vector, of which there are more than `index`.
  std::uint32_t U32At(const FlatVector& vector, std::uint32_t index);
  std::uint64_t U64At(const FlatVector& vector, std::uint32_t index);
  std::optional<FlatTable> TableAt(const FlatVector& vector, std::uint32_t index);
  std::string TextAt(const FlatVector& vector, std::uint32_t index, std::size_t keep);

  // The first rule that was broken and where, as evidence; empty while none was. A spent budget
  // breaks none.
  const std::string& broken() const { return broken_; }
  // Where the last page that was read begins.
  std::uint64_t offset() const { return cursor_.offset(); }
  bool going() const { return broken_.empty() && !cursor_.budget().spent(); }

 private:
  static constexpr std::size_t kPageBytes = 1 * base::limits::kKiB;
  static constexpr std::size_t kPages = 128;
  struct Page {
    std::uint64_t number = UINT64_MAX;
    std::size_t size = 0;
    std::array<std::uint8_t, kPageBytes> bytes{};
  };

  // The bytes from `at` to the end of their page; empty where they can't be read.
  base::ByteView BytesFrom(std::uint64_t at);
  std::optional<std::uint64_t> Number(std::uint64_t at, std::uint32_t bytes);
  // Where the value of a field stands; nothing where it is left out.
  std::optional<std::uint64_t> Place(const FlatTable& table, std::uint32_t field,
                                     std::uint32_t bytes);
  // Where the offset at `place` leads.
  std::optional<std::uint64_t> Follow(std::uint64_t place);
  std::optional<FlatTable> OpenTable(std::uint64_t at);
  FlatVector OpenVector(std::uint64_t at, std::uint32_t element_bytes);
  std::string OpenText(std::uint64_t at, std::size_t keep);
  void Break(std::string_view what, std::uint64_t at);

  Cursor cursor_;
  const std::uint64_t begin_;
  const std::uint64_t end_;
  std::vector<Page> pages_;  // a page's place is its number modulo kPages
  std::string broken_;
};

}  // namespace weighmaster::agent::formats
