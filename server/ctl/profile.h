#pragma once

#include <string>

#include "policy/base/result.h"

namespace weighmaster::server::ctl {

// What `weighctl login` learnt: where the server is, which CA it must have, and the token that
// opens it. Kept in one JSON file with mode 0600.
struct Profile {
  std::string address;  // host:port
  std::string ca_pem;
  std::string token;
  std::string fleet_id;  // as the server said at login; another fleet there later is an error
};

// $WEIGHCTL_PROFILE, or weighmaster/weighctl.json below $XDG_CONFIG_HOME or ~/.config.
base::Result<std::string> DefaultProfilePath();

// NOT_FOUND says to log in first; a file that others can read is FAILED_PRECONDITION.
base::Result<Profile> LoadProfile(const std::string& path);
// Makes the folders, replaces the file whole.
base::Status SaveProfile(const std::string& path, const Profile& profile);

}  // namespace weighmaster::server::ctl
