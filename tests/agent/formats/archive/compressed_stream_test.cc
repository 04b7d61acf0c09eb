#include "agent/formats/archive/compressed_stream.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "agent/formats/reading/byte_source.h"

namespace weighmaster::agent::formats {
namespace {

// As Python's modules write them: "80 04 8c 05 posix 8c 06 system 93 8c 02 id 85 R .", and a
// sentence twelve times over.
struct Sample {
  Compression compression;
  std::string_view pickle;
  std::string_view text;
};
constexpr Sample kSamples[] = {
    {Compression::kZlib, "789c6b60e9612dc82fceace8612bae2c2e49cd9ddcc39499d21aa4070079e00973",
     "789c0bc94855282ccd4cce56482aca2fcf5348cbaf50c82acd2d2856c82f4b2d5228014ae72456552aa4e4a7eb298"
     "48"
     "c2a1e498a014055c1d5"},
    {Compression::kGzip,
     "1f8b08000000000002036b60e9612dc82fceace8612bae2c2e49cd9ddcc39499d21aa407004bd78c9519000000",
     "1f8b08000000000002030bc94855282ccd4cce56482aca2fcf5348cbaf50c82acd2d2856c82f4b2d5228014ae7245"
     "6"
     "552aa4e4a7eb29848c2a1e498a01dcdfaa721c020000"},
    {Compression::kBzip2,
     "425a6839314159265359e13bcaed000009d3e01700000110000622cc60420408002000314c269a034c429a0d069a3"
     "d"
     "08ec52c3a030a103f4f45e10d11f177245385090e13bcaed",
     "425a6839314159265359b1e1768e0000419380400104003ffffff020008014a94d4d3468c2686d4db5214000d0000"
     "6"
     "0b9164be8b25f05a960b52e85ee5f6582ec582ec2d8b71772f05d4b62f42fc2c16e2c9772d0b916a5e0b42ea5fc5b"
     "1"
     "68592c97423c9792ff177245385090b1e1768e"},
    {Compression::kXz,
     "fd377a585a000000ff12d9410200210116000000742fe5a301001880048c05706f7369788c0673797374656d938c0"
     "2"
     "696485522e00000000000129190082ab0006729e7a010000000000595a",
     "fd377a585a000000ff12d9410200210116000000742fe5a3e0021b00355d002a1a08a2032566f14b78c5a205ff2ee"
     "6"
     "d9d2201aad34f8e21de84136fadc0669bb3ce410342709ebb366e3ed3798ed929c40300000000000000001499c040"
     "0"
     "00003fd29670a8000afc020000000000595a"},
    {Compression::kLzma,
     "5d00008000ffffffffffffffff0040010d373a5e57e769511eb04cb45aef5bc1ec183fb088ed6e39c407cd58bfffe"
     "a"
     "d38000",
     "5d00008000ffffffffffffffff002a1a08a2032566f14b78c5a205ff2ee6d9d2201aad34f8e21de84136fadc0669b"
     "b"
     "3ce410342709ebb366e3ed3798ed929c6cf7323fffe9ac6000"},
};
const std::string kPickle = "\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.";
constexpr std::string_view kSentence = "The quick brown fox jumps over the lazy dog. ";
// zlib with codes of its own, whose content begins like a pickle.
constexpr std::string_view kOwnCodes =
    "789c1d8fc96d00310cc43e2944adc996755f25a4f42cf2e68018fefebc6bd4d521d41889654a80888b2189a3d5aba0"
    "5"
    "a8eb9c44e3039e2de13a7359261e1d6104f40631f0fe651945d8d0128fb3cf366254fc3ca644302ee42a1f2f25d3bf"
    "7"
    "62a1a911835f661b362fe826f48014239bef8962bcc335b93aa5831f3afee4f8bdee9cf6708f14cf09019294a6f069"
    "8"
    "4706481f72f8a85fd72eeb98f79c5600c00c8b5df129cbcf11e50dc6f62e04b65741cf1261dd164aa3f9bbc7335";

base::Bytes Hex(std::string_view text) { return base::HexDecode(text).value(); }

Unpacked UnpackAll(const base::Bytes& bytes, Compression compression, std::size_t most = 1 << 20) {
  MemorySource source(bytes);
  WorkBudget budget;
  Cursor cursor(source, budget);
  return Unpack(cursor, compression, most);
}

std::optional<std::string> First(const base::Bytes& bytes, Compression compression,
                                 std::size_t most) {
  base::Bytes out(most);
  const auto count = FirstBytes(bytes, compression, out);
  if (!count.has_value()) return std::nullopt;
  return std::string(base::AsText(base::ByteView(out).first(*count)));
}

TEST(CompressedStream, KnowsEachKindByItsMark) {
  for (const Sample& sample : kSamples) {
    EXPECT_EQ(CompressionOf(Hex(sample.pickle)), sample.compression);
  }
  EXPECT_EQ(CompressionOf(Hex("04224d1864")), Compression::kLz4);
  EXPECT_EQ(CompressionOf(Hex("28b52ffd24")), Compression::kZstd);
  for (const char* other : {"", "78", "7800", "789d", "7802", "1f8b07000000", "1f8b08e0",
                            "425a683031415926535900", "425a683931415926535800",
                            // LZMA: a dictionary of no power of two, a length past all, a coder
                            // that does not begin with 0, and no coder at all.
                            "5d00008100ffffffffffffffff0040010d37", "5d00008000000000000001000000",
                            "5d00008000ffffffffffffffff0140010d37", "5d00008000ffffffffffffffff"}) {
    EXPECT_EQ(CompressionOf(Hex(other)), Compression::kNone) << other;
  }
}

TEST(CompressedStream, UnpacksEachKind) {
  for (const Sample& sample : kSamples) {
    const Unpacked pickle = UnpackAll(Hex(sample.pickle), sample.compression);
    EXPECT_EQ(base::AsText(pickle.bytes), kPickle);
    EXPECT_EQ(pickle.end, UnpackedEnd::kWhole);
    const Unpacked text = UnpackAll(Hex(sample.text), sample.compression);
    EXPECT_EQ(text.bytes.size(), 12 * kSentence.size());
    EXPECT_EQ(text.end, UnpackedEnd::kWhole);
  }
  EXPECT_EQ(UnpackAll(Hex("04224d1864"), Compression::kLz4).end, UnpackedEnd::kNoDecoder);
}

TEST(CompressedStream, GivesNoMoreThanWasAskedFor) {
  for (const Sample& sample : kSamples) {
    const Unpacked text = UnpackAll(Hex(sample.text), sample.compression, 10);
    EXPECT_EQ(base::AsText(text.bytes), kSentence.substr(0, 10));
    EXPECT_EQ(text.end, UnpackedEnd::kMost);
  }
}

TEST(CompressedStream, KeepsWhatCameOutBeforeItBroke) {
  for (const Sample& sample : kSamples) {
    base::Bytes bytes = Hex(sample.text);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const base::Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      const Unpacked text = UnpackAll(cut, sample.compression);
      EXPECT_LE(text.bytes.size(), 12 * kSentence.size());
      EXPECT_EQ(text.end, UnpackedEnd::kBroken) << size;
    }
  }
}

// As Python reads them: a payload may begin in one stream and end in the next.
TEST(CompressedStream, GoesOnInTheNextStreamOfItsKind) {
  for (const Sample& sample : kSamples) {
    base::Bytes bytes = Hex(sample.pickle);
    const base::Bytes second = Hex(sample.text);
    bytes.insert(bytes.end(), second.begin(), second.end());
    EXPECT_EQ(UnpackAll(bytes, sample.compression).bytes.size(),
              kPickle.size() + 12 * kSentence.size());
  }
}

TEST(CompressedStream, StandsBehindTheStreamAfterwards) {
  base::Bytes bytes = Hex(kSamples[0].pickle);
  const std::size_t end = bytes.size();
  bytes.push_back('!');
  MemorySource source(bytes);
  WorkBudget budget;
  Cursor cursor(source, budget);
  EXPECT_EQ(Unpack(cursor, Compression::kZlib, 1'000).end, UnpackedEnd::kWhole);
  EXPECT_EQ(cursor.offset(), end);
}

TEST(CompressedStream, RefusesADictionaryThatIsTooLarge) {
  base::Bytes bytes = Hex(kSamples[4].pickle);
  bytes[3] = 0;
  bytes[4] = 0x80;  // 2 GiB
  EXPECT_EQ(UnpackAll(bytes, Compression::kLzma).end, UnpackedEnd::kTooMuchSpace);
  EXPECT_EQ(First(bytes, Compression::kLzma, 1), "\x80");
}

TEST(CompressedStream, StopsWhereTheBudgetIsSpent) {
  for (const Sample& sample : kSamples) {
    const base::Bytes bytes = Hex(sample.text);
    MemorySource source(bytes);
    WorkBudget budget(6'000);
    Cursor cursor(source, budget);
    EXPECT_LT(Unpack(cursor, sample.compression, 1 << 20).bytes.size(), 12 * kSentence.size());
    EXPECT_TRUE(budget.spent());
  }
}

TEST(CompressedStream, ShowsTheFirstBytesOfDeflateWithoutADecoder) {
  EXPECT_EQ(First(Hex(kSamples[0].pickle), Compression::kZlib, 512), kPickle);
  EXPECT_EQ(First(Hex(kSamples[1].pickle), Compression::kGzip, 512), kPickle);
  // With the repetitions, and no more than was asked for.
  std::string text;
  for (int i = 0; i < 12; ++i) text += kSentence;
  EXPECT_EQ(First(Hex(kSamples[0].text), Compression::kZlib, 1'000), text);
  EXPECT_EQ(First(Hex(kSamples[1].text), Compression::kGzip, 100), text.substr(0, 100));
  const Unpacked own = UnpackAll(Hex(kOwnCodes), Compression::kZlib);
  ASSERT_EQ(own.bytes.size(), 302U);
  EXPECT_EQ(First(Hex(kOwnCodes), Compression::kZlib, 512), base::AsText(own.bytes));
  // Stored; behind an empty stored block; of an unknown kind; cut off before the first byte.
  EXPECT_EQ(First(Hex("7801010200fdff8004"), Compression::kZlib, 8), "\x80\x04");
  EXPECT_EQ(First(Hex("7801000000ffff010200fdff8004"), Compression::kZlib, 8), "\x80\x04");
  EXPECT_EQ(First(Hex("780107ffff"), Compression::kZlib, 8), "");
  // An empty stream, behind which another may follow.
  EXPECT_EQ(First(Hex("7801010000ffff00000001"), Compression::kZlib, 8), std::nullopt);
  EXPECT_EQ(First(Hex("780101"), Compression::kZlib, 8), std::nullopt);
}

TEST(CompressedStream, PassesOverTheFieldsOfAGzipHeader) {
  const std::string stored = "010200fdff8004";
  const std::string start = "000000000003";
  EXPECT_EQ(First(Hex("1f8b0808" + start + "6d2e6e00" + stored), Compression::kGzip, 8),
            "\x80\x04");
  EXPECT_EQ(First(Hex("1f8b081e" + start + "0200aaaa6d0063000000" + stored), Compression::kGzip, 8),
            "\x80\x04");
  EXPECT_EQ(First(Hex("1f8b0808" + start + "6d2e6e"), Compression::kGzip, 8), std::nullopt);
}

TEST(CompressedStream, ShowsTheFirstByteOfLzma) {
  EXPECT_EQ(First(Hex(kSamples[3].pickle), Compression::kXz, 512), kPickle);  // not worth packing
  EXPECT_EQ(First(Hex(kSamples[3].text), Compression::kXz, 512), "T");
  EXPECT_EQ(First(Hex(kSamples[4].pickle), Compression::kLzma, 512), "\x80");
  EXPECT_EQ(First(Hex(kSamples[4].text), Compression::kLzma, 512), "T");
  // Behind a filter of differences it does not show, and of bzip2 never.
  EXPECT_EQ(First(Hex("fd377a585a000000ff12d94102010301002101167920c4ee010018808488796bff04"),
                  Compression::kXz, 8),
            std::nullopt);
  EXPECT_EQ(First(Hex(kSamples[2].pickle), Compression::kBzip2, 8), std::nullopt);
}

}  // namespace
}  // namespace weighmaster::agent::formats
