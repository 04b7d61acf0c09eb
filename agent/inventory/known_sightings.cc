#include "agent/inventory/known_sightings.h"

#include <string_view>

#include "agent/inventory/row.h"

namespace weighmaster::agent::inventory {

base::Result<std::unique_ptr<KnownSightings>> KnownSightings::Open(const std::string& state_path) {
  sqlite::OpenOptions options;
  options.read_only = true;
  options.cache_kib = 512;
  WM_ASSIGN_OR_RETURN(std::unique_ptr<sqlite::Database> database,
                      sqlite::Database::Open(state_path, options));
  return std::unique_ptr<KnownSightings>(new KnownSightings(std::move(database)));
}

base::Result<std::optional<sensors::KnownFile>> KnownSightings::TryFind(
    const model::Path& path, const sensors::FileStamp& stamp) {
  // The path itself first, then any other name of the same file.
  constexpr std::string_view kByPath =
      "SELECT sighting, lasting FROM sightings WHERE path = ? AND identity = ? AND modified_ns = ? "
      "AND changed_ns = ?";
  constexpr std::string_view kByIdentity =
      "SELECT sighting, lasting FROM sightings WHERE identity = ? AND modified_ns = ? "
      "AND changed_ns = ? AND lasting LIMIT 1";
  for (const bool by_path : {true, false}) {
    if (!by_path && stamp.identity.bytes.empty()) break;
    WM_ASSIGN_OR_RETURN(sqlite::Statement find,
                        database_->Prepare(by_path ? kByPath : kByIdentity));
    if (by_path) find.Bind(base::AsBytes(path.bytes));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(base::AsBytes(stamp.identity.bytes))
                                              .Bind(stamp.modified_ns)
                                              .Bind(stamp.changed_ns)
                                              .Step());
    if (!found) continue;
    sensors::KnownFile known;
    WM_ASSIGN_OR_RETURN(known.sighting, SightingFromColumn(find.Blob(0)));
    if (known.sighting.size_bytes != stamp.size_bytes) continue;
    known.lasting = find.Int(1) != 0;
    return std::optional<sensors::KnownFile>(std::move(known));
  }
  return std::optional<sensors::KnownFile>();
}

std::optional<sensors::KnownFile> KnownSightings::Find(const model::Path& path,
                                                       const sensors::FileStamp& stamp) {
  const std::lock_guard lock(mutex_);
  auto found = TryFind(path, stamp);
  return found.has_value() ? std::move(found).value() : std::nullopt;
}

bool KnownSightings::HasModelAt(const model::Path& path) {
  const std::lock_guard lock(mutex_);
  auto find = database_->Prepare("SELECT 1 FROM sightings WHERE path = ?");
  if (!find.has_value()) return false;
  const auto found = find->Bind(base::AsBytes(path.bytes)).Step();
  return found.has_value() && found.value();
}

}  // namespace weighmaster::agent::inventory
