#include "agent/formats/archive/zip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace weighmaster::agent::formats {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kDirectoryEntry = 0x02014b50;
constexpr std::uint32_t kDirectory64 = 0x06064b50;
constexpr std::uint32_t kLocator64 = 0x07064b50;
constexpr std::uint64_t kDirectoryEndBytes = 22;
constexpr std::uint64_t kLocatorBytes = 20;
constexpr std::uint64_t kMaxCommentBytes = 65'535;
constexpr std::uint16_t kExtra64 = 1;
constexpr std::uint16_t kFlagEncrypted = 1;
constexpr std::size_t kMaxNameBytes =
    1'024;  // of one; a longer name is a lie of no use to a loader
// A file may hold several ends of a directory, one in another's comment; so many are followed.
constexpr std::size_t kMaxDirectories = 4;
// Spent on finding the next local header where no length leads to it.
constexpr std::uint64_t kMaxSearchBytes = 64 * base::limits::kMiB;

struct DirectoryEntry {
  std::string name;
  std::uint64_t stored_bytes = 0;
  std::uint16_t method = 0;
  bool encrypted = false;
};

struct Sizes {
  std::uint64_t stored = 0;
  std::uint64_t whole = 0;
  std::uint64_t header = 0;
};

// Takes from the extra field the 64-bit values of those that are all ones in 32 bits.
void ApplyExtra64(std::string_view extra, Sizes& sizes) {
  const auto little = [&](std::size_t at, std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = bytes; i > 0; --i) {
      value = (value << 8) | static_cast<unsigned char>(extra[at + i - 1]);
    }
    return value;
  };
  std::size_t at = 0;
  while (at + 4 <= extra.size()) {
    const std::uint64_t id = little(at, 2);
    const std::size_t end = std::min<std::size_t>(extra.size(), at + 4 + little(at + 2, 2));
    at += 4;
    if (id == kExtra64) {
      for (std::uint64_t* value : {&sizes.whole, &sizes.stored, &sizes.header}) {
        if (*value != 0xffffffff || at + 8 > end) continue;
        *value = little(at, 8);
        at += 8;
      }
      return;
    }
    at = end;
  }
}

// Collects the members of one archive.
class ZipReader {
 public:
  ZipReader(ByteSource& source, WorkBudget& budget, RiskList& risks)
      : cursor_(source, budget), risks_(risks) {}

  // `follows_headers`: also what only a chain of local headers leads to.
  ZipListing Read(bool follows_headers) &&;

 private:
  struct Directory {
    std::uint64_t begin = 0;
    std::uint64_t count = 0;
    std::uint64_t shift = 0;  // how much was put before the archive after it was made
  };

  void ReadDirectories();
  // Whether the place lies in an archive that is the content of a member: its directory is its own.
  bool IsInMember(std::uint64_t offset);
  void ReadDirectoriesEndingAt(std::uint64_t end_offset);
  void ApplyDirectory64(std::uint64_t end_offset, Directory& directory, std::uint64_t& bytes);
  void ReadDirectory(const Directory& directory);
  bool ReadDirectoryEntry(const Directory& directory);
  void FollowLocalHeaders();
  // Adds the member whose header is at `offset` and returns where it ends, as far as that is known.
  // Nothing when there is no header.
  std::optional<std::uint64_t> ReadLocalHeader(std::uint64_t offset);
  std::uint64_t AddMember(const ZipMember& local, bool knows_size);
  std::optional<std::uint64_t> FindLocalHeader(std::uint64_t from);
  bool HasSignature(std::uint64_t offset, std::uint32_t signature);
  // Whether one more member may be read and kept.
  bool HasRoom() const {
    return members_.size() < base::limits::kMaxZipEntries && name_bytes_left_ > 0 &&
           !cursor_.budget().spent();
  }
  std::optional<std::string> ReadName(std::uint16_t bytes);
  void Broken(std::string_view what, std::uint64_t offset) {
    risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(offset));
  }

  Cursor cursor_;
  RiskList& risks_;
  std::uint64_t search_left_ = kMaxSearchBytes;
  std::size_t directories_ = 0;
  bool directories_read_ = true;  // false: some reached a limit before its end
  std::multimap<std::uint64_t, DirectoryEntry> entries_;  // by the offset of the local header
  std::vector<std::uint64_t> chain_;  // the local headers, in the order of their offsets
  std::size_t name_bytes_left_ = base::limits::kMaxZipNameBytes;
  std::vector<ZipMember> members_;
};

