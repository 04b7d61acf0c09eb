#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/risks.h"
#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a zip archive, of any size, with a member.
bool LooksLikeZip(const FileEnds& file);

// One member of an archive, wherever it was named.
struct ZipMember {
  std::string name;          // by its local header, or by the directory where that has none
  std::string other_name;    // by the directory, where it differs
  std::uint64_t header = 0;  // of its local header
  std::uint64_t data = 0;    // first byte of its content
  std::uint64_t stored_bytes = 0;
  std::uint16_t method = 0;
  bool encrypted = false;
};

struct ZipListing {
  std::vector<ZipMember> members;
  bool complete = true;  // false: there are more of them, or of their names, than are listed
};

inline constexpr std::uint16_t kZipStored = 0;
inline constexpr std::uint16_t kZipDeflated = 8;

// The members of a zip archive by every way in which a reader can find them: each directory that
// ends near the end of the file, and the chain of local headers from the first byte. Checksums,
// flags and names that disagree do not hide a member. What is broken about the archive goes to
// `risks`. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
ZipListing ListZipMembers(ByteSource& source, WorkBudget& budget, RiskList& risks);
// Only those that a directory names: of an archive behind a program, whose bytes hold whatever
// looks like a header.
ZipListing ListZipDirectory(ByteSource& source, WorkBudget& budget, RiskList& risks);

// The first `most` bytes of a member's content, inflated where it is deflated; fewer where it is
// shorter or broken. Nothing when the method is another or the member is encrypted.
std::optional<base::Bytes> ReadZipMember(ByteSource& source, WorkBudget& budget,
                                         const ZipMember& member, std::size_t most);

}  // namespace weighmaster::agent::formats
