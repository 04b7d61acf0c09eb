#include "agent/formats/keras/hdf5.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "tests/agent/formats/keras/hdf5_writer.h"
#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using tests::Hdf5Writer;
using tests::Number;

// Where the library looks for the signature.
constexpr std::size_t kPlaces[] = {0, 512, 1024, 2048};

struct Walked {
  bool opened = false;
  bool whole = false;
  std::map<std::string, Hdf5Object> objects;
  std::map<std::string, std::string> texts;  // of the root's attributes
  std::vector<model::Risk> risks;
};

Walked WalkFile(const std::string& text) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget;
  Cursor cursor(source, budget);
  RiskList risks;
  Hdf5File file(cursor, risks);
  Walked walked;
  walked.opened = file.Open();
  if (walked.opened) {
    file.Walk([&](const std::string& path, const Hdf5Object& object) {
      walked.objects[path] = object;
      for (const Hdf5Attribute& attribute : object.attributes) {
        if (path.empty()) {
          walked.texts[attribute.name] = file.ReadText(attribute, 100).value_or("-");
        }
      }
      return true;
    });
  }
  walked.whole = file.whole();
  walked.risks = std::move(risks).Take();
  return walked;
}

bool Told(const Walked& walked, std::string_view id) {
  return std::any_of(walked.risks.begin(), walked.risks.end(),
                     [&](const model::Risk& risk) { return risk.id == id; });
}

// A root with two attributes, a group in it, and a dataset of floats there.
std::string SmallFile(bool newer, std::size_t before = 0) {
  Hdf5Writer out(newer, before);
  const std::uint64_t dataset = out.Dataset(Hdf5Writer::Float32(), {2, 1}, "12345678");
  const std::uint64_t group = out.Object(out.Group({{"kernel:0", dataset}}));
  auto root = out.Group({{"dense", group}});
  root.push_back(out.VariableTextAttribute("long", "text in the heap"));
  root.push_back(Hdf5Writer::FixedText("short", std::string("text\0\0\0\0", 8)));
  const std::uint64_t place = out.Object(root);
  return out.Build(place);
}

TEST(Hdf5, ReadsOldAndNewFilesWhereverTheyBegin) {
  for (const bool newer : {false, true}) {
    for (const std::size_t before : kPlaces) {
      const std::string text = SmallFile(newer, before);
      const Walked walked = WalkFile(text);
      ASSERT_TRUE(walked.opened) << newer << before;
      EXPECT_TRUE(walked.risks.empty()) << walked.risks.front().evidence;
      EXPECT_TRUE(walked.whole);
      ASSERT_EQ(walked.objects.count("/dense/kernel:0"), 1U);
      const Hdf5Object& dataset = walked.objects.at("/dense/kernel:0");
      EXPECT_EQ(dataset.dims, (std::vector<std::uint64_t>{2, 1}));
      ASSERT_NE(dataset.type->type, nullptr);
      EXPECT_EQ(dataset.type->type->name, "F32");
      EXPECT_EQ(dataset.layout, Hdf5Layout::kContiguous);
      EXPECT_EQ(text.substr(static_cast<std::size_t>(*dataset.data), 8), "12345678");
      EXPECT_EQ(walked.texts.at("long"), "text in the heap");
      EXPECT_EQ(walked.texts.at("short"), "text");
    }
  }
}

TEST(Hdf5, IsFoundByItsSignatureWhereTheLibraryLooks) {
  for (const std::size_t before : kPlaces) {
    const std::string text = SmallFile(false, before);
    EXPECT_TRUE(LooksLikeHdf5({base::AsBytes(text), {}, text.size()}));
  }
  const std::string elsewhere = SmallFile(false, 256);
  EXPECT_FALSE(LooksLikeHdf5({base::AsBytes(elsewhere), {}, elsewhere.size()}));
  std::string other = SmallFile(true);
  other[9] = 3;  // no width of an address
  EXPECT_FALSE(LooksLikeHdf5({base::AsBytes(other), {}, other.size()}));
  EXPECT_FALSE(LooksLikeHdf5({}));
}

