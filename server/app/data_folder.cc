#include "server/app/data_folder.h"

#include <charconv>
#include <optional>
#include <utility>

#include "policy/model/digest.h"
#include "server/identity/administrators.h"
#include "server/identity/fleet_files.h"
#include "server/store/sqlite/sqlite_store.h"
#include "third_party/openssl/random.h"
#include "third_party/posix/files.h"
#include "third_party/posix/folder_lock.h"
#include "third_party/posix/ip_address.h"

namespace weighmaster::server::app {
namespace {

constexpr std::size_t kMaxAddressBytes = 1024;

// "host:port", "192.0.2.1:443", "[2001:db8::1]:443" to the host alone.
base::Result<std::string> HostOf(const std::string& address) {
  const base::Error wrong = base::InvalidArgument(
      "\"" + address + "\" is no address; write HOST:PORT, e.g. weighmaster.example.org:8443");
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return wrong;
  std::uint16_t port = 0;
  const char* const end = address.data() + address.size();
  const auto [last, error] = std::from_chars(address.data() + colon + 1, end, port);
  if (error != std::errc() || last != end || port == 0) return wrong;
  std::string host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty()) return wrong;
  return host;
}

base::Status StoreFirstToken(const std::string& folder, const identity::FleetFiles& files,
                             const base::Clock& clock, openssl::SystemRandom& random) {
  WM_ASSIGN_OR_RETURN(const auto store, store::SqliteStore::Open(StorePath(folder)));
  model::Id lineage;
  random.Fill(lineage.bytes);
  WM_RETURN_IF_ERROR(
      store->AdoptFleet(files.root.fleet_id, lineage, files.root.version, files.signed_root));
  const identity::NewAdminToken token =
      identity::MakeAdminToken("init", store::AdminRole::kAdmin, store::Scope::WholeFleet(),
                               clock.Now(), std::nullopt, random);
  WM_RETURN_IF_ERROR(store->AddAdminToken(token.record));
  return posix::ReplaceFile(folder + "/admin.token", token.text + "\n", 0600);
}

}  // namespace

std::string StorePath(const std::string& folder) { return folder + "/store.db"; }

base::Result<std::string> LoadAddress(const std::string& folder) {
  WM_ASSIGN_OR_RETURN(std::string text, posix::ReadFile(folder + "/address", kMaxAddressBytes));
  text.erase(text.find_last_not_of(" \r\n") + 1);
  return text;
}

base::Status InitDataFolder(const InitOptions& options, const base::Clock& clock) {
  WM_ASSIGN_OR_RETURN(std::string host, HostOf(options.address));
  WM_RETURN_IF_ERROR(posix::MakePrivateFolder(options.data_folder));
  identity::NewFleet fleet;
  fleet.now = clock.Now();
  (posix::IsIpAddress(host) ? fleet.ip_addresses : fleet.dns_names).push_back(std::move(host));
  openssl::SystemRandom random;
  WM_RETURN_IF_ERROR(identity::CreateFleet(options.data_folder, fleet, random));
  WM_RETURN_IF_ERROR(
      posix::ReplaceFile(options.data_folder + "/address", options.address + "\n", 0600));
  WM_ASSIGN_OR_RETURN(const identity::FleetFiles files, identity::LoadFleet(options.data_folder));
  return StoreFirstToken(options.data_folder, files, clock, random);
}

base::Result<std::uint64_t> AdoptRoot(const AdoptRootOptions& options, const base::Clock& clock) {
  const std::string& folder = options.data_folder;
  // A server that runs would go on taking in what the root before trusts.
  WM_ASSIGN_OR_RETURN(const posix::FolderLock lock, posix::FolderLock::Take(folder, "server"));
  WM_ASSIGN_OR_RETURN(const identity::FleetFiles files, identity::LoadFleet(folder));
  WM_ASSIGN_OR_RETURN(const identity::NextRoot next,
                      identity::ReadNextRoot(options.root_file, files, clock.Now()));
  WM_ASSIGN_OR_RETURN(const auto store, store::SqliteStore::Open(StorePath(folder)));
  WM_ASSIGN_OR_RETURN(const auto queries, store->OpenQueries());
  WM_ASSIGN_OR_RETURN(const store::FleetRecord fleet, queries->Fleet());
  WM_RETURN_IF_ERROR(
      store->AdoptFleet(fleet.fleet_id, fleet.lineage, next.root.version, next.document));
  WM_RETURN_IF_ERROR(identity::ReplaceRoot(folder, next.document));
  return next.root.version;
}

}  // namespace weighmaster::server::app
