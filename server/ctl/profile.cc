#include "server/ctl/profile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "third_party/posix/files.h"

namespace weighmaster::server::ctl {
namespace {

base::Result<std::string> TextField(const nlohmann::json& json, const char* key) {
  if (!json.contains(key) || !json[key].is_string()) {
    return base::InvalidArgument(std::string("\"") + key + "\" is missing");
  }
  return json[key].get<std::string>();
}

base::Result<Profile> ParseProfile(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return base::InvalidArgument("it is no JSON object");
  Profile profile;
  WM_ASSIGN_OR_RETURN(profile.address, TextField(json, "address"));
  WM_ASSIGN_OR_RETURN(profile.ca_pem, TextField(json, "ca_pem"));
  WM_ASSIGN_OR_RETURN(profile.token, TextField(json, "token"));
  WM_ASSIGN_OR_RETURN(profile.fleet_id, TextField(json, "fleet_id"));
  return profile;
}

}  // namespace

base::Result<std::string> DefaultProfilePath() {
  if (const char* path = std::getenv("WEIGHCTL_PROFILE"); path != nullptr && *path != '\0') {
    return std::string(path);
  }
  if (const char* folder = std::getenv("XDG_CONFIG_HOME"); folder != nullptr && *folder == '/') {
    return std::string(folder) + "/weighmaster/weighctl.json";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    return std::string(home) + "/.config/weighmaster/weighctl.json";
  }
  return base::FailedPrecondition(
      "there is no home folder to keep the login in; set WEIGHCTL_PROFILE to a file");
}

base::Result<Profile> LoadProfile(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 && errno == ENOENT) {
    return base::NotFound("not logged in: " + path +
                          " is not there; run \"weighctl login --server HOST:PORT …\" first");
  }
  if ((info.st_mode & 077) != 0) {
    return base::FailedPrecondition(
        path + " holds a token and can be read by others; run chmod 600 " + path);
  }
  WM_ASSIGN_OR_RETURN(const std::string text, posix::ReadFile(path, 1 << 20));
  auto profile = ParseProfile(text);
  if (!profile.has_value()) {
    return std::move(profile.error()).While("reading " + path + "; log in again to replace it");
  }
  return profile;
}

base::Status SaveProfile(const std::string& path, const Profile& profile) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return base::FromErrno(error.value(), "making the folder of " + path);
  const nlohmann::json json = {{"address", profile.address},
                               {"ca_pem", profile.ca_pem},
                               {"token", profile.token},
                               {"fleet_id", profile.fleet_id}};
  return posix::ReplaceFile(path, json.dump(2) + "\n", 0600);
}

}  // namespace weighmaster::server::ctl
