#include "agent/formats/arrays/joblib.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ByteWriter;
using tests::ModelFixture;

constexpr char kExecutes[] = "pickle_executes_code";
const std::string kPayload = "\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.";
// Of that pickle, as Python's zlib, gzip (through zlib), bz2, lzma (xz and alone) write it.
constexpr std::string_view kPacked[] = {
    "789c6b60e9612dc82fceace8612bae2c2e49cd9ddcc39499d21aa4070079e00973",
    "1f8b08000000000002036b60e9612dc82fceace8612bae2c2e49cd9ddcc39499d21aa407004bd78c9519000000",
    "425a6839314159265359e13bcaed000009d3e01700000110000622cc60420408002000314c269a034c429a0d069a3d"
    "08ec52c3a030a103f4f45e10d11f177245385090e13bcaed",
    "fd377a585a000000ff12d9410200210116000000742fe5a301001880048c05706f7369788c0673797374656d938c02"
    "696485522e00000000000129190082ab0006729e7a010000000000595a",
    "5d00008000ffffffffffffffff0040010d373a5e57e769511eb04cb45aef5bc1ec183fb088ed6e39c407cd58bfffea"
    "d38000",
    // xz behind a filter of differences, whose first bytes do not show.
    "fd377a585a000000ff12d94102010301002101167920c4ee010018808488796bff04f60f147a6d06fa01f10826f976"
    "67fb21cddc00000000000129190082ab0006729e7a010000000000595a",
};
// A sentence in zlib, gzip, xz and LZMA.
constexpr std::string_view kTexts[] = {
    "789c0bc94855282ccd4cce56482aca2fcf5348cbaf50c82acd2d2856c82f4b2d5228014ae72456552aa4e4a7eb2984"
    "8c2a1e498a014055c1d5",
    "1f8b08000000000002030bc94855282ccd4cce56482aca2fcf5348cbaf50c82acd2d2856c82f4b2d5228014ae72456"
    "552aa4e4a7eb29848c2a1e498a01dcdfaa721c020000",
    "fd377a585a000000ff12d9410200210116000000742fe5a3e000ef001c5d003a1a08ce769a6d74f7b6a3428053774e"
    "f431ff322ac52fa78eb8000000000130f00100000048e4a737a8000afc020000000000595a",
    "5d00008000ffffffffffffffff003a1a08ce769a6d74f7b6a3428053774ef431ff322ac52fa7de8a6fffffda79000"
    "0",
};

base::Bytes Hex(std::string_view text) { return base::HexDecode(text).value(); }

// zlib without packing.
base::Bytes Stored(const std::string& content) {
  ByteWriter out;
  out.U8(0x78).U8(0x01);
  std::size_t at = 0;
  do {
    const std::string part = content.substr(at, 65'535);
    const auto length = static_cast<std::uint16_t>(part.size());
    at += part.size();
    out.U8(at == content.size() ? 1 : 0).U16(length);
    out.U16(static_cast<std::uint16_t>(~length)).Text(part);
  } while (at < content.size());
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const char c : content) {
    a = (a + static_cast<unsigned char>(c)) % 65'521;
    b = (b + a) % 65'521;
  }
  for (const std::uint32_t sum : {b, a}) {
    out.U8(static_cast<std::uint8_t>(sum >> 8)).U8(static_cast<std::uint8_t>(sum & 0xff));
  }
  return out.Take();
}

bool Looks(const base::Bytes& bytes) {
  return LooksLikeJoblib(
      {base::ByteView(bytes).first(std::min<std::size_t>(bytes.size(), 4'096)), {}, bytes.size()});
}

model::Facts Read(const base::Bytes& bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseJoblib(source, budget, tensors);
}

TEST(Joblib, FindsCodeBehindEveryCompressor) {
  for (const std::string_view packed : kPacked) {
    ASSERT_TRUE(Looks(Hex(packed))) << packed;
    const model::Facts facts = Read(Hex(packed));
    EXPECT_EQ(facts.format, Format::kJoblib) << packed;
    EXPECT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical)) << packed;
    EXPECT_EQ(facts.risks.size(), 2U) << packed;
  }
}

TEST(Joblib, PassesOverTheArraysInside) {
  const base::Bytes plain = ModelFixture("arrays.joblib");
  ASSERT_TRUE(Looks(plain));
  for (const base::Bytes& bytes : {plain, Stored(std::string(base::AsText(plain)))}) {
    ASSERT_TRUE(Looks(bytes));
    const model::Facts facts = Read(bytes);
    EXPECT_EQ(facts.format, Format::kJoblib);
    EXPECT_EQ(WorstSeverity(facts), Severity::kInfo) << facts.risks.front().evidence;
    EXPECT_TRUE(HasRisk(facts, "pickle_format", Severity::kInfo));
  }
}

TEST(Joblib, ReadsTheFormBeforeVersion10) {
  const std::string zlib(base::AsText(Stored(kPayload)));
  for (const char* header :
       {"ZF0x19               ", "ZF0x19L              ", "ZF0x19                "}) {
    const base::Bytes bytes = ByteWriter().Text(header).Text(zlib).Take();
    ASSERT_TRUE(Looks(bytes)) << header;
    const model::Facts facts = Read(bytes);
    EXPECT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical));
    EXPECT_EQ(FindRisk(facts, "malformed"), nullptr) << header;
  }
  const base::Bytes lies = ByteWriter().Text("ZF0x1a               ").Text(zlib).Take();
  EXPECT_TRUE(HasRisk(Read(lies), "malformed", Severity::kHigh));
  for (const char* other :
       {"ZF0x                 ", "ZF0x19x              ", "ZFOR the record      "}) {
    EXPECT_FALSE(Looks(ByteWriter().Text(other).Text(zlib).Take())) << other;
  }
}

