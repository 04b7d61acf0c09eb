#include "agent/sensors/artifacts/roots.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/os/directory.h"
#include "agent/os/open_file.h"

namespace weighmaster::agent::sensors {

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

DefaultRoots ChooseRoots(const os::MountTable& table) {
  DefaultRoots roots;
  for (const os::Mount& mount : os::DistinctMounts(table.mounts)) {
    if (mount.kind == os::MountKind::kLocal) {
      roots.paths.push_back(mount.mount_point);
      continue;
    }
    model::Coverage coverage;
    coverage.sensor = kSensorName;
    coverage.root = {mount.mount_point};
    coverage.state = model::CoverageState::kCouldNot;
    coverage.reason = mount.kind == os::MountKind::kRemote
                          ? model::CoverageReason::kRemoteFileSystem
                          : model::CoverageReason::kPseudoFileSystem;
    coverage.detail = base::EscapeForDisplay(mount.type);
    roots.others.push_back(std::move(coverage));
  }
  if (table.beyond_limit + table.unreadable > 0) {
    model::Coverage coverage;
    coverage.sensor = kSensorName;
    coverage.root = {"/"};
    coverage.state = model::CoverageState::kPartly;
    coverage.reason = model::CoverageReason::kLimit;
    coverage.detail = std::to_string(table.beyond_limit) + " mounts beyond the limit, " +
                      std::to_string(table.unreadable) + " unreadable";
    roots.others.push_back(std::move(coverage));
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
