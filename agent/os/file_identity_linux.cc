#include <fcntl.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "agent/os/file_identity.h"

namespace weighmaster::agent::os {
namespace {

// From Linux 6.9's <linux/fs.h>, which Debian 12's headers are older than.
struct FsUuid2 {
  __u8 length;
  std::array<__u8, 16> uuid;
};
constexpr unsigned long kGetFsUuid = _IOR(0x15, 0, FsUuid2);

constexpr std::size_t kMaxHandleBytes = 128;  // MAX_HANDLE_SZ

template <typename Integer>
void AppendLittleEndian(std::string& out, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
}

// struct file_handle with room for its bytes.
struct alignas(struct file_handle) HandleBuffer {
  std::array<unsigned char, sizeof(struct file_handle) + kMaxHandleBytes> bytes;
};

base::Result<std::string> HandleOf(int folder, const std::string& name) {
  HandleBuffer buffer = {};
  auto* handle = reinterpret_cast<struct file_handle*>(buffer.bytes.data());
  handle->handle_bytes = kMaxHandleBytes;
  int mount_id = 0;
  const int flags = name.empty() ? AT_EMPTY_PATH : 0;
  if (::name_to_handle_at(folder, name.c_str(), handle, &mount_id, flags) != 0) {
    return base::FromErrno(errno, "name_to_handle_at");
  }
  std::string out;
  AppendLittleEndian(out, static_cast<std::uint32_t>(handle->handle_type));
  out.append(reinterpret_cast<const char*>(buffer.bytes.data()) + sizeof(struct file_handle),
             handle->handle_bytes);
  return out;
}

}  // namespace

base::Result<FileSystemIdentity> FileSystemIdentity::Of(int fd, const model::Id& boot_id) {
  FileSystemIdentity identity;
  if (HandleOf(fd, "").has_value()) {
    FsUuid2 uuid = {};
    if (::ioctl(fd, kGetFsUuid, &uuid) == 0 && uuid.length == uuid.uuid.size()) {
      identity.kind_ = IdentityKind::kUuidAndHandle;
      identity.prefix_.push_back(static_cast<char>(identity.kind_));
      identity.prefix_.append(reinterpret_cast<const char*>(uuid.uuid.data()), uuid.uuid.size());
      return identity;
    }
    struct statfs st = {};
    if (::fstatfs(fd, &st) != 0) return base::FromErrno(errno, "fstatfs");
    static_assert(sizeof st.f_fsid == 8);
    std::array<char, 8> fsid = {};
    std::memcpy(fsid.data(), &st.f_fsid, fsid.size());
    if (fsid != std::array<char, 8>{}) {
      identity.kind_ = IdentityKind::kFsidAndHandle;
      identity.prefix_.push_back(static_cast<char>(identity.kind_));
      identity.prefix_.append(fsid.data(), fsid.size());
      return identity;
    }
  }
  struct stat st = {};
  if (::fstat(fd, &st) != 0) return base::FromErrno(errno, "fstat");
  identity.kind_ = IdentityKind::kDeviceAndInode;
  identity.prefix_.push_back(static_cast<char>(identity.kind_));
  identity.prefix_.append(reinterpret_cast<const char*>(boot_id.bytes.data()),
                          boot_id.bytes.size());
  return identity;
}

base::Result<model::FileIdentity> FileSystemIdentity::Identify(int folder,
                                                               const std::string& name) const {
  model::FileIdentity identity{prefix_};
  if (kind_ != IdentityKind::kDeviceAndInode) {
    WM_ASSIGN_OR_RETURN(const std::string handle, HandleOf(folder, name));
    identity.bytes += handle;
    return identity;
  }
  struct stat st = {};
  const int flags = AT_SYMLINK_NOFOLLOW | (name.empty() ? AT_EMPTY_PATH : 0);
  if (::fstatat(folder, name.c_str(), &st, flags) != 0) return base::FromErrno(errno, "fstatat");
  AppendLittleEndian(identity.bytes, static_cast<std::uint64_t>(st.st_dev));
  AppendLittleEndian(identity.bytes, static_cast<std::uint64_t>(st.st_ino));
  return identity;
}

}  // namespace weighmaster::agent::os