TEST(Hdf5, FollowsEachObjectOnceHoweverManyLinksLeadToIt) {
  Hdf5Writer out(true);
  const std::uint64_t dataset = out.Dataset(Hdf5Writer::Float32(), {1}, "1234");
  std::vector<Hdf5Writer::Message> root = out.Group({{"a", dataset}, {"b", dataset}});
  root.push_back(Hdf5Writer::HardLink("again", 0));  // patched: the root itself
  const std::uint64_t place = out.Object(root);
  std::string text = out.Build(place);
  const std::size_t link = text.rfind("again");
  text.replace(link + 5, 8, Number(place, 8));
  const Walked walked = WalkFile(text);
  EXPECT_EQ(walked.objects.size(), 2U);
  EXPECT_TRUE(walked.risks.empty());
}

TEST(Hdf5, SaysThatItWasCutOffAndKeepsWhatCameBefore) {
  std::string text = SmallFile(false);
  text += "and more";
  EXPECT_TRUE(Told(WalkFile(text), "trailing_data"));
  text.resize(text.size() - 9);
  const Walked walked = WalkFile(text);
  EXPECT_TRUE(Told(walked, "malformed"));
  EXPECT_EQ(walked.objects.count("/dense/kernel:0"), 1U);
}

TEST(Hdf5, SurvivesEveryLengthAndEveryByteThatLies) {
  for (const bool newer : {false, true}) {
    const std::string whole = SmallFile(newer);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Walked cut = WalkFile(whole.substr(0, size));
      EXPECT_TRUE(!cut.opened || Told(cut, "malformed")) << size;
      std::string lie = whole;
      lie[size] = static_cast<char>(0xff);
      EXPECT_LE(WalkFile(lie).objects.size(), 3U) << size;
    }
  }
}

TEST(Hdf5, EndsAtATreeThatLeadsBackToItself) {
  Hdf5Writer out;
  const auto group = out.Group({{"a", out.Dataset(Hdf5Writer::Float32(), {1}, "1234")}});
  const std::uint64_t root = out.Object(group);
  std::string text = out.Build(root);
  const std::size_t tree = text.find("TREE");
  text.replace(tree + 32, 8, Number(tree, 8));
  EXPECT_TRUE(Told(WalkFile(text), "malformed"));
}

TEST(Hdf5, EndsAtMessagesThatGoOnInThemselves) {
  Hdf5Writer out;
  const std::uint64_t block =
      out.Put(Number(0x10, 2) + Number(16, 2) + Number(0, 4) + Number(0, 16));
  const std::uint64_t root = out.Object({{0x10, Number(block, 8) + Number(24, 8)}});
  std::string text = out.Build(root);
  text.replace(static_cast<std::size_t>(block) + 8, 16, Number(block, 8) + Number(24, 8));
  EXPECT_TRUE(Told(WalkFile(text), "malformed"));
}

// Of the specification's example of a doubling table: one direct block, or a table of them.
std::string DenseFile(bool table) {
  Hdf5Writer out(true);
  const std::uint64_t dataset = out.Dataset(Hdf5Writer::Float32(), {1}, "1234");
  const std::string link = Hdf5Writer::HardLink("far", dataset).body;
  // A block of 512 bytes; the object comes behind the block's own head.
  const std::size_t head = 4 + 1 + 8 + 4;
  std::string block = "FHDB" + Number(0, 1) + Number(0, 8) + Number(0, 4) + link;
  block.resize(512);
  const std::uint64_t direct = out.Put(block);
  std::uint64_t offset = head;
  std::uint64_t heap_root = direct;
  if (table) {
    // The second column of the third row, whose blocks have 1,024 bytes.
    const std::uint64_t entry = 2 * 4 + 1;
    std::string entries;
    for (std::uint64_t i = 0; i < 12; ++i) entries += Number(i == entry ? direct : ~0ULL, 8);
    heap_root = out.Put("FHIB" + Number(0, 1) + Number(0, 8) + Number(0, 4) + entries);
    offset += 2 * 4 * 512 + 1024;
  }
  const std::uint64_t heap =
      out.Put("FRHP" + Number(0, 1) + Number(7, 2) + Number(0, 2) + Number(0, 1) + Number(4096, 4) +
              Number(0, 96) + Number(4, 2) + Number(512, 8) + Number(65536, 8) + Number(32, 2) +
              Number(1, 2) + Number(heap_root, 8) + Number(table ? 3 : 0, 2));
  const std::uint64_t leaf = out.Put("BTLF" + Number(0, 1) + Number(5, 1) + Number(77, 4) +
                                     Number(0, 1) + Number(offset, 4) + Number(link.size(), 2));
  const std::uint64_t tree =
      out.Put("BTHD" + Number(0, 1) + Number(5, 1) + Number(512, 4) + Number(11, 2) + Number(0, 2) +
              Number(0, 2) + Number(leaf, 8) + Number(1, 2) + Number(1, 8) + Number(0, 4));
  const std::uint64_t root = out.Object({{0x02, Number(0, 2) + Number(heap, 8) + Number(tree, 8)}});
  return out.Build(root);
}

