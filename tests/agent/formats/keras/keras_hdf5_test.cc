#include "agent/formats/keras/keras_hdf5.h"

#include <gtest/gtest.h>

#include <utility>

#include "tests/agent/formats/keras/hdf5_writer.h"
#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using model::WeightsReason;
using tests::Hdf5Writer;
using tests::Number;

struct Parsed {
  model::Facts facts;
  TensorMap map = TensorMap::Without(WeightsReason::kNone);
};

Parsed ParseFile(const std::string& text, std::uint64_t units = base::limits::kMaxParseWork) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  Parsed parsed;
  parsed.facts = ParseKerasHdf5(source, budget, tensors);
  parsed.map = TensorMap::Decode(std::move(tensors).Take(), text.size()).value();
  return parsed;
}

constexpr char kConfig[] = R"({"class_name": "Functional", "config": {"name": "classifier",
    "layers": [{"class_name": "Dense", "config": {"name": "dense"}}]}})";

// As save_model writes it, with an optimizer's state beside the weights.
std::string LegacyModel(bool newer, const std::string& config = kConfig) {
  Hdf5Writer out(newer);
  const auto floats = Hdf5Writer::Float32();
  const std::uint64_t kernel = out.Dataset(floats, {2, 3}, std::string(24, 'k'));
  const std::uint64_t bias = out.Dataset(floats, {3}, std::string(12, 'b'));
  const std::uint64_t moment = out.Dataset(floats, {2, 3}, std::string(24, 'm'));
  const std::uint64_t layer = out.Object(out.Group({{"bias:0", bias}, {"kernel:0", kernel}}));
  const std::uint64_t weights = out.Object(out.Group({{"dense", layer}}));
  const std::uint64_t state = out.Object(out.Group({{"moment", moment}}));
  auto root = out.Group({{"model_weights", weights}, {"optimizer_weights", state}});
  root.push_back(out.VariableTextAttribute("model_config", config));
  root.push_back(Hdf5Writer::FixedText("keras_version", "2.13.1"));
  const std::uint64_t place = out.Object(root);
  return out.Build(place);
}

// As Keras 3 writes weights.
std::string Weights(std::vector<Hdf5Writer::Message> root_more = {},
                    const std::string& dataset_name = "0") {
  Hdf5Writer out;
  const std::uint64_t value = out.Dataset(Hdf5Writer::Float32(), {4}, std::string(16, 'v'));
  const std::uint64_t vars = out.Object(out.Group({{dataset_name, value}}));
  const std::uint64_t dense = out.Object(out.Group({{"vars", vars}}));
  const std::uint64_t layers = out.Object(out.Group({{"dense", dense}}));
  auto root = out.Group({{"layers", layers}});
  root.insert(root.end(), root_more.begin(), root_more.end());
  const std::uint64_t place = out.Object(root);
  return out.Build(place);
}

TEST(KerasHdf5, ReadsAModelOfOldAndNewFiles) {
  for (const bool newer : {false, true}) {
    const std::string text = LegacyModel(newer);
    const Parsed parsed = ParseFile(text);
    EXPECT_TRUE(LooksLikeKerasHdf5({base::AsBytes(text), {}, text.size()}));
    EXPECT_EQ(parsed.facts.format, Format::kKerasHdf5);
    EXPECT_EQ(parsed.facts.name, "classifier");
    EXPECT_EQ(parsed.facts.architecture, "Functional");
    EXPECT_EQ(parsed.facts.quantization, "F32");
    EXPECT_EQ(parsed.facts.parameters, 9U);
    EXPECT_EQ(parsed.facts.tensor_count, 2U);
    EXPECT_TRUE(parsed.facts.risks.empty());
    ASSERT_EQ(parsed.map.size(), 2U);
    EXPECT_EQ(parsed.map.At(0).dims, (std::vector<std::uint64_t>{2, 3}));
    EXPECT_EQ(text.substr(static_cast<std::size_t>(parsed.map.BeginAt(0)), 24),
              std::string(24, 'k'));
    EXPECT_EQ(text.substr(static_cast<std::size_t>(parsed.map.BeginAt(1)), 12),
              std::string(12, 'b'));
  }
}

TEST(KerasHdf5, ReadsWeightsWithoutAModel) {
  const Parsed parsed = ParseFile(Weights());
  EXPECT_EQ(parsed.facts.format, Format::kKerasHdf5);
  EXPECT_EQ(parsed.facts.parameters, 4U);
  EXPECT_EQ(parsed.facts.architecture, "");
  EXPECT_EQ(parsed.map.size(), 1U);
  const auto named = ParseFile(Weights({Hdf5Writer::FixedText("layer_names", "dense")}, "kernel"));
  EXPECT_EQ(named.facts.format, Format::kKerasHdf5);
}

