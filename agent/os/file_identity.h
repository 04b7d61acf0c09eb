#pragma once

#include <string>

#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "policy/model/sighting.h"

namespace weighmaster::agent::os {

// docs/formats/file-identity.md is the specification of these bytes.
enum class IdentityKind : unsigned char {
  kUuidAndHandle = 1,   // holds over reboots, moves of the disk, renames
  kFsidAndHandle = 2,   // the same as far as the file system's fsid does
  kDeviceAndInode = 3,  // for this boot only; an inode that is used again can't be told apart
};

// What names the file systems below one root, asked once a walk and not once a file. Make it from
// any open file or folder of the file system. A value.
class FileSystemIdentity {
 public:
  static base::Result<FileSystemIdentity> Of(int fd, const model::Id& boot_id);

  IdentityKind kind() const { return kind_; }
  // The bytes that every identity on this file system begins with.
  const std::string& prefix() const { return prefix_; }

  // Of a name in an open folder on this file system (no link followed), or, with an empty name, of
  // the open file itself.
  base::Result<model::FileIdentity> Identify(int folder, const std::string& name) const;

 private:
  IdentityKind kind_ = IdentityKind::kDeviceAndInode;
  std::string prefix_;  // the kind byte and what follows it up to the file's own part
};

}  // namespace weighmaster::agent::os
