#include "agent/formats/weights/flax.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

bool LooksLike(std::string_view text) {
  return LooksLikeFlax({base::AsBytes(text.substr(0, 4'096)), {}, text.size()});
}

model::Facts Read(ByteSource& source, std::uint64_t units = base::limits::kMaxParseWork) {
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseFlax(source, budget, tensors);
}

model::Facts Read(std::string_view text) {
  MemorySource source(base::AsBytes(text));
  return Read(source);
}

// MessagePack.
std::string Big(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string Str(const std::string& text) {
  return text.size() < 32 ? static_cast<char>(0xa0 + text.size()) + text
                          : "\xd9" + Big(text.size(), 1) + text;
}
std::string Map(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out(1, static_cast<char>(0x80 + members.size()));
  for (const auto& [key, value] : members) out += Str(key) + value;
  return out;
}
std::string Extension(int type, const std::string& content) {
  return "\xc9" + Big(content.size(), 4) + static_cast<char>(type) + content;
}
std::string Content(const std::vector<int>& shape, const std::string& dtype, std::size_t bytes) {
  std::string out = "\x93";
  out += static_cast<char>(0x90 + shape.size());
  for (const int extent : shape) {
    out += extent < 128 ? std::string(1, static_cast<char>(extent))
                        : "\xcd" + Big(static_cast<std::uint64_t>(extent), 2);
  }
  return out + Str(dtype) + "\xc6" + Big(bytes, 4) + std::string(bytes, '\0');
}
std::string Array(const std::vector<int>& shape, const std::string& dtype, std::size_t bytes) {
  return Extension(1, Content(shape, dtype, bytes));
}

const std::string kModel = Map(
    {{"step", "\x05"},
     {"params", Map({{"dense", Map({{"kernel", Array({200, 4}, "float32", 3'200)},
                                    {"bias", Array({4}, "float32", 16)}})},
                     {"scale", Extension(3, Content({}, "bfloat16", 2))}})},
     {"empty", Map({})},
     {"none", "\xc0"},
     {"complex", Extension(2, "\x92\xcb" + std::string(8, '\0') + "\xcb" + std::string(8, '\0'))}});

TEST(Flax, ReadsTypesAndCounts) {
  EXPECT_TRUE(LooksLike(kModel));
  const model::Facts facts = Read(kModel);
  EXPECT_EQ(facts.format, Format::kFlax);
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_EQ(facts.parameters, 805U);
  EXPECT_EQ(facts.tensor_count, 3U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Flax, CountsAnArrayOfChunksOnce) {
  const std::string chunked =
      Map({{"__msgpack_chunked_array__", "\xc3"},
           {"shape", Map({{"0", "\x04"}, {"1", "\x02"}})},
           {"chunks", Map({{"0", Array({6}, "float16", 12)}, {"1", Array({2}, "float16", 4)}})}});
  const std::string text = Map({{"a", chunked}, {"b", Array({3}, "int8", 3)}, {"c", chunked}});
  EXPECT_TRUE(LooksLike(text));
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.tensor_count, 3U);
  EXPECT_EQ(facts.parameters, 19U);
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Flax, TakesAnUnknownElementTypeForANewerOne) {
  const std::string text =
      Map({{"a", Array({2}, "float32", 8)}, {"b", Array({8}, "float1_new", 1)}});
  EXPECT_EQ(Read(text).parameters, 10U);
  EXPECT_TRUE(Read(text).risks.empty());
}

TEST(Flax, SaysWhereAFileIsBroken) {
  for (const std::size_t cut : {std::size_t{1}, std::size_t{20}, kModel.size() - 200}) {
    const model::Facts facts = Read(kModel.substr(0, kModel.size() - cut));
    EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh)) << cut;
    EXPECT_EQ(facts.parameters, std::nullopt);
  }
  const std::string good = Array({2}, "float32", 8);
  for (const std::string& array :
       {Array({3}, "float32", 8), Extension(1, Content({2}, "float32", 8) + "more"),
        Extension(1, "\x92\x90\xa0"), Extension(1, "\x93\x91\xff\xa0\xc4"),
        std::string("\xc9\xff\xff\xff\xff\x01", 6), std::string("\xdf\xff\xff\xff\xff", 5),
        std::string("\xc1")}) {
    EXPECT_TRUE(HasRisk(Read(Map({{"a", good}, {"b", array}})), "malformed", Severity::kHigh));
  }
}

TEST(Flax, TellsOfBytesBehindTheState) {
  EXPECT_TRUE(HasRisk(Read(kModel + "x"), "trailing_data", Severity::kMedium));
}

TEST(Flax, StopsAtMapsNestedWithoutEnd) {
  std::string deep = "\xc0";
  for (int i = 0; i < 10'000; ++i) deep = "\x81\xa1k" + deep;
  EXPECT_FALSE(LooksLike(deep));
  const std::string text = Map({{"a", Array({2}, "float32", 8)}, {"b", deep}});
  EXPECT_TRUE(HasRisk(Read(text), "malformed", Severity::kHigh));
}

TEST(Flax, PassesOverElements) {
  const std::string text = "\x81\xa1k\xc9" + Big((1ULL << 31) + 20, 4) + "\x01\x93\x91\xce" +
                           Big(1ULL << 29, 4) + Str("float32") + "\xc6" + Big(1ULL << 31, 4);
  CountedSource source(base::AsBytes(text), text.size() + (1ULL << 31));
  EXPECT_TRUE(LooksLike(text));
  const model::Facts facts = Read(source);
  EXPECT_EQ(facts.parameters, 1ULL << 29);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_LT(source.bytes_read(), 200'000U);
}

TEST(Flax, IsOpaqueWhenItsWorkIsSpent) {
  const std::string text = "\x82" + Str("a") + Array({2}, "float32", 8) + Str("b") + "\xdd" +
                           Big(1'000'000, 4) + std::string(1'000'000, '\1');
  MemorySource source(base::AsBytes(text));
  EXPECT_TRUE(HasRisk(Read(source, 1'000'000), "opaque", Severity::kHigh));
}

TEST(Flax, IsNoOtherMessagePack) {
  const std::string array = Array({2}, "float32", 8);
  for (const std::string& text :
       {std::string(), Map({}), Map({{"a", "\x01"}}), Map({{"a", Extension(5, "xyz")}}), array,
        std::string("\x81\x01") + array, "\x91" + array, Map({{"a", "\x91" + array}}),
        Map({{"a", Extension(1, "\x93\x91\x02\xa3own\xc4\x08")}}),
        Map({{"a", Extension(1, "x")}})}) {
    EXPECT_FALSE(LooksLike(text));
    EXPECT_EQ(Read(text).format, Format::kUnknown);
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
