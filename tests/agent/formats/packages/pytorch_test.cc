#include "agent/formats/packages/pytorch.h"

#include <gtest/gtest.h>

#include "agent/formats/tensors/tensor_map.h"
#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ModelFixture;
using tests::ZipFile;
using tests::ZipFileMember;

constexpr char kExecutes[] = "pickle_executes_code";
const std::string kPayload =
    "\x80\x02"
    "cos\nsystem\nU\x02id\x85R.";

ZipFileMember Member(const std::string& name, const std::string& content) {
  ZipFileMember member;
  member.name = name;
  member.content = content;
  return member;
}
const ZipFileMember kData = Member("archive/data.pkl", "\x80\x02}.");

TEST(PyTorchZip, RaisesNothingForACheckpoint) {
  for (const char* name : {"state_dict.pt", "state_dict_deflated.pt"}) {
    const model::Facts facts = ParseBytes(ModelFixture(name));
    EXPECT_EQ(facts.format, Format::kPyTorchZip);
    EXPECT_EQ(facts.name, "tiny");
    EXPECT_EQ(facts.parameters, 72U);
    EXPECT_EQ(facts.tensor_count, 2U);
    EXPECT_EQ(facts.quantization, "F16");
    EXPECT_TRUE(HasRisk(facts, "pickle_format", Severity::kInfo));
    EXPECT_EQ(facts.risks.size(), 1U) << name;
  }
}

TEST(PyTorchZip, FindsCodeInItsPickle) {
  const model::Facts facts = ParseBytes(ModelFixture("executes.pt"));
  ASSERT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical));
  EXPECT_EQ(FindRisk(facts, kExecutes)->evidence.rfind("tiny/data.pkl: posix.system", 0), 0U);
}

// CVE-2025-1889: a pickle in a member with another extension.
TEST(PyTorchZip, WalksPicklesWhateverTheirMembersAreCalled) {
  EXPECT_TRUE(
      HasRisk(ParseBytes(ModelFixture("hidden_member.pt")), kExecutes, Severity::kCritical));
}

// CVE-2025-1944: the directory and the local header name a member differently.
TEST(PyTorchZip, FindsAMemberUnderEitherOfItsNames) {
  ZipFileMember member = Member("archive/readme.txt", kPayload);
  member.directory_name = "archive/data.pkl";
  const model::Facts facts = ParseBytes(ZipFile({member}));
  EXPECT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical));
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
}

// CVE-2025-1945: flag bits that make a scanner refuse the archive.
TEST(PyTorchZip, DoesNotBelieveFlagBits) {
  for (const std::uint16_t flags : std::vector<std::uint16_t>{0x20, 0x40, 0x0808, 0x2000}) {
    ZipFileMember member = Member("archive/data.pkl", kPayload);
    member.flags = flags;
    EXPECT_TRUE(HasRisk(ParseBytes(ZipFile({member})), kExecutes, Severity::kCritical)) << flags;
  }
}

// CVE-2025-10156: a checksum that is wrong.
TEST(PyTorchZip, DoesNotNeedARightChecksum) {
  ZipFileMember member = Member("archive/data.pkl", kPayload);
  member.crc = 0xdeadbeef;
  EXPECT_TRUE(HasRisk(ParseBytes(ZipFile({member})), kExecutes, Severity::kCritical));
}

TEST(PyTorchZip, FindsMembersThatTheDirectoryLeavesOut) {
  ZipFileMember hidden = Member("archive/hidden.pkl", kPayload);
  hidden.in_directory = false;
  for (const auto& members : {std::vector{kData, hidden}, std::vector{hidden, kData}}) {
    EXPECT_TRUE(HasRisk(ParseBytes(ZipFile(members)), kExecutes, Severity::kCritical));
  }
}

TEST(PyTorchZip, FindsMembersThatOnlyTheDirectoryLeadsTo) {
  // The chain of local headers ends in a member that claims to be longer than the file.
  ZipFileMember first = Member("a", "x");
  base::Bytes bytes = ZipFile({first, Member("archive/data.pkl", kPayload)});
  bytes[18] = bytes[19] = bytes[20] = bytes[21] = 0xfe;
  EXPECT_TRUE(HasRisk(ParseBytes(bytes), kExecutes, Severity::kCritical));
}

TEST(PyTorchZip, ReadsOnWithoutADirectory) {
  base::Bytes bytes = ZipFile({Member("archive/data.pkl", kPayload)});
  bytes.resize(bytes.size() - 30);
  const model::Facts facts = ParseBytes(bytes);
  EXPECT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical));
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
}

TEST(PyTorchZip, CallsWhatIsEncryptedOpaque) {
  ZipFileMember member = Member("archive/data.pkl", "\x01\x02\x03");
  member.flags = 1;
  const model::Facts facts = ParseBytes(ZipFile({member}));
  EXPECT_EQ(facts.format, Format::kPyTorchZip);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  member.flags = 0;
  member.method = 14;  // LZMA
  EXPECT_TRUE(HasRisk(ParseBytes(ZipFile({member})), "opaque", Severity::kHigh));
}

