#include "agent/formats/runtimes/openvino.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

bool LooksLike(std::string_view text) {
  return LooksLikeOpenVino({base::AsBytes(text.substr(0, 4'096)), {}, text.size()});
}

model::Facts Read(std::string_view text, std::uint64_t units = base::limits::kMaxParseWork) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseOpenVino(source, budget, tensors);
}

std::string Layer(const std::string& type, const std::string& set, const std::string& inside = "") {
  return "<layer id=\"1\" name=\"n\" type=\"" + type + "\" version=\"" + set + "\">" + inside +
         "<output><port id=\"0\" precision=\"FP32\"><dim>64</dim></port></output></layer>\n";
}

std::string Const(const std::string& type, const std::string& shape, std::uint64_t size) {
  return Layer("Const", "opset1",
               "<data element_type=\"" + type + "\" shape=\"" + shape + "\" offset=\"0\" size=\"" +
                   std::to_string(size) + "\"/>");
}

std::string Net(const std::string& layers, const std::string& version = "11") {
  return "<?xml version=\"1.0\"?>\n<net name=\"resnet\" version=\"" + version + "\">\n<layers>\n" +
         layers + "</layers>\n<edges><edge from-layer=\"0\" to-layer=\"1\"/></edges>\n</net>\n";
}

TEST(OpenVino, ReadsNameTypesAndCounts) {
  const std::string text =
      Net(Layer("Parameter", "opset1", "<data shape=\"1,3\" element_type=\"f32\"/>") +
          Const("f16", "64, 3, 7, 7", 18'816) + Const("i64", "4", 32) + Const("f32", "", 4) +
          Const("string", "2", 100) + Layer("Result", "opset16"));
  EXPECT_TRUE(LooksLike(text));
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kOpenVino);
  EXPECT_EQ(facts.name, "resnet");
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_EQ(facts.parameters, 64U * 3 * 7 * 7 + 4 + 1 + 2);
  EXPECT_EQ(facts.tensor_count, 4U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(OpenVino, CountsPackedElementsByTheirBits) {
  const model::Facts facts = Read(Net(Const("u4", "3", 2) + Const("nf4", "64,64", 2'048)));
  EXPECT_EQ(facts.quantization, "NF4");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(OpenVino, FindsConstantsAndOperatorsInSubgraphs) {
  const std::string body =
      "<body><layers>" + Const("f32", "2", 8) + Layer("Own", "mine") + "</layers></body>";
  const model::Facts facts = Read(Net(Layer("Loop", "opset5", body)));
  EXPECT_EQ(facts.parameters, 2U);
  ASSERT_TRUE(HasRisk(facts, "custom_operators", Severity::kMedium));
  EXPECT_EQ(FindRisk(facts, "custom_operators")->evidence, "mine.Own");
}

TEST(OpenVino, TellsOfCustomOperators) {
  const std::string known = Layer("A", "opset1") + Layer("B", "experimental") +
                            Layer("StringTensorUnpack", "extension") + Layer("C", "util");
  EXPECT_TRUE(Read(Net(known)).risks.empty());
  for (const char* set : {"custom", "opset", "opsetx", "onnx", "extension"}) {
    EXPECT_TRUE(HasRisk(Read(Net(Layer("Foreign", set))), "custom_operators", Severity::kMedium))
        << set;
  }
}

TEST(OpenVino, SaysThatAConstantDoesNotFitItsShape) {
  for (const std::string& constant :
       {Const("f32", "64", 255), Const("f32", "x", 4), Const("f32", "4294967296,4294967296", 8)}) {
    const model::Facts facts = Read(Net(constant));
    EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh)) << constant;
    EXPECT_EQ(facts.parameters, std::nullopt);
  }
}

TEST(OpenVino, SaysThatTheDocumentIsBroken) {
  std::string text = Net(Const("f32", "2", 8));
  text.resize(text.size() - 10);
  const model::Facts facts = Read(text);
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_EQ(facts.name, "resnet");
  EXPECT_EQ(facts.parameters, std::nullopt);
}

TEST(OpenVino, ReadsOlderVersionsAndSaysThatOneIsTooNew) {
  const model::Facts old =
      Read(Net("<layer id=\"0\" name=\"d\" precision=\"FP32\" type=\"Input\"/>", "6"));
  EXPECT_EQ(old.format, Format::kOpenVino);
  EXPECT_TRUE(old.risks.empty());
  EXPECT_EQ(old.parameters, std::nullopt);
  EXPECT_TRUE(HasRisk(Read(Net("", "12")), "unsupported_version", Severity::kLow));
}

TEST(OpenVino, IsOpaqueWhenItsWorkIsSpent) {
  std::string layers;
  for (int i = 0; i < 10'000; ++i) layers += Layer("A", "opset1");
  EXPECT_TRUE(HasRisk(Read(Net(layers), 1'000'000), "opaque", Severity::kHigh));
}

TEST(OpenVino, IsNoOtherDocumentWithANet) {
  // SUMO's road networks, Petri nets, and what is no net.
  for (const char* text :
       {"<net version=\"1.20\" junctionCornerDetail=\"5\"><location netOffset=\"0\"/></net>",
        "<?xml version=\"1.0\"?><pnml><net id=\"n\" type=\"t\"><page/></net></pnml>",
        "<net name=\"x\" version=\"11\"><page id=\"1\"/></net>", "<net name=\"x\"><layers/></net>",
        "<layers version=\"11\"/>", "<net name=\"x\" version=\"11\">", "<html><layers/></html>"}) {
    EXPECT_FALSE(LooksLike(text)) << text;
    EXPECT_EQ(Read(text).format, Format::kUnknown) << text;
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
