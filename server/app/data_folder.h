#pragma once

#include <cstdint>
#include <string>

#include "policy/base/result.h"
#include "policy/base/time.h"

namespace weighmaster::server::app {

// Beside the files of server/identity/fleet_files.h:
//
//   store.db      the store
//   address       host:port that agents are told
//   admin.token   an administrator's first token, for `weighctl login`; to be moved away

std::string StorePath(const std::string& folder);
base::Result<std::string> LoadAddress(const std::string& folder);

struct InitOptions {
  std::string data_folder;
  std::string address;  // "host:port", a name or an IP address
};

// `weighmaster-server init`: makes the folder, the fleet's keys, the store and the first token.
// ALREADY_EXISTS when a fleet is there.
base::Status InitDataFolder(const InitOptions& options, const base::Clock& clock);

struct AdoptRootOptions {
  std::string data_folder;
  std::string root_file;
};

// `weighmaster-server adopt-root`: puts the next root of trust into the store and in the place of
// the one before; the version that it has. FAILED_PRECONDITION while a server works on the folder.
// After a crash between the two, the same call makes it whole.
base::Result<std::uint64_t> AdoptRoot(const AdoptRootOptions& options, const base::Clock& clock);

}  // namespace weighmaster::server::app