TEST(KerasHdf5, IsNoOtherHdf5) {
  // The same groups, with what is no number of a variable; and data of a measurement.
  EXPECT_EQ(ParseFile(Weights({}, "kernel")).facts.format, Format::kUnknown);
  EXPECT_EQ(ParseFile(Weights({}, "0x")).facts.format, Format::kUnknown);
  EXPECT_EQ(
      ParseFile(Weights({Hdf5Writer::FixedText("title", "model_config")}, "temperature")).facts,
      model::Facts{});
  EXPECT_EQ(ParseFile("\x89HDF\r\n\x1a\nand then a text").facts, model::Facts{});
  EXPECT_EQ(ParseFile("").facts, model::Facts{});
}

TEST(KerasHdf5, FindsCodeInTheConfiguration) {
  const std::string lambda = R"({"class_name": "Sequential", "config": {"layers": [
      {"class_name": "Lambda", "config": {"name": "l", "function_type": "lambda"}}]}})";
  const model::Facts facts = ParseFile(LegacyModel(false, lambda)).facts;
  ASSERT_TRUE(HasRisk(facts, "keras_lambda", Severity::kHigh));
  EXPECT_EQ(FindRisk(facts, "keras_lambda")->evidence, "model_config: Lambda \"l\" carries code");
  // Also where the loader compiles the model.
  const std::string loss = R"({"loss": {"class_name": "function", "module": "os",
      "config": "system", "registered_name": "system"}})";
  const std::vector<Hdf5Writer::Message> training = {
      Hdf5Writer::FixedText("keras_version", "3.0.0"),
      Hdf5Writer::FixedText("training_config", loss)};
  EXPECT_TRUE(
      HasRisk(ParseFile(Weights(training)).facts, "keras_foreign_module", Severity::kCritical));
}

TEST(KerasHdf5, SaysThatTheConfigurationIsNotWhereItShouldBe) {
  std::string text = LegacyModel(false);
  text[text.find("GCOL")] = 'X';
  const model::Facts facts = ParseFile(text).facts;
  EXPECT_EQ(facts.format, Format::kKerasHdf5);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
}

TEST(KerasHdf5, TellsOfDataInOtherFiles) {
  const auto parse = [](const std::string& file) {
    Hdf5Writer out;
    const std::string names = std::string(8, '\0') + tests::Padded8(file + std::string(1, '\0'));
    const std::uint64_t data = out.Put(names);
    const std::uint64_t heap =
        out.Put("HEAP" + Number(0, 4) + Number(names.size(), 8) + Number(1, 8) + Number(data, 8));
    const std::string slot = Number(8, 8) + Number(0, 8) + Number(4, 8);
    const std::uint64_t value =
        out.Object({{0x01, Hdf5Writer::Space({1})},
                    {0x03, Hdf5Writer::Float32()},
                    {0x08, Number(0x0103, 2) + Number(~0ULL, 8) + Number(4, 8)},
                    {0x07, Number(1, 4) + Number(1, 2) + Number(1, 2) + Number(heap, 8) + slot}});
    auto root = out.Group({{"value", value}});
    root.push_back(Hdf5Writer::FixedText("keras_version", "3.0.0"));
    const std::uint64_t place = out.Object(root);
    return ParseFile(out.Build(place));
  };
  const Parsed passwords = parse("/etc/passwd");
  ASSERT_TRUE(HasRisk(passwords.facts, "external_data_escapes", Severity::kHigh));
  EXPECT_EQ(FindRisk(passwords.facts, "external_data_escapes")->evidence,
            "/value lies in /etc/passwd");
  EXPECT_EQ(passwords.map.reason(), WeightsReason::kIncomplete);
  EXPECT_TRUE(HasRisk(parse("beside.bin").facts, "external_data_escapes", Severity::kMedium));
}

TEST(KerasHdf5, TellsOfLinksToOtherFiles) {
  Hdf5Writer out(true);
  auto root = out.Group({});
  root.push_back(Hdf5Writer::ExternalLink("layers", "../other.h5"));
  root.push_back(Hdf5Writer::FixedText("keras_version", "3.0.0"));
  const std::uint64_t place = out.Object(root);
  const model::Facts facts = ParseFile(out.Build(place)).facts;
  ASSERT_TRUE(HasRisk(facts, "external_data_escapes", Severity::kHigh));
  EXPECT_EQ(FindRisk(facts, "external_data_escapes")->evidence, "/layers lies in ../other.h5");
}

// Weights of one dataset that is laid out in some way.
Parsed ParseLaidOut(const std::string& layout, std::vector<Hdf5Writer::Message> more = {},
                    const std::string& type = Hdf5Writer::Float32(),
                    const std::vector<std::uint64_t>& dims = {2}) {
  Hdf5Writer out;
  more.push_back({0x01, Hdf5Writer::Space(dims)});
  more.push_back({0x03, type});
  more.push_back({0x08, layout});
  const std::uint64_t value = out.Object(more);
  const std::uint64_t vars = out.Object(out.Group({{"0", value}}));
  const std::uint64_t place = out.Object(out.Group({{"vars", vars}}));
  return ParseFile(out.Build(place));
}