ZipListing ZipReader::Read(bool follows_headers) && {
  ReadDirectories();
  if (directories_ == 0) Broken("no directory", cursor_.end());
  if (follows_headers) FollowLocalHeaders();
  for (auto entry = entries_.begin(); entry != entries_.end();
       entry = entries_.upper_bound(entry->first)) {
    if (std::binary_search(chain_.begin(), chain_.end(), entry->first)) continue;
    if (!HasRoom()) break;
    if (!ReadLocalHeader(entry->first).has_value()) {
      Broken("no header for the member \"" + entry->second.name + "\"", entry->first);
      members_.push_back({entry->second.name,
                          {},
                          entry->first,
                          cursor_.end(),
                          0,
                          entry->second.method,
                          entry->second.encrypted});
    }
  }
  return {std::move(members_), HasRoom() && directories_read_};
}

bool ZipReader::HasSignature(std::uint64_t offset, std::uint32_t signature) {
  return cursor_.Seek(offset) && cursor_.U32() == signature;
}

// The last one first, which is what loaders go by.
void ZipReader::ReadDirectories() {
  const std::uint64_t size = cursor_.end();
  const std::uint64_t tail_bytes = std::min(size, kDirectoryEndBytes + kMaxCommentBytes);
  base::Bytes tail(static_cast<std::size_t>(tail_bytes));
  if (!cursor_.Seek(size - tail_bytes) || !cursor_.Read(tail)) return;
  const std::string_view text = base::AsText(tail);
  std::size_t at = text.rfind("PK\x05\x06");
  for (std::size_t i = 0; i < kMaxDirectories && at != std::string_view::npos; ++i) {
    if (!IsInMember(size - tail_bytes + at)) ReadDirectoriesEndingAt(size - tail_bytes + at);
    if (at == 0) return;
    at = text.rfind("PK\x05\x06", at - 1);
  }
}

bool ZipReader::IsInMember(std::uint64_t offset) {
  constexpr std::uint64_t kBeforeNameLength = 26;
  auto next = entries_.upper_bound(offset);
  if (next == entries_.begin()) return false;
  const auto& [header, entry] = *--next;
  if (entry.method != kZipStored || entry.encrypted || !HasSignature(header, kLocalHeader) ||
      !cursor_.Seek(header + kBeforeNameLength)) {
    return false;
  }
  const auto name_bytes = cursor_.U16();
  const auto extra_bytes = cursor_.U16();
  if (!extra_bytes.has_value()) return false;
  const std::uint64_t data = cursor_.offset() + *name_bytes + *extra_bytes;
  return offset >= data && offset - data < entry.stored_bytes && HasSignature(data, kLocalHeader);
}

void ZipReader::ReadDirectoriesEndingAt(std::uint64_t end_offset) {
  if (!cursor_.Seek(end_offset) || !cursor_.Skip(10)) return;
  const auto count = cursor_.U16();
  const auto directory_bytes = cursor_.U32();
  const auto begin = cursor_.U32();
  if (!count.has_value() || !directory_bytes.has_value() || !begin.has_value()) return;
  Directory directory{*begin, *count, 0};
  std::uint64_t bytes = *directory_bytes;
  ApplyDirectory64(end_offset, directory, bytes);
  // Readers disagree on an archive with something before it: both readings are taken.
  ReadDirectory(directory);
  if (bytes > end_offset || end_offset - bytes <= directory.begin) return;
  directory.shift = end_offset - bytes - directory.begin;
  directory.begin += directory.shift;
  ReadDirectory(directory);
}

void ZipReader::ApplyDirectory64(std::uint64_t end_offset, Directory& directory,
                                 std::uint64_t& bytes) {
  if (end_offset < kLocatorBytes || !HasSignature(end_offset - kLocatorBytes, kLocator64)) return;
  if (!cursor_.Skip(4)) return;
  const auto at = cursor_.U64();
  if (!at.has_value() || !HasSignature(*at, kDirectory64) || !cursor_.Skip(28)) return;
  const auto count = cursor_.U64();
  const auto directory_bytes = cursor_.U64();
  const auto begin = cursor_.U64();
  if (!begin.has_value()) return;
  directory.count = *count;
  directory.begin = *begin;
  // The end that the shift is measured from is that of the 64-bit record.
  bytes = *directory_bytes + (end_offset - *at);
}

