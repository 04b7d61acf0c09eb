// The stable names of every enum: what is stored, sent or shown is never renamed by accident.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "policy/model/artifact.h"
#include "policy/model/event.h"
#include "policy/model/lists/digest_lists.h"
#include "policy/model/rules.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"

namespace weighmaster::model {
namespace {

using ::testing::HasSubstr;

// The names of the values first to last, which must all have one of their own.
template <typename Enum>
std::string NamesOf(std::string_view (*name_of)(Enum), int first, int last) {
  std::string names;
  std::set<std::string_view> distinct;
  for (int value = first; value <= last; ++value) {
    const std::string_view name = name_of(static_cast<Enum>(value));
    EXPECT_TRUE(distinct.insert(name).second) << name;
    names += (names.empty() ? "" : " ") + std::string(name);
  }
  EXPECT_EQ(name_of(static_cast<Enum>(last + 1)), "unknown") << "a value without a row above";
  return names;
}

TEST(Names, AreStable) {
  EXPECT_EQ(NamesOf(FormatName, 0, 43),
            "unknown gguf safetensors pytorch_zip pickle onnx ggml pytorch_legacy pytorch_tar "
            "torchscript pytorch_export joblib numpy numpy_zip ort tf_saved_model tf_graph "
            "tf_checkpoint keras keras_hdf5 tflite litert_lm executorch coreml coreml_weights "
            "coreml_compiled tensorrt openvino mnn ncnn rknn paddle llamafile skops "
            "torchserve nemo flax dduf lightgbm xgboost catboost pmml torch7 tf_js");
  EXPECT_EQ(NamesOf(SeverityName, 1, 5), "info low medium high critical");
  EXPECT_EQ(NamesOf(DigestStateName, 1, 4), "pending claimed verified failed");
  EXPECT_EQ(NamesOf(ListKindName, 1, 5), "blocked denied approved denied weights approved weights");
  EXPECT_EQ(NamesOf(OperatorName, 1, 6), "is glob at_least at_most contains known");
  EXPECT_EQ(NamesOf(OutcomeName, 1, 3), "allow warn deny");
  EXPECT_EQ(NamesOf(ModeName, 0, 2), "observe warn enforce");
  EXPECT_EQ(NamesOf(BasisName, 1, 3), "verified claimed partial");
  EXPECT_EQ(NamesOf(JudgementStepName, 1, 7),
            "blocked exception denied always_rule approved rule default");
  EXPECT_EQ(NamesOf(CoverageStateName, 1, 3), "looked partly could_not");
  EXPECT_EQ(NamesOf(ChangeDetectionName, 1, 2), "events walks_only");
  EXPECT_EQ(NamesOf(CoverageReasonName, 0, 11),
            "none not_mounted permission remote_file_system pseudo_file_system under_way "
            "small_files_pending io_error excluded no_file_handles limit root_removed");
  EXPECT_EQ(NamesOf(PriorityClassName, 1, 4), "control verdict inventory activity");
  EXPECT_EQ(NamesOf(GoneReasonName, 1, 3), "deleted no_model root_removed");
  EXPECT_EQ(NamesOf(ChainReasonName, 1, 4), "enrolled head_unknown journal_lost cannot_refill");
  EXPECT_EQ(
      NamesOf(PolicyRefusalName, 0, 9),
      "none bad_signature below_floor wrong_fleet wrong_line part_missing malformed too_large "
      "unknown_feature bad_root");
}

TEST(Names, AreReadBack) {
  EXPECT_EQ(ParseFormat("onnx").value(), Format::kOnnx);
  EXPECT_EQ(ParseSeverity("high").value(), Severity::kHigh);
  EXPECT_EQ(ParseDigestState("failed").value(), DigestState::kFailed);
  EXPECT_EQ(ParseOutcome("deny").value(), Outcome::kDeny);
  EXPECT_EQ(ParseBasis("partial").value(), Basis::kPartial);
  EXPECT_EQ(ParseOperator("at_least").value(), Operator::kAtLeast);
}

TEST(Names, AnUnknownOneIsRefusedWithThoseThatThereAre) {
  const base::Error error = ParseOutcome("block").error();
  EXPECT_EQ(error.code(), base::ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("\"block\""));
  EXPECT_THAT(error.message(), HasSubstr("allow, warn, deny"));
}

}  // namespace
}  // namespace weighmaster::model
