#include "policy/report/csv.h"

#include <gtest/gtest.h>

#include "policy/base/bytes.h"
#include "policy/base/random.h"
#include "policy/report/rows.h"

namespace weighmaster::report {
namespace {

using Record = std::vector<std::string>;

// Straight from the grammar of RFC 4180, and nothing else: no line ends but CRLF, no quote within a
// plain cell, nothing after a quoted one. An empty result says that the text is no such file.
std::vector<Record> ReadCsv(std::string_view text) {
  std::vector<Record> records(1);
  while (!text.empty()) {
    std::string cell;
    if (text.starts_with('"')) {
      text.remove_prefix(1);
      while (text.starts_with("\"\"") || !text.starts_with('"')) {
        if (text.empty()) return {};
        cell += text[0];
        text.remove_prefix(text.starts_with("\"\"") ? 2 : 1);
      }
      text.remove_prefix(1);
    } else {
      const std::size_t length = std::min(text.find_first_of(",\"\r\n"), text.size());
      cell = text.substr(0, length);
      text.remove_prefix(length);
    }
    records.back().push_back(cell);
    const bool had_comma = text.starts_with(',');
    if (had_comma) {
      text.remove_prefix(1);
      if (text.starts_with("\r\n")) records.back().emplace_back();
    }
    if (text.starts_with("\r\n")) {
      text.remove_prefix(2);
      records.emplace_back();
    } else if (!text.empty() && !had_comma) {
      return {};
    }
  }
  if (!records.back().empty()) return {};
  records.pop_back();
  return records;
}

// What a program does that wants the very bytes: one apostrophe off, then \xNN and \\ undone.
std::string Undone(std::string_view cell) {
  if (cell.starts_with('\'')) cell.remove_prefix(1);
  std::string text;
  for (std::size_t i = 0; i < cell.size(); ++i) {
    if (cell[i] != '\\') {
      text += cell[i];
    } else if (cell[i + 1] == '\\') {
      text += cell[++i];
    } else {
      text += static_cast<char>(base::HexDecode(cell.substr(i + 2, 2))->at(0));
      i += 3;
    }
  }
  return text;
}

TEST(CsvReader, TakesWhatRfc4180Allows) {
  EXPECT_EQ(ReadCsv("a,\"b\"\"\r\n,\"\r\n,\r\n"),
            (std::vector<Record>{{"a", "b\"\r\n,"}, {"", ""}}));
  EXPECT_TRUE(ReadCsv("a\n").empty());
  EXPECT_TRUE(ReadCsv("a\"b\r\n").empty());
  EXPECT_TRUE(ReadCsv("\"a\"b\r\n").empty());
  EXPECT_TRUE(ReadCsv("\"a\r\n").empty());
}

TEST(CsvRecord, EndsInCrlfAndQuotesOnlyWhatHasTo) {
  EXPECT_EQ(CsvRecord({"a", "", "b,c", "say \"x\"", " d"}),
            "a,,\"b,c\",\"say \"\"x\"\"\",\" d\"\r\n");
  EXPECT_EQ(CsvRecord({"", "x"}), ",x\r\n");
}

TEST(CsvText, TakesTheFangsOfWhatASpreadsheetWouldRun) {
  EXPECT_EQ(CsvText("=1+1"), "'=1+1");
  EXPECT_EQ(CsvText("+1"), "'+1");
  EXPECT_EQ(CsvText("-2+3"), "'-2+3");
  EXPECT_EQ(CsvText("@SUM(1)"), "'@SUM(1)");
  EXPECT_EQ(CsvText("  =1"), "'  =1");
  EXPECT_EQ(CsvText("\u00a0\u3000=1"), "'\u00a0\u3000=1");
  EXPECT_EQ(CsvText("\ufeff=1"), "'\ufeff=1");
  EXPECT_EQ(CsvText("\t=1"), "'\\x09=1");
  EXPECT_EQ(CsvText("\r\n=1"), "'\\x0d\\x0a=1");
  for (const char* const wide : {"\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"}) {
    EXPECT_EQ(CsvText(wide), std::string("'") + wide);
  }
}

TEST(CsvText, LeavesAloneWhatIsHarmless) {
  for (const char* const text :
       {"", "größer-模型", "/models/a-b=c.gguf", "a@b", "1+1", "a;b", "NAME"}) {
    EXPECT_EQ(CsvText(text), text);
  }
}

TEST(CsvText, LetsNoFormulaBeginWhereASemicolonPartsCells) {
  EXPECT_EQ(CsvText("a;=cmd|'/c calc'!A0"), "a\\x3b=cmd|'/c calc'!A0");
  EXPECT_EQ(CsvText("a; \uff1d1"), "a\\x3b \uff1d1");
  EXPECT_EQ(CsvText("a;\"=1"), "a\\x3b\"=1");
}

TEST(CsvText, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(CsvText("a\x1b]0;t\x07\n\xff\\"), "a\\x1b]0;t\\x07\\x0a\\xff\\\\");
}

TEST(CsvEscapedText, IsNotEscapedAgain) {
  EXPECT_EQ(CsvEscapedText("a\\x1b;=1"), "a\\x1b\\x3b=1");
  EXPECT_EQ(CsvEscapedText("=\\x1b"), "'=\\x1b");
}

// Pieces that mean something to spreadsheets, to RFC 4180, to terminals or to UTF-8.
std::string HostileText(base::Random& random) {
  static constexpr std::string_view kPieces[] = {
      "=",      "+", "-", "@", "\t", "\r",     "\n",    ",",      ";",    "\"",     "'", "\\",
      "\uff1d", " ", "a", "1", "ü",  "\x1b[m", "\\x41", "\u202e", "\xff", "\u00a0", "|", "\0"};
  std::string text;
  for (std::uint64_t left = random.Below(8); left > 0; --left) {
    text += kPieces[random.Below(std::size(kPieces))];
  }
  return text;
}

TEST(Csv, GivesEveryCellBackAndNoneIsAFormula) {
  base::SeededRandom random(20'260'301);
  for (int round = 0; round < 20'000; ++round) {
    Record texts;
    Record cells;
    for (std::uint64_t left = 2 + random.Below(3); left > 0; --left) {
      texts.push_back(HostileText(random));
      cells.push_back(CsvText(texts.back()));
    }
    const std::string file = CsvRecord(cells);
    ASSERT_TRUE(base::IsFitForDisplay(std::string_view(file).substr(0, file.size() - 2))) << file;
    const std::vector<Record> read = ReadCsv(file);
    ASSERT_EQ(read, std::vector<Record>{cells}) << file;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      ASSERT_EQ(Undone(read[0][i]), texts[i]) << file;
      const std::size_t first = read[0][i].find_first_not_of(' ');
      ASSERT_TRUE(first == std::string::npos ||
                  std::string_view("=+-@").find(read[0][i][first]) == std::string_view::npos)
          << file;
    }
  }
}

const std::vector<Heading> kHeadings = {{"name", "NAME"},
                                        {"size_bytes", "SIZE", Table::Align::kRight},
                                        {"present", ""},
                                        {"labels", ""}};

std::string Written(Form form, const std::vector<std::vector<Cell>>& rows) {
  Rows writer(form, kHeadings);
  std::string out = writer.Begin();
  for (const auto& row : rows) out += writer.Add(row);
  return out + writer.End();
}

TEST(Rows, AreWrittenInEachFormFromOneDescription) {
  const std::vector<std::vector<Cell>> rows = {
      {Cell::Text("=a"), Cell::Number(4'900).ShownAs("4.9 kB"), Cell::Flag(true),
       Cell::Words({"x", "y"})},
      {Cell::Text(""), Cell::Number(7), Cell::Nothing(), Cell::Words({})}};
  EXPECT_EQ(Written(Form::kTable, rows), "NAME    SIZE\n=a    4.9 kB\n           7\n");
  EXPECT_EQ(Written(Form::kCsv, rows),
            "name,size_bytes,present,labels\r\n'=a,4900,true,x y\r\n,7,,\r\n");
  EXPECT_EQ(Written(Form::kJson, rows),
            "{\"name\":\"=a\",\"size_bytes\":4900,\"present\":true,\"labels\":[\"x\",\"y\"]}\n"
            "{\"name\":null,\"size_bytes\":7,\"present\":null,\"labels\":[]}\n");
}

TEST(Rows, OfNothingAreAHeaderInCsvAndElseNothing) {
  EXPECT_EQ(Written(Form::kTable, {}), "");
  EXPECT_EQ(Written(Form::kCsv, {}), "name,size_bytes,present,labels\r\n");
  EXPECT_EQ(Written(Form::kJson, {}), "");
}

TEST(Cell, ThatWasEscapedIsEscapedNoSecondTime) {
  EXPECT_EQ(Cell::EscapedText("/m/\\x1b").ForTable(), "/m/\\x1b");
  EXPECT_EQ(Cell::EscapedText("/m/\\x1b").ForCsv(), "/m/\\x1b");
}

TEST(Cell, OfANumberIsNoFormulaWhateverItsSign) {
  EXPECT_EQ(Cell::Difference(-5).ForCsv(), "-5");
  EXPECT_EQ(Cell::Text("-5").ForCsv(), "'-5");
}

TEST(Cell, IsFitForDisplayWhoeverSaysThatItWasEscaped) {
  EXPECT_EQ(Cell::EscapedText("a\x1b[2J\\").ForTable(), "a\\x1b[2J\\\\");
  EXPECT_EQ(Cell::EscapedText("a\x1b[2J\\").ForCsv(), "a\\x1b[2J\\\\");
}

}  // namespace
}  // namespace weighmaster::report