void ZipReader::ReadDirectory(const Directory& directory) {
  if (!HasSignature(directory.begin, kDirectoryEntry) || !cursor_.Seek(directory.begin)) return;
  ++directories_;
  // The count lies as easily as anything else: entries are read for as long as there are any.
  std::uint64_t count = 0;
  // The other half is for the names in the local headers.
  constexpr std::size_t kNameBytesKept = base::limits::kMaxZipNameBytes / 2;
  while (HasRoom() && name_bytes_left_ > kNameBytesKept &&
         entries_.size() < base::limits::kMaxZipEntries) {
    if (!ReadDirectoryEntry(directory)) {
      if (count < directory.count) Broken("a directory that ends too early", cursor_.offset());
      return;
    }
    ++count;
  }
  directories_read_ = false;
}

std::optional<std::string> ZipReader::ReadName(std::uint16_t bytes) {
  cursor_.budget().Take(work::kArchiveMember);
  auto name = cursor_.Text(bytes, kMaxNameBytes);
  if (name.has_value()) name_bytes_left_ -= std::min(name_bytes_left_, name->size());
  return name;
}

bool ZipReader::ReadDirectoryEntry(const Directory& directory) {
  if (cursor_.U32() != kDirectoryEntry || !cursor_.Skip(4)) return false;
  const auto flags = cursor_.U16();
  const auto method = cursor_.U16();
  if (!method.has_value() || !cursor_.Skip(8)) return false;
  const auto stored = cursor_.U32();
  const auto whole = cursor_.U32();
  const auto name_bytes = cursor_.U16();
  const auto extra_bytes = cursor_.U16();
  const auto comment_bytes = cursor_.U16();
  if (!comment_bytes.has_value() || !cursor_.Skip(8)) return false;
  const auto header = cursor_.U32();
  if (!header.has_value()) return false;
  auto name = ReadName(*name_bytes);
  if (!name.has_value()) return false;
  const auto extra = cursor_.Text(*extra_bytes, *extra_bytes);
  if (!extra.has_value() || !cursor_.Skip(*comment_bytes)) return false;
  Sizes sizes{*stored, *whole, *header};
  ApplyExtra64(*extra, sizes);
  entries_.emplace(
      sizes.header + directory.shift,
      DirectoryEntry{*std::move(name), sizes.stored, *method, (*flags & kFlagEncrypted) != 0});
  return true;
}

void ZipReader::FollowLocalHeaders() {
  std::uint64_t offset = 0;
  while (HasRoom()) {
    const auto end = ReadLocalHeader(offset);
    if (end.has_value()) chain_.push_back(offset);
    const auto next = FindLocalHeader(end.value_or(offset + 1));
    if (!next.has_value()) return;
    offset = *next;
  }
}

std::optional<std::uint64_t> ZipReader::ReadLocalHeader(std::uint64_t offset) {
  constexpr std::uint16_t kSizesFollow = 8;
  if (!HasSignature(offset, kLocalHeader) || !cursor_.Skip(2)) return std::nullopt;
  const auto flags = cursor_.U16();
  const auto method = cursor_.U16();
  if (!method.has_value() || !cursor_.Skip(8)) return std::nullopt;
  const auto stored = cursor_.U32();
  const auto whole = cursor_.U32();
  const auto name_bytes = cursor_.U16();
  const auto extra_bytes = cursor_.U16();
  if (!extra_bytes.has_value()) return std::nullopt;
  auto name = ReadName(*name_bytes);
  if (!name.has_value()) return std::nullopt;
  const auto extra = cursor_.Text(*extra_bytes, *extra_bytes);
  if (!extra.has_value()) return std::nullopt;
  Sizes sizes{*stored, *whole, 0};
  ApplyExtra64(*extra, sizes);
  ZipMember local;
  local.name = *std::move(name);
  local.header = offset;
  local.data = cursor_.offset();
  local.stored_bytes = sizes.stored;
  local.method = *method;
  local.encrypted = (*flags & kFlagEncrypted) != 0;
  return AddMember(local, (*flags & kSizesFollow) == 0 || sizes.stored != 0);
}

