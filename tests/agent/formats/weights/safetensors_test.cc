#include "agent/formats/weights/safetensors.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::SafetensorsFile;

void ExpectMalformed(const base::Bytes& bytes, std::string_view evidence) {
  const model::Facts facts = ParseBytes(bytes);
  EXPECT_EQ(facts.format, Format::kSafetensors);
  const model::Risk* risk = FindRisk(facts, "malformed");
  ASSERT_NE(risk, nullptr) << evidence;
  EXPECT_NE(risk->evidence.find(evidence), std::string::npos) << risk->evidence;
}

TEST(Safetensors, ReadsWhatItsOwnWriterWrote) {
  const model::Facts facts = ParseBytes(tests::ModelFixture("tiny.safetensors"));
  EXPECT_EQ(facts.format, Format::kSafetensors);
  EXPECT_EQ(facts.name, "Tiny");
  EXPECT_EQ(facts.license, "apache-2.0");
  EXPECT_EQ(facts.architecture, "llama");
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_EQ(facts.parameters, 72U);
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Safetensors, AcceptsTensorsInAnyOrderAndPadding) {
  const model::Facts facts =
      ParseBytes(SafetensorsFile(R"({"b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]},)"
                                 R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}    )",
                                 8));
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_EQ(facts.parameters, 3U);
}

TEST(Safetensors, RefusesGapsOverlapsAndWrongSizes) {
  const auto two = [](std::string_view second) {
    return SafetensorsFile(
        R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":)" + std::string(second) + "}",
        8);
  };
  EXPECT_TRUE(ParseBytes(two(R"({"dtype":"U8","shape":[4],"data_offsets":[4,8]})")).risks.empty());
  ExpectMalformed(two(R"({"dtype":"U8","shape":[3],"data_offsets":[5,8]})"), "instead of");
  ExpectMalformed(two(R"({"dtype":"U8","shape":[6],"data_offsets":[2,8]})"), "instead of");
  ExpectMalformed(two(R"({"dtype":"F32","shape":[4],"data_offsets":[4,8]})"), "fit its shape");
  ExpectMalformed(two(R"({"dtype":"U8","shape":[0],"data_offsets":[8,4]})"), "ends before");
  ExpectMalformed(two(R"({"dtype":"U8","shape":[8],"data_offsets":[4,12]})"), "in 8 bytes");
  ExpectMalformed(two(R"({"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[4,8]})"),
                  "too many elements");
  ExpectMalformed(two(R"({"dtype":"U8","shape":[-1],"data_offsets":[4,8]})"), "negative");
  ExpectMalformed(two(R"({"shape":[4],"data_offsets":[4,8]})"), "without type");
}

TEST(Safetensors, RefusesWhatTheHeaderMayNotHold) {
  ExpectMalformed(SafetensorsFile(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                                  R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                                  0),
                  "a second time");
  ExpectMalformed(SafetensorsFile(R"({"a":7})", 0), "a number");
  ExpectMalformed(SafetensorsFile(R"({"__metadata__":{"a":{"b":"c"}}})", 0), "an object");
  ExpectMalformed(SafetensorsFile(R"({"a":{"dtype":"U8")", 0), "no JSON");
  ExpectMalformed(SafetensorsFile(R"({"a)", 0), "no JSON");
  ExpectMalformed(SafetensorsFile("{\"\xff\":{}}", 0), "no JSON");
  ExpectMalformed(SafetensorsFile(R"({"a":)" + std::string(100'000, '[') + "}", 0), "an array");
}

TEST(Safetensors, TellsOfBytesAfterTheLastTensor) {
  const base::Bytes bytes =
      SafetensorsFile(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 5);
  EXPECT_TRUE(HasRisk(ParseBytes(bytes), "trailing_data", Severity::kMedium));
}

TEST(Safetensors, SaysThatTheHeaderWasCutOff) {
  base::Bytes bytes = tests::ModelFixture("tiny.safetensors");
  bytes.resize(40);
  ExpectMalformed(bytes, "a header of");
}

// Nothing but the length is wrong: whoever trusts it reads, or allocates, far out of the file.
TEST(Safetensors, IsKnownByItsHeaderWhenTheLengthLies) {
  for (const std::uint64_t length :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{5'000}, std::uint64_t{100'000'000},
        std::uint64_t{100'000'001}, std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    for (const char* const header :
         {R"({"__metadata__":{"format":"pt"},"a":)", R"({"__metadata__" : {})",
          R"({"a":{"dtype":"F32","shape":[)", R"({ "a\"b" : {"shape":[],"dtype")",
          "{\n  \"a\": {\n    \"data_offsets\": [0, 4]"}) {
      const base::Bytes bytes = tests::ByteWriter().U64(length).Text(header).Take();
      EXPECT_EQ(SniffBytes(bytes), Format::kSafetensors) << length << header;
      CountedSource source(bytes);
      const model::Facts facts = Parse(source);
      EXPECT_EQ(facts.format, Format::kSafetensors) << length << header;
      EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh)) << length << header;
      EXPECT_LE(source.bytes_read(), 4 * bytes.size());
    }
  }
}

TEST(Safetensors, IsNoTextThatALengthBeforeItDoesNotFit) {
  for (const std::uint64_t length : {std::uint64_t{5'000}, std::uint64_t{1} << 62}) {
    for (const char* const text :
         {R"({"a":7})", R"({"a":"b"})", R"({"a":{"b":1}})", R"({"a":{"dtypes":"F32"}})",
          R"({"__metadata__":7})", R"({"dtype":"F32","shape":[]})", R"({"a" "b"})", R"({})",
          R"({"a":[{"dtype":"F32"}]})", "{\"a\nb\":{\"dtype\":\"F32\"", "{garbage",
          "{\"\x01\xff"}) {
      const base::Bytes bytes = tests::ByteWriter().U64(length).Text(text).Take();
      EXPECT_EQ(SniffBytes(bytes), Format::kUnknown) << length << text;
    }
  }
}

// A download that was broken off early is still one; with a length that lies it may be anything.
TEST(Safetensors, IsKnownWhereverItWasCutOff) {
  const std::string_view header = R"({"a \"quoted\" name":{"dtype":)";
  for (std::size_t size = 2; size < header.size(); ++size) {
    const auto cut = [&](std::uint64_t length) {
      return SniffBytes(tests::ByteWriter().U64(length).Text(header.substr(0, size)).Take());
    };
    EXPECT_EQ(cut(5'000), Format::kSafetensors) << size;
    EXPECT_EQ(cut(100'000'001), Format::kUnknown) << size;
  }
}

TEST(Safetensors, IsNotTakenForOneByALengthAlone) {
  EXPECT_EQ(SniffBytes(base::AsBytes(std::string_view("\x10\0\0\0\0\0\0\0{garbage", 16))),
            Format::kUnknown);
  EXPECT_EQ(SniffBytes(tests::ByteWriter().U64(100'000'001).Text("{\"a\"").Take()),
            Format::kUnknown);
}

}  // namespace
}  // namespace weighmaster::agent::formats
