#include "policy/engine/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace weighmaster::engine {
namespace {

using ::testing::ElementsAre;

FieldValue Read(std::string_view name, const model::Sighting& sighting,
                const model::DigestListsView& lists = {}) {
  return FindField(name)->read({sighting, lists});
}

TEST(Fields, HaveNamesOfTheirOwnAndADescription) {
  std::set<std::string_view> names;
  for (const Field& field : Fields()) {
    EXPECT_TRUE(names.insert(field.name).second) << field.name;
    EXPECT_FALSE(field.description.empty()) << field.name;
    EXPECT_EQ(FindField(field.name), &field);
  }
  EXPECT_EQ(FindField("no_such_field"), nullptr);
}

TEST(Fields, ThatCanBeUnknownAreExactlyThoseAnEmptySightingLacks) {
  const model::Sighting empty;
  for (const Field& field : Fields()) {
    EXPECT_EQ(Read(field.name, empty).known(), !field.can_be_unknown) << field.name;
  }
}

TEST(Fields, GiveAValueOfTheirType) {
  model::Sighting full;
  full.owner.id = "1000";
  full.facts.name = full.facts.architecture = full.facts.license = full.facts.quantization = "x";
  full.facts.parameters = full.facts.tensor_count = 7;
  full.digest = {model::DigestState::kVerified, model::Sha256{}, "", {}};
  full.weights_digest = model::Sha256{};
  for (const Field& field : Fields()) {
    const FieldValue value = Read(field.name, full);
    switch (field.type) {
      case FieldType::kText:
      case FieldType::kDigest:
        EXPECT_TRUE(std::holds_alternative<std::string_view>(value.value)) << field.name;
        break;
      case FieldType::kNumber:
      case FieldType::kSeverity:
      case FieldType::kFlag:
        EXPECT_TRUE(std::holds_alternative<std::uint64_t>(value.value)) << field.name;
        break;
      case FieldType::kSet:
        EXPECT_TRUE(std::holds_alternative<std::vector<std::string_view>>(value.value))
            << field.name;
        break;
    }
  }
}

TEST(Fields, ListEveryFormatThatTheModelKnows) {
  const auto values = FindField("format")->values;
  for (const std::string_view value : values) EXPECT_TRUE(model::ParseFormat(value).has_value());
  for (int number = 0; number < 1000; ++number) {
    const std::string_view name = model::FormatName(static_cast<model::Format>(number));
    EXPECT_NE(std::ranges::find(values, name), values.end()) << name;
  }
}

TEST(Fields, ListEverySeverityAndDigestState) {
  for (const std::string_view value : FindField("risk_severity")->values) {
    EXPECT_TRUE(model::ParseSeverity(value).has_value()) << value;
  }
  for (const std::string_view value : FindField("digest_state")->values) {
    EXPECT_TRUE(model::ParseDigestState(value).has_value()) << value;
  }
  EXPECT_EQ(FindField("risk_severity")->values.size(), 5U);
  EXPECT_EQ(FindField("digest_state")->values.size(), 4U);
}

TEST(Fields, TheSha256IsKnownOnceItIsVerified) {
  model::Sighting sighting;
  sighting.digest = {model::DigestState::kClaimed, model::Sha256{}, "a manifest", {}};
  EXPECT_FALSE(Read("sha256", sighting).known());
  sighting.digest.state = model::DigestState::kVerified;
  EXPECT_EQ(std::get<std::string_view>(Read("sha256", sighting).value), std::string(32, '\0'));
}

TEST(Fields, AWeightsReasonIsKnownOnceTheFileWasRead) {
  model::Sighting sighting;
  EXPECT_FALSE(Read("weights_reason", sighting).known());
  sighting.weights_reason = model::WeightsReason::kPacked;
  EXPECT_EQ(std::get<std::string_view>(Read("weights_reason", sighting).value), "packed");
  sighting.weights_reason = model::WeightsReason::kNone;
  sighting.weights_digest = model::Sha256{};
  EXPECT_EQ(std::get<std::string_view>(Read("weights_reason", sighting).value), "none");
}

TEST(Fields, WeightsAreApprovedByTheListOfThePolicyThatJudges) {
  model::Sighting sighting;
  sighting.weights_digest = model::Sha256{};
  EXPECT_EQ(std::get<std::uint64_t>(Read("weights_approved", sighting).value), 0U);
  model::DigestLists lists;
  lists.approved_weights = {model::Sha256{}};
  const base::Bytes encoded = model::EncodeDigestLists(lists);
  const auto view = model::DigestListsView::Parse(encoded).value();
  EXPECT_EQ(std::get<std::uint64_t>(Read("weights_approved", sighting, view).value), 1U);
}

TEST(Fields, ReadTheWorstRiskAndEveryRiskId) {
  model::Sighting sighting;
  EXPECT_EQ(std::get<std::uint64_t>(Read("risk_severity", sighting).value), 0U);
  sighting.facts.risks = {{"opaque", model::Severity::kLow, "", ""},
                          {"malformed", model::Severity::kHigh, "", ""}};
  EXPECT_EQ(std::get<std::uint64_t>(Read("risk_severity", sighting).value), 4U);
  EXPECT_THAT(std::get<std::vector<std::string_view>>(Read("risk", sighting).value),
              ElementsAre("opaque", "malformed"));
}

TEST(Fields, ReadTheOwnerByIdAndByName) {
  model::Sighting sighting;
  sighting.owner = {"1000", "ada"};
  EXPECT_THAT(std::get<std::vector<std::string_view>>(Read("owner", sighting).value),
              ElementsAre("1000", "ada"));
}

TEST(Fields, ReadTheFileNameOutOfThePath) {
  model::Sighting sighting;
  sighting.path.bytes = "/models/a.gguf";
  EXPECT_EQ(std::get<std::string_view>(Read("file_name", sighting).value), "a.gguf");
  sighting.path.bytes = "a.gguf";
  EXPECT_EQ(std::get<std::string_view>(Read("file_name", sighting).value), "a.gguf");
}

TEST(Fields, AnUnverifiedDigestStateMayChange) {
  model::Sighting sighting;
  sighting.digest.state = model::DigestState::kPending;
  EXPECT_TRUE(Read("digest_state", sighting).may_change);
  sighting.digest.state = model::DigestState::kVerified;
  EXPECT_FALSE(Read("digest_state", sighting).may_change);
}

TEST(Fields, EachTypeCanBeAskedWhetherItIsKnown) {
  for (const Field& field : Fields()) EXPECT_TRUE(Fits(model::Operator::kKnown, field.type));
  EXPECT_FALSE(Fits(model::Operator::kAtLeast, FieldType::kText));
  EXPECT_FALSE(Fits(model::Operator::kContains, FieldType::kNumber));
}

}  // namespace
}  // namespace weighmaster::engine
