#include "agent/formats/safetensors.h"

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

TEST(Safetensors, IsNotTakenForOneByALengthAlone) {
  EXPECT_EQ(SniffBytes(base::AsBytes(std::string_view("\x10\0\0\0\0\0\0\0{garbage", 16))),
            Format::kUnknown);
  EXPECT_EQ(SniffBytes(tests::ByteWriter().U64(100'000'001).Text("{\"a\"").Take()),
            Format::kUnknown);
}

}  // namespace
}  // namespace weighmaster::agent::formats
