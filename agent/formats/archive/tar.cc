#include "agent/formats/archive/tar.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "agent/formats/reading/leaves_folder.h"
#include "policy/base/bytes.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::size_t kBlockBytes = 512;
using Block = std::array<std::uint8_t, kBlockBytes>;

struct Field {
  std::size_t begin;
  std::size_t bytes;
};
constexpr Field kName{0, 100};
constexpr Field kSize{124, 12};
constexpr Field kChecksum{148, 8};
constexpr Field kLink{157, 100};
constexpr Field kPrefix{345, 155};
constexpr std::size_t kTypeAt = 156;
// Of a sparse file: whether a block with more of its map follows, in a header and in such a block.
constexpr std::size_t kMoreMapAt = 482;
constexpr std::size_t kMoreMapInBlockAt = 504;

constexpr std::size_t kMaxNameBytes = 4'096;  // Linux's own limit of a path
// Of one extended header; those that hold attributes and access lists take a few thousand bytes.
constexpr std::size_t kMaxPaxBytes = 1 * base::limits::kMiB;
// What follows the end is looked at so far, and is padding up to the size of a tape's record.
constexpr std::size_t kPaddingRead = 64 * base::limits::kKiB;
constexpr std::uint64_t kMaxPadding = 1 * base::limits::kMiB;

std::string_view TextIn(base::ByteView block, Field field) {
  const std::string_view text = base::AsText(block.subspan(field.begin, field.bytes));
  return text.substr(0, text.find('\0'));
}

// Octal digits between blanks, and what Python's int() takes besides; or, where the first bit is
// set, a big-endian number (GNU).
std::optional<std::uint64_t> NumberIn(base::ByteView block, Field field) {
  const base::ByteView bytes = block.subspan(field.begin, field.bytes);
  std::uint64_t value = 0;
  if ((bytes[0] & 0x80U) != 0) {
    value = bytes[0] & 0x7fU;
    if ((value & 0x40U) != 0) return std::nullopt;  // negative
    for (const std::uint8_t byte : bytes.subspan(1)) {
      if ((value >> 56) != 0) return std::nullopt;
      value = (value << 8) | byte;
    }
    return value;
  }
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  std::string_view text = TextIn(block, field);
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.starts_with("0o") || text.starts_with("0O")) text.remove_prefix(2);
  while (!text.empty() && ((text.front() >= '0' && text.front() <= '7') || text.front() == '_')) {
    if (text.front() != '_') value = value * 8 + static_cast<std::uint64_t>(text.front() - '0');
    text.remove_prefix(1);
  }
  if (text.find_first_not_of(kBlanks) != std::string_view::npos) return std::nullopt;
  return value;
}

// The sum of all bytes, its own field counted as blanks. Some old writers added signed bytes.
bool ChecksumHolds(base::ByteView block) {
  const auto said = NumberIn(block, kChecksum);
  std::int64_t sum = 0;
  std::int64_t signed_sum = 0;
  for (std::size_t i = 0; i < kBlockBytes; ++i) {
    const bool own = i - kChecksum.begin < kChecksum.bytes;
    const int value = own ? ' ' : block[i];
    sum += value;
    signed_sum += value < 0x80 ? value : value - 0x100;
  }
  return said.has_value() && (*said == static_cast<std::uint64_t>(sum) ||
                              (signed_sum >= 0 && *said == static_cast<std::uint64_t>(signed_sum)));
}

bool IsZero(base::ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

std::size_t PartsOf(std::string_view path) {
  std::size_t parts = 0;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    if (!part.empty() && part != ".") ++parts;
    path.remove_prefix(std::min(path.size(), part.size() + 1));
  }
  return parts;
}

// A symbolic link counts from its own folder, a hard one from the archive's.
bool LinkEscapes(const TarMember& member) {
  if (member.type == TarType::kHardLink) return LeavesFolder(member.link);
  std::string_view path = member.link;
  if (!path.empty() && (path.front() == '/' || path.front() == '\\')) return true;
  if (path.size() > 1 && path[1] == ':') return true;
  const std::size_t folder = member.name.rfind('/');
  std::size_t depth = folder == std::string::npos ? 0 : PartsOf(member.name.substr(0, folder));
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find_first_of("/\\"));
    if (part == ".." && depth == 0) return true;
    if (part == "..") --depth;
    if (!part.empty() && part != "." && part != "..") ++depth;
    path.remove_prefix(std::min(path.size(), part.size() + 1));
  }
  return false;
}

// What headers before a member's own say of it.
struct Extension {
  std::optional<std::string> name;
  std::optional<std::string> link;
  std::optional<std::uint64_t> bytes;
  bool sparse = false;

  // What was said first holds: tarfile applies the headers from the last one back.
  void Complete(Extension later) {
    if (!name.has_value()) name = std::move(later.name);
    if (!link.has_value()) link = std::move(later.link);
    if (!bytes.has_value()) bytes = later.bytes;
    sparse = sparse || later.sparse;
  }
};

