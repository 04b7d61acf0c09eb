#include "agent/formats/keras/keras_config.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Severity;

struct Scanned {
  KerasConfig config;
  model::Facts facts;  // of which the risks count
};

Scanned Scan(const std::string& json) {
  WorkBudget budget;
  RiskList risks;
  Scanned scanned;
  scanned.config = ScanKerasConfig(json, budget, risks, "");
  scanned.facts.risks = std::move(risks).Take();
  return scanned;
}

// A model with one layer.
std::string ModelWith(const std::string& layer) {
  return R"({"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [)" +
         layer + R"(]}, "registered_name": null})";
}

std::string Layer(const std::string& module, const std::string& name,
                  const std::string& registered = "null", const std::string& config = "{}") {
  return R"({"module": ")" + module + R"(", "class_name": ")" + name + R"(", "config": )" + config +
         R"(, "registered_name": )" + registered + "}";
}

TEST(KerasConfig, TellsTheModelsClassAndName) {
  const Scanned scanned = Scan(ModelWith(Layer("keras.layers", "Dense")));
  EXPECT_EQ(scanned.config.class_name, "Sequential");
  EXPECT_EQ(scanned.config.name, "m");
  EXPECT_TRUE(scanned.facts.risks.empty());
}

TEST(KerasConfig, HasNothingToSayOfOrdinaryLayers) {
  const std::string layers[] = {
      Layer("keras.layers", "Dense", "null", R"({"activation": "relu", "mask": ["a", 0, 0]})"),
      Layer("keras.src.models.functional", "Functional", R"("Functional")"),
      Layer("keras", "DTypePolicy"),
      Layer("tf_keras.layers", "Conv2D"),
      Layer("keras_hub.src.models.bert", "BertBackbone", R"("keras_hub>BertBackbone")"),
      Layer("builtins", "function", R"("function")", R"("relu")"),
      Layer("keras.utils", "FeatureSpace"),
      R"({"class_name": "Dense", "config": {"name": "old", "bound": -Infinity, "b": NaN}})",
      R"({"class_name": "TFOpLambda", "config": {"function": "math.multiply"}})",
      R"({"class_name": "StringLookup", "config": {"vocabulary": ["/etc/passwd"]}})",
      R"({"class_name": "__typespec__", "spec_name": "TensorSpec", "config": [],
          "module": "tensorflow.python.framework.tensor_spec", "registered_name": null})",
  };
  for (const std::string& layer : layers) {
    EXPECT_TRUE(Scan(ModelWith(layer)).facts.risks.empty()) << layer;
  }
}

TEST(KerasConfig, FindsALambdaThatCarriesCode) {
  const std::string lambdas[] = {
      Layer(
          "keras.layers", "Lambda", "null",
          R"({"name": "l", "function": {"class_name": "__lambda__", "config": {"code": "4wE"}}})"),
      R"({"class_name": "Lambda", "config": {"function": ["4wEAAAAAAA", null, null],
          "function_type": "lambda", "module": "__main__"}})",
      R"({"class_name": "Lambda", "config": {"function_type": "function", "function": "f",
          "output_shape_type": "lambda"}})",
      Layer("keras.layers", "Dense", "null",
            R"({"activation": {"class_name": "__lambda__", "config": {"value": "4wE"}}})"),
      Layer("keras.layers", "Other", R"("Lambda")",
            R"({"function": {"class_name": "__l\u0061mbda__", "config": {}}})"),
  };
  for (const std::string& lambda : lambdas) {
    EXPECT_TRUE(HasRisk(Scan(ModelWith(lambda)).facts, "keras_lambda", Severity::kHigh)) << lambda;
  }
  const Scanned named = Scan(ModelWith(
      Layer("keras.layers", "Lambda", "null",
            R"({"function": {"module": "builtins", "class_name": "function", "config": "my"}})")));
  EXPECT_TRUE(HasRisk(named.facts, "keras_lambda", Severity::kMedium));
  EXPECT_EQ(WorstSeverity(named.facts), Severity::kMedium);
}

TEST(KerasConfig, TellsOfEachLambdaByItsName) {
  const std::string lambda = R"({"class_name": "Lambda", "config": {"name": "evil_layer",
      "function_type": "lambda"}})";
  const Scanned scanned = Scan(ModelWith(Layer("keras.layers", "Dense") + "," + lambda));
  ASSERT_EQ(scanned.facts.risks.size(), 1U);
  EXPECT_EQ(scanned.facts.risks[0].evidence, "Lambda \"evil_layer\" carries code");
}

