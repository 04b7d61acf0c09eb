#include "agent/formats/archive/zip.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
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
constexpr std::uint32_t kAllOnes = 0xffffffff;

// As PyTorch's own writer (miniz, pytorch_caffe2) lays an archive out: every member's content
// begins at a multiple of 64, made so by an extra field "FB" of padding; flags 0x0808 (sizes follow
// and UTF-8 names), the sizes in the local header as well, and a descriptor behind the content.
class TorchArchive {
 public:
  void Add(std::string_view name, std::string_view content) {
    constexpr std::size_t kHeader = 30;
    const std::size_t at = out_.size();
    const std::size_t padding = (64 - (at + kHeader + name.size() + 4) % 64) % 64;
    const auto size = static_cast<std::uint32_t>(content.size());
    out_.U32(0x04034b50).U16(0).U16(0x0808).U16(0).U32(0).U32(0).U32(size).U32(size);
    out_.U16(static_cast<std::uint16_t>(name.size())).U16(static_cast<std::uint16_t>(padding + 4));
    out_.Text(name).Text("FB").U16(static_cast<std::uint16_t>(padding));
    out_.Text(std::string(padding, 'Z'));
    EXPECT_EQ(out_.size() % 64, 0U);
    out_.Text(content).U32(0x08074b50).U32(0).U32(size).U32(size);
    directory_.U32(0x02014b50).U16(0).U16(0).U16(0x0808).U16(0).U32(0).U32(0).U32(size).U32(size);
    directory_.U16(static_cast<std::uint16_t>(name.size())).U16(0).U16(0).U16(0).U16(0).U32(0);
    directory_.U32(static_cast<std::uint32_t>(at)).Text(name);
    ++count_;
  }

  // PyTorch always writes the ZIP64 records, whether they are needed or not.
  base::Bytes Take() {
    const std::size_t begin = out_.size();
    const base::Bytes directory = directory_.Take();
    out_.Text(base::AsText(directory));
    const std::size_t end = out_.size();
    out_.U32(0x06064b50).U64(44).U16(45).U16(45).U32(0).U32(0).U64(count_).U64(count_);
    out_.U64(directory.size()).U64(begin);
    out_.U32(0x07064b50).U32(0).U64(end).U32(1);
    out_.U32(0x06054b50).U16(0).U16(0).U16(0xffff).U16(0xffff).U32(kAllOnes).U32(kAllOnes).U16(0);
    return out_.Take();
  }

 private:
  ByteWriter out_;
  ByteWriter directory_;
  std::uint64_t count_ = 0;
};

// A state dictionary of one tensor of 2 by 3 half floats.
std::string StateDictionary() {
  using namespace std::string_literals;
  return "\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage"
         "ctorch\nHalfStorage\nX\x01\0\0\0"
         "0X\x03\0\0\0cpuK\x06tQK\0K\x02K\x03\x86K\x03K\x01\x86\x89"
         "ccollections\nOrderedDict\n)RtRs."s;
}

TorchArchive Checkpoint(std::string_view pickle) {
  TorchArchive archive;
  archive.Add("tiny/data.pkl", pickle);
  archive.Add("tiny/.format_version", "1");
  archive.Add("tiny/.storage_alignment", "64");
  archive.Add("tiny/byteorder", "little");
  archive.Add("tiny/data/0", std::string(12, 'w'));
  archive.Add("tiny/version", "3\n");
  archive.Add("tiny/.data/serialization_id", std::string(40, '1'));
  return archive;
}

ZipListing List(const base::Bytes& bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  RiskList risks;
  ZipListing listing = ListZipMembers(source, budget, risks);
  EXPECT_TRUE(std::move(risks).Take().empty());
  return listing;
}

TEST(Zip, ListsAnArchiveAsPyTorchLaysItOut) {
  const ZipListing listing = List(Checkpoint(StateDictionary()).Take());
  ASSERT_EQ(listing.members.size(), 7U);
  EXPECT_TRUE(listing.complete);
  for (const ZipMember& member : listing.members) {
    EXPECT_EQ(member.data % 64, 0U) << member.name;
    EXPECT_TRUE(member.other_name.empty()) << member.name;
  }
  EXPECT_EQ(listing.members[4].name, "tiny/data/0");
  EXPECT_EQ(listing.members[4].stored_bytes, 12U);
}

TEST(Zip, RaisesNothingForACheckpointAsPyTorchLaysItOut) {
  const model::Facts facts = ParseBytes(Checkpoint(StateDictionary()).Take());
  EXPECT_EQ(facts.format, Format::kPyTorchZip);
  EXPECT_EQ(facts.name, "tiny");
  EXPECT_EQ(facts.tensor_count, 1U);
  EXPECT_EQ(facts.parameters, 6U);
  EXPECT_EQ(facts.quantization, "F16");
  ASSERT_EQ(facts.risks.size(), 1U) << facts.risks.front().evidence;
  EXPECT_EQ(facts.risks.front().id, "pickle_format");
}

TEST(Zip, FindsCodeInACheckpointAsPyTorchLaysItOut) {
  EXPECT_TRUE(HasRisk(ParseBytes(Checkpoint(kPayload).Take()), kExecutes, Severity::kCritical));
}

