#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "agent/os/mounts.h"
#include "agent/os/open_file.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::os {
namespace {

constexpr std::size_t kMaxMountInfoBytes = 64 * base::limits::kMiB;

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// Space, tab, newline and backslash come as \040, \011, \012 and \134.
std::string Unescape(std::string_view field) {
  std::string out;
  out.reserve(field.size());
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size() && IsOctal(field[i + 1]) &&
        IsOctal(field[i + 2]) && IsOctal(field[i + 3])) {
      const int value = (field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0');
      out.push_back(static_cast<char>(value & 0xff));
      i += 3;
    } else {
      out.push_back(field[i]);
    }
  }
  return out;
}

std::vector<std::string_view> SplitFields(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty()) {
    const std::size_t end = line.find(' ');
    if (end != 0) fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) break;
    line.remove_prefix(end + 1);
  }
  return fields;
}

bool HasOption(std::string_view options, std::string_view option) {
  while (!options.empty()) {
    const std::size_t end = options.find(',');
    if (options.substr(0, end) == option) return true;
    options.remove_prefix(end == std::string_view::npos ? options.size() : end + 1);
  }
  return false;
}

// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
//   id parent device root mount-point options [optional …] - type source [super options]
std::optional<Mount> ParseLine(std::string_view line) {
  const std::vector<std::string_view> fields = SplitFields(line);
  std::size_t separator = 6;
  while (separator < fields.size() && fields[separator] != "-") ++separator;
  if (separator + 2 >= fields.size()) return std::nullopt;

  Mount mount;
  const auto [end, error] =
      std::from_chars(fields[0].data(), fields[0].data() + fields[0].size(), mount.id);
  if (error != std::errc() || end != fields[0].data() + fields[0].size()) return std::nullopt;
  mount.device = std::string(fields[2]);
  mount.root = Unescape(fields[3]);
  mount.mount_point = Unescape(fields[4]);
  mount.type = Unescape(fields[separator + 1]);
  mount.source = Unescape(fields[separator + 2]);
  if (mount.mount_point.empty() || mount.mount_point.front() != '/') return std::nullopt;
  const std::string_view super_options =
      separator + 3 < fields.size() ? fields[separator + 3] : std::string_view();
  mount.kind = ClassifyMount(mount.type, super_options);
  return mount;
}

// Whether `inner` is `outer` or lies below it.
bool IsWithin(std::string_view inner, std::string_view outer) {
  if (outer == "/") return true;
  return inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '/');
}

}  // namespace

MountKind ClassifyMount(std::string_view type, std::string_view super_options) {
  static constexpr std::array<std::string_view, 31> kPseudoTypes = {
      "proc",       "sysfs",      "cgroup",    "cgroup2",     "devtmpfs",   "devpts",   "debugfs",
      "tracefs",    "securityfs", "bpf",       "pstore",      "efivarfs",   "configfs", "fusectl",
      "mqueue",     "hugetlbfs",  "autofs",    "binfmt_misc", "rpc_pipefs", "nsfs",     "selinuxfs",
      "ramfs",      "resctrl",    "smackfs",   "nfsd",        "binder",     "sockfs",   "pipefs",
      "functionfs", "xenfs",      "fuse.lxcfs"};
  static constexpr std::array<std::string_view, 20> kRemoteTypes = {
      "nfs",   "nfs4",     "cifs",      "smb3",   "smbfs", "afs",   "ceph",
      "9p",    "virtiofs", "glusterfs", "lustre", "gfs2",  "ocfs2", "coda",
      "ncpfs", "orangefs", "beegfs",    "gpfs",   "davfs", "vboxsf"};
  if (std::find(kPseudoTypes.begin(), kPseudoTypes.end(), type) != kPseudoTypes.end()) {
    return MountKind::kPseudo;
  }
  if (std::find(kRemoteTypes.begin(), kRemoteTypes.end(), type) != kRemoteTypes.end()) {
    return MountKind::kRemote;
  }
  // FUSE is answered by some program, which may wait for the network or for ever. The drivers of
  // local disks are told by their names and by root having started them; "fuseblk" is what the
  // kernel calls FUSE over a block device.
  if (type != "fuse" && type != "fuseblk" && !type.starts_with("fuse.")) return MountKind::kLocal;
  const bool is_disk = type == "fuseblk" || type == "fuse.ntfs-3g" || type == "fuse.exfat";
  return is_disk && HasOption(super_options, "user_id=0") ? MountKind::kLocal : MountKind::kRemote;
}

MountTable ParseMountInfo(std::string_view text) {
  MountTable table;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    if (table.mounts.size() >= base::limits::kMaxMounts) {
      ++table.beyond_limit;
      continue;
    }
    if (std::optional<Mount> mount = ParseLine(line)) {
      table.mounts.push_back(*std::move(mount));
    } else {
      ++table.unreadable;
    }
  }
  return table;
}

std::vector<Mount> DistinctMounts(const std::vector<Mount>& mounts) {
  std::map<std::string_view, std::size_t> topmost;
  for (std::size_t i = 0; i < mounts.size(); ++i) topmost[mounts[i].mount_point] = i;

  std::map<std::string_view, std::vector<const Mount*>> by_device;
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    if (topmost[mounts[i].mount_point] == i) by_device[mounts[i].device].push_back(&mounts[i]);
  }
  std::set<const Mount*> kept;
  for (auto& [device, views] : by_device) {
    // Shortest root first: it shows the most. Equal roots keep the order of mounting. The outermost
    // views are few, so that comparing with each is cheap even where views are many.
    std::stable_sort(views.begin(), views.end(), [](const Mount* a, const Mount* b) {
      return a->root.size() < b->root.size();
    });
    std::vector<const Mount*> outermost;
    for (const Mount* view : views) {
      const bool seen = std::any_of(outermost.begin(), outermost.end(), [view](const Mount* outer) {
        return IsWithin(view->root, outer->root);
      });
      if (!seen) outermost.push_back(view);
    }
    kept.insert(outermost.begin(), outermost.end());
  }
  std::vector<Mount> distinct;
  for (const Mount& mount : mounts) {
    if (kept.contains(&mount)) distinct.push_back(mount);
  }
  return distinct;
}

base::Result<MountTable> ReadMounts() {
  WM_ASSIGN_OR_RETURN(const std::string text,
                      ReadSmallFile("/proc/self/mountinfo", kMaxMountInfoBytes));
  return ParseMountInfo(text);
}

}  // namespace weighmaster::agent::os
