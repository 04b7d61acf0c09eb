#include "policy/model/lists/lists_delta.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "policy/base/random.h"
#include "policy/model/lists/digest_lists.h"
#include "policy/model/lists/encoded_lists.h"

namespace weighmaster::model {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

// Records of each kind, in the order in which they are to be encoded.
using Lists = std::map<std::uint32_t, std::vector<base::Bytes>>;

base::Bytes Encode(const Lists& lists, std::map<std::uint32_t, std::uint32_t> sizes = {}) {
  std::vector<ListShape> shapes;
  for (const auto& [kind, records] : lists) {
    const std::uint32_t size = sizes.contains(kind) ? sizes[kind] : 32;
    shapes.push_back({kind, size, records.size()});
  }
  base::Bytes out;
  AppendEncodedListsHead(out, shapes);
  for (const auto& [kind, records] : lists) {
    for (const base::Bytes& record : records) out.insert(out.end(), record.begin(), record.end());
  }
  return out;
}

Sha256 Digest(std::uint8_t last) {
  Sha256 digest;
  digest.bytes[31] = last;
  return digest;
}

base::Bytes Apply(const base::Bytes& from, const base::Bytes& delta, const base::Bytes& to) {
  auto made = ApplyListsDelta(from, delta, to.size());
  EXPECT_TRUE(made.has_value()) << made.error().message();
  return made.has_value() ? *std::move(made) : base::Bytes();
}

std::string ErrorOf(const base::Bytes& from, const base::Bytes& delta, std::uint64_t size) {
  const auto made = ApplyListsDelta(from, delta, size);
  return made.has_value() ? "it was applied" : made.error().message();
}

// Few values, so that lists share records, and kinds that no reader knows.
Lists RandomLists(base::Random& random, const std::map<std::uint32_t, std::uint32_t>& sizes) {
  Lists lists;
  for (const auto& [kind, size] : sizes) {
    if (random.Below(4) == 0) continue;
    std::set<base::Bytes> records;
    const std::uint64_t count = random.Below(60);
    for (std::uint64_t n = 0; n < count; ++n) {
      base::Bytes record(size);
      record[random.Below(size)] = static_cast<std::uint8_t>(random.Below(5));
      record.back() = static_cast<std::uint8_t>(random.Below(100));
      records.insert(std::move(record));
    }
    lists[kind].assign(records.begin(), records.end());
  }
  return lists;
}

TEST(ListsDelta, LeadsFromAnyListsToAnyOthersByteForByte) {
  base::SeededRandom random(17);
  for (int round = 0; round < 2'000; ++round) {
    std::map<std::uint32_t, std::uint32_t> sizes;
    const std::uint64_t kinds = random.Below(5);
    for (std::uint64_t n = 0; n < kinds; ++n) {
      sizes[static_cast<std::uint32_t>(1 + random.Below(900))] =
          static_cast<std::uint32_t>(1 + random.Below(40));
    }
    const base::Bytes from = Encode(RandomLists(random, sizes), sizes);
    const base::Bytes to = Encode(RandomLists(random, sizes), sizes);
    const auto delta = EncodeListsDelta(from, to, kNoLimit);
    ASSERT_TRUE(delta.has_value()) << round;
    ASSERT_EQ(Apply(from, *delta, to), to) << round;
  }
}

TEST(ListsDelta, IsEncodedAsTheSpecificationsExampleSays) {
  // docs/formats/policy-lists-delta.md, "Example".
  const base::Bytes from = EncodeDigestLists({{}, {Digest(0xff)}, {Digest(1)}});
  const base::Bytes to = EncodeDigestLists({{}, {Digest(0xff), Digest(0xee)}, {}});
  const std::string expected =
      "574d44454c5441310300000000000000010000002000000000000000000000000000000000000000020000002000"
      "000000000000000000000100000000000000030000002000000001000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000ee"
      "0000000000000000000000000000000000000000000000000000000000000001";
  EXPECT_EQ(base::HexEncode(*EncodeListsDelta(from, to, kNoLimit)), expected);
}

TEST(ListsDelta, OneDigestCostsAFewBytesWhateverTheLists) {
  DigestLists lists;
  base::SeededRandom random(3);
  for (int n = 0; n < 20'000; ++n) {
    Sha256 digest;
    random.Fill(digest.bytes);
    lists.approved.push_back(digest);
  }
  const base::Bytes from = EncodeDigestLists(lists);
  lists.approved.push_back(Digest(1));
  lists.approved[0] = Digest(2);
  const base::Bytes to = EncodeDigestLists(lists);
  const auto delta = EncodeListsDelta(from, to, 256);
  ASSERT_TRUE(delta.has_value());
  EXPECT_EQ(Apply(from, *delta, to), to);
}

TEST(ListsDelta, ThereIsNoneThatIsLongerThanItMayBe) {
  const base::Bytes from = EncodeDigestLists({});
  const base::Bytes to = EncodeDigestLists({{Digest(1)}, {Digest(2)}, {Digest(3)}});
  const std::size_t size = EncodeListsDelta(from, to, kNoLimit)->size();
  EXPECT_TRUE(EncodeListsDelta(from, to, size).has_value());
  EXPECT_FALSE(EncodeListsDelta(from, to, size - 1).has_value());
  EXPECT_FALSE(EncodeListsDelta(from, to, 40).has_value());
}

TEST(ListsDelta, ThereIsNoneOfListsWithoutAnOrderUnlessTheyAreTheSame) {
  const std::vector<base::Bytes> disorder = {{2, 2}, {1, 1}};
  const base::Bytes from = Encode({{1, {}}, {700, disorder}}, {{700, 2}});
  const base::Bytes kept = Encode({{1, {base::Bytes(32, 7)}}, {700, disorder}}, {{700, 2}});
  EXPECT_EQ(Apply(from, *EncodeListsDelta(from, kept, kNoLimit), kept), kept);
  const base::Bytes other = Encode({{1, {}}, {700, {{1, 1}}}}, {{700, 2}});
  EXPECT_FALSE(EncodeListsDelta(from, other, kNoLimit).has_value());
  EXPECT_FALSE(EncodeListsDelta(other, from, kNoLimit).has_value());
}

TEST(ListsDelta, ThereIsNoneWhereRecordsChangeTheirSizeOrAPartCannotBeRead) {
  const base::Bytes from = Encode({{9, {{1, 1}}}}, {{9, 2}});
  const base::Bytes to = Encode({{9, {{1}}}}, {{9, 1}});
  EXPECT_FALSE(EncodeListsDelta(from, to, kNoLimit).has_value());
  EXPECT_FALSE(EncodeListsDelta(base::Bytes(7), to, kNoLimit).has_value());
  EXPECT_FALSE(EncodeListsDelta(to, base::Bytes(7), kNoLimit).has_value());
}

TEST(ListsDelta, EveryCutOffDeltaIsRefused) {
  const base::Bytes from = EncodeDigestLists({{Digest(1)}, {}, {Digest(9)}});
  const base::Bytes to = EncodeDigestLists({{Digest(2)}, {Digest(3)}, {}});
  const base::Bytes delta = *EncodeListsDelta(from, to, kNoLimit);
  for (std::size_t size = 0; size < delta.size(); ++size) {
    const base::Bytes part(delta.begin(), delta.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(ApplyListsDelta(from, part, to.size()).has_value()) << size;
  }
}

TEST(ListsDelta, LyingDeltasAreRefused) {
  const base::Bytes from = EncodeDigestLists({{Digest(1)}, {}, {}});
  const base::Bytes to = EncodeDigestLists({{Digest(2)}, {}, {}});
  const base::Bytes good = *EncodeListsDelta(from, to, kNoLimit);
  const auto broken = [&](std::size_t at, std::uint8_t value) {
    base::Bytes delta = good;
    delta[at] = value;
    return ErrorOf(from, delta, to.size());
  };
  EXPECT_THAT(broken(7, '2'), HasSubstr("WMDELTA1"));
  EXPECT_THAT(broken(12, 1), HasSubstr("reserved"));
  EXPECT_THAT(broken(8, 200), HasSubstr("table is cut off"));
  EXPECT_THAT(broken(16, 0), HasSubstr("out of order"));
  EXPECT_THAT(broken(20, 0), HasSubstr("no size"));
  EXPECT_THAT(broken(20, 16), HasSubstr("another size"));
  EXPECT_THAT(broken(31, 0x80), HasSubstr("cut off"));
  EXPECT_THAT(ErrorOf(EncodeDigestLists({}), good, to.size()),
              HasSubstr("more records than there are"));
  EXPECT_THAT(broken(24, 0), HasSubstr("after the last record"));
  EXPECT_THAT(broken(88 + 31, 5), HasSubstr("removes a record that is not there"));
  EXPECT_THAT(ErrorOf(from, good, to.size() + 32), HasSubstr("another size"));
  EXPECT_THAT(ErrorOf(base::Bytes(3), good, to.size()), HasSubstr("no digest lists"));
  base::Bytes doubled = *EncodeListsDelta(EncodeDigestLists({}), from, kNoLimit);
  EXPECT_THAT(ErrorOf(from, doubled, from.size() + 32), HasSubstr("adds a record that is there"));
}

}  // namespace
}  // namespace weighmaster::model
