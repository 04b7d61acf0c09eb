// What we ship in policy/starter: the schema follows the table of fields, and the starter policies
// lint clean and do what they say.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "policy/engine/fields.h"
#include "policy/lang/compile.h"

namespace weighmaster::lang {
namespace {

using model::Outcome;

std::string ReadStarter(const std::string& name) {
  std::ifstream file(std::string(WEIGHMASTER_STARTER) + "/" + name, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

// JSON is YAML, so the YAML library reads it.
YAML::Node Schema() { return YAML::Load(ReadStarter("policy.schema.json")); }

std::set<std::string> KeysOf(const YAML::Node& map) {
  std::set<std::string> keys;
  for (const auto& entry : map) keys.insert(entry.first.as<std::string>());
  return keys;
}

// The part of a field's schema that holds its operators, and the one for "is".
YAML::Node OperatorsOf(const YAML::Node& field) {
  if (field["properties"]) return field["properties"];
  for (const auto& choice : field["anyOf"]) {
    if (choice["properties"]) return choice["properties"];
  }
  return {};
}

TEST(Schema, HasExactlyTheFieldsOfTheTable) {
  std::set<std::string> expected = {"all", "any", "not"};
  for (const engine::Field& field : engine::Fields()) expected.emplace(field.name);
  EXPECT_EQ(KeysOf(Schema()["$defs"]["condition"]["properties"]), expected);
}

TEST(Schema, DescribesEachFieldAsTheTableDoes) {
  const YAML::Node fields = Schema()["$defs"]["condition"]["properties"];
  for (const engine::Field& field : engine::Fields()) {
    const YAML::Node node = fields[std::string(field.name)];
    EXPECT_EQ(node["description"].as<std::string>(), field.description);
    std::set<std::string> operators;
    for (const model::Operator op : engine::OperatorsOf(field.type)) {
      operators.emplace(model::OperatorName(op));
    }
    EXPECT_EQ(KeysOf(OperatorsOf(node)), operators) << field.name;
    const bool has_shorthand = static_cast<bool>(node["anyOf"]);
    EXPECT_EQ(has_shorthand, engine::Fits(model::Operator::kEquals, field.type)) << field.name;
  }
}

TEST(Schema, ListsTheValuesOfFieldsThatHaveASetOfThem) {
  const YAML::Node fields = Schema()["$defs"]["condition"]["properties"];
  for (const engine::Field& field : engine::Fields()) {
    const YAML::Node is = OperatorsOf(fields[std::string(field.name)])["is"];
    std::vector<std::string> values;
    if (is && is["anyOf"]) values = is["anyOf"][0]["enum"].as<std::vector<std::string>>();
    EXPECT_THAT(values, ::testing::ElementsAreArray(field.values.begin(), field.values.end()))
        << field.name;
  }
}

TEST(Schema, HasTheKeysThatTheReaderKnows) {
  const YAML::Node schema = Schema();
  EXPECT_EQ(KeysOf(schema["properties"]),
            (std::set<std::string>{"policy", "lists", "rules", "default"}));
  EXPECT_EQ(KeysOf(schema["$defs"]["rule"]["properties"]),
            (std::set<std::string>{"id", "when", "then", "message", "always", "when_unknown"}));
  EXPECT_EQ(KeysOf(schema["properties"]["lists"]["properties"]),
            (std::set<std::string>{"blocked", "denied", "approved"}));
}

class Observe : public ::testing::Test {
 protected:
  Observe() : reading_(ReadDocument("observe.yaml", ReadStarter("observe.yaml"), nullptr)) {}

  model::Verdict Judge(const model::Facts& facts) const {
    model::Sighting sighting;
    sighting.path.bytes = "/models/m";
    sighting.facts = facts;
    sighting.digest.state = model::DigestState::kVerified;
    sighting.digest.sha256 = model::Sha256{};
    return MakePolicy(0, reading_).value()->Judge(sighting);
  }

  static model::Facts Licensed(std::string license) {
    model::Facts facts;
    facts.license = std::move(license);
    return facts;
  }

  const Reading reading_;
};

TEST_F(Observe, LintsWithoutAWord) { EXPECT_EQ(reading_.diagnostics.ToText(), ""); }

TEST_F(Observe, DeniesNothing) {
  for (const DocumentRule& rule : reading_.document.rules) {
    EXPECT_NE(rule.rule.outcome, Outcome::kDeny) << rule.rule.id;
  }
  EXPECT_EQ(reading_.document.default_outcome, Outcome::kAllow);
}

TEST_F(Observe, WarnsOfDangerFirst) {
  model::Facts facts = Licensed("mit");
  facts.risks = {{"pickle_executes_code", model::Severity::kCritical, "", ""}};
  EXPECT_EQ(Judge(facts).rule, "executes-code");
  facts.risks = {{"malformed", model::Severity::kMedium, "", ""}};
  EXPECT_EQ(Judge(facts).rule, "malformed");
  facts.risks = {{"malformed", model::Severity::kHigh, "", ""}};
  EXPECT_EQ(Judge(facts).rule, "malformed");
  facts.risks = {{"malformed", model::Severity::kHigh, "", ""},
                 {"pickle_executes_code", model::Severity::kCritical, "", ""}};
  EXPECT_EQ(Judge(facts).rule, "executes-code");
  facts.risks = {{"opaque", model::Severity::kHigh, "", ""}};
  EXPECT_EQ(Judge(facts).rule, "dangerous");
}

TEST_F(Observe, WarnsOfLicencesThatForbidCommercialUseOrAreMissing) {
  EXPECT_EQ(Judge(Licensed("")).rule, "license-unknown");
  EXPECT_EQ(Judge(Licensed("unknown")).rule, "license-unknown");
  EXPECT_EQ(Judge(Licensed("apple-amlr")).rule, "license-non-commercial");
  EXPECT_EQ(Judge(Licensed("CC-BY-NC-SA-4.0")).rule, "license-says-non-commercial");
  EXPECT_EQ(Judge(Licensed("other")).rule, "license-unclear");
}

TEST_F(Observe, AllowsTheRestForGood) {
  const model::Verdict verdict = Judge(Licensed("Apache-2.0"));
  EXPECT_EQ(verdict.outcome, Outcome::kAllow);
  EXPECT_EQ(verdict.basis, model::Basis::kVerified);
}

TEST_F(Observe, AMissingLicenceIsNoPartialVerdict) {
  EXPECT_EQ(Judge(Licensed("")).basis, model::Basis::kVerified);
}

}  // namespace
}  // namespace weighmaster::lang
