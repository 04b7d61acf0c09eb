#include "agent/formats/tars/pytorch_tar.h"

#include <gtest/gtest.h>

#include "agent/formats/tars/tar_package.h"
#include "tests/agent/formats/parsed.h"
#include "tests/agent/formats/tar_file.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ByteWriter;

constexpr char kExecutes[] = "pickle_executes_code";
const std::string kPayload =
    "\x80\x02"
    "cos\nsystem\nU\x02id\x85R.";
// A state dictionary whose one value is the tensor of key 11.
const std::string kObjects = std::string(
    "\x80\x02"
    "ccollections\nOrderedDict\n)R(U\x01wU\x02"
    "11Qu.");

std::string Number(int value) {
  return "\x80\x02K" + std::string(1, static_cast<char>(value)) + ".";
}
std::string Named(const std::string& type) {
  return "\x80\x02(K\x05U\x03"
         "cpuctorch\n" +
         type + "\nt.";
}
std::string Bytes(ByteWriter& writer) { return std::string(base::AsText(writer.Take())); }

std::string Tensors() {
  ByteWriter layout;
  layout.U32(2).U32(0).U64(2).U64(3).U64(3).U64(1).U64(0);
  return Number(1) + Named("FloatTensor") + Bytes(layout);
}
std::string Storages(const std::string& type = "FloatStorage", std::uint64_t elements = 6) {
  ByteWriter data;
  // Elements that look like pickles, and are none.
  data.U64(elements).Text(std::string(24, '\x80'));
  return Number(1) + Named(type) + Bytes(data) + "\x80\x02].";
}

TarFile Archive(const std::string& objects, const std::string& tensors,
                const std::string& storages) {
  TarFile tar;
  tar.Add("sys_info", Number(7)).Add("pickle", objects);
  tar.Add("tensors", tensors).Add("storages", storages);
  return tar;
}

model::Facts Read(const base::Bytes& bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseTar(source, budget, tensors);
}

bool Looks(const base::Bytes& bytes) {
  return LooksLikePyTorchTar(
      {base::ByteView(bytes).first(std::min<std::size_t>(bytes.size(), 4'096)), {}, bytes.size()});
}

TEST(PyTorchTar, RaisesNothingForWhatTorchWrote) {
  const base::Bytes bytes = Archive(kObjects, Tensors(), Storages()).Take();
  ASSERT_TRUE(Looks(bytes));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kPyTorchTar);
  EXPECT_EQ(facts.tensor_count, 1U);
  EXPECT_EQ(facts.parameters, 6U);
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_EQ(WorstSeverity(facts), Severity::kInfo) << facts.risks.front().evidence;
  EXPECT_TRUE(HasRisk(facts, "pickle_format", Severity::kInfo));
}

// A class stands in the pickle as a persistent id of three parts, and is made an instance of.
TEST(PyTorchTar, KnowsAClassByItsPersistentId) {
  const std::string net =
      "\x80\x02(ctorch.nn.modules.linear\nLinear\nU\x09linear.pyU\x04passtQ)\x81}b.";
  const model::Facts facts = Read(Archive(net, Tensors(), Storages()).Take());
  EXPECT_EQ(WorstSeverity(facts), Severity::kInfo) << facts.risks.front().evidence;
}

TEST(PyTorchTar, FindsCodeInEveryPickle) {
  const std::string none = Number(0);
  for (const base::Bytes& bytes :
       {Archive(kPayload, Tensors(), Storages()).Take(), Archive(kObjects, kPayload, none).Take(),
        Archive(kObjects, none, kPayload).Take(),
        // Behind the bytes of a tensor, and behind those of a storage.
        Archive(kObjects, Tensors() + kPayload, Storages()).Take(),
        Archive(kObjects, Tensors(), Storages() + kPayload).Take(),
        Archive(kObjects, Tensors(), Storages()).Add("other", kPayload).Take()}) {
    EXPECT_TRUE(HasRisk(Read(bytes), kExecutes, Severity::kCritical));
  }
}

TEST(PyTorchTar, IsKnownWhateverTheOrderOfItsMembers) {
  TarFile tar;
  tar.Add("storages", Storages())
      .Add("readme", "x")
      .Add("pickle", kPayload)
      .Add("tensors", Tensors());
  const base::Bytes bytes = tar.Take();
  EXPECT_FALSE(Looks(bytes));
  EXPECT_EQ(Read(bytes).format, Format::kPyTorchTar);
  EXPECT_TRUE(HasRisk(Read(bytes), kExecutes, Severity::kCritical));
}

TEST(PyTorchTar, TellsOfLengthsThatLie) {
  const model::Facts storage =
      Read(Archive(kObjects, Tensors(), Storages("FloatStorage", 8)).Take());
  EXPECT_TRUE(HasRisk(storage, "malformed", Severity::kHigh));
  const model::Facts overflow =
      Read(Archive(kObjects, Tensors(), Storages("LongStorage", ~std::uint64_t{0})).Take());
  EXPECT_TRUE(HasRisk(overflow, "malformed", Severity::kHigh));
  ByteWriter layout;
  layout.U32(0x7fffffff).U32(0);
  const model::Facts tensor =
      Read(Archive(kObjects, Number(1) + Named("FloatTensor") + Bytes(layout), Storages()).Take());
  EXPECT_TRUE(HasRisk(tensor, "malformed", Severity::kHigh));
}

TEST(PyTorchTar, CallsOpaqueWhatCanNotBePassedOver) {
  const model::Facts facts = Read(Archive(kObjects, Tensors(), Storages("NewStorage")).Take());
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  TarFile tar = Archive(kObjects, Tensors(), Storages());
  tar.Add("pickle", "", '1', "other");
  EXPECT_TRUE(HasRisk(Read(tar.Take()), "opaque", Severity::kHigh));
}

TEST(PyTorchTar, IsNoOtherArchive) {
  TarFile tar;
  tar.Add("sys_info", "a text").Add("pickle", kObjects).Add("tensors", "");
  EXPECT_EQ(Read(tar.Take()).format, Format::kUnknown);
}

TEST(PyTorchTar, LooksBehindAnExtendedHeader) {
  TarFile tar;
  tar.Add("./PaxHeaders/sys_info", TarFile::Record("mtime", "1.5"), 'x').Add("sys_info", "");
  EXPECT_TRUE(Looks(tar.Take()));
  TarFile other;
  other.Add("./PaxHeaders/x", TarFile::Record("mtime", "1.5"), 'x').Add("system", "");
  EXPECT_FALSE(Looks(other.Take()));
}

TEST(PyTorchTar, EndsWithinItsBudget) {
  std::string many;
  for (int i = 0; i < 50'000; ++i) many += "\x80\x02N.";
  const base::Bytes bytes = Archive(kObjects, many, many).Take();
  MemorySource source(bytes);
  WorkBudget budget(2'000'000);
  TensorMapWriter tensors(true);
  const model::Facts facts = ParseTar(source, budget, tensors);
  EXPECT_EQ(facts.format, Format::kPyTorchTar);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
}

}  // namespace
}  // namespace weighmaster::agent::formats
