#include "agent/formats/archive/tar.h"

#include <gtest/gtest.h>

#include <utility>

#include "tests/agent/formats/parsed.h"
#include "tests/agent/formats/tar_file.h"

namespace weighmaster::agent::formats {
namespace {

using model::Severity;

struct Listed {
  TarListing listing;
  model::Facts facts;  // only its risks
};

Listed List(const base::Bytes& bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  RiskList risks;
  Listed listed;
  listed.listing = ListTarMembers(source, budget, risks);
  listed.facts.risks = std::move(risks).Take();
  return listed;
}

std::string Malformed(const base::Bytes& bytes) {
  const model::Facts facts = List(bytes).facts;
  const model::Risk* const risk = FindRisk(facts, "malformed");
  return risk == nullptr ? std::string() : risk->evidence;
}

bool Looks(const base::Bytes& bytes) {
  const base::ByteView head =
      base::ByteView(bytes).first(std::min<std::size_t>(bytes.size(), 4096));
  return LooksLikeTar({head, {}, bytes.size()});
}

TEST(Tar, ListsFilesFoldersAndLinks) {
  const base::Bytes bytes = TarFile()
                                .Add("folder/", "", '5')
                                .Add("folder/a", std::string(513, 'x'))
                                .Add("b", "y", '\0')
                                .Add("to_a", "", '2', "folder/a")
                                .Add("also_b", "", '1', "b")
                                .Take();
  ASSERT_TRUE(Looks(bytes));
  const auto [listing, facts] = List(bytes);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_TRUE(listing.complete);
  ASSERT_EQ(listing.members.size(), 5U);
  EXPECT_EQ(listing.members[0].type, TarType::kFolder);
  EXPECT_EQ(listing.members[1].name, "folder/a");
  EXPECT_EQ(listing.members[1].data, 1'024U);
  EXPECT_EQ(listing.members[1].bytes, 513U);
  EXPECT_EQ(listing.members[2].type, TarType::kFile);
  EXPECT_EQ(listing.members[2].data, 2'560U);
  EXPECT_EQ(listing.members[3].type, TarType::kSymbolicLink);
  EXPECT_EQ(listing.members[3].link, "folder/a");
  EXPECT_EQ(listing.members[4].type, TarType::kHardLink);
}

TEST(Tar, ReadsTheOldestHeadersAndPrefixes) {
  TarFile tar;
  TarFile::Header old;
  old.name = "old/";
  old.type = '\0';
  old.magic = "";
  TarFile::Header prefixed;
  prefixed.name = "name";
  prefixed.prefix = "a/long/folder";
  const base::Bytes bytes = tar.Add(old).Add(prefixed).Take();
  ASSERT_TRUE(Looks(bytes));
  const Listed listed = List(bytes);
  ASSERT_EQ(listed.listing.members.size(), 2U);
  EXPECT_EQ(listed.listing.members[0].type, TarType::kFolder);
  EXPECT_EQ(listed.listing.members[1].name, "a/long/folder/name");
}

TEST(Tar, TakesLongNamesFromTheHeadersBefore) {
  const std::string name(300, 'n');
  const Listed listed = List(
      TarFile()
          .Add("././@LongLink", std::string(299, 'l') + std::string(1, '\0'), 'K')
          .Add("././@LongLink", name + std::string(1, '\0'), 'L')
          .Add("nnn", "", '2', "lll")
          .Add("PaxHeader", TarFile::Record("mtime", "1.5") + TarFile::Record("path", "p/q"), 'x')
          .Add("short", "12")
          .Add("next", "3")
          .Take());
  EXPECT_TRUE(listed.facts.risks.empty());
  ASSERT_EQ(listed.listing.members.size(), 3U);
  EXPECT_EQ(listed.listing.members[0].name, name);
  EXPECT_EQ(listed.listing.members[0].link, std::string(299, 'l'));
  EXPECT_EQ(listed.listing.members[1].name, "p/q");
  EXPECT_EQ(listed.listing.members[2].name, "next");
}

// tarfile applies several headers of one member from the last one back.
TEST(Tar, BelievesTheFirstOfTwoLongNames) {
  const Listed listed = List(TarFile()
                                 .Add("L", "first", 'L')
                                 .Add("x", TarFile::Record("path", "second"), 'x')
                                 .Add("third", "")
                                 .Take());
  ASSERT_EQ(listed.listing.members.size(), 1U);
  EXPECT_EQ(listed.listing.members[0].name, "first");
}

TEST(Tar, TakesTheSizeOfAPaxHeaderAndOfBase256) {
  TarFile tar;
  tar.Add("x", TarFile::Record("size", "3"), 'x');
  TarFile::Header small;
  small.name = "a";
  small.content = "abc";
  small.size_field = "00000000000";
  tar.Add(small);
  TarFile::Header large;
  large.name = "b";
  large.content = "four";
  large.size_field = std::string("\x80\0\0\0\0\0\0\0\0\0\0\x04", 12);
  tar.Add(large).Add("c", "");
  const Listed listed = List(tar.Take());
  EXPECT_TRUE(listed.facts.risks.empty());
  ASSERT_EQ(listed.listing.members.size(), 3U);
  EXPECT_EQ(listed.listing.members[0].bytes, 3U);
  EXPECT_EQ(listed.listing.members[1].bytes, 4U);
  EXPECT_EQ(listed.listing.members[2].name, "c");
}

TEST(Tar, CallsAFileSparseWhereverThatIsSaid) {
  TarFile tar;
  tar.Add("x",
          TarFile::Record("GNU.sparse.name", "real") + TarFile::Record("GNU.sparse.major", "1"),
          'x');
  tar.Add("GNUSparseFile.0/real", "0\n").Add("old", "12", 'S');
  const Listed listed = List(tar.Take());
  ASSERT_EQ(listed.listing.members.size(), 2U);
  EXPECT_EQ(listed.listing.members[0].name, "real");
  EXPECT_EQ(listed.listing.members[0].type, TarType::kSparseFile);
  EXPECT_EQ(listed.listing.members[1].type, TarType::kSparseFile);
}

TEST(Tar, TellsOfLinksThatLeaveTheFolder) {
  const auto escapes = [](char type, const std::string& name, const std::string& link) {
    return HasRisk(List(TarFile().Add(name, "", type, link).Take()).facts, "archive_path_escapes",
                   Severity::kHigh);
  };
  EXPECT_TRUE(escapes('2', "a", "/etc/passwd"));
  EXPECT_TRUE(escapes('2', "a/b", "../../c"));
  EXPECT_TRUE(escapes('2', "./b", "../c"));
  EXPECT_TRUE(escapes('1', "a/b", "../c"));
  EXPECT_FALSE(escapes('2', "a/b", "../c"));
  EXPECT_FALSE(escapes('2', "a/b", "c/../../d"));
  EXPECT_FALSE(escapes('1', "a/b", "c"));
}

TEST(Tar, SaysWhichRuleIsBroken) {
  TarFile::Header wrong;
  wrong.name = "b";
  wrong.checksum_off_by = 1;
  EXPECT_EQ(Malformed(TarFile().Add("a", "").Add(wrong).Take()),
            "a header with a wrong checksum at offset 0x200");
  TarFile::Header no_number;
  no_number.name = "b";
  no_number.size_field = "12x45678901";
  EXPECT_EQ(Malformed(TarFile().Add("a", "").Add(no_number).Take()),
            "a size that is no number at offset 0x200");
  TarFile::Header negative = no_number;
  negative.size_field = std::string(12, '\xff');
  EXPECT_EQ(Malformed(TarFile().Add("a", "").Add(negative).Take()),
            "a size that is no number at offset 0x200");
  TarFile::Header past;
  past.name = "a";
  past.size_field = "77777777777";
  EXPECT_EQ(Malformed(TarFile().Add(past).Take()),
            "a member that ends past the file at offset 0x0");
  EXPECT_EQ(Malformed(TarFile().Add("x", "99 path=a\n", 'x').Add("a", "").Take()),
            "an extended header that breaks its rules at offset 0x0");
  EXPECT_EQ(Malformed(TarFile().Add("g", TarFile::Record("size", "4"), 'g').Add("a", "").Take()),
            "a size for all members at offset 0x0");
  base::Bytes cut = TarFile().Add("a", "").Add("b", "").WithoutEnd();
  cut.resize(700);
  EXPECT_EQ(Malformed(cut), "a header that is cut off at offset 0x200");
  EXPECT_EQ(Malformed(TarFile().Add("a", "").WithoutEnd()), "");
}

TEST(Tar, TellsOfWhatFollowsTheEnd) {
  base::Bytes bytes = TarFile().Add("a", "x").Take();
  bytes.resize(10'240);
  EXPECT_TRUE(List(bytes).facts.risks.empty());
  bytes.push_back('!');
  EXPECT_TRUE(HasRisk(List(bytes).facts, "trailing_data", Severity::kMedium));
}

TEST(Tar, IsNoOtherFile) {
  EXPECT_FALSE(Looks(base::Bytes(10'240)));
  EXPECT_FALSE(Looks(base::Bytes(10'240, 'x')));
  base::Bytes bytes = TarFile().Add("a", "x").Take();
  EXPECT_TRUE(Looks(bytes));
  bytes[0] = 'b';
  EXPECT_FALSE(Looks(bytes));
  bytes[0] = 'a';
  bytes.resize(511);
  EXPECT_FALSE(Looks(bytes));
}

// A member of 8 GiB that is not read, and its follower behind it.
TEST(Tar, PassesOverContent) {
  TarFile tar;
  TarFile::Header large;
  large.name = "w";
  large.size_field = std::string("\x80\0\0\0\0\0\0\x02\0\0\0\0", 12);
  const base::Bytes head = tar.Add(large).Take();
  CountedSource source(head, (std::uint64_t{8} << 30) + 1'024);
  WorkBudget budget;
  RiskList risks;
  const TarListing listing = ListTarMembers(source, budget, risks);
  ASSERT_EQ(listing.members.size(), 1U);
  EXPECT_EQ(listing.members[0].bytes, std::uint64_t{8} << 30);
  EXPECT_LT(source.bytes_read(), 10'000U);
}

TEST(Tar, SaysThatMoreMembersThanItListsAreThere) {
  TarFile tar;
  for (std::size_t i = 0; i <= base::limits::kMaxZipEntries; ++i) tar.Add("a", "");
  EXPECT_FALSE(List(tar.Take()).listing.complete);
}

TEST(Tar, EndsWithinItsBudgetOnHeadersWithoutAMember) {
  TarFile tar;
  for (int i = 0; i < 20'000; ++i) tar.Add("g", TarFile::Record("comment", "x"), 'g');
  const base::Bytes bytes = tar.Take();
  MemorySource source(bytes);
  WorkBudget budget(1'000'000);
  RiskList risks;
  EXPECT_FALSE(ListTarMembers(source, budget, risks).complete);
}

}  // namespace
}  // namespace weighmaster::agent::formats