// Sizes and offset of a member stand in the extra field where 32 bits do not hold them.
TEST(Zip, ReadsSizesAndOffsetsOf64Bits) {
  const std::string name = "archive/data.pkl";
  const auto length = static_cast<std::uint16_t>(name.size());
  ByteWriter out;
  out.U32(0x04034b50).U16(45).U16(0).U16(0).U32(0).U32(0).U32(kAllOnes).U32(kAllOnes);
  out.U16(length).U16(20).Text(name).U16(1).U16(16).U64(kPayload.size()).U64(kPayload.size());
  out.Text(kPayload);
  const std::size_t begin = out.size();
  out.U32(0x02014b50).U16(45).U16(45).U16(0).U16(0).U32(0).U32(0).U32(kAllOnes).U32(kAllOnes);
  out.U16(length).U16(28).U16(0).U16(0).U16(0).U32(0).U32(kAllOnes).Text(name);
  out.U16(1).U16(24).U64(kPayload.size()).U64(kPayload.size()).U64(0);
  const std::size_t end = out.size();
  out.U32(0x06064b50).U64(44).U16(45).U16(45).U32(0).U32(0).U64(1).U64(1);
  out.U64(end - begin).U64(begin).U32(0x07064b50).U32(0).U64(end).U32(1);
  out.U32(0x06054b50).U16(0).U16(0).U16(0xffff).U16(0xffff).U32(kAllOnes).U32(kAllOnes).U16(0);
  const base::Bytes bytes = out.Take();
  const ZipListing listing = List(bytes);
  ASSERT_EQ(listing.members.size(), 1U);
  EXPECT_EQ(listing.members.front().stored_bytes, kPayload.size());
  EXPECT_TRUE(HasRisk(ParseBytes(bytes), kExecutes, Severity::kCritical));
}

// An archive that is mostly a hole: its last member lies past 4 GB.
class SparseArchive final : public ByteSource {
 public:
  SparseArchive() {
    const std::string name = "archive/data.pkl";
    const auto length = static_cast<std::uint16_t>(name.size());
    const auto size = static_cast<std::uint32_t>(kPayload.size());
    head_ = ByteWriter()
                .U32(0x04034b50)
                .U16(45)
                .U16(0)
                .U16(0)
                .U32(0)
                .U32(0)
                .U32(kAllOnes)
                .U32(kAllOnes)
                .U16(1)
                .U16(20)
                .Text("w")
                .U16(1)
                .U16(16)
                .U64(kFar - 51)
                .U64(kFar - 51)
                .Take();
    ByteWriter tail;
    tail.U32(0x04034b50).U16(45).U16(0).U16(0).U32(0).U32(0).U32(size).U32(size);
    tail.U16(length).U16(0).Text(name).Text(kPayload);
    const std::uint64_t begin = kFar + tail.size();
    tail.U32(0x02014b50).U16(45).U16(45).U16(0).U16(0).U32(0).U32(0).U32(size).U32(size);
    tail.U16(length).U16(12).U16(0).U16(0).U16(0).U32(0).U32(kAllOnes).Text(name);
    tail.U16(1).U16(8).U64(kFar);
    const std::uint64_t end = kFar + tail.size();
    tail.U32(0x06064b50).U64(44).U16(45).U16(45).U32(0).U32(0).U64(1).U64(1);
    tail.U64(end - begin).U64(begin).U32(0x07064b50).U32(0).U64(end).U32(1);
    tail.U32(0x06054b50).U16(0).U16(0).U16(0xffff).U16(0xffff).U32(kAllOnes).U32(kAllOnes);
    tail_ = tail.U16(0).Take();
  }
  std::uint64_t size() const override { return kFar + tail_.size(); }
  base::Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) override {
    std::size_t count = 0;
    for (; count < out.size() && offset < size(); ++count, ++offset) {
      out[count] = offset < head_.size() ? head_[static_cast<std::size_t>(offset)]
                   : offset < kFar       ? std::uint8_t{0}
                                         : tail_[static_cast<std::size_t>(offset - kFar)];
    }
    return count;
  }

 private:
  static constexpr std::uint64_t kFar = 5ULL << 30;
  base::Bytes head_;
  base::Bytes tail_;
};

TEST(Zip, FindsAMemberBehindFourGigabytes) {
  SparseArchive source;
  const model::Facts facts = Parse(source);
  ASSERT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical));
  EXPECT_EQ(FindRisk(facts, "malformed"), nullptr);
}

// Something was put before the archive, and its offsets still count from its own first byte, or
// were corrected. Whoever reads such a file by its directory finds the same members either way.
TEST(Zip, FindsMembersOfAnArchiveBehindOtherBytes) {
  const base::Bytes archive = Checkpoint(kPayload).Take();
  base::Bytes bytes = ByteWriter().Text("#!/bin/sh\nexit\n").Take();
  const std::size_t shift = bytes.size();
  bytes.insert(bytes.end(), archive.begin(), archive.end());
  MemorySource source(bytes);
  WorkBudget budget;
  RiskList risks;
  const ZipListing listing = ListZipMembers(source, budget, risks);
  ASSERT_FALSE(listing.members.empty());
  const ZipMember& first = listing.members.front();
  EXPECT_EQ(first.name, "tiny/data.pkl");
  EXPECT_EQ(first.header, shift);
  EXPECT_EQ(ReadZipMember(source, budget, first, 64),
            base::Bytes(kPayload.begin(), kPayload.end()));
}

TEST(Zip, SaysThatMoreMembersThanItListsAreOpaque) {
  std::vector<tests::ZipFileMember> members(base::limits::kMaxZipEntries + 1);
  for (std::size_t i = 0; i < members.size(); ++i) members[i].name = std::to_string(i);
  const model::Facts facts = ParseBytes(tests::ZipFile(members));
  EXPECT_EQ(facts.format, Format::kPyTorchZip);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
}

}  // namespace
}  // namespace weighmaster::agent::formats