TEST(Joblib, FindsPicklesOfTheOldestProtocols) {
  const base::Bytes bytes = Stored("cos\nsystem\n(S'id'\ntR.");
  ASSERT_TRUE(Looks(bytes));
  EXPECT_TRUE(HasRisk(Read(bytes), kExecutes, Severity::kCritical));
}

// Two streams are one content for Python's readers.
TEST(Joblib, FollowsAPickleIntoTheNextStream) {
  base::Bytes bytes = Stored(kPayload.substr(0, 12));
  const base::Bytes rest = Stored(kPayload.substr(12));
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  EXPECT_TRUE(HasRisk(Read(bytes), kExecutes, Severity::kCritical));
}

TEST(Joblib, TellsWhatIsWrongWithTheStream) {
  base::Bytes bytes = Stored(kPayload);
  bytes.push_back('!');
  EXPECT_TRUE(HasRisk(Read(bytes), "trailing_data", Severity::kMedium));
  bytes.resize(bytes.size() - 10);
  const model::Facts cut = Read(bytes);
  EXPECT_TRUE(HasRisk(cut, "malformed", Severity::kHigh));
  base::Bytes too_large = Hex(kPacked[4]);
  too_large[3] = 0;
  too_large[4] = 0x80;  // a dictionary of 2 GiB, which Python allocates
  EXPECT_EQ(Read(too_large).format, Format::kJoblib);
  EXPECT_TRUE(HasRisk(Read(too_large), "opaque", Severity::kHigh));
}

TEST(Joblib, SaysHowFarAContentWasRead) {
  // Bytes that go on behind what is unpacked.
  constexpr std::uint32_t kMore = 33 << 20;
  static_assert(kMore > base::limits::kMaxInflatedBytes);
  const std::string content =
      "\x80\x04"
      "B" +
      std::string(base::AsText(ByteWriter().U32(kMore).Take())) + std::string(kMore, '\0') + ".";
  const model::Facts facts = Read(Stored(content));
  EXPECT_EQ(facts.format, Format::kJoblib);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_EQ(FindRisk(facts, "malformed"), nullptr);
}

TEST(Joblib, IsNoOtherCompressedFile) {
  for (const std::string_view text : kTexts) {
    EXPECT_FALSE(Looks(Hex(text))) << text;
    EXPECT_EQ(Read(Hex(text)).format, Format::kUnknown) << text;
  }
  // Objects of git, a page of a manual, a log, a tar, nothing.
  for (const std::string& content :
       {std::string("blob 5\0hello", 12), std::string("tree 0\0", 7),
        std::string("commit 200\0tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n", 57),
        std::string(".\\\" Copyright\n.TH LS 1\n"), std::string("Jan  1 00:00:00 host kernel: x\n"),
        std::string("./\0\0\0", 5), std::string("<?xml version=\"1.0\"?>")}) {
    EXPECT_FALSE(Looks(Stored(content))) << content;
    EXPECT_EQ(Read(Stored(content)).format, Format::kUnknown) << content;
  }
  // Of bzip2 only the content tells.
  const base::Bytes bzip2 =
      Hex("425a6839314159265359b1e1768e0000419380400104003ffffff020008014a94d4d3468c2686d4db5214000"
          "d00006"
          "0b9164be8b25f05a960b52e85ee5f6582ec582ec2d8b71772f05d4b62f42fc2c16e2c9772d0b916a5e0b42ea"
          "5fc5b1"
          "68592c97423c9792ff177245385090b1e1768e");
  EXPECT_TRUE(Looks(bzip2));
  EXPECT_EQ(Read(bzip2).format, Format::kUnknown);
  // An uncompressed pickle of another program, and a text that names the wrapper.
  EXPECT_FALSE(Looks(ModelFixture("plain_protocol4.pkl")));
  EXPECT_FALSE(Looks(ByteWriter().Text("from joblib.numpy_pickle import load\n").Take()));
}

TEST(Joblib, EndsWithinItsBudgetOnABomb) {
  const base::Bytes bytes = Stored("\x80\x04(" + std::string(1'000'000, 'N'));
  MemorySource source(bytes);
  WorkBudget budget(5'000'000);
  TensorMapWriter tensors(true);
  const model::Facts facts = ParseJoblib(source, budget, tensors);
  EXPECT_EQ(facts.format, Format::kJoblib);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
}

}  // namespace
}  // namespace weighmaster::agent::formats