TEST(KerasHdf5, MapsWhatLiesInOnePieceAndSaysWhyNot) {
  const std::string compact = Number(0x0003, 2) + Number(8, 2) + "12345678";
  const Parsed inside = ParseLaidOut(compact);
  EXPECT_EQ(inside.facts.format, Format::kKerasHdf5);
  ASSERT_EQ(inside.map.size(), 1U);
  EXPECT_EQ(inside.map.BytesAt(0), 8U);
  const std::string chunked =
      Number(0x0203, 2) + Number(2, 1) + Number(~0ULL, 8) + Number(2, 4) + Number(4, 4);
  EXPECT_EQ(ParseLaidOut(chunked).map.reason(), WeightsReason::kPacked);
  EXPECT_EQ(ParseLaidOut(chunked).facts.parameters, 2U);
  const std::string nowhere = Number(0x0103, 2) + Number(~0ULL, 8) + Number(8, 8);
  EXPECT_EQ(ParseLaidOut(nowhere).map.reason(), WeightsReason::kIncomplete);
  const std::string old = Number(0x010101, 3) + Number(0, 5) + Number(96, 8) + Number(2, 4);
  EXPECT_EQ(ParseLaidOut(old).map.size(), 1U);
  EXPECT_EQ(ParseLaidOut(compact, {}, Hdf5Writer::Opaque2(), {4}).map.reason(),
            WeightsReason::kUnknownType);
}

TEST(KerasHdf5, KnowsABfloat16ByWhatStandsBeside) {
  const std::string compact = Number(0x0003, 2) + Number(8, 2) + "12345678";
  const Parsed parsed = ParseLaidOut(compact, {Hdf5Writer::FixedText("dtype", "bfloat16")},
                                     Hdf5Writer::Opaque2(), {4});
  EXPECT_EQ(parsed.facts.quantization, "BF16");
  EXPECT_EQ(parsed.map.size(), 1U);
}

TEST(KerasHdf5, RefusesElementsThatAreNotThere) {
  const std::string compact = Number(0x0003, 2) + Number(8, 2) + "12345678";
  const auto refused = [&](const std::string& layout, const std::vector<std::uint64_t>& dims) {
    const Parsed parsed = ParseLaidOut(layout, {}, Hdf5Writer::Float32(), dims);
    return HasRisk(parsed.facts, "malformed", Severity::kHigh) &&
           parsed.map.reason() == WeightsReason::kIncomplete;
  };
  EXPECT_TRUE(refused(compact, {3}));
  EXPECT_TRUE(refused(Number(0x0103, 2) + Number(1 << 20, 8) + Number(8, 8), {2}));
  EXPECT_TRUE(refused(compact, {1ULL << 40, 1ULL << 40}));
  EXPECT_EQ(
      ParseLaidOut(compact, {}, Hdf5Writer::Float32(), {1ULL << 40, 1ULL << 40}).facts.parameters,
      std::nullopt);
}

TEST(KerasHdf5, SaysThatItWasNotLookedAtWholeWhereverTheBudgetEnds) {
  const std::string text = LegacyModel(false);
  const model::Facts whole = ParseFile(text).facts;
  std::size_t opaque = 0;
  for (std::uint64_t units = 1'000; units < 200'000; units += 1'000) {
    const model::Facts facts = ParseFile(text, units).facts;
    if (facts.format == Format::kUnknown || facts == whole) continue;
    EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh)) << units;
    ++opaque;
  }
  EXPECT_GT(opaque, 0U);
}

TEST(KerasHdf5, RefusesMoreSymbolsThanANodeHas) {
  std::string text = LegacyModel(false);
  text.replace(text.rfind("SNOD") + 6, 2, "\xff\xff");
  EXPECT_TRUE(HasRisk(ParseFile(text).facts, "malformed", Severity::kHigh));
}

TEST(KerasHdf5, PassesOverWeights) {
  Hdf5Writer out;
  const std::uint64_t weights = 8ULL << 30;
  const std::uint64_t value =
      out.Object({{0x01, Hdf5Writer::Space({weights / 4})},
                  {0x03, Hdf5Writer::Float32()},
                  {0x08, Number(0x0103, 2) + Number(4096, 8) + Number(weights, 8)}});
  const std::uint64_t vars = out.Object(out.Group({{"0", value}}));
  const std::uint64_t place = out.Object(out.Group({{"vars", vars}}));
  std::string text = out.Build(place);
  text.replace(40, 8, Number(4096 + weights, 8));  // where the file ends
  CountedSource source(base::AsBytes(text), 4096 + weights);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  const model::Facts facts = ParseKerasHdf5(source, budget, tensors);
  EXPECT_EQ(facts.parameters, weights / 4);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_LT(source.bytes_read(), 100'000U);
}

}  // namespace
}  // namespace weighmaster::agent::formats
