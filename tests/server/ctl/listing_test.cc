#include "server/ctl/listing.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "third_party/posix/system_clock.h"

namespace weighmaster::server::ctl {
namespace {

using report::Cell;

std::string Printed(const Members& members) {
  const posix::SystemClock clock;
  std::ostringstream out;
  std::ostringstream err;
  Context context{out, err, {}, clock};
  const auto code = PrintObject(context, members);
  EXPECT_TRUE(code.has_value() && *code == ExitCode::kOk);
  EXPECT_EQ(err.str(), "");
  return out.str();
}

TEST(PrintObject, IsOneLineWithItsKeysInTheirOrder) {
  EXPECT_EQ(Printed({{"version", Cell::Number(7)},
                     {"file", Cell::Text("a b")},
                     {"list_file", Cell::Text("")},
                     {"labels", Cell::Words({"a=1", "b=2"})},
                     {"expires_time", TimeOf(1'772'366'400'000'000)},
                     {"whole", Cell::Flag(false)}}),
            "{\"version\":7,\"file\":\"a b\",\"list_file\":null,\"labels\":[\"a=1\",\"b=2\"],"
            "\"expires_time\":\"2026-03-01T12:00:00.000000Z\",\"whole\":false}\n");
}

TEST(PrintObject, HoldsNothingThatATerminalObeys) {
  EXPECT_EQ(Printed({{"reason", Cell::Text("\x1b[2J\u202e\u009b31m\n")}}),
            "{\"reason\":\"\\u001b[2J\\u202e\\u009b31m\\n\"}\n");
  EXPECT_EQ(Printed({{"labels", Cell::Words({"\x7f"})}}), "{\"labels\":[\"\\u007f\"]}\n");
}

TEST(PrintObject, LeavesAFormulaAsItIs) {
  EXPECT_EQ(Printed({{"reason", Cell::Text("=SUM(1)")}}), "{\"reason\":\"=SUM(1)\"}\n");
}

struct Row {
  std::uint64_t id;
  std::string subject;
};

TEST(MembersOf, AreTheKeysAndValuesOfARowOfTheListWithoutWhatOnlyTablesShow) {
  const Columns<Row> columns = {
      {{"id", "ID"}, [](const Row& row) { return Cell::Number(row.id).ShownAs("the first"); }},
      {{"subject", ""}, [](const Row& row) { return Cell::EscapedText(row.subject); }},
  };
  EXPECT_EQ(Printed(MembersOf(Row{1, "two\\x0alines"}, columns)),
            "{\"id\":1,\"subject\":\"two\\\\x0alines\"}\n");
}

}  // namespace
}  // namespace weighmaster::server::ctl
