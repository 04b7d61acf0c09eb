#pragma once

#include <span>
#include <string_view>

namespace weighmaster::server::store {

// The steps for sqlite::Database::Migrate. A step that was released is never edited.
// docs/formats/server-store.md describes every table.
std::span<const std::string_view> SchemaSteps();
inline constexpr std::string_view kSchemaRoom = "server_store";

}  // namespace weighmaster::server::store
