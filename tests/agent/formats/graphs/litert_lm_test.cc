#include "agent/formats/graphs/litert_lm.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/flat_file.h"
#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

namespace flat = tests::flat;
using flat::Value;
using model::Format;
using model::Severity;

constexpr std::size_t kBlock = 16'384;
constexpr std::uint8_t kTflite = 3;
constexpr std::uint8_t kTokenizer = 4;

struct Section {
  std::uint8_t type = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Value Entry(const std::string& key, const std::string& text) {
  return flat::Table(
      {{0, flat::Text(key)}, {1, flat::U8(9)}, {2, flat::Table({{0, flat::Text(text)}})}});
}
Value NumberEntry(const std::string& key) {
  return flat::Table({{0, flat::Text(key)}, {1, flat::U8(5)}, {2, flat::U32(7)}});
}

std::string Bundle(const std::vector<Section>& sections, const std::string& data,
                   std::uint32_t version = 1) {
  std::vector<Value> objects;
  for (const Section& section : sections) {
    objects.push_back(flat::Table(
        {{1, flat::U64(section.begin)}, {2, flat::U64(section.end)}, {3, flat::U8(section.type)}}));
  }
  const Value system =
      flat::Table({{0, flat::Vector({Entry("author", "The Authors"), Entry("model_name", "Gemma"),
                                     Entry("license", "gemma"), Entry("model_type", "gemma3"),
                                     NumberEntry("name")})}});
  const std::string header =
      flat::File(flat::Table({{0, system}, {1, flat::Table({{0, flat::Vector(objects)}})}}));
  std::string text = "LITERTLM" + flat::Little(version, 4) + flat::Little(4, 4) +
                     flat::Little(0, 8) + flat::Little(32 + header.size(), 8) + header;
  text.resize(kBlock);
  return text + data;
}

// A TensorFlow Lite model of one tensor of `count` bytes, and an operator.
std::string Tflite(std::size_t count, const std::string& custom = "") {
  const Value code = custom.empty() ? flat::Table({{0, flat::U8(9)}})
                                    : flat::Table({{1, flat::Text(custom)}, {3, flat::U32(32)}});
  const Value tensor = flat::Table({{0, flat::U32s({count})}, {1, flat::U8(9)}, {2, flat::U32(1)}});
  const Value data = flat::Table({{0, flat::Bytes(std::string(count, 'w'))}});
  return flat::File(flat::Table({{0, flat::U32(3)},
                                 {1, flat::Vector({code})},
                                 {2, flat::Vector({flat::Table({{0, flat::Vector({tensor})}})})},
                                 {4, flat::Vector({flat::Table({}), data})}}),
                    "TFL3");
}

bool LooksLike(std::string_view text) {
  return LooksLikeLitertLm(
      {base::AsBytes(text).first(std::min<std::size_t>(text.size(), 4096)), {}, text.size()});
}

model::Facts Read(std::string_view text, std::uint64_t units = base::limits::kMaxParseWork) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseLitertLm(source, budget, tensors);
}

void ExpectMalformed(const std::string& text, std::string_view evidence) {
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kLitertLm);
  ASSERT_TRUE(HasRisk(facts, "malformed", Severity::kHigh)) << evidence;
  EXPECT_NE(FindRisk(facts, "malformed")->evidence.find(evidence), std::string::npos)
      << FindRisk(facts, "malformed")->evidence;
}

TEST(LitertLm, AddsUpTheModelsOfItsSections) {
  std::string first = Tflite(10);
  const std::uint64_t first_end = kBlock + first.size();
  first.resize(kBlock);
  const std::string second = Tflite(5);
  const std::string text =
      Bundle({{kTflite, 2 * kBlock, 2 * kBlock + second.size()},
              {kTflite, kBlock, first_end},
              {kTokenizer, 3 * kBlock, 3 * kBlock + 3}},
             first + second + std::string(kBlock - second.size(), '\0') + "tok");
  EXPECT_TRUE(LooksLike(text));
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kLitertLm);
  EXPECT_EQ(facts.name, "Gemma");
  EXPECT_EQ(facts.license, "gemma");
  EXPECT_EQ(facts.architecture, "gemma3");
  EXPECT_EQ(facts.quantization, "I8");
  EXPECT_EQ(facts.parameters, 15U);
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(LitertLm, TellsWhatIsWrongWithItsModels) {
  const std::string custom = Tflite(4, "evil_op");
  const model::Facts facts = Read(Bundle({{kTflite, kBlock, kBlock + custom.size()}}, custom));
  ASSERT_TRUE(HasRisk(facts, "custom_operators", Severity::kMedium));
  EXPECT_EQ(facts.risks[0].evidence, "evil_op");
  ExpectMalformed(Bundle({{kTflite, kBlock, kBlock + 64}}, std::string(64, 'x')),
                  "no TensorFlow Lite model at offset 0x4000");
  // A model that leads out of its section, though not out of the file.
  const std::string text = Bundle({{kTflite, kBlock, kBlock + custom.size() - 20}}, custom);
  ExpectMalformed(text, "");
}

