#include "agent/formats/packages/llamafile.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ByteWriter;
using tests::GgufWriter;

base::Bytes Gguf(const std::string& name = "tiny") {
  return GgufWriter()
      .Text("general.architecture", "llama")
      .Text("general.name", name)
      .Tensor("w", {8}, 0, 32)
      .Build();
}

struct Member {
  std::string name;
  std::string content;
  std::uint16_t method = 0;
};

// A program, and behind it an archive whose offsets count from the program's first byte.
base::Bytes Program(std::string_view start, const std::vector<Member>& members,
                    std::string_view comment = {}) {
  ByteWriter out;
  // A constant of code that is looked for as the beginning of a member.
  out.Text(start).Text("PK\x03\x04").Zeros(5'000);
  ByteWriter directory;
  for (const Member& member : members) {
    const auto at = static_cast<std::uint32_t>(out.size());
    const auto size = static_cast<std::uint32_t>(member.content.size());
    const auto length = static_cast<std::uint16_t>(member.name.size());
    out.U32(0x04034b50).U16(10).U16(0).U16(member.method).U32(0).U32(0).U32(size).U32(size);
    out.U16(length).U16(0).Text(member.name).Text(member.content);
    directory.U32(0x02014b50).U16(10).U16(10).U16(0).U16(member.method).U32(0).U32(0).U32(size);
    directory.U32(size).U16(length).U16(0).U16(0).U16(0).U16(0).U32(0).U32(at).Text(member.name);
  }
  const auto begin = static_cast<std::uint32_t>(out.size());
  const base::Bytes entries = directory.Take();
  const auto count = static_cast<std::uint16_t>(members.size());
  out.Text(base::AsText(entries)).U32(0x06054b50).U16(0).U16(0).U16(count).U16(count);
  out.U32(static_cast<std::uint32_t>(entries.size())).U32(begin);
  return out.U16(static_cast<std::uint16_t>(comment.size())).Text(comment).Take();
}
Member Model(const base::Bytes& gguf, const std::string& name = "tiny.gguf") {
  return {name, std::string(base::AsText(gguf)), 0};
}

bool Looks(const base::Bytes& bytes) {
  const base::ByteView all(bytes);
  return LooksLikeLlamafile({all.first(std::min<std::size_t>(all.size(), 4'096)),
                             all.last(std::min<std::size_t>(all.size(), 64)), all.size()});
}

model::Facts Read(const base::Bytes& bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseLlamafile(source, budget, tensors);
}

TEST(Llamafile, IsKnownByEveryWayInWhichItsProgramBegins) {
  for (const char* start : {"MZqFpD='\n", "jartsr='\n", "APEDBG='\n",
                            "\x7f"
                            "ELF\x02\x01\x01",
                            "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe", "MZ\x90"}) {
    const base::Bytes bytes = Program(start, {{".args", "-m\ntiny.gguf\n", 0}, Model(Gguf())});
    EXPECT_TRUE(Looks(bytes)) << start;
    EXPECT_EQ(Read(bytes).format, Format::kLlamafile) << start;
  }
}

TEST(Llamafile, HasTheFactsOfItsModelAndRaisesNothing) {
  const model::Facts facts = Read(Program("MZqFpD='\n", {Model(Gguf())}));
  EXPECT_EQ(facts.name, "tiny");
  EXPECT_EQ(facts.architecture, "llama");
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_EQ(facts.parameters, 8U);
  EXPECT_EQ(facts.tensor_count, 1U);
  ASSERT_EQ(facts.risks.size(), 1U) << facts.risks.front().evidence;
  EXPECT_TRUE(HasRisk(facts, "native_code_inside", Severity::kInfo));
}

TEST(Llamafile, TakesTheFactsOfTheLargestModelAndTheRisksOfAll) {
  const base::Bytes hostile = GgufWriter()
                                  .Text("general.name", "small")
                                  .Text("tokenizer.chat_template", "{{ x.__class__ }}")
                                  .Build();
  const model::Facts facts = Read(
      Program("MZqFpD='\n", {Model(Gguf("a name that is the longer one of both in this file here")),
                             Model(hostile, "no_such_ending")}));
  EXPECT_EQ(facts.name, "a name that is the longer one of both in this file here");
  ASSERT_TRUE(HasRisk(facts, "chat_template_reaches_python", Severity::kHigh));
  EXPECT_EQ(FindRisk(facts, "chat_template_reaches_python")->evidence.rfind("no_such_ending: ", 0),
            0U);
}

TEST(Llamafile, TellsOfAModelThatIsNone) {
  base::Bytes cut = Gguf();
  cut.resize(cut.size() - 20);
  EXPECT_TRUE(HasRisk(Read(Program("MZqFpD='\n", {Model(cut)})), "malformed", Severity::kHigh));
  EXPECT_TRUE(HasRisk(Read(Program("MZqFpD='\n", {{"a.gguf", "no model", 0}})), "malformed",
                      Severity::kHigh));
  EXPECT_TRUE(
      HasRisk(Read(Program("MZqFpD='\n", {{"a.gguf", "packed", 8}})), "opaque", Severity::kHigh));
  EXPECT_TRUE(HasRisk(Read(Program("MZqFpD='\n", {Model(Gguf(), "../a.gguf")})),
                      "archive_path_escapes", Severity::kHigh));
}

TEST(Llamafile, IsNoOtherProgram) {
  // A zipapp, an installer, a browser's resources.
  for (const char* start : {"MZqFpD='\n", "MZ\x90",
                            "\x7f"
                            "ELF"}) {
    const base::Bytes bytes =
        Program(start, {{"__main__.py", "print(1)", 0}, {"setup.cab", "", 0}});
    EXPECT_EQ(Read(bytes).format, Format::kUnknown);
  }
  const Member model = Model(Gguf());
  EXPECT_FALSE(Looks(Program("#!/bin/sh\n", {model})));
  EXPECT_FALSE(Looks(Program("PK\x03\x04", {model})));
  EXPECT_FALSE(Looks(Program("MZqFpD='\n", {model}, "a comment")));
  EXPECT_FALSE(Looks(base::Bytes(100, 'M')));
  base::Bytes no_archive = Program("MZqFpD='\n", {model});
  no_archive.resize(no_archive.size() - 1);
  EXPECT_FALSE(Looks(no_archive));
}

TEST(Llamafile, ReadsOnlySoManyModels) {
  std::vector<Member> members;
  for (int i = 0; i < 20; ++i) members.push_back(Model(Gguf(), std::to_string(i) + ".gguf"));
  EXPECT_TRUE(HasRisk(Read(Program("MZqFpD='\n", members)), "opaque", Severity::kHigh));
}

}  // namespace
}  // namespace weighmaster::agent::formats
