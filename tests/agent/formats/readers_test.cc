// What has to be there for a format besides its reader: whoever adds one and forgets a part finds
// it here.

#include "agent/formats/readers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;

const std::filesystem::path kTree = WEIGHMASTER_TREE;

std::string Name(const Reader& reader) { return std::string(model::FormatName(reader.format)); }

base::Bytes ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(Readers, AreOneForEachFormatThatHasAName) {
  for (const auto& [format, name] : model::kFormats) {
    const auto reads = [format = format](const Reader& reader) { return reader.format == format; };
    EXPECT_EQ(std::ranges::count_if(Readers(), reads), format == Format::kUnknown ? 0 : 1) << name;
  }
  EXPECT_EQ(Readers().size() + 1, std::size(model::kFormats));
}

TEST(Readers, HaveAFuzzerWhoseCorpusTheyRead) {
  const std::filesystem::path fuzz = kTree / "tests" / "fuzz";
  for (const Reader& reader : Readers()) {
    EXPECT_TRUE(std::filesystem::exists(fuzz / (Name(reader) + "_fuzzer.cc"))) << Name(reader);
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(fuzz / "corpus" / Name(reader))) {
      const base::Bytes bytes = ReadFile(entry.path());
      EXPECT_EQ(SniffBytes(bytes), reader.format) << entry.path();
      EXPECT_EQ(ParseBytes(bytes).format, reader.format) << entry.path();
      ++files;
    }
    EXPECT_GT(files, 0U) << Name(reader);
  }
}

TEST(Readers, HaveARowOnThePageOfModelFiles) {
  const base::Bytes page = ReadFile(kTree / "docs" / "formats" / "model-files.md");
  for (const Reader& reader : Readers()) {
    EXPECT_NE(base::AsText(page).find("\n| `" + Name(reader) + "` | "), std::string::npos)
        << Name(reader);
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
