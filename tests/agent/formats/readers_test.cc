// What has to be there for a format besides its reader: whoever adds one and forgets a part finds
// it here.

#include "agent/formats/readers.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
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

TEST(Readers, HaveAFormatEachThatTheyAreCalledBy) {
  std::set<Format> formats;
  for (const Reader& reader : Readers()) {
    EXPECT_TRUE(formats.insert(reader.format).second) << Name(reader);
  }
  EXPECT_EQ(formats.count(Format::kUnknown), 0U);
}

// Kinds of archives share a reader, so it is the files that show that every format has one.
TEST(Readers, ReadAFileOfEachFormatInTheirFuzzersCorpora) {
  const std::filesystem::path fuzz = kTree / "tests" / "fuzz";
  std::set<Format> formats = {Format::kUnknown};
  for (const Reader& reader : Readers()) {
    EXPECT_TRUE(std::filesystem::exists(fuzz / (Name(reader) + "_fuzzer.cc"))) << Name(reader);
    std::set<Format> read;
    for (const auto& entry : std::filesystem::directory_iterator(fuzz / "corpus" / Name(reader))) {
      const base::Bytes bytes = ReadFile(entry.path());
      EXPECT_NE(SniffBytes(bytes), Format::kUnknown) << entry.path();
      read.insert(ParseBytes(bytes).format);
    }
    EXPECT_EQ(read.count(reader.format), 1U) << Name(reader);
    EXPECT_EQ(read.count(Format::kUnknown), 0U) << Name(reader);
    formats.merge(read);
  }
  for (const auto& [format, name] : model::kFormats) EXPECT_EQ(formats.count(format), 1U) << name;
}

TEST(Readers, HaveARowOnThePageOfModelFilesForEachFormat) {
  const base::Bytes page = ReadFile(kTree / "docs" / "formats" / "model-files.md");
  for (const auto& [format, name] : model::kFormats) {
    if (format == Format::kUnknown) continue;
    EXPECT_NE(base::AsText(page).find("\n| `" + std::string(name) + "` | "), std::string::npos)
        << name;
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
