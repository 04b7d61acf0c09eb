#pragma once

#include <map>
#include <string>

#include "policy/base/result.h"

namespace weighmaster::server::ctl {

// What `weighctl login` learnt: where the server is, which CA it must have, and the token that
// opens it.
struct Profile {
  std::string address;  // host:port
  std::string ca_pem;
  std::string token;
  std::string fleet_id;  // as the server said at login; another fleet there later is an error
};

// Profiles under names that people gave them, in one JSON file with mode 0600:
// docs/formats/weighctl-profile.md.
struct Contexts {
  std::string in_use;  // "": none
  std::map<std::string, Profile> profiles;
};

// The context of a first login, and of a file from before there were several.
inline constexpr char kDefaultContext[] = "default";

// Which file, and which context in it.
struct ProfileChoice {
  std::string path;
  std::string context;  // "": the one in use
};

// $WEIGHCTL_PROFILE, or weighmaster/weighctl.json below $XDG_CONFIG_HOME or ~/.config.
base::Result<std::string> DefaultProfilePath();
// $WEIGHCTL_CONTEXT, or "".
std::string ContextOfEnvironment();

// Letters, digits, '.', '_' and '-', not at the start; at most limits::kMaxContextNameBytes.
base::Status CheckContextName(const std::string& name);
// NOT_FOUND names the contexts that there are.
base::Result<Profile> FindProfile(const Contexts& contexts, const std::string& name);

// None, when the file is not there. A file that others can read is FAILED_PRECONDITION.
base::Result<Contexts> LoadContexts(const std::string& path);
// Makes the folders, replaces the file whole. One context too many is RESOURCE_EXHAUSTED.
base::Status SaveContexts(const std::string& path, const Contexts& contexts);

// NOT_FOUND says to log in first, or to choose a context.
base::Result<Profile> LoadProfile(const ProfileChoice& choice);
// Adds the profile to the file, or replaces it there; the first one is in use from then on. The
// context's name comes back.
base::Result<std::string> SaveProfile(const ProfileChoice& choice, const Profile& profile);

}  // namespace weighmaster::server::ctl