TEST(LitertLm, RefusesSectionsThatLie) {
  const std::string data(100, 'd');
  ExpectMalformed(Bundle({{kTokenizer, kBlock, kBlock + 101}}, data), "a section from");
  ExpectMalformed(Bundle({{kTokenizer, kBlock + 2, kBlock + 1}}, data), "a section from");
  ExpectMalformed(Bundle({{kTokenizer, ~0ULL, ~0ULL}}, data), "a section from");
  ExpectMalformed(Bundle({{kTokenizer, 16, kBlock}}, data), "inside of what ends at");
  ExpectMalformed(Bundle({{kTokenizer, kBlock, kBlock + 50}, {1, kBlock + 49, kBlock + 60}}, data),
                  "a section at offset 0x4031 inside of what ends at offset 0x4032");
  EXPECT_TRUE(
      Read(Bundle({{kTokenizer, kBlock, kBlock + 50}, {1, kBlock + 50, kBlock + 60}, {2, 0, 0}},
                  data))
          .risks.empty());
}

TEST(LitertLm, TellsOfBytesThatNoSectionHolds) {
  const std::vector<Section> sections = {{kTokenizer, kBlock, kBlock + 10}};
  EXPECT_TRUE(Read(Bundle(sections, std::string(kBlock, 'd'))).risks.empty());
  const model::Facts facts = Read(Bundle(sections, std::string(kBlock + 1, 'd')));
  ASSERT_TRUE(HasRisk(facts, "trailing_data", Severity::kMedium));
  EXPECT_EQ(facts.risks[0].evidence, "16375 bytes from offset 0x400a");
}

TEST(LitertLm, RefusesAHeaderThatIsNone) {
  const std::string good = Bundle({}, "");
  const auto with = [&good](std::size_t at, const std::string& bytes) {
    std::string changed = good;
    return changed.replace(at, bytes.size(), bytes);
  };
  EXPECT_TRUE(Read(good).risks.empty());
  ExpectMalformed(with(24, flat::Little(31, 8)), "a header up to offset 0x1f");
  ExpectMalformed(with(24, flat::Little(~0ULL, 8)), "a header up to offset 0xffffffffffffffff");
  ExpectMalformed(with(24, flat::Little(100, 8)), "an offset that leads");
  ExpectMalformed(with(8, flat::Little(0, 4)), "no version");
  ExpectMalformed(with(32, std::string(100, '\0')), "leads nowhere at offset 0x20");
  ExpectMalformed("LITERTLM" + flat::Little(1, 4) + std::string(12, '\0') + flat::Little(60, 8) +
                      flat::File(flat::Table({})) + std::string(20, '\0'),
                  "no sections");
}

TEST(LitertLm, SaysThatAVersionIsTooNew) {
  const model::Facts facts = Read(Bundle({}, "", 2));
  EXPECT_TRUE(HasRisk(facts, "unsupported_version", Severity::kLow));
  EXPECT_EQ(facts.format, Format::kLitertLm);
}

TEST(LitertLm, SaysThatTheFileWasCutOff) {
  const std::string model = Tflite(10);
  const std::string text = Bundle({{kTflite, kBlock, kBlock + model.size()}}, model);
  for (const std::size_t size : {std::size_t{32}, std::size_t{60}, std::size_t{200},
                                 std::size_t{600}, kBlock - 1, kBlock + 20, text.size() - 1}) {
    const std::string cut = text.substr(0, size);
    EXPECT_TRUE(LooksLike(cut));
    EXPECT_TRUE(HasRisk(Read(cut), "malformed", Severity::kHigh)) << size;
  }
}

TEST(LitertLm, EndsWithTheBudget) {
  std::vector<Section> sections;
  std::string data;
  for (std::size_t i = 0; i < 100; ++i) {
    const std::string model = Tflite(10, "evil_op");
    sections.push_back({kTflite, kBlock + data.size(), kBlock + data.size() + model.size()});
    data += model;
  }
  const std::string text = Bundle(sections, data);
  EXPECT_EQ(Read(text).parameters, 1'000U);
  const model::Facts facts = Read(text, 200'000);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_TRUE(HasRisk(facts, "custom_operators", Severity::kMedium));
  EXPECT_EQ(facts.parameters, std::nullopt);
}

TEST(LitertLm, RefusesACountThatLies) {
  const std::string header =
      flat::File(flat::Table({{1, flat::Table({{0, flat::Piece(flat::Little(1U << 30, 4))}})}}));
  const std::string text = "LITERTLM" + flat::Little(1, 4) + std::string(12, '\0') +
                           flat::Little(1ULL << 40, 8) + header;
  CountedSource source(base::AsBytes(text), 1ULL << 40);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  const model::Facts facts = ParseLitertLm(source, budget, tensors);
  ASSERT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_EQ(facts.risks[0].evidence, "a count of 1073741824 sections");
  EXPECT_LT(source.bytes_read(), 100'000U);
}

TEST(LitertLm, IsNotATextAboutIt) {
  EXPECT_FALSE(LooksLike("LITERTLM is a format of files, and this is a text about it"));
  EXPECT_FALSE(LooksLike("LITERTLX" + std::string(100, '\0')));
  EXPECT_FALSE(LooksLike("LITERTLM" + flat::Little(1, 4)));
}

}  // namespace
}  // namespace weighmaster::agent::formats
