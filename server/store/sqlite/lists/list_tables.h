#pragma once

#include <span>
#include <string_view>

#include "server/query/lists.h"

namespace weighmaster::server::store {

// A field of a list as SQL.
struct ListColumn {
  std::string_view field;
  // The expression. Of a text or a set it is never NULL; otherwise NULL is a row that lacks the
  // field. A set is a text of its words, each between blanks.
  std::string_view sql;
  // What a value is compared as; $ is the value. Ids and digests are small numbers in other tables.
  std::string_view value_sql = "$";
  // Around a comparison of `sql`, which is $ here.
  std::string_view around_sql = "$";
  // Which index is used when several could be: the lowest rank. SQLite has no statistics of values
  // and would take any. 0: there is none.
  int rank = 0;
  // It grows with the key. A range of it is found by its index and then sorted: along the key it
  // may lie at the far end.
  bool follows_key = false;
  // Its order, and all that a search inside its texts must look at where no index leads to them.
  std::string_view scan_index = {};
};

// A list as a table: the rows that there are, the key in whose order they come, the columns.
struct ListTable {
  const query::List& list;
  std::string_view from;
  std::string_view key;
  std::span<const ListColumn> columns;
};

// The Past… are those of the moment ?1.
const ListTable& EndpointTable();
const ListTable& PastEndpointTable();
// Those that are present now; all; and those of the moment. They differ in what is known of
// verdicts then.
const ListTable& PresentSightingTable();
const ListTable& AllSightingTable();
const ListTable& PastSightingTable();
const ListTable& ArtifactTable();
const ListTable& PastArtifactTable();
// Of one endpoint, which is `c.endpoint`. The key holds the chain's small number above the event's,
// which stays below 2^40.
const ListTable& EventTable();
const ListTable& PolicyTable();
const ListTable& PastPolicyTable();
// ?1 is the moment of which it tells, also where that is now.
const ListTable& ExceptionTable();
const ListTable& FindingTable();
const ListTable& PastFindingTable();
const ListTable& ChangeTable();
const ListTable& AdminTokenTable();
const ListTable& AuditTable();

// Every field of a list must have one: a failed CHECK.
const ListColumn& ColumnOf(const ListTable& table, const query::Field& field);

}  // namespace weighmaster::server::store
