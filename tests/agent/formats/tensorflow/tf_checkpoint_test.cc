#include "agent/formats/tensorflow/tf_checkpoint.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

constexpr std::uint64_t kF32 = 1, kText = 7, kI64 = 9, kF16 = 19;
constexpr char kMark[] = "\x57\xfb\x80\x8b\x24\x75\x47\xdb";

std::string Varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  return out + static_cast<char>(value);
}
std::string Number(int field, std::uint64_t value) {
  return Varint(static_cast<std::uint64_t>(field) * 8) + Varint(value);
}
std::string Field(int field, const std::string& content) {
  return Varint(static_cast<std::uint64_t>(field) * 8 + 2) + Varint(content.size()) + content;
}
std::string Little32(std::uint32_t value) {
  std::string out;
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

// Keys share what they can, as TensorFlow writes them; the last four bytes count one restart.
std::string Block(const Entries& entries) {
  std::string out;
  std::string last;
  for (const auto& [key, value] : entries) {
    std::size_t shared = 0;
    while (shared < key.size() && shared < last.size() && key[shared] == last[shared]) ++shared;
    out += Varint(shared) + Varint(key.size() - shared) + Varint(value.size());
    out += key.substr(shared) + value;
    last = key;
  }
  return out + Little32(0) + Little32(1);
}

// A table of the blocks given. A test departs from it by the last three.
struct Table {
  std::vector<std::string> blocks;
  std::string between = {};       // behind the data blocks, in none of them
  char packing = '\0';            // of the last data block
  std::uint64_t index_shift = 0;  // of where the index says the blocks lie

  std::string Build() const {
    std::string out;
    Entries index;
    const auto add = [&](const std::string& block, char how) {
      const std::string handle = Varint(out.size() + index_shift) + Varint(block.size());
      out += block + how + "crc!";
      return handle;
    };
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const bool last = i + 1 == blocks.size();
      index.emplace_back("key" + std::to_string(i), add(blocks[i], last ? packing : '\0'));
    }
    out += between;
    const std::uint64_t meta = out.size();
    const std::string empty = Block({});
    out += empty + std::string(1, '\0') + "crc!";
    const std::string index_block = Block(index);
    std::string footer =
        Varint(meta) + Varint(empty.size()) + Varint(out.size()) + Varint(index_block.size());
    out += index_block + std::string(1, '\0') + "crc!";
    footer.resize(40);
    return out + footer + kMark;
  }
};

std::string Header(std::uint64_t shards = 1) { return Number(1, shards) + Field(3, Number(1, 1)); }
std::string Entry(std::uint64_t type, const std::vector<std::uint64_t>& extents, std::uint64_t size,
                  std::uint64_t shard = 0) {
  std::string shape;
  for (const std::uint64_t extent : extents) shape += Field(2, Number(1, extent));
  return Number(1, type) + Field(2, shape) + Number(3, shard) + Number(4, 0) + Number(5, size) +
         "\x35"
         "crc!";
}

model::Facts Read(const std::string& bytes) {
  MemorySource source(base::AsBytes(bytes));
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseTfCheckpoint(source, budget, tensors);
}
bool Looks(const std::string& bytes) {
  const base::ByteView view = base::AsBytes(bytes);
  const std::size_t head = std::min(view.size(), kSniffHeadBytes);
  const std::size_t tail = std::min(view.size(), kSniffTailBytes);
  return LooksLikeTfCheckpoint({view.first(head), view.last(tail), view.size()});
}
std::string Evidence(const std::string& bytes) {
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kTfCheckpoint);
  EXPECT_EQ(facts.parameters, std::nullopt);
  const model::Risk* const risk = FindRisk(facts, "malformed");
  return risk == nullptr ? "" : risk->evidence;
}

