#include "agent/formats/reading/work_budget.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "agent/formats/graphs/onnx.h"
#include "agent/formats/packages/zip.h"
#include "agent/formats/pickle/pickle.h"
#include "agent/formats/weights/gguf.h"
#include "agent/formats/weights/safetensors.h"
#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Severity;
using Parser = model::Facts (*)(ByteSource&, WorkBudget&, TensorMapWriter&);

std::string Repeat(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

model::Facts ParseWith(Parser parser, ByteSource& source, WorkBudget& budget) {
  TensorMapWriter tensors(true);
  return parser(source, budget, tensors);
}

// What a file that is whole costs.
std::uint64_t WorkFor(Parser parser, base::ByteView bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  const model::Facts facts = ParseWith(parser, source, budget);
  EXPECT_FALSE(budget.spent());
  EXPECT_LE(WorstSeverity(facts), Severity::kInfo) << facts.risks.front().evidence;
  return base::limits::kMaxParseWork - budget.left();
}

// A field of protobuf whose value has a length; `tag` is its number and kind.
std::string Field(const std::string& tag, const std::string& value) {
  std::string length;
  std::size_t left = value.size();
  for (; left >= 0x80; left >>= 7) length += static_cast<char>(0x80 | (left & 0x7f));
  return tag + length + static_cast<char>(left) + value;
}

std::string Tensors(std::size_t count) {
  std::string header = "{";
  for (std::size_t i = 0; i < count; ++i) {
    header += "\"model.layers." + std::to_string(i / 600) + ".mlp.experts." +
              std::to_string(i % 600) +
              R"(.down_proj.weight":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)";
  }
  header.back() = '}';
  return header;
}

TEST(WorkBudget, LastsExactlyAsLongAsItsUnits) {
  WorkBudget budget(10);
  budget.Take(10);
  EXPECT_FALSE(budget.spent());
  budget.Take(1);
  EXPECT_TRUE(budget.spent());
  EXPECT_EQ(budget.left(), 0U);
}

TEST(WorkBudget, IsHalfEnoughForTheLargestModels) {
  const std::uint64_t half = base::limits::kMaxParseWork / 2;
  EXPECT_LT(WorkFor(ParseSafetensors, tests::SafetensorsFile(Tensors(200'000), 0)), half);

  tests::GgufWriter gguf;
  gguf.TextArray("tokenizer.ggml.tokens", 262'144).TextArray("tokenizer.ggml.merges", 500'000);
  for (int i = 0; i < 60'000; ++i) {
    gguf.Tensor("blk." + std::to_string(i) + ".ffn_down_exps.weight", {1}, 0, 4);
  }
  EXPECT_LT(WorkFor(ParseGguf, gguf.Build()), half);

  // The state of an optimizer: two million opcodes, each value remembered.
  const std::string entry = "K\x01K\x02\x86\x94]\x94G" + std::string(8, '\0') + "a\x86\x94";
  const std::string state = "\x80\x04](" + Repeat(entry, 200'000) + "e.";
  EXPECT_LT(WorkFor(ParsePickle, base::AsBytes(state)), half);

  std::vector<tests::ZipFileMember> members(60'001);
  for (std::size_t i = 0; i < members.size(); ++i) {
    members[i].name = "archive/data/" + std::to_string(i);
    members[i].content = std::string(1'024, 'w');
  }
  members.back() = {"archive/data.pkl", "\x80\x02}.", {}, 0, 0, 0, true};
  EXPECT_LT(WorkFor(ParseZip, tests::ZipFile(members)), half);
}

// Each file is larger than what the budget pays for, in another way.
TEST(WorkBudget, MakesAFileThatSpendsItOpaque) {
  const auto gguf = [](const std::string& rest) {
    return "GGUF" + std::string("\x03\0\0\0", 4) + std::string(8, '\0') + rest;
  };
  const std::string payload =
      "\x80\x04"
      "cos\nsystem\nU\x02id\x85R0";
  const struct {
    const char* what;
    Parser parser;
    std::string file;
  } files[] = {
      {"tensors", ParseSafetensors,
       std::string(base::AsText(tests::SafetensorsFile(Tensors(20'000), 0)))},
      {"blanks", ParseSafetensors,
       std::string(base::AsText(tests::SafetensorsFile("{" + std::string(900'000, ' ') + "}", 0)))},
      {"texts", ParseGguf,
       gguf(std::string("\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0k\x09\0\0\0\x08\0\0\0\x40\x42\x0f\0"
                        "\0\0\0\0",
                        33) +
            std::string(8'000'000, '\0'))},
      {"opcodes", ParsePickle, payload + Repeat("N0", 100'000) + "N."},
      {"imports", ParsePickle, payload + Repeat("cos\nsystem\n0", 100'000) + "N."},
      {"keys", ParsePickle, payload + "N" + Repeat("p123456789\n", 100'000) + "."},
      {"base64", ParsePickle, payload + Repeat("U\x10gAJjb3MKc3lzdGVt0", 100'000) + "N."},
      {"no mark", ParsePickle, Repeat("I1\n0", 1'000'000)},
      {"fields", ParseOnnx, Repeat("\x08\x07", 1'000'000)},
      {"extents", ParsePickle,
       payload + "ctorch._utils\n_rebuild_tensor_v2\n\x94(" + Repeat("K\x01", 64) +
           "t\x94(NNh\x01t\x94" + Repeat("h" + std::string(1, '\0') + "h\x02R0", 5'000) + "N."},
      {"JSON extents", ParseSafetensors,
       std::string(base::AsText(
           tests::SafetensorsFile("{" +
                                      Repeat(R"("":{"shape":[)" + Repeat("1,", 59) +
                                                 R"(0],"dtype":"U8","data_offsets":[0,0]},)",
                                             1'500) +
                                      R"("__metadata__":{}})",
                                  0)))},
      {"metadata", ParseSafetensors,
       std::string(base::AsText(tests::SafetensorsFile(
           R"({"__metadata__":{)" + Repeat(R"("name":")" + std::string(1'000, 'n') + "\",", 200) +
               R"("":""}})",
           0)))},
      {"varints", ParseOnnx,
       Field("\x3a", Field("\x2a", Field("\x0a", Repeat(std::string(9, '\xff') + '\1', 60'000))))},
      {"entries", ParseOnnx,
       Repeat(Field("\x72", Field("\x0a", "license") + Field("\x12", std::string(500, '\1'))),
              450)},
      {"members", ParseZip,
       std::string(base::AsText(tests::ZipFile(std::vector<tests::ZipFileMember>(10'000))))},
  };
  for (const auto& file : files) {
    MemorySource source(base::AsBytes(file.file));
    WorkBudget budget(3'000'000);
    const model::Facts facts = ParseWith(file.parser, source, budget);
    EXPECT_TRUE(budget.spent()) << file.what;
    EXPECT_NE(facts.format, model::Format::kUnknown) << file.what;
    EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh)) << file.what;
  }
}

TEST(WorkBudget, KeepsWhatWasFoundBeforeItWasSpent) {
  const std::string file =
      "\x80\x04"
      "cos\nsystem\nU\x02id\x85R0" +
      Repeat("N0", 1'000'000) + "N.";
  MemorySource source(base::AsBytes(file));
  WorkBudget budget(1'000'000);
  EXPECT_TRUE(
      HasRisk(ParseWith(ParsePickle, source, budget), "pickle_executes_code", Severity::kCritical));
}

}  // namespace
}  // namespace weighmaster::agent::formats
