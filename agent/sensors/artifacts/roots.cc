#include "agent/sensors/artifacts/roots.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/os/directory.h"
#include "agent/os/open_file.h"

namespace weighmaster::agent::sensors {
namespace {

model::Coverage NotWalked(const os::Mount& mount) {
  model::Coverage coverage;
  coverage.sensor = kSensorName;
  coverage.root = {mount.mount_point};
  coverage.state = model::CoverageState::kCouldNot;
  coverage.reason = mount.kind == os::MountKind::kPseudo ? model::CoverageReason::kPseudoFileSystem
                    : mount.kind == os::MountKind::kRemote
                        ? model::CoverageReason::kRemoteFileSystem
                        : model::CoverageReason::kExcluded;
  coverage.detail = base::EscapeForDisplay(mount.type);
  return coverage;
}

}  // namespace

base::Result<std::shared_ptr<const Root>> OpenRoot(const std::string& path,
                                                   const model::Id& boot_id) {
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::canonical(path, error);
  if (error) return base::FromErrno(error.value(), "open " + model::Path{path}.ToDisplay());
  auto root = std::make_shared<Root>();
  root->path = canonical.string();
  root->folder = root->path;
  base::Result<os::Fd> folder = os::OpenFolder(root->folder);
  if (!folder.has_value() && std::filesystem::is_regular_file(canonical, error)) {
    root->folder = canonical.parent_path().string();
    root->file = canonical.filename().string();
    folder = os::OpenFolder(root->folder);
  }
  if (!folder.has_value()) {
    return std::move(folder).error().While("opening " + model::Path{path}.ToDisplay());
  }
  root->fd = *std::move(folder);
  WM_ASSIGN_OR_RETURN(root->identity, os::FileSystemIdentity::Of(root->fd.get(), boot_id));
  root->renews_times = os::RenewsTimes(root->fd.get());
  return std::shared_ptr<const Root>(std::move(root));
}

std::string RelativeTo(const Root& root, const std::string& path) {
  if (path.size() <= root.folder.size()) return {};
  return path.substr(root.folder == "/" ? 1 : root.folder.size() + 1);
}

bool IsWithin(const std::string& path, const std::string& folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::optional<std::string> ResolveRoot(const std::string& root) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path canonical = fs::canonical(root, error);
  if (!error) return canonical.string();
  fs::path so_far;
  for (const fs::path& name : fs::path(root)) {
    so_far /= name;
    if (fs::is_symlink(fs::symlink_status(so_far, error))) return std::nullopt;
  }
  return root;
}

ChosenRoots ChooseRoots(const os::MountTable& table, std::vector<std::string> named,
                        std::span<const std::string> excluded) {
  // Only what is below the named roots decides which of several views of a file system is walked.
  std::vector<os::Mount> candidates;
  for (const os::Mount& mount : table.mounts) {
    const bool below = std::ranges::any_of(named, [&mount](const std::string& root) {
      return mount.mount_point != root && IsWithin(mount.mount_point, root);
    });
    const bool is_named = std::ranges::find(named, mount.mount_point) != named.end();
    if (named.empty() || (below && !is_named)) candidates.push_back(mount);
  }
  std::sort(named.begin(), named.end());
  named.erase(std::unique(named.begin(), named.end()), named.end());
  ChosenRoots roots;
  roots.paths = std::move(named);
  for (const os::Mount& mount : os::DistinctMounts(candidates)) {
    const bool is_excluded = std::ranges::any_of(
        excluded, [&mount](const std::string& path) { return IsWithin(mount.mount_point, path); });
    if (mount.kind == os::MountKind::kLocal && !is_excluded) {
      roots.paths.push_back(mount.mount_point);
    } else {
      roots.others.push_back(NotWalked(mount));
    }
  }
  return roots;
}

model::Coverage CouldNotOpen(const std::string& path, const base::Error& error) {
  model::Coverage coverage;
  coverage.sensor = kSensorName;
  coverage.root = {path};
  coverage.state = model::CoverageState::kCouldNot;
  switch (error.code()) {
    case base::ErrorCode::kNotFound:
      coverage.reason = model::CoverageReason::kNotMounted;
      break;
    case base::ErrorCode::kPermissionDenied:
      coverage.reason = model::CoverageReason::kPermission;
      break;
    default:
      coverage.reason = model::CoverageReason::kIoError;
  }
  coverage.detail = error.message();
  return coverage;
}

}  // namespace weighmaster::agent::sensors
