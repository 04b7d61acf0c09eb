#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"

namespace weighmaster::agent::os {

enum class MountKind : std::uint8_t {
  kLocal = 1,   // disks, and memory that holds people's files (tmpfs)
  kRemote = 2,  // its files lie on another machine, or behind a program that may be slow (FUSE)
  kPseudo = 3,  // the kernel's own: proc, sysfs, cgroup …
};

struct Mount {
  std::uint64_t id = 0;
  std::string device;       // "major:minor", which names the file system while it is mounted
  std::string root;         // the folder of the file system that is mounted here; "/" but for binds
  std::string mount_point;  // any bytes
  std::string type;         // "ext4", "fuse.sshfs"
  std::string source;
  MountKind kind = MountKind::kLocal;
  friend bool operator==(const Mount&, const Mount&) = default;
};

// Reads the text of /proc/self/mountinfo (proc(5)): octal escapes undone, at most
// limits::kMaxMounts lines kept. Names of mount points are chosen by whoever may mount, FUSE users
// included, so a line that does not fit is left out and counted, never an error.
struct MountTable {
  std::vector<Mount> mounts;     // in the order of mounting
  std::uint64_t unreadable = 0;  // lines that did not fit
  std::uint64_t beyond_limit = 0;
};
MountTable ParseMountInfo(std::string_view text);

// By the type's name; one that is not known is local, so that it is looked at. Of the options
// ("rw,user_id=0,…", proc(5)) only who mounted counts: a FUSE file system may call itself anything.
MountKind ClassifyMount(std::string_view type, std::string_view super_options);

// The mounts to walk or to account for: where several show the same folder of the same file system
// only the first stays, one that lies inside what another local mount of the same file system shows
// (a bind mount) is left out, and of several on one mount point only the last, which hides the
// others, stays.
std::vector<Mount> DistinctMounts(const std::vector<Mount>& mounts);

// This process's view, now.
base::Result<MountTable> ReadMounts();

}  // namespace weighmaster::agent::os
