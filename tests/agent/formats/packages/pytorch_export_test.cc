#include "agent/formats/packages/pytorch_export.h"

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

std::string Numbers(const std::vector<int>& numbers) {
  std::string text;
  for (const int number : numbers) {
    text += (text.empty() ? "" : ", ") + ("{\"as_int\": " + std::to_string(number) + "}");
  }
  return "[" + text + "]";
}

std::string Weight(const std::string& name, const std::string& file, int dtype,
                   const std::vector<int>& sizes, const std::vector<int>& strides, int offset) {
  return "\"" + name + "\": {\"path_name\": \"" + file +
         "\", \"is_param\": true, \"use_pickle\": false, \"tensor_meta\": {\"dtype\": " +
         std::to_string(dtype) + ", \"sizes\": " + Numbers(sizes) +
         ", \"requires_grad\": true, \"device\": {\"type\": \"cpu\", \"index\": null}, "
         "\"strides\": " +
         Numbers(strides) + ", \"storage_offset\": {\"as_int\": " + std::to_string(offset) +
         "}, \"layout\": 7}}";
}

base::Bytes Exported(const std::string& weights, std::size_t bytes = 32,
                     const std::string& first = "") {
  return ZipOf({{"net/archive_format", "pt2"},
                {"net/models/model.json", "{}"},
                {"net/data/weights/weight_0", first + std::string(bytes - first.size(), 'w')},
                {"net/data/weights/model_weights_config.json", "{\"config\": {" + weights + "}}"},
                {"net/version", "3\n"}});
}

TensorMap MapOf(const base::Bytes& file) {
  MemorySource source(file);
  return TensorMap::Decode(MapTensors(source), file.size()).value();
}

TEST(PyTorchExport, CountsTheWeightsOfItsConfiguration) {
  const model::Facts facts = ParseBytes(Exported(Weight("a", "weight_0", 7, {2, 3}, {3, 1}, 0) +
                                                 ", " + Weight("b", "weight_0", 13, {2}, {1}, 0)));
  EXPECT_EQ(facts.format, Format::kPyTorchExport);
  EXPECT_EQ(facts.name, "net");
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_EQ(facts.parameters, 8U);
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(PyTorchExport, FindsItsTensorsInTheirStorages) {
  const TensorMap map = MapOf(Exported(Weight("a", "weight_0", 7, {2, 2}, {1, 2}, 1) + ", " +
                                       Weight("b", "weight_0", 7, {3}, {1}, 5)));
  ASSERT_EQ(map.reason(), WeightsReason::kNone);
  ASSERT_EQ(map.size(), 2U);
  EXPECT_FALSE(map.IsInOrderAt(0));
  EXPECT_EQ(map.BytesAt(0), 16U);
  EXPECT_EQ(map.BytesAt(1), 12U);
  EXPECT_EQ(map.BeginAt(1) - map.BeginAt(0), 16U);
}

TEST(PyTorchExport, HasNoMapOfWhatDoesNotLieThere) {
  EXPECT_EQ(MapOf(Exported(Weight("a", "weight_0", 7, {9}, {1}, 0))).reason(),
            WeightsReason::kIncomplete);
  EXPECT_EQ(MapOf(Exported(Weight("a", "weight_0", 7, {8}, {1}, 1))).reason(),
            WeightsReason::kIncomplete);
  EXPECT_EQ(MapOf(Exported(Weight("a", "weight_1", 7, {1}, {1}, 0))).reason(),
            WeightsReason::kIncomplete);
  EXPECT_EQ(MapOf(Exported(Weight("a", "weight_0", 99, {1}, {1}, 0))).reason(),
            WeightsReason::kUnknownType);
  EXPECT_EQ(MapOf(Exported(Weight("a", "weight_0", 7, {1}, {1}, 0), 32, "PK\x03\x04")).reason(),
            WeightsReason::kPacked);
  EXPECT_EQ(MapOf(Exported("\"a\": {\"path_name\": \"weight_0\"}")).reason(),
            WeightsReason::kIncomplete);
}

TEST(PyTorchExport, TellsOfAConfigurationThatIsNoJson) {
  EXPECT_TRUE(HasRisk(ParseBytes(Exported("\"a\": {")), "malformed", Severity::kHigh));
}

TEST(PyTorchExport, TellsOfNativeCode) {
  const model::Facts facts = ParseBytes(ZipOf({{"net/archive_format", "pt2"},
                                               {"net/data/aotinductor/model/a.so",
                                                "\x7f"
                                                "ELF\x02"}}));
  EXPECT_EQ(facts.format, Format::kPyTorchExport);
  EXPECT_TRUE(HasRisk(facts, "native_code_inside", Severity::kHigh));
}

TEST(PyTorchExport, WalksThePicklesOfTheArchivesInside) {
  const std::string inner(base::AsText(ZipOf({{"archive/data.pkl",
                                               "\x80\x02"
                                               "cos\nsystem\nU\x02id\x85R."}})));
  for (const char* name : {"net/data/sample_inputs/model.pt", "net/serialized_state_dict.pt"}) {
    const model::Facts facts =
        ParseBytes(ZipOf({{"net/serialized_exported_program.json", "{}"}, {name, inner}}));
    EXPECT_EQ(facts.format, Format::kPyTorchExport);
    ASSERT_TRUE(HasRisk(facts, "pickle_executes_code", Severity::kCritical)) << name;
    EXPECT_EQ(FindRisk(facts, "pickle_executes_code")
                  ->evidence.rfind(std::string(name) + ": archive/data.pkl: ", 0),
              0U);
  }
}

TEST(PyTorchExport, IsNotEveryArchiveWithAFormat) {
  EXPECT_EQ(ParseBytes(ZipOf({{"net/archive_format", "zip"}})).format, Format::kUnknown);
}

}  // namespace
}  // namespace weighmaster::agent::formats
