#include "tests/support/model_files.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "policy/base/check.h"

namespace weighmaster::tests {
namespace {

constexpr std::uint64_t kAlignment = 32;
constexpr std::uint32_t kTextValue = 8;
constexpr std::uint32_t kArrayValue = 9;
constexpr std::uint32_t kU32Value = 4;

std::uint64_t Padded(std::uint64_t value) {
  return (value + kAlignment - 1) / kAlignment * kAlignment;
}

std::filesystem::path FixtureFolder() {
  return std::filesystem::path(WEIGHMASTER_SOURCE_DIR) / "tests" / "fixtures" / "models";
}

}  // namespace

ByteWriter& ByteWriter::Integer(std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    const std::size_t shift = 8 * (big_endian_ ? bytes - 1 - i : i);
    bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
  }
  return *this;
}

ByteWriter& ByteWriter::U8(std::uint8_t value) { return Integer(value, 1); }
ByteWriter& ByteWriter::U16(std::uint16_t value) { return Integer(value, 2); }
ByteWriter& ByteWriter::U32(std::uint32_t value) { return Integer(value, 4); }
ByteWriter& ByteWriter::U64(std::uint64_t value) { return Integer(value, 8); }

ByteWriter& ByteWriter::Text(std::string_view text) {
  bytes_.insert(bytes_.end(), text.begin(), text.end());
  return *this;
}

ByteWriter& ByteWriter::Zeros(std::size_t count) {
  bytes_.resize(bytes_.size() + count);
  return *this;
}

GgufWriter::GgufWriter(std::uint32_t version, bool big_endian)
    : version_(version), big_endian_(big_endian) {}

void GgufWriter::Count(ByteWriter& out, std::uint64_t value) const {
  if (version_ == 1) {
    out.U32(static_cast<std::uint32_t>(value));
  } else {
    out.U64(value);
  }
}

void GgufWriter::Name(ByteWriter& out, std::string_view text) const {
  Count(out, text.size());
  out.Text(text);
}

GgufWriter& GgufWriter::Text(std::string_view key, std::string_view value) {
  ByteWriter entry(big_endian_);
  Name(entry, key);
  entry.U32(kTextValue);
  Name(entry, value);
  entries_.push_back(entry.Take());
  ++entry_count_;
  return *this;
}

GgufWriter& GgufWriter::U32(std::string_view key, std::uint32_t value) {
  ByteWriter entry(big_endian_);
  Name(entry, key);
  entry.U32(kU32Value).U32(value);
  entries_.push_back(entry.Take());
  ++entry_count_;
  return *this;
}

GgufWriter& GgufWriter::TextArray(std::string_view key, std::uint64_t count) {
  ByteWriter entry(big_endian_);
  Name(entry, key);
  entry.U32(kArrayValue).U32(kTextValue);
  Count(entry, count);
  for (std::uint64_t i = 0; i < count; ++i) Name(entry, "token");
  entries_.push_back(entry.Take());
  ++entry_count_;
  return *this;
}

GgufWriter& GgufWriter::Tensor(std::string_view name, std::vector<std::uint64_t> dimensions,
                               std::uint32_t type, std::uint64_t bytes) {
  tensors_.push_back({std::string(name), std::move(dimensions), type, next_offset_});
  next_offset_ = Padded(next_offset_ + bytes);
  data_bytes_ = next_offset_;
  ++tensor_count_;
  return *this;
}

GgufWriter& GgufWriter::ClaimTensors(std::uint64_t count) {
  tensor_count_ = count;
  return *this;
}

GgufWriter& GgufWriter::ClaimEntries(std::uint64_t count) {
  entry_count_ = count;
  return *this;
}

GgufWriter& GgufWriter::ShiftNextTensor(std::uint64_t by) {
  next_offset_ += by;
  return *this;
}

base::Bytes GgufWriter::Build() const {
  ByteWriter out(big_endian_);
  out.Text("GGUF").U32(version_);
  Count(out, tensor_count_);
  Count(out, entry_count_);
  for (const base::Bytes& entry : entries_) out.Text(base::AsText(entry));
  for (const Info& tensor : tensors_) {
    Name(out, tensor.name);
    out.U32(static_cast<std::uint32_t>(tensor.dimensions.size()));
    for (const std::uint64_t extent : tensor.dimensions) Count(out, extent);
    out.U32(tensor.type).U64(tensor.offset);
  }
  if (!tensors_.empty()) {
    out.Zeros(Padded(out.size()) - out.size() + static_cast<std::size_t>(data_bytes_));
  }
  return out.Take();
}

base::Bytes SafetensorsFile(std::string_view header, std::size_t data_bytes) {
  return ByteWriter().U64(header.size()).Text(header).Zeros(data_bytes).Take();
}

base::Bytes ZipFile(const std::vector<ZipFileMember>& members) {
  ByteWriter out;
  ByteWriter directory;
  std::uint16_t listed = 0;
  for (const ZipFileMember& member : members) {
    const auto offset = static_cast<std::uint32_t>(out.size());
    const auto size = static_cast<std::uint32_t>(member.content.size());
    out.U32(0x04034b50).U16(20).U16(member.flags).U16(member.method).U32(0);
    out.U32(member.crc).U32(size).U32(size);
    out.U16(static_cast<std::uint16_t>(member.name.size())).U16(0);
    out.Text(member.name).Text(member.content);
    if (!member.in_directory) continue;
    ++listed;
    const std::string& name = member.directory_name.empty() ? member.name : member.directory_name;
    directory.U32(0x02014b50).U16(20).U16(20).U16(member.flags).U16(member.method).U32(0);
    directory.U32(member.crc).U32(size).U32(size);
    directory.U16(static_cast<std::uint16_t>(name.size())).U16(0).U16(0).U16(0).U16(0).U32(0);
    directory.U32(offset).Text(name);
  }
  const auto begin = static_cast<std::uint32_t>(out.size());
  const base::Bytes entries = directory.Take();
  out.Text(base::AsText(entries)).U32(0x06054b50).U16(0).U16(0).U16(listed).U16(listed);
  out.U32(static_cast<std::uint32_t>(entries.size())).U32(begin).U16(0);
  return out.Take();
}

base::Bytes ZipOf(const std::vector<std::pair<std::string, std::string>>& members) {
  std::vector<ZipFileMember> all;
  for (const auto& [name, content] : members) {
    ZipFileMember& member = all.emplace_back();
    member.name = name;
    member.content = content;
  }
  return ZipFile(all);
}

base::Bytes ModelFixture(std::string_view name) {
  std::ifstream file(FixtureFolder() / name, std::ios::binary);
  WM_CHECK(file.is_open());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::filesystem::path> ModelFixtures() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(FixtureFolder())) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace weighmaster::tests