std::optional<std::uint64_t> DecimalIn(std::string_view text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || __builtin_mul_overflow(value, std::uint64_t{10}, &value) ||
        __builtin_add_overflow(value, static_cast<std::uint64_t>(c - '0'), &value)) {
      return std::nullopt;
    }
  }
  return text.empty() ? std::nullopt : std::optional(value);
}

// The records of a pax header, "27 path=some/longer/name\n" each. False: one breaks the rules, and
// what stands before it is kept.
bool ReadRecords(std::string_view text, Extension& found) {
  while (!text.empty() && text.front() != '\0') {
    const std::size_t blank = text.substr(0, 21).find(' ');
    if (blank == std::string_view::npos) return false;
    const auto length = DecimalIn(text.substr(0, blank));
    if (!length.has_value() || *length <= blank + 1 || *length > text.size()) return false;
    const std::size_t end = static_cast<std::size_t>(*length);
    std::string_view record = text.substr(blank + 1, end - blank - 1);
    text.remove_prefix(end);
    if (record.back() != '\n') return false;
    record.remove_suffix(1);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (key.starts_with("GNU.sparse.")) found.sparse = true;
    if (key == "path" || key == "GNU.sparse.name") found.name = std::string(value);
    if (key == "linkpath") found.link = std::string(value);
    if (key != "size") continue;
    found.bytes = DecimalIn(value);
    if (!found.bytes.has_value()) return false;
  }
  return true;
}

TarType TypeOf(char code, std::string_view header_name) {
  switch (code) {
    case '\0':  // the oldest archives end the name of a folder with '/'
      return header_name.ends_with('/') ? TarType::kFolder : TarType::kFile;
    case '0':
    case '7':
      return TarType::kFile;
    case '1':
      return TarType::kHardLink;
    case '2':
      return TarType::kSymbolicLink;
    case '5':
      return TarType::kFolder;
    case 'S':
      return TarType::kSparseFile;
    default:
      return TarType::kOther;
  }
}

// Goes through the headers of one archive.
class TarReader {
 public:
  TarReader(ByteSource& source, WorkBudget& budget, RiskList& risks)
      : cursor_(source, budget), risks_(risks) {}

  TarListing Read() &&;

 private:
  // The next header. False: it is the last.
  bool ReadHeader();
  bool ReadLongName(std::optional<std::string>& text, std::uint64_t bytes);
  bool ReadPax(Extension& extension, std::uint64_t bytes);
  bool ReadMember(const Block& block, std::uint64_t bytes);
  bool PassMap(bool more);
  void CheckRest();
  bool PassContent(std::uint64_t bytes);
  bool Broken(std::string_view what) {
    if (!cursor_.budget().spent()) {
      risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(header_));
    }
    return false;
  }

  Cursor cursor_;
  RiskList& risks_;
  std::uint64_t header_ = 0;  // where the one begins that is being read
  Extension global_;
  Extension next_;  // of the member that follows
  std::size_t name_bytes_left_ = base::limits::kMaxZipNameBytes;
  TarListing listing_;
};

TarListing TarReader::Read() && {
  while (ReadHeader()) {
    const bool full = listing_.members.size() == base::limits::kMaxZipEntries;
    listing_.complete = !full && name_bytes_left_ > 0;
    if (!listing_.complete) break;
  }
  listing_.complete = listing_.complete && !cursor_.budget().spent();
  return std::move(listing_);
}

bool TarReader::ReadHeader() {
  header_ = cursor_.offset();
  if (cursor_.remaining() == 0) return false;  // tarfile does not miss the mark of the end
  cursor_.budget().Take(work::kArchiveMember);
  Block block{};
  if (!cursor_.Read(block)) return Broken("a header that is cut off");
  if (IsZero(block)) {
    CheckRest();
    return false;
  }
  if (!ChecksumHolds(block)) return Broken("a header with a wrong checksum");
  const auto bytes = NumberIn(block, kSize);
  if (!bytes.has_value()) return Broken("a size that is no number");
  switch (block[kTypeAt]) {
    case 'L':
      return ReadLongName(next_.name, *bytes);
    case 'K':
      return ReadLongName(next_.link, *bytes);
    case 'x':
    case 'X':
      return ReadPax(next_, *bytes);
    case 'g':
      return ReadPax(global_, *bytes);
    default:
      return ReadMember(block, *bytes);
  }
}

bool TarReader::PassContent(std::uint64_t bytes) {
  const std::uint64_t left = cursor_.remaining();
  if (bytes > left) {
    Broken("a member that ends past the file");
    cursor_.Seek(cursor_.end());
    return false;
  }
  const std::uint64_t padding = (kBlockBytes - bytes % kBlockBytes) % kBlockBytes;
  return cursor_.Skip(std::min(bytes + padding, left));
}

