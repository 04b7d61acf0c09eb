#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "policy/report/rows.h"
#include "policy/report/sighting_json.h"
#include "policy/report/table.h"

namespace weighmaster::report {
namespace {

model::Sighting HostileSighting() {
  model::Sighting sighting;
  sighting.path.bytes = "/models/\x1b[31m<b>\n\xff.gguf";
  sighting.facts.format = model::Format::kGguf;
  sighting.facts.risks.push_back({"malformed", model::Severity::kHigh, "It lies.", "offset 8"});
  return sighting;
}

TEST(Table, PadsColumnsAndLeavesNoTrailingBlanks) {
  Table table({{"NAME"}, {"SIZE", Table::Align::kRight}, {"NOTE"}});
  table.AddRow({"a", "10 kB", ""});
  table.AddRow({"löwe", "9 B", "x"});
  EXPECT_EQ(table.ToString(),
            "NAME   SIZE  NOTE\n"
            "a     10 kB\n"
            "löwe    9 B  x\n");
}

TEST(Table, EscapesWhatATerminalWouldObey) {
  Table table({{"PATH"}});
  table.AddRow({"a\x1b]0;title\x07\n\xfe"});
  EXPECT_EQ(table.ToString(), "PATH\na\\x1b]0;title\\x07\\x0a\\xfe\n");
}

TEST(Rows, AreNoTableWhereNoColumnHasATitle) {
  for (const Form form : {Form::kTable, Form::kJson}) {
    Rows rows(form, {{"count", ""}});
    const std::string row = rows.Add({Cell::Number(7)});
    EXPECT_EQ(row, form == Form::kTable ? "" : "{\"count\":7}\n");
    EXPECT_EQ(rows.End(), "");
  }
}

TEST(FormatBytes, UsesPowersOfAThousand) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(4'920'000'000), "4.9 GB");
  EXPECT_EQ(FormatBytes(999'999), "1.0 MB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "18 EB");
}

TEST(FormatParameters, NamesModelsAsPeopleDo) {
  EXPECT_EQ(FormatParameters(7'240'000'000), "7.2 B");
  EXPECT_EQ(FormatParameters(124'000'000), "124 M");
  EXPECT_EQ(FormatParameters(12), "12");
}

TEST(SightingToJson, ShowsAHostilePathEscapedWithItsBytesBesideIt) {
  const auto json = nlohmann::json::parse(SightingToJson(HostileSighting(), std::nullopt));
  EXPECT_EQ(json["path"], "/models/\\x1b[31m<b>\\x0a\\xff.gguf");
  EXPECT_EQ(json["path_base64"], "L21vZGVscy8bWzMxbTxiPgr_LmdndWY");
}

TEST(SightingToJson, HoldsNothingThatATerminalWouldObey) {
  for (const char* const text : {"\u009b31m", "\u202egpj.exe", "a\u2028b", "\x7f"}) {
    model::Sighting sighting = HostileSighting();
    sighting.facts.name = text;
    sighting.facts.license = "größer";
    const std::string json = SightingToJson(sighting, std::nullopt);
    EXPECT_TRUE(std::ranges::all_of(json, [](char c) { return c >= ' ' && c < '\x7f'; })) << json;
    EXPECT_EQ(nlohmann::json::parse(json)["name"], text);
    EXPECT_EQ(nlohmann::json::parse(json)["license"], "größer");
  }
  model::Sighting harmless = HostileSighting();
  harmless.facts.name = "größer-模型";
  EXPECT_NE(SightingToJson(harmless, std::nullopt).find("größer-模型"), std::string::npos);
}

TEST(SightingToJson, SaysNullForWhatIsNotKnown) {
  const auto json = nlohmann::json::parse(SightingToJson(HostileSighting(), std::nullopt));
  for (const char* key :
       {"sha256", "name", "architecture", "parameters", "license", "verdict", "rule", "reason"}) {
    EXPECT_TRUE(json.at(key).is_null()) << key;
  }
  EXPECT_EQ(json["digest_state"], "pending");
  EXPECT_FALSE(json.contains("endpoint_id"));
}

TEST(SightingToJson, CarriesRisksVerdictAndContext) {
  model::Verdict verdict;
  verdict.outcome = model::Outcome::kDeny;
  verdict.rule = "no-pickles";
  verdict.reason = "Pickles run code.";
  SightingContext context;
  context.endpoint_id = "00ff";
  context.hostname = "laptop";
  const auto json = nlohmann::json::parse(SightingToJson(HostileSighting(), verdict, context));
  EXPECT_EQ(json["risks"][0]["id"], "malformed");
  EXPECT_EQ(json["risks"][0]["severity"], "high");
  EXPECT_EQ(json["verdict"], "deny");
  EXPECT_EQ(json["rule"], "no-pickles");
  EXPECT_EQ(json["endpoint_id"], "00ff");
  EXPECT_EQ(json["first_seen"], "1970-01-01T00:00:00.000000Z");
}

}  // namespace
}  // namespace weighmaster::report