TEST(KerasConfig, GradesForeignModules) {
  const auto scan = [](const std::string& layer) { return Scan(ModelWith(layer)).facts; };
  constexpr std::string_view kId = "keras_foreign_module";
  EXPECT_TRUE(HasRisk(scan(Layer("subprocess", "Popen")), kId, Severity::kCritical));
  EXPECT_TRUE(HasRisk(scan(Layer("os", "function", R"("function")", R"("system")")), kId,
                      Severity::kCritical));
  EXPECT_TRUE(HasRisk(scan(Layer("builtins", "function", R"("function")", R"("eval")")), kId,
                      Severity::kCritical));
  EXPECT_TRUE(HasRisk(scan(Layer("builtins", "nothing", R"("exec")")), kId, Severity::kCritical));
  EXPECT_TRUE(HasRisk(scan(Layer("shutil", "rmtree")), kId, Severity::kHigh));
  EXPECT_TRUE(
      HasRisk(scan(Layer("my_package.layers", "Mine", R"("Mine")")), kId, Severity::kMedium));
  // Whoever loads it has registered it, or it is not found.
  EXPECT_TRUE(
      HasRisk(scan(Layer("my_package.layers", "Mine", R"("package>Mine")")), kId, Severity::kInfo));
  // But being registered changes nothing of what a module can do.
  EXPECT_TRUE(HasRisk(scan(Layer("os", "system", R"("package>Mine")")), kId, Severity::kCritical));
  EXPECT_TRUE(HasRisk(scan(Layer("kerasx", "Dense")), kId, Severity::kMedium));
}

TEST(KerasConfig, FindsWhatReachesTooFarWithinKeras) {
  const std::string layers[] = {
      Layer("keras.utils", "get_file"),
      Layer("keras.src.utils.file_utils", "function", R"("function")", R"("get_file")"),
      Layer("keras.config", "function", "null", R"("enable_unsafe_deserialization")"),
      Layer("keras.src.backend.config", "function", "null", R"("set_floatx")"),
      Layer("keras.models", "load_model"),
      Layer("tensorflow.keras.utils", "get_file"),
      Layer("keras.layers", "TorchModuleWrapper"),
      R"({"class_name": "TorchModuleWrapper", "config": {"module": "UEsDBA=="}})",
  };
  for (const std::string& layer : layers) {
    EXPECT_TRUE(HasRisk(Scan(ModelWith(layer)).facts, "keras_foreign_module", Severity::kHigh))
        << layer;
  }
}

TEST(KerasConfig, FindsFilesThatLayersRead) {
  const auto lookup = [](const std::string& file) {
    return Scan(ModelWith(R"({"class_name": "StringLookup", "config": {"vocabulary": ")" + file +
                          R"("}})"))
        .facts;
  };
  for (const char* file : {"/etc/passwd", "../x", "http://host/x", "C:/x"}) {
    EXPECT_TRUE(HasRisk(lookup(file), "external_data_escapes", Severity::kHigh)) << file;
  }
  EXPECT_TRUE(lookup("vocabulary.txt").risks.empty());
  const auto op = [](const std::string& name) {
    return Scan(ModelWith(R"({"class_name": "TFOpLambda", "config": {"function": ")" + name +
                          R"("}})"))
        .facts;
  };
  EXPECT_TRUE(HasRisk(op("io.write_file"), "tf_reaches_files", Severity::kHigh));
  EXPECT_TRUE(HasRisk(op("py_function"), "tf_executes_code", Severity::kCritical));
}

TEST(KerasConfig, SaysThatAConfigurationBreaksOffAndKeepsWhatItSaw) {
  std::string json = ModelWith(Layer("subprocess", "Popen"));
  json.resize(json.size() - 20);
  const Scanned scanned = Scan(json);
  EXPECT_TRUE(HasRisk(scanned.facts, "malformed", Severity::kHigh));
  EXPECT_TRUE(HasRisk(scanned.facts, "keras_foreign_module", Severity::kCritical));
  // A word of Python's inside a text is none.
  EXPECT_EQ(Scan(R"({"class_name": "NaN \" Infinity"})").config.class_name, "NaN \" Infinity");
}

TEST(KerasConfig, EndsWithinItsBudget) {
  std::string json = "[";
  while (json.size() < 4'000'000) json += R"({"class_name":"a.a.a.a.a.a.a.a","module":"b"},)";
  json += "0]";
  WorkBudget budget(50'000'000);
  RiskList risks;
  ScanKerasConfig(json, budget, risks, "");
  EXPECT_TRUE(budget.spent());
  EXPECT_LE(std::move(risks).Take().size(), base::limits::kMaxRisksPerFile);
}

}  // namespace
}  // namespace weighmaster::agent::formats