bool TarReader::ReadLongName(std::optional<std::string>& text, std::uint64_t bytes) {
  const std::uint64_t begin = cursor_.offset();
  const auto most = std::min<std::uint64_t>({bytes, cursor_.remaining(), kMaxNameBytes});
  auto read = cursor_.Text(most, kMaxNameBytes);
  if (!read.has_value()) return Broken("a long name that can't be read");
  read->resize(std::min(read->find('\0'), read->size()));
  if (read->size() == kMaxNameBytes) Broken("a name of " + std::to_string(bytes) + " bytes");
  if (!text.has_value()) text = *std::move(read);
  return cursor_.Seek(begin) && PassContent(bytes);
}

bool TarReader::ReadPax(Extension& extension, std::uint64_t bytes) {
  const std::uint64_t begin = cursor_.offset();
  const auto most = std::min<std::uint64_t>({bytes, cursor_.remaining(), kMaxPaxBytes});
  const auto text = cursor_.Text(most, kMaxPaxBytes);
  if (!text.has_value()) return Broken("an extended header that can't be read");
  if (bytes > kMaxPaxBytes) {
    risks_.Add(RiskId::kOpaque, "an extended header longer than is read at " + AtOffset(header_));
  }
  cursor_.budget().Take(text->size() * work::kJsonByte);
  Extension found;
  if (!ReadRecords(*text, found)) Broken("an extended header that breaks its rules");
  const bool global = &extension == &global_;
  // Of all members the same size: tarfile would believe it, and not go by it.
  if (global && found.bytes.has_value()) Broken("a size for all members");
  if (global) {
    found.bytes.reset();
    found.Complete(std::move(extension));
    extension = std::move(found);
  } else {
    extension.Complete(std::move(found));
  }
  return cursor_.Seek(begin) && PassContent(bytes);
}

bool TarReader::PassMap(bool more) {
  while (more) {
    Block block{};
    if (!cursor_.Read(block)) return Broken("a map of a sparse file that is cut off");
    more = block[kMoreMapInBlockAt] != 0;
  }
  return true;
}

bool TarReader::ReadMember(const Block& block, std::uint64_t bytes) {
  const auto code = static_cast<char>(block[kTypeAt]);
  const std::string_view short_name = TextIn(block, kName);
  TarMember member;
  member.type = TypeOf(code, short_name);
  member.header = header_;
  member.name = std::string(short_name);
  const std::string_view prefix = TextIn(block, kPrefix);
  if (!prefix.empty() && member.type != TarType::kSparseFile) {
    member.name = std::string(prefix) + "/" + member.name;
  }
  member.link = std::string(TextIn(block, kLink));
  Extension extension = std::exchange(next_, {});
  extension.Complete(global_);
  if (extension.name.has_value()) member.name = *std::move(extension.name);
  if (extension.link.has_value()) member.link = *std::move(extension.link);
  if (extension.bytes.has_value()) bytes = *extension.bytes;
  if (member.type == TarType::kSparseFile && !PassMap(block[kMoreMapAt] != 0)) return false;
  if (member.type == TarType::kFile && extension.sparse) member.type = TarType::kSparseFile;
  const bool device = code == '3' || code == '4' || code == '6';
  const bool holds = !device && member.type != TarType::kFolder &&
                     member.type != TarType::kHardLink && member.type != TarType::kSymbolicLink;
  member.data = cursor_.offset();
  member.bytes = holds ? std::min(bytes, cursor_.remaining()) : 0;
  for (std::string* text : {&member.name, &member.link}) {
    text->resize(std::min(text->size(), kMaxNameBytes));
    name_bytes_left_ -= std::min(name_bytes_left_, text->size());
  }
  const bool link = member.type == TarType::kHardLink || member.type == TarType::kSymbolicLink;
  if (link && LinkEscapes(member)) {
    cursor_.budget().Take(work::kRisk);
    risks_.Add(RiskId::kArchivePathEscapes, member.name + " -> " + member.link);
  }
  listing_.members.push_back(std::move(member));
  return PassContent(holds ? bytes : 0);
}

void TarReader::CheckRest() {
  const std::uint64_t begin = cursor_.offset();
  const base::ByteView rest = cursor_.Peek(kPaddingRead);
  if (IsZero(rest) && cursor_.remaining() <= kMaxPadding) return;
  risks_.Add(RiskId::kTrailingData,
             std::to_string(cursor_.remaining()) + " bytes from " + AtOffset(begin));
}

}  // namespace

bool LooksLikeTar(const FileEnds& file) {
  return file.head.size() >= kBlockBytes && ChecksumHolds(file.head.first(kBlockBytes));
}

TarListing ListTarMembers(ByteSource& source, WorkBudget& budget, RiskList& risks) {
  return TarReader(source, budget, risks).Read();
}

}  // namespace weighmaster::agent::formats
