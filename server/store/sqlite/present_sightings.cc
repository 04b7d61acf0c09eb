#include "server/store/sqlite/present_sightings.h"

#include <cstdint>
#include <string>
#include <unordered_map>

#include "server/store/sqlite/rows.h"
#include "server/store/sqlite/sighting_facts.h"

namespace weighmaster::server::store {
namespace {

struct Endpoint {
  model::Id id;
  std::string hostname;
};
// By their small numbers. In memory: to join them would look each up once a row.
using Endpoints = std::unordered_map<std::int64_t, Endpoint>;

base::Result<Endpoints> ReadEndpoints(sqlite::Database& database) {
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement rows,
      database.Prepare("SELECT id, endpoint_id, hostname FROM endpoints WHERE state <> 2"));
  Endpoints endpoints;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return endpoints;
    WM_ASSIGN_OR_RETURN(const auto id, Stored(model::IdFromBytes(rows.Blob(1)), "endpoint id"));
    endpoints.emplace(rows.Int(0), Endpoint{id, rows.Text(2)});
  }
}

}  // namespace

base::Status VisitPresentSightings(sqlite::Database& database,
                                   const std::function<void(const PresentSighting&)>& visit) {
  WM_ASSIGN_OR_RETURN(const Endpoints endpoints, ReadEndpoints(database));
  // In the order in which the rows lie: by an index each would be looked for.
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement rows,
      database.Prepare("SELECT endpoint, sighting, path, path_encoding, outcome, rule, basis "
                       "FROM sightings NOT INDEXED WHERE gone_us IS NULL"));
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return {};
    const auto endpoint = endpoints.find(rows.Int(0));
    if (endpoint == endpoints.end()) continue;
    WM_ASSIGN_OR_RETURN(const model::Sighting sighting,
                        ReadSightingBlob(rows.Blob(1), Chars(rows, 2), rows.Int(3)));
    PresentSighting present{endpoint->second.id, endpoint->second.hostname, sighting, {}};
    if (!rows.IsNull(4)) {
      present.judged = {static_cast<model::Outcome>(rows.Int(4)), Chars(rows, 5),
                        static_cast<model::Basis>(rows.Int(6))};
    }
    visit(present);
  }
}

}  // namespace weighmaster::server::store
