#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/base/result.h"
#include "server/store/values.h"

namespace weighmaster::v1 {
class AdminToken;
class AuditEntry;
class Endpoint;
class Finding;
class FleetCoverage;
class PageRequest;
class PublishedExceptions;
class StoredSighting;
}  // namespace weighmaster::v1

namespace weighmaster::server::api {

// The store's values as the API's messages. Ids and digests are lower-case hexadecimal.

// "" begins; INVALID_ARGUMENT for a token that PageToken did not make.
base::Result<store::PageQuery> ParsePage(std::uint32_t size, std::string_view token);
base::Result<store::PageQuery> ParsePage(const v1::PageRequest& page);
std::string PageToken(std::uint64_t next);

void ToProto(const store::EndpointRow& row, bool connected, v1::Endpoint& out);
void ToProto(const store::SightingRow& row, v1::StoredSighting& out);
void ToProto(const store::FindingRow& row, v1::Finding& out);
void ToProto(const store::AdminTokenRecord& row, v1::AdminToken& out);
void ToProto(const store::AuditEntry& entry, v1::AuditEntry& out);
void ToProto(const store::ExceptionSetRecord& record, v1::PublishedExceptions& out);
void ToProto(const store::FleetCoverage& coverage, v1::FleetCoverage& out);

}  // namespace weighmaster::server::api
