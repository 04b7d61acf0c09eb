#include "third_party/sqlite/database.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <fstream>

#include "tests/support/temp_folder.h"

namespace weighmaster::sqlite {
namespace {

std::unique_ptr<Database> InMemory() {
  auto database = Database::Open(":memory:");
  EXPECT_TRUE(database.has_value());
  return std::move(database).value();
}

std::int64_t Number(Database& database, std::string_view sql) {
  auto statement = database.Prepare(sql);
  EXPECT_TRUE(statement.has_value() && statement->Step().value());
  return statement->Int(0);
}

TEST(Statement, GivesBackWhatWasBound) {
  const auto database = InMemory();
  auto statement = database->Prepare("SELECT ?, ?, ?, ?, ?");
  const std::string blob("\0a\xff", 3);
  statement->Bind(std::int64_t{-7})
      .Bind(std::string_view("text"))
      .Bind(base::AsBytes(blob))
      .BindNull()
      .Bind(base::ByteView());
  ASSERT_TRUE(statement->Step().value());
  EXPECT_EQ(statement->Int(0), -7);
  EXPECT_EQ(statement->Text(1), "text");
  EXPECT_EQ(base::AsText(statement->Blob(2)), blob);
  EXPECT_TRUE(statement->IsNull(3));
  EXPECT_FALSE(statement->IsNull(4)) << "an empty blob is not NULL";
  EXPECT_FALSE(statement->Step().value());
}

TEST(Statement, KeepsAFailureToBindUntilTheStep) {
  const auto database = InMemory();
  auto statement = database->Prepare("SELECT ?");
  statement->Bind(std::int64_t{1}).Bind(std::int64_t{2});
  EXPECT_FALSE(statement->Step().has_value());
}

TEST(Statement, CanBeInUseTwiceAtOnce) {
  const auto database = InMemory();
  constexpr std::string_view kSql = "SELECT 1 UNION SELECT 2 ORDER BY 1";
  auto outer = database->Prepare(kSql);
  ASSERT_TRUE(outer->Step().value());
  {
    auto inner = database->Prepare(kSql);
    ASSERT_TRUE(inner->Step().value());
    ASSERT_TRUE(inner->Step().value());
    EXPECT_EQ(inner->Int(0), 2);
  }
  EXPECT_EQ(outer->Int(0), 1);
  ASSERT_TRUE(outer->Step().value());
  EXPECT_EQ(outer->Int(0), 2);
}

TEST(Transaction, RollsBackUnlessItWasCommitted) {
  const auto database = InMemory();
  ASSERT_TRUE(database->Execute("CREATE TABLE t (x)").has_value());
  {
    auto transaction = Transaction::Begin(*database);
    ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (1)").has_value());
  }
  EXPECT_EQ(Number(*database, "SELECT COUNT(*) FROM t"), 0);
  {
    auto transaction = Transaction::Begin(*database);
    ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (1)").has_value());
    ASSERT_TRUE(transaction->Commit().has_value());
  }
  EXPECT_EQ(Number(*database, "SELECT COUNT(*) FROM t"), 1);
}

TEST(Transaction, DoesNotNest) {
  const auto database = InMemory();
  const auto outer = Transaction::Begin(*database);
  EXPECT_FALSE(Transaction::Begin(*database).has_value());
  EXPECT_TRUE(database->in_transaction()) << "the outer one is not touched by it";
}

TEST(Database, MakesAFileThatIsItsOwnersAlone) {
  const tests::TempFolder folder;
  ASSERT_TRUE(Database::Open(folder / "x.db").has_value());
  struct stat facts = {};
  ASSERT_EQ(stat((folder / "x.db").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
}

TEST(Database, TellsAFullDiskFromADamagedFileAndFromABusyOne) {
  const tests::TempFolder folder;
  {
    auto database = Database::Open(folder / "full.db");
    ASSERT_TRUE((*database)->Execute("CREATE TABLE t (x)").has_value());
    ASSERT_TRUE((*database)->Execute("PRAGMA max_page_count=1").has_value());
    const auto full = (*database)->Execute("INSERT INTO t VALUES (zeroblob(100000))");
    EXPECT_EQ(full.error().code(), base::ErrorCode::kResourceExhausted);
    EXPECT_NE(full.error().message().find("the disk of " + (folder / "full.db") + " is full"),
              std::string::npos)
        << full.error().message();
    ASSERT_TRUE((*database)->Execute("PRAGMA max_page_count=1000").has_value());
    EXPECT_TRUE((*database)->Execute("INSERT INTO t VALUES (zeroblob(100000))").has_value());
  }
  std::ofstream(folder / "damaged.db") << std::string(4096, 'x');
  EXPECT_EQ(Database::Open(folder / "damaged.db").error().code(), base::ErrorCode::kDataLoss);

  auto first = Database::Open(folder / "busy.db");
  auto second = Database::Open(folder / "busy.db");
  ASSERT_TRUE((*second)->Execute("PRAGMA busy_timeout=1").has_value());
  const auto holds = Transaction::Begin(**first);
  EXPECT_EQ(Transaction::Begin(**second).error().code(), base::ErrorCode::kUnavailable);
}

TEST(Database, ReadsBesideAWriter) {
  const tests::TempFolder folder;
  auto writer = Database::Open(folder / "x.db");
  ASSERT_TRUE((*writer)->Execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)").has_value());
  OpenOptions options;
  options.read_only = true;
  auto reader = Database::Open(folder / "x.db", options);
  ASSERT_TRUE(reader.has_value());
  const auto transaction = Transaction::Begin(**writer);
  ASSERT_TRUE((*writer)->Execute("INSERT INTO t VALUES (2)").has_value());
  EXPECT_EQ(Number(**reader, "SELECT COUNT(*) FROM t"), 1);
  EXPECT_FALSE((*reader)->Execute("INSERT INTO t VALUES (3)").has_value());
}

TEST(Migrate, RunsOnlyTheStepsThatAreMissing) {
  const auto database = InMemory();
  constexpr std::array<std::string_view, 2> kSteps = {"CREATE TABLE a (x)", "CREATE TABLE b (x)"};
  ASSERT_TRUE(database->Migrate("room", std::span(kSteps).first(1)).has_value());
  ASSERT_TRUE(database->Migrate("room", kSteps).has_value());
  ASSERT_TRUE(database->Migrate("room", kSteps).has_value());
  ASSERT_TRUE(database->Execute("INSERT INTO b VALUES (1)").has_value());
}

TEST(Migrate, KeepsRoomsApart) {
  const auto database = InMemory();
  constexpr std::array<std::string_view, 1> kFirst = {"CREATE TABLE a (x)"};
  constexpr std::array<std::string_view, 1> kSecond = {"CREATE TABLE b (x)"};
  ASSERT_TRUE(database->Migrate("one", kFirst).has_value());
  ASSERT_TRUE(database->Migrate("two", kSecond).has_value());
  EXPECT_EQ(Number(*database, "SELECT COUNT(*) FROM schema_versions"), 2);
}

TEST(Migrate, RefusesTablesOfANewerProgram) {
  const auto database = InMemory();
  constexpr std::array<std::string_view, 2> kSteps = {"CREATE TABLE a (x)", "CREATE TABLE b (x)"};
  ASSERT_TRUE(database->Migrate("room", kSteps).has_value());
  EXPECT_EQ(database->Migrate("room", std::span(kSteps).first(1)).error().code(),
            base::ErrorCode::kFailedPrecondition);
}

TEST(Migrate, LeavesNothingOfAStepThatFails) {
  const auto database = InMemory();
  constexpr std::array<std::string_view, 1> kBad = {"CREATE TABLE a (x); CREATE TABLE a (x)"};
  EXPECT_FALSE(database->Migrate("room", kBad).has_value());
  EXPECT_EQ(Number(*database, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'a'"), 0);
}

TEST(Database, GivesUpAStatementThatTakesLongerThanItMay) {
  const auto database = Database::Open(":memory:").value();
  const auto count = [&] {
    auto statement = database->Prepare(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
        "SELECT count(*) FROM n");
    return statement->Step();
  };
  database->LimitTime(base::Duration(0));
  const auto gave_up = count();
  ASSERT_FALSE(gave_up.has_value());
  EXPECT_EQ(gave_up.error().code(), base::ErrorCode::kFailedPrecondition);
  EXPECT_NE(gave_up.error().message().find("longer than it may"), std::string::npos);
  database->LimitTime(std::nullopt);
  EXPECT_TRUE(count().value());
}

TEST(Database, CallsAFunctionWithBlobsAndNotWithNothing) {
  const auto database = Database::Open(":memory:").value();
  ASSERT_TRUE(database
                  ->AddFunction("size_or_text",
                                [](base::ByteView blob) -> FunctionValue {
                                  if (blob.size() > 3) return {};
                                  if (blob.size() == 3) return std::string("three");
                                  return static_cast<std::int64_t>(blob.size());
                                })
                  .has_value());
  auto row = database->Prepare(
      "SELECT size_or_text(x'0102'), size_or_text('abc'), size_or_text(x'01020304'), "
      "size_or_text(NULL)");
  ASSERT_TRUE(row->Step().value());
  EXPECT_EQ(row->Int(0), 2);
  EXPECT_EQ(row->Text(1), "three");
  EXPECT_TRUE(row->IsNull(2));
  EXPECT_TRUE(row->IsNull(3));
}

TEST(Functions, FindTextsInTextsAsThoseOfSqliteDo) {
  const auto database = InMemory();
  for (const auto& [text, part] :
       {std::pair("'abcab'", "'cab'"), std::pair("'abcab'", "'b'"), std::pair("'abc'", "'abcd'"),
        std::pair("'abc'", "''"), std::pair("''", "''"), std::pair("''", "'a'"),
        std::pair("'\u00e4\u00f6'", "'\u00f6'"), std::pair("x'00ff00'", "x'ff'"),
        std::pair("NULL", "'a'")}) {
    const std::string call = std::string("(") + text + ", " + part + ")";
    EXPECT_EQ(Number(*database, "SELECT contains" + call + " IS (instr" + call + " > 0)"), 1)
        << call;
    // substr() from -0 on is all of it.
    const std::string ends = std::string("length(") + part + ") = 0 OR substr(" + text +
                             ", -length(" + part + ")) = " + part;
    EXPECT_EQ(Number(*database, "SELECT ends_with" + call + " IS (" + ends + ")"), 1) << call;
  }
}

}  // namespace
}  // namespace weighmaster::sqlite