TEST(TfCheckpoint, CountsTheTensorsOfAllBlocks) {
  const std::string bytes =
      Table{{Block({{"", Header()},
                    {"_CHECKPOINTABLE_OBJECT_GRAPH", Entry(kText, {}, 900)},
                    {"layer/bias", Entry(kF32, {4}, 16)},
                    {"layer/kernel", Entry(kF32, {3, 4}, 48)}}),
             Block({{"save_counter", Entry(kI64, {}, 8)}, {"x", Entry(kF16, {5}, 10)}})}}
          .Build();
  ASSERT_TRUE(Looks(bytes));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kTfCheckpoint);
  EXPECT_EQ(facts.tensor_count, 4U);
  EXPECT_EQ(facts.parameters, 4U + 12U + 1U + 5U);
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(TfCheckpoint, CountsATensorThatIsSavedInSlicesOnce) {
  const std::string whole = Number(1, kF32) + Field(2, Field(2, Number(1, 10))) + Field(7, "");
  const std::string bytes = Table{
      {Block({{"", Header(2)},
              {std::string("\0part0", 6), Entry(kF32, {6}, 24)},
              {std::string("\0part1", 6), Entry(kF32, {4}, 16, 1)},
              {"w", whole}})}}.Build();
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.tensor_count, 1U);
  EXPECT_EQ(facts.parameters, 10U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(TfCheckpoint, SaysWhatIsBrokenAboutATensor) {
  const auto with = [](const std::string& entry) {
    return Evidence(Table{{Block({{"", Header()}, {"w", entry}})}}.Build());
  };
  EXPECT_NE(with(Entry(kF32, {3}, 13)).find("do not fit its shape"), std::string::npos);
  EXPECT_NE(with(Entry(kF32, {3}, 12, 1)).find("in data file 1 of 1"), std::string::npos);
  EXPECT_NE(with(Entry(kF32, {~0ULL}, 12)).find("extents that can't be"), std::string::npos);
  EXPECT_NE(with("\x0a\x7f").find("an entry that is broken"), std::string::npos);
}

TEST(TfCheckpoint, SaysWhatIsBrokenAboutTheTable) {
  const std::string block = Block({{"", Header()}, {"w", Entry(kF32, {3}, 12)}});
  EXPECT_NE(Evidence(Table{{block}, "", '\x07'}.Build()).find("no list"), std::string::npos);
  EXPECT_NE(Evidence(Table{{block}, "", '\0', 1'000'000}.Build()).find("a block of"),
            std::string::npos);
  std::string shared = Table{{block}}.Build();
  shared[shared.find('w') - 3] = 5;  // more than the key before has
  EXPECT_NE(Evidence(shared).find("an entry that is none"), std::string::npos);
  std::string restarts = Table{{block}}.Build();
  restarts.replace(block.size() - 4, 4, "\xff\xff\xff\xff");
  EXPECT_NE(Evidence(restarts).find("no list"), std::string::npos);
  std::string footer = Table{{block}}.Build();
  footer.replace(footer.size() - 48, 40, std::string(40, '\xff'));
  EXPECT_NE(Evidence(footer).find("a footer without its blocks"), std::string::npos);
  EXPECT_NE(Evidence(Table{{block, Block({{"", Header()}})}}.Build()).find("a second header"),
            std::string::npos);
}

TEST(TfCheckpoint, DoesNotReadABlockTwice) {
  const std::string block = Block({{"", Header()}, {"w", Entry(kF32, {3}, 12)}});
  const std::string handle = Varint(0) + Varint(block.size());
  Entries entries;
  for (int i = 0; i < 1'000; ++i) entries.emplace_back(std::to_string(1'000 + i), handle);
  const std::string index = Block(entries);
  std::string bytes = block + std::string(1, '\0') + "crc!";
  const std::string place = Varint(bytes.size()) + Varint(index.size());
  std::string footer = place + place;
  footer.resize(40);
  bytes += index + std::string(1, '\0') + "crc!" + footer + kMark;
  EXPECT_NE(Evidence(bytes).find("a block inside of another"), std::string::npos);
  EXPECT_EQ(Read(bytes).tensor_count, 1U);
}

TEST(TfCheckpoint, TellsOfBytesInNoBlock) {
  const std::string block = Block({{"", Header()}});
  const model::Facts facts = Read(Table{{block}, "hidden"}.Build());
  ASSERT_TRUE(HasRisk(facts, "trailing_data", Severity::kMedium));
  EXPECT_EQ(FindRisk(facts, "trailing_data")->evidence, "6 bytes that are in no block");
}

TEST(TfCheckpoint, SaysThatABlockIsPacked) {
  const std::string block = Block({{"", Header()}, {"w", Entry(kF32, {3}, 12)}});
  EXPECT_TRUE(HasRisk(Read(Table{{block, block}, "", '\x01'}.Build()), "opaque", Severity::kHigh));
  // The first one: Snappy begins with the length, and bytes as they are.
  const std::string packed =
      Varint(block.size()) + static_cast<char>((block.size() - 1) << 2) + block;
  ASSERT_LE(block.size(), 60U);
  const std::string bytes = Table{{packed}, "", '\x01'}.Build();
  ASSERT_TRUE(Looks(bytes));
  EXPECT_TRUE(HasRisk(Read(bytes), "opaque", Severity::kHigh));
}

TEST(TfCheckpoint, SaysThatTheVersionIsNewer) {
  const std::string header = Number(1, 1) + Field(3, Number(1, 9) + Number(2, 9));
  EXPECT_TRUE(
      HasRisk(Read(Table{{Block({{"", header}})}}.Build()), "unsupported_version", Severity::kLow));
}

TEST(TfCheckpoint, IsNoTableOfAnotherProgram) {
  EXPECT_TRUE(Looks(Table{{Block({{"", Header()}})}}.Build()));
  EXPECT_FALSE(Looks(""));
  EXPECT_FALSE(Looks(kMark));
  EXPECT_FALSE(Looks(Table{{Block({{"key", Header()}})}}.Build()));  // LevelDB
  EXPECT_FALSE(Looks(Table{{Block({{"", ""}})}}.Build()));
  EXPECT_FALSE(Looks(Table{{Block({{"", "a text"}})}}.Build()));
  EXPECT_FALSE(Looks(Table{{Block({{"", Header(1ULL << 40)}})}}.Build()));
  std::string other = Table{{Block({{"", Header()}})}}.Build();
  other.back() = '\0';
  EXPECT_FALSE(Looks(other));
  EXPECT_EQ(Read(Table{{Block({{"key", Header()}})}}.Build()).format, Format::kUnknown);
}

TEST(TfCheckpoint, EndsWithinItsBudget) {
  Entries entries = {{"", Header()}};
  for (int i = 0; i < 20'000; ++i) {
    entries.emplace_back("layer" + std::to_string(100'000 + i), Entry(kF32, {3}, 12));
  }
  const std::string bytes = Table{{Block(entries)}}.Build();
  MemorySource source(base::AsBytes(bytes));
  WorkBudget budget(2'000'000);
  TensorMapWriter tensors(true);
  EXPECT_TRUE(HasRisk(ParseTfCheckpoint(source, budget, tensors), "opaque", Severity::kHigh));
}

}  // namespace
}  // namespace weighmaster::agent::formats