std::uint64_t ZipReader::AddMember(const ZipMember& local, bool knows_size) {
  const std::uint64_t most = cursor_.end() - local.data;
  std::uint64_t end = local.data + (knows_size ? std::min(local.stored_bytes, most) : 0);
  const auto [first, last] = entries_.equal_range(local.header);
  if (knows_size || first == last) {
    members_.push_back(local);
    // No length leads over it and no directory knows it: all that follows may be its content.
    if (!knows_size) members_.back().stored_bytes = most;
  }
  for (auto entry = first; entry != last; ++entry) {
    ZipMember member = local;
    const DirectoryEntry& listed = entry->second;
    if (listed.name != local.name) {
      member.other_name = listed.name;
      Broken("two names, \"" + local.name + "\" and \"" + listed.name + "\",", local.header);
    }
    member.method = listed.method;
    member.encrypted = listed.encrypted || local.encrypted;
    member.stored_bytes = listed.stored_bytes;
    if (listed.stored_bytes > most) Broken("a member that ends past the file", local.header);
    const bool same_bytes = member.stored_bytes == local.stored_bytes;
    if (knows_size && !same_bytes) Broken("two sizes of one member", local.header);
    if (!knows_size) end = std::max(end, local.data + std::min(listed.stored_bytes, most));
    if (knows_size && same_bytes && member.method == local.method && member.other_name.empty() &&
        member.encrypted == local.encrypted) {
      continue;
    }
    members_.push_back(std::move(member));
  }
  return end;
}

std::optional<std::uint64_t> ZipReader::FindLocalHeader(std::uint64_t from) {
  if (!cursor_.Seek(from)) return std::nullopt;
  while (search_left_ > 0) {
    const std::string_view ahead = base::AsText(cursor_.Peek(base::limits::kKiB));
    if (ahead.size() < sizeof(kLocalHeader)) return std::nullopt;
    const std::size_t at = ahead.find("PK\x03\x04");
    if (at != std::string_view::npos) return cursor_.offset() + at;
    const std::size_t passed = ahead.size() - (sizeof(kLocalHeader) - 1);
    search_left_ -= std::min<std::uint64_t>(search_left_, passed);
    if (!cursor_.Skip(passed)) return std::nullopt;
  }
  return std::nullopt;
}

base::Bytes Inflate(Cursor& cursor, std::size_t most) {
  constexpr std::size_t kStep = 64 * base::limits::kKiB;
  constexpr std::size_t kInStep = 1 * base::limits::kKiB;
  base::Bytes out;
  z_stream stream{};
  cursor.budget().Take(work::kInflate);
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return out;
  int state = Z_OK;
  while (state == Z_OK && out.size() < most) {
    const base::ByteView in = cursor.Peek(kInStep);
    if (in.empty()) break;
    const std::size_t before = out.size();
    // Room for a little more at a time, so that what is allocated follows what came out.
    const std::size_t room = std::min({most - before, kStep, in.size() * 16 + 256});
    out.resize(before + room);
    stream.next_in = const_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = out.data() + before;
    stream.avail_out = static_cast<uInt>(room);
    state = inflate(&stream, Z_NO_FLUSH);
    if (state == Z_BUF_ERROR) state = Z_OK;
    const std::size_t produced = room - stream.avail_out;
    const std::size_t consumed = in.size() - stream.avail_in;
    out.resize(before + produced);
    cursor.budget().Take((produced + consumed) * work::kInflatedByte);
    if (!cursor.Skip(consumed) || (produced == 0 && consumed == 0)) break;
  }
  inflateEnd(&stream);
  return out;
}

}  // namespace

bool LooksLikeZip(const FileEnds& file) {
  return file.head.size() >= 30 && base::AsText(file.head.first(4)) == "PK\x03\x04";
}

ZipListing ListZipMembers(ByteSource& source, WorkBudget& budget, RiskList& risks) {
  return ZipReader(source, budget, risks).Read(true);
}

ZipListing ListZipDirectory(ByteSource& source, WorkBudget& budget, RiskList& risks) {
  return ZipReader(source, budget, risks).Read(false);
}

std::optional<base::Bytes> ReadZipMember(ByteSource& source, WorkBudget& budget,
                                         const ZipMember& member, std::size_t most) {
  if (member.encrypted) return std::nullopt;
  const std::uint64_t left = source.size() - std::min(source.size(), member.data);
  const std::uint64_t stored = std::min(member.stored_bytes, left);
  Cursor cursor(source, budget, member.data, member.data + stored);
  if (member.method == kZipDeflated) return Inflate(cursor, most);
  if (member.method != kZipStored) return std::nullopt;
  base::Bytes bytes;
  const auto text = cursor.Text(stored, most);
  if (text.has_value()) bytes.assign(text->begin(), text->end());
  return bytes;
}

}  // namespace weighmaster::agent::formats
