#pragma once

#include "policy/base/result.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// Fields of stored messages as functions of SQL, for what lists are filtered by too seldom to have
// a column of its own: to compare one takes a microsecond a row. The blobs are those of
// `sightings.sighting`, `verdicts.verdict` and `events.body`. A text is never NULL of a blob that
// is there, a number is where the message lacks it.
//
//   sighting_risks(blob)          the ids, each between blanks
//   sighting_owner_id(blob)       a text
//   sighting_tensors(blob)        a number
//   sighting_digest_detail(blob)  a text
//   sighting_verified_us(blob)    a number
//   sighting_weights_reason(blob) a number
//   verdict_reason(blob)          a text
//   verdict_link(blob)            a text
//   verdict_until_us(blob)        a number
//   event_path(blob)              of what it speaks of, as for display
base::Status AddBlobFields(sqlite::Database& database);

}  // namespace weighmaster::server::store