TEST(Hdf5, FindsTheLinksOfALargeGroupInItsHeap) {
  for (const bool table : {false, true}) {
    const Walked walked = WalkFile(DenseFile(table));
    EXPECT_EQ(walked.objects.count("/far"), 1U) << table;
    EXPECT_TRUE(walked.risks.empty()) << walked.risks.front().evidence;
    EXPECT_TRUE(walked.whole);
  }
}

TEST(Hdf5, SaysThatAHeapCouldNotBeRead) {
  std::string text = DenseFile(false);
  text[text.find("FRHP") + 7] = 1;  // its blocks are packed
  const Walked walked = WalkFile(text);
  EXPECT_TRUE(Told(walked, "opaque"));
  EXPECT_FALSE(walked.whole);
}

TEST(Hdf5, KnowsTypesByTheirBits) {
  const auto type_of = [](const std::string& bytes) {
    MemorySource source(base::AsBytes(bytes));
    WorkBudget budget;
    Cursor cursor(source, budget);
    const auto type = ReadHdf5Type(cursor);
    return type.has_value() && type->type != nullptr ? std::string(type->type->name) : "";
  };
  const auto floating = [](std::uint64_t bytes, std::uint64_t exponent, std::uint64_t mantissa,
                           std::uint64_t bias, std::uint64_t order = 0) {
    return Number(0x11, 1) + Number(0x20 + order, 1) + Number(bytes * 8 - 1, 1) + Number(0, 1) +
           Number(bytes, 4) + Number(0, 2) + Number(bytes * 8, 2) + Number(mantissa, 1) +
           Number(exponent, 1) + Number(0, 1) + Number(mantissa, 1) + Number(bias, 4);
  };
  EXPECT_EQ(type_of(Hdf5Writer::Float32()), "F32");
  EXPECT_EQ(type_of(floating(2, 5, 10, 15)), "F16");
  EXPECT_EQ(type_of(floating(2, 8, 7, 127)), "BF16");
  EXPECT_EQ(type_of(floating(8, 11, 52, 1023, 1)), "F64");
  EXPECT_EQ(type_of(floating(4, 8, 23, 126)), "");
  const auto fixed = [](std::uint64_t bytes, bool sign) {
    return Number(0x10, 1) + Number(sign ? 8 : 0, 3) + Number(bytes, 4) + Number(0, 2) +
           Number(bytes * 8, 2);
  };
  EXPECT_EQ(type_of(fixed(1, false)), "U8");
  EXPECT_EQ(type_of(fixed(8, true)), "I64");
  EXPECT_EQ(type_of(fixed(3, true)), "");
  const std::string truth = Number(0x18, 1) + Number(2, 3) + Number(1, 4) + fixed(1, true);
  EXPECT_EQ(type_of(truth + std::string("FALSE\0\0\0TRUE\0\0\0\0\0\1", 18)), "BOOL");
  EXPECT_EQ(type_of(truth + std::string("MAYBE\0\0\0TRUE\0\0\0\0\0\1", 18)), "");
  EXPECT_EQ(type_of("\x10"), "");
}

}  // namespace
}  // namespace weighmaster::agent::formats
