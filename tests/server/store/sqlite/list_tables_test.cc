#include "server/store/sqlite/lists/list_tables.h"

#include <gtest/gtest.h>

namespace weighmaster::server::store {
namespace {

TEST(ListTables, HaveAColumnForEveryFieldAndNoOther) {
  for (const ListTable* const table :
       {&EndpointTable(), &PresentSightingTable(), &AllSightingTable(), &PastSightingTable(),
        &ArtifactTable(), &EventTable(), &PolicyTable(), &ExceptionTable(), &FindingTable(),
        &AdminTokenTable(), &AuditTable()}) {
    for (const query::Field& field : table->list.fields) {
      EXPECT_EQ(ColumnOf(*table, field).field, field.name);
    }
    EXPECT_EQ(table->columns.size(), table->list.fields.size()) << table->list.name;
  }
}

}  // namespace
}  // namespace weighmaster::server::store
