#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a tar archive with a member, of any size: its header's checksum holds.
bool LooksLikeTar(const FileEnds& file);

enum class TarType : std::uint8_t {
  kFile,
  kSparseFile,  // its content is not what lies in the archive
  kSymbolicLink,
  kHardLink,  // to another member
  kFolder,
  kOther,  // a device, or a type that nobody knows
};

struct TarMember {
  std::string name;
  std::string link;  // where a link leads
  TarType type = TarType::kFile;
  std::uint64_t header = 0;  // where its last header begins
  std::uint64_t data = 0;    // first byte of its content
  std::uint64_t bytes = 0;   // of its content, as many as there are in the file
};

struct TarListing {
  std::vector<TarMember> members;
  bool complete = true;  // false: there are more of them, or of their names, than are listed
};

// The members of a tar archive as Python's tarfile finds them, which is how models are unpacked:
// ustar and older headers, GNU's long names and large numbers, the extended headers of pax.
// https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html and
// https://www.gnu.org/software/tar/manual/html_node/Standard.html. What is broken about the
// archive, and links that lead out of its folder, go to `risks`; names are the caller's to judge.
TarListing ListTarMembers(ByteSource& source, WorkBudget& budget, RiskList& risks);

}  // namespace weighmaster::agent::formats