TEST(PyTorchZip, TellsOfNamesThatLeaveTheFolder) {
  for (const char* name : {"../up", "/etc/cron.d/x", "a/../../b", "..\\b", "C:\\b"}) {
    const model::Facts facts = ParseBytes(ZipFile({kData, Member(name, "x")}));
    EXPECT_TRUE(HasRisk(facts, "archive_path_escapes", Severity::kHigh)) << name;
  }
  EXPECT_EQ(ParseBytes(ZipFile({kData, Member("a/..b/c", "x")})).risks.size(), 1U);
}

TEST(PyTorchZip, TellsOfNativeCode) {
  const model::Facts facts = ParseBytes(ZipFile({kData, Member("archive/data/aotinductor/m.so",
                                                               "\x7f"
                                                               "ELF\x02\x01")}));
  EXPECT_TRUE(HasRisk(facts, "native_code_inside", Severity::kHigh));
}

TEST(PyTorchZip, TellsOfANameThatStandsTwice) {
  EXPECT_TRUE(HasRisk(ParseBytes(ZipFile({kData, kData})), "malformed", Severity::kHigh));
}

TEST(PyTorchZip, IsNoArchiveWithoutAPickle) {
  EXPECT_EQ(ParseBytes(ZipFile({Member("[Content_Types].xml", "<?xml?>"),
                                Member("word/document.xml", "<w:document/>")}))
                .format,
            Format::kUnknown);
  EXPECT_EQ(ParseBytes(ZipFile({Member("META-INF/MANIFEST.MF", "Manifest-Version: 1.0"),
                                Member("A.class", "\xca\xfe\xba\xbe")}))
                .format,
            Format::kUnknown);
  // Texts that begin like pickles of old.
  EXPECT_EQ(ParseBytes(ZipFile({Member("LICENSE", "The licence of this program is, as " +
                                                      std::string(1'000, 'x')),
                                Member("services", "com.example.A\ncom.example.B\ncom.ex")}))
                .format,
            Format::kUnknown);
  EXPECT_EQ(ParseBytes(ZipFile({})).format, Format::kUnknown);
}

// A checkpoint with one tensor F32 [4], spelled as torch's pickler does.
const std::string kStorage =
    "(U\x07storagectorch\nFloatStorage\nU\x01"
    "0U\x03"
    "cpuK\x04tQ";
const std::string kShape = std::string("K\0(K\x04t(K\x01t", 10);
const std::string kTensor = "ctorch._utils\n_rebuild_tensor_v2\n(" + kStorage + kShape + "\x89NtR";

TensorMap MapOf(const std::string& pickle, std::vector<ZipFileMember> more = {},
                std::size_t storage_bytes = 16) {
  std::vector<ZipFileMember> members = {Member("a/data.pkl", "\x80\x02" + pickle + "."),
                                        Member("a/data/0", std::string(storage_bytes, 'x'))};
  members.insert(members.end(), more.begin(), more.end());
  const base::Bytes file = ZipFile(members);
  MemorySource source(file);
  return TensorMap::Decode(MapTensors(source), file.size()).value();
}

TEST(PyTorchZip, FindsATensorInItsStorage) {
  const TensorMap map = MapOf(kTensor);
  ASSERT_EQ(map.reason(), model::WeightsReason::kNone);
  ASSERT_EQ(map.size(), 1U);
  EXPECT_EQ(map.At(0).type->name, "F32");
  EXPECT_EQ(map.BytesAt(0), 16U);
  EXPECT_EQ(MapOf(kTensor, {}, 15).reason(), model::WeightsReason::kIncomplete);
}

TEST(PyTorchZip, BelievesTheByteOrderBesideThePickleAlone) {
  EXPECT_TRUE(MapOf(kTensor, {Member("a/byteorder", "big")}).At(0).big_endian);
  EXPECT_FALSE(MapOf(kTensor, {Member("a/byteorder", "bigger")}).At(0).big_endian);
  EXPECT_FALSE(MapOf(kTensor, {Member("b/byteorder", "big")}).At(0).big_endian);
}

TEST(PyTorchZip, HasNoMapOfTensorsThatAreMadeInAnotherWay) {
  const std::string rebuild = "ctorch._utils\n_rebuild_tensor_v2\n(" + kStorage + kShape;
  const struct {
    const char* what;
    std::string pickle;
  } pickles[] = {
      {"a flag that changes the elements", rebuild + "\x89N}}tR"},
      {"set upon another storage", kTensor + "(" + kStorage + kShape + "tb"},
      {"a storage that something else takes",
       "(" + kTensor + "ccollections\nOrderedDict\n(" + kStorage + "tRt"},
      {"a function of torch's that is not known",
       "ctorch._utils\n_rebuild_new\n(" + kStorage + "tR"},
      {"another's function of a name of torch's",
       "ctorch._tensor\n_rebuild_from_type_v2\n(cother\n_rebuild_tensor_v2\nctorch\nTensor\n(" +
           kStorage + kShape + "\x89Nt}tR"},
      {"a name that is computed", "(" + kTensor + "U\x05torchN\x93t"},
      {"a call of what a call gave", "(" + kTensor + kTensor + ")Rt"},
      {"a pickle inside that makes one",
       "(" + kTensor + "C\x23\x80\x02" + "ctorch._utils\n_rebuild_tensor\n)R.t"},
  };
  for (const auto& pickle : pickles) {
    EXPECT_EQ(MapOf(pickle.pickle).reason(), model::WeightsReason::kIncomplete) << pickle.what;
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
