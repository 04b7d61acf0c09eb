#include "agent/app/files.h"

#include <filesystem>
#include <system_error>

namespace weighmaster::agent::app {

base::Status MakeSocketFolder(const std::string& socket_path) {
  const auto folder = std::filesystem::path(socket_path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return base::FromErrno(error.value(), "making the folder " + folder.string());
  return {};
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
  return fs::path(root).lexically_normal().string();
}

}  // namespace weighmaster::agent::app
