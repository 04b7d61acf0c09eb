#include "agent/formats/recognise.h"

#include <gtest/gtest.h>

#include <utility>

#include "policy/base/limits.h"
#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;

Format FormatByName(const std::filesystem::path& path) {
  const std::string extension = path.extension();
  if (extension == ".gguf") return Format::kGguf;
  if (extension == ".safetensors") return Format::kSafetensors;
  if (extension == ".onnx") return Format::kOnnx;
  if (extension == ".pth") return Format::kPyTorchLegacy;
  if (extension == ".joblib") return Format::kJoblib;
  return extension == ".pt" ? Format::kPyTorchZip : Format::kPickle;
}

// What must hold for any bytes whatever.
void ExpectBounded(const model::Facts& facts) {
  EXPECT_LE(facts.risks.size(), base::limits::kMaxRisksPerFile);
  for (const std::string* text :
       {&facts.name, &facts.architecture, &facts.license, &facts.quantization}) {
    EXPECT_LE(text->size(), base::limits::kMaxFactBytes);
    EXPECT_TRUE(base::IsUtf8(*text));
  }
  for (const model::Risk& risk : facts.risks) {
    EXPECT_LE(risk.evidence.size(), base::limits::kMaxEvidenceBytes);
    EXPECT_TRUE(base::IsUtf8(risk.evidence));
    EXPECT_FALSE(risk.message.empty());
  }
}

TEST(Recognise, KnowsEveryFixtureByItsBytes) {
  ASSERT_GE(tests::ModelFixtures().size(), 29U);
  for (const auto& path : tests::ModelFixtures()) {
    const base::Bytes bytes = tests::ModelFixture(path.filename().string());
    EXPECT_EQ(SniffBytes(bytes), FormatByName(path)) << path;
    const model::Facts facts = ParseBytes(bytes);
    EXPECT_EQ(facts.format, FormatByName(path)) << path;
    ExpectBounded(facts);
  }
}

// A file that is cut off is never more dangerous to read, and is never taken for a whole one.
TEST(Recognise, SurvivesEveryTruncationOfEveryFixture) {
  for (const auto& path : tests::ModelFixtures()) {
    const base::Bytes whole = tests::ModelFixture(path.filename().string());
    const model::Facts facts = ParseBytes(whole);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const base::Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      CountedSource source(cut);
      const model::Facts less = Parse(source);
      ExpectBounded(less);
      EXPECT_LE(source.bytes_read(), 40 * (cut.size() + 4'096)) << path << " cut to " << size;
      const bool header_format =
          facts.format == Format::kGguf || facts.format == Format::kSafetensors;
      if (header_format && less.format != Format::kUnknown) {
        EXPECT_NE(FindRisk(less, "malformed"), nullptr) << path << " cut to " << size;
      }
    }
  }
}

TEST(Recognise, SurvivesEveryByteChangedInEveryFixture) {
  for (const auto& path : tests::ModelFixtures()) {
    base::Bytes bytes = tests::ModelFixture(path.filename().string());
    for (std::size_t i = 0; i < bytes.size(); i += 1 + bytes.size() / 1'000) {
      for (const std::uint8_t value : {std::uint8_t{0}, std::uint8_t{0x7f}, std::uint8_t{0xff}}) {
        const std::uint8_t before = std::exchange(bytes[i], value);
        ExpectBounded(ParseBytes(bytes));
        bytes[i] = before;
      }
    }
  }
}

TEST(Recognise, TakesNoLookAlikeForAModel) {
  const std::string lfs =
      "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
  for (const std::string& text :
       {std::string("GGUF is a format"), std::string("GGUF"), lfs,
        std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16),
        std::string("\x7f"
                    "ELF\x02\x01\x01"),
        std::string("SQLite format 3\0\x10\0\x01\x01", 20), std::string("%PDF-1.7\n"),
        std::string("{\"json\": true}"), std::string("\0\0\0\0\0\0\0\0", 8), std::string()}) {
    EXPECT_EQ(SniffBytes(base::AsBytes(text)), Format::kUnknown) << text;
    EXPECT_EQ(ParseText(text).format, Format::kUnknown) << text;
  }
}

// An unpickler that takes persistent ids loads it; a zip it is only for four bytes.
TEST(Recognise, LooksOnWhereTheFirstFormatThatAFileBeginsLikeIsNotItsOwn) {
  const std::string text = "PK\x03\x04" + std::string(26, 'x') + "\ncos\nsystem\n(S'id'\ntR.";
  EXPECT_EQ(SniffBytes(base::AsBytes(text)), Format::kPyTorchZip);
  const model::Facts facts = ParseText(text);
  EXPECT_EQ(facts.format, Format::kPickle);
  EXPECT_TRUE(HasRisk(facts, "pickle_executes_code", model::Severity::kCritical));
}

TEST(Recognise, ReportsAnUnreadableFileAsDamaged) {
  class FailingSource final : public ByteSource {
   public:
    std::uint64_t size() const override { return 1'000'000; }
    base::Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) override {
      if (offset > 0 || out.size() < 8) return base::DataLoss("the disk is broken");
      const base::Bytes start = tests::ByteWriter().Text("GGUF").U32(3).Take();
      std::copy(start.begin(), start.end(), out.begin());
      return start.size();
    }
  };
  FailingSource source;
  ExpectBounded(Parse(source));
}

}  // namespace
}  // namespace weighmaster::agent::formats
