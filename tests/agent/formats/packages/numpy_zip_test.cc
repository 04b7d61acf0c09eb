#include "agent/formats/packages/numpy_zip.h"

#include <gtest/gtest.h>

#include "agent/formats/tensors/tensor_map.h"
#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using model::WeightsReason;
using tests::ZipOf;

std::string Array(const std::string& descr, const std::string& shape, const std::string& content) {
  const std::string header =
      "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
  std::string out = std::string("\x93NUMPY\x01\0", 8);
  out += static_cast<char>(header.size());
  out += '\0';
  return out + header + content;
}

TensorMap MapOf(const base::Bytes& file) {
  MemorySource source(file);
  return TensorMap::Decode(MapTensors(source), file.size()).value();
}

TEST(NumpyZip, SumsUpItsArrays) {
  const base::Bytes file = ZipOf({{"a.weight.npy", Array("<f2", "(2, 3)", std::string(12, 'a'))},
                                  {"a.bias.npy", Array("<f4", "(3,)", std::string(12, 'b'))}});
  const model::Facts facts = ParseBytes(file);
  EXPECT_EQ(facts.format, Format::kNumpyZip);
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_EQ(facts.parameters, 9U);
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_TRUE(facts.risks.empty());
  const TensorMap map = MapOf(file);
  ASSERT_EQ(map.reason(), WeightsReason::kNone);
  ASSERT_EQ(map.size(), 2U);
  EXPECT_EQ(file[static_cast<std::size_t>(map.BeginAt(0))], 'a');
  EXPECT_EQ(file[static_cast<std::size_t>(map.BeginAt(1))], 'b');
}

TEST(NumpyZip, WalksThePickleOfAnArrayOfObjects) {
  const base::Bytes file = ZipOf({{"a.npy", Array("|O", "(1,)",
                                                  "\x80\x02"
                                                  "cos\nsystem\nU\x02id\x85R.")}});
  EXPECT_TRUE(HasRisk(ParseBytes(file), "pickle_executes_code", Severity::kCritical));
  EXPECT_EQ(MapOf(file).reason(), WeightsReason::kPacked);
}

TEST(NumpyZip, TellsOfAnArrayThatIsShorterThanItSays) {
  EXPECT_TRUE(HasRisk(ParseBytes(ZipOf({{"a.npy", Array("<f4", "(3,)", "abc")}})), "malformed",
                      Severity::kHigh));
}

TEST(NumpyZip, IsNotEveryArchiveWithAnArray) {
  EXPECT_EQ(
      ParseBytes(ZipOf({{"tests/a.npy", Array("<f4", "(1,)", "abcd")}, {"setup.py", ""}})).format,
      Format::kUnknown);
}

}  // namespace
}  // namespace weighmaster::agent::formats
