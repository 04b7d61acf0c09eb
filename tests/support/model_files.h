#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/base/bytes.h"

namespace weighmaster::tests {

// Builds files byte by byte, little-endian unless told otherwise.
class ByteWriter {
 public:
  explicit ByteWriter(bool big_endian = false) : big_endian_(big_endian) {}

  ByteWriter& U8(std::uint8_t value);
  ByteWriter& U16(std::uint16_t value);
  ByteWriter& U32(std::uint32_t value);
  ByteWriter& U64(std::uint64_t value);
  ByteWriter& Text(std::string_view text);
  ByteWriter& Zeros(std::size_t count);
  std::size_t size() const { return bytes_.size(); }
  base::Bytes Take() { return std::move(bytes_); }

 private:
  ByteWriter& Integer(std::uint64_t value, std::size_t bytes);

  bool big_endian_;
  base::Bytes bytes_;
};

// A GGUF file with correct header, padding and (zero) tensor data, from which a test can depart.
class GgufWriter {
 public:
  explicit GgufWriter(std::uint32_t version = 3, bool big_endian = false);

  GgufWriter& Text(std::string_view key, std::string_view value);
  GgufWriter& U32(std::string_view key, std::uint32_t value);
  GgufWriter& TextArray(std::string_view key, std::uint64_t count);
  // `type` is ggml's number; `bytes` what the tensor takes in the file.
  GgufWriter& Tensor(std::string_view name, std::vector<std::uint64_t> dimensions,
                     std::uint32_t type, std::uint64_t bytes);
  // Lies in the header.
  GgufWriter& ClaimTensors(std::uint64_t count);
  GgufWriter& ClaimEntries(std::uint64_t count);
  GgufWriter& ShiftNextTensor(std::uint64_t by);

  base::Bytes Build() const;

 private:
  void Count(ByteWriter& out, std::uint64_t value) const;
  void Name(ByteWriter& out, std::string_view text) const;

  struct Info {
    std::string name;
    std::vector<std::uint64_t> dimensions;
    std::uint32_t type = 0;
    std::uint64_t offset = 0;
  };
  std::uint32_t version_;
  bool big_endian_;
  std::uint64_t entry_count_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::vector<base::Bytes> entries_;
  std::vector<Info> tensors_;
  std::uint64_t next_offset_ = 0;
  std::uint64_t data_bytes_ = 0;
};

// A safetensors file of `header` (the JSON) and `data_bytes` zeros.
base::Bytes SafetensorsFile(std::string_view header, std::size_t data_bytes);

// A zip archive with members as they are, and the ways in which hostile ones lie.
struct ZipFileMember {
  std::string name;
  std::string content;
  std::string directory_name;  // when it differs from the local one
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  bool in_directory = true;
};
base::Bytes ZipFile(const std::vector<ZipFileMember>& members);
// An honest one, of names and contents.
base::Bytes ZipOf(const std::vector<std::pair<std::string, std::string>>& members);

// tests/fixtures/models/`name`, as the formats' own producers wrote it.
base::Bytes ModelFixture(std::string_view name);
std::vector<std::filesystem::path> ModelFixtures();

}  // namespace weighmaster::tests
