#include "server/ctl/profile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <utility>

#include "policy/base/limits.h"
#include "third_party/posix/files.h"

namespace weighmaster::server::ctl {
namespace {

namespace limits = base::limits;

base::Result<std::string> TextField(const nlohmann::json& json, const char* key) {
  if (!json.contains(key) || !json[key].is_string()) {
    return base::InvalidArgument(std::string("\"") + key + "\" is missing");
  }
  return json[key].get<std::string>();
}

base::Result<Profile> ParseProfile(const nlohmann::json& json) {
  if (!json.is_object()) return base::InvalidArgument("a context is no JSON object");
  Profile profile;
  WM_ASSIGN_OR_RETURN(profile.address, TextField(json, "address"));
  WM_ASSIGN_OR_RETURN(profile.ca_pem, TextField(json, "ca_pem"));
  WM_ASSIGN_OR_RETURN(profile.token, TextField(json, "token"));
  WM_ASSIGN_OR_RETURN(profile.fleet_id, TextField(json, "fleet_id"));
  return profile;
}

base::Result<Contexts> ParseContexts(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return base::InvalidArgument("it is no JSON object");
  Contexts contexts;
  if (!json.contains("contexts")) {
    contexts.in_use = kDefaultContext;
    WM_ASSIGN_OR_RETURN(contexts.profiles[kDefaultContext], ParseProfile(json));
    return contexts;
  }
  WM_ASSIGN_OR_RETURN(contexts.in_use, TextField(json, "in_use"));
  if (!json["contexts"].is_object()) return base::InvalidArgument("\"contexts\" is no JSON object");
  for (const auto& [name, profile] : json["contexts"].items()) {
    WM_RETURN_IF_ERROR(CheckContextName(name));
    WM_ASSIGN_OR_RETURN(contexts.profiles[name], ParseProfile(profile));
  }
  return contexts;
}

std::string Names(const Contexts& contexts) {
  std::string names;
  for (const auto& [name, profile] : contexts.profiles) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
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

std::string ContextOfEnvironment() {
  const char* const name = std::getenv("WEIGHCTL_CONTEXT");
  return name == nullptr ? "" : name;
}

base::Status CheckContextName(const std::string& name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  const bool is_good = !name.empty() && name.size() <= limits::kMaxContextNameBytes &&
                       name.find_first_not_of(kAllowed) == std::string::npos && name[0] != '-';
  if (is_good) return {};
  return base::InvalidArgument(
      "\"" + name + "\" can't be a context's name: letters, digits, '.', " +
      "'_' and '-', not at the start, at most " + std::to_string(limits::kMaxContextNameBytes));
}

base::Result<Profile> FindProfile(const Contexts& contexts, const std::string& name) {
  const auto found = contexts.profiles.find(name);
  if (found != contexts.profiles.end()) return found->second;
  return base::NotFound("there is no context \"" + name + "\"; there " +
                        (contexts.profiles.empty() ? "is none" : "are: " + Names(contexts)));
}

base::Result<Contexts> LoadContexts(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 && errno == ENOENT) return Contexts();
  if ((info.st_mode & 077) != 0) {
    return base::FailedPrecondition(
        path + " holds a token and can be read by others; run chmod 600 " + path);
  }
  WM_ASSIGN_OR_RETURN(const std::string text, posix::ReadFile(path, limits::kMaxProfileFileBytes));
  auto contexts = ParseContexts(text);
  if (!contexts.has_value()) {
    return std::move(contexts.error()).While("reading " + path + "; remove it and log in again");
  }
  return contexts;
}

base::Status SaveContexts(const std::string& path, const Contexts& contexts) {
  if (contexts.profiles.size() > limits::kMaxContexts) {
    return base::ResourceExhausted("there are " + std::to_string(limits::kMaxContexts) +
                                   " contexts already; remove one first");
  }
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return base::FromErrno(error.value(), "making the folder of " + path);
  nlohmann::json json = {{"in_use", contexts.in_use}, {"contexts", nlohmann::json::object()}};
  for (const auto& [name, profile] : contexts.profiles) {
    json["contexts"][name] = {{"address", profile.address},
                              {"ca_pem", profile.ca_pem},
                              {"token", profile.token},
                              {"fleet_id", profile.fleet_id}};
  }
  return posix::ReplaceFile(path, json.dump(2) + "\n", 0600);
}

base::Result<Profile> LoadProfile(const ProfileChoice& choice) {
  WM_ASSIGN_OR_RETURN(const Contexts contexts, LoadContexts(choice.path));
  if (contexts.profiles.empty()) {
    return base::NotFound("not logged in: " + choice.path +
                          " has no login; run \"weighctl login --server HOST:PORT …\" first");
  }
  const std::string& name = choice.context.empty() ? contexts.in_use : choice.context;
  if (name.empty()) {
    return base::NotFound("no context is in use; run \"weighctl context use NAME\" with one of: " +
                          Names(contexts));
  }
  return FindProfile(contexts, name);
}

base::Result<std::string> SaveProfile(const ProfileChoice& choice, const Profile& profile) {
  WM_ASSIGN_OR_RETURN(Contexts contexts, LoadContexts(choice.path));
  if (contexts.in_use.empty()) {
    contexts.in_use = choice.context.empty() ? kDefaultContext : choice.context;
  }
  const std::string name = choice.context.empty() ? contexts.in_use : choice.context;
  WM_RETURN_IF_ERROR(CheckContextName(name));
  contexts.profiles[name] = profile;
  WM_RETURN_IF_ERROR(SaveContexts(choice.path, contexts));
  return name;
}

}  // namespace weighmaster::server::ctl
