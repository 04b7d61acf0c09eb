#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/os/fd.h"
#include "agent/os/file_identity.h"
#include "agent/os/mounts.h"
#include "policy/base/result.h"
#include "policy/model/sighting.h"

namespace weighmaster::agent::sensors {

// Where a walk begins: a folder, or for `scan` a single file. Its folder stays open for as long as
// anybody has files below it to read, so that they are reached beneath it and by nothing else.
struct Root {
  std::string path;    // absolute, no symbolic link left in it
  std::string folder;  // `path`, or the folder of a single file
  std::string file;    // the name of a single file, else ""
  os::Fd fd;           // of `folder`
  os::FileSystemIdentity identity;
  bool renews_times = true;  // os::RenewsTimes
};

// Opens a path that the user or the configuration names; links in it are resolved here, once.
base::Result<std::shared_ptr<const Root>> OpenRoot(const std::string& path,
                                                   const model::Id& boot_id);

// What a full path says below its root: "" for the folder itself.
std::string RelativeTo(const Root& root, const std::string& path);

// Whether `path` is `folder` or lies below it; both absolute.
bool IsWithin(const std::string& path, const std::string& folder);

// The path that a root means, absolute and without links; nothing while a link in it leads nowhere.
// One that does not exist is itself.
std::optional<std::string> ResolveRoot(const std::string& root);

// What one walk speaks of: the roots to walk, and, for mounts below them that are not walked, why.
struct ChosenRoots {
  std::vector<std::string> paths;
  std::vector<model::Coverage> others;
};
// A walk stays on its mount, so every local mount is a root of its own: those at and below `named`,
// which are resolved, or, when nothing is named, all; except at and below `excluded`.
ChosenRoots ChooseRoots(const os::MountTable& table, std::vector<std::string> named,
                        std::span<const std::string> excluded);

// The coverage of a root that could not be opened.
model::Coverage CouldNotOpen(const std::string& path, const base::Error& error);

inline constexpr const char* kSensorName = "artifacts";

}  // namespace weighmaster::agent::sensors
