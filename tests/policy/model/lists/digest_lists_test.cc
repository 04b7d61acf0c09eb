#include "policy/model/lists/digest_lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "policy/base/random.h"

namespace weighmaster::model {
namespace {

using ::testing::HasSubstr;

Sha256 Digest(std::uint8_t last) {
  Sha256 digest;
  digest.bytes[31] = last;
  return digest;
}

void Write(base::Bytes& bytes, std::size_t at, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

std::string ErrorOf(const base::Bytes& bytes) {
  const auto view = DigestListsView::Parse(bytes);
  return view.has_value() ? "it was accepted" : view.error().message();
}

constexpr std::size_t kFirstEntry = 16;
constexpr std::size_t kSecondEntry = 40;
constexpr std::size_t kThirdEntry = 64;

TEST(DigestLists, AreEncodedAsTheSpecificationsExampleSays) {
  // docs/formats/policy-lists.md, "Example". Frozen: never edit it.
  const std::string expected =
      "574d4c495354533103000000000000000100000020000000000000000000000058000000000000000200000020"
      "000000010000000000000058000000000000000300000020000000000000000000000078000000000000000000"
      "0000000000000000000000000000000000000000000000000000000000ff";
  EXPECT_EQ(base::HexEncode(EncodeDigestLists({{}, {Digest(0xff)}, {}})), expected);
}

TEST(DigestLists, FindWhatWasPutInAndNothingElse) {
  base::SeededRandom random(11);
  DigestLists lists;
  std::vector<Sha256> strangers;
  for (int i = 0; i < 1'000; ++i) {
    Sha256 digest;
    random.Fill(digest.bytes);
    std::vector<Sha256>* const to[] = {&lists.blocked, &lists.denied, &lists.approved, &strangers};
    to[i % 4]->push_back(digest);
  }
  const base::Bytes bytes = EncodeDigestLists(lists);
  const DigestListsView view = DigestListsView::Parse(bytes).value();
  for (const Sha256& digest : lists.blocked) {
    EXPECT_TRUE(view.Contains(ListKind::kBlocked, digest));
    EXPECT_FALSE(view.Contains(ListKind::kApproved, digest));
  }
  for (const Sha256& digest : lists.denied) EXPECT_TRUE(view.Contains(ListKind::kDenied, digest));
  for (const Sha256& digest : lists.approved) {
    EXPECT_TRUE(view.Contains(ListKind::kApproved, digest));
  }
  for (const Sha256& digest : strangers) {
    for (const ListKind kind : {ListKind::kBlocked, ListKind::kDenied, ListKind::kApproved}) {
      EXPECT_FALSE(view.Contains(kind, digest));
    }
  }
}

TEST(DigestLists, AreSortedAndWithoutRepeats) {
  const base::Bytes bytes = EncodeDigestLists({{Digest(3), Digest(1), Digest(3)}, {}, {}});
  EXPECT_EQ(DigestListsView::Parse(bytes).value().count(ListKind::kBlocked), 2U);
  EXPECT_EQ(bytes, EncodeDigestLists({{Digest(1), Digest(3)}, {}, {}}));
  EXPECT_LE(bytes.size(), MaxEncodedListsBytes(2));
}

TEST(DigestLists, NoListsHoldNothing) {
  EXPECT_FALSE(DigestListsView().Contains(ListKind::kBlocked, Digest(1)));
  EXPECT_EQ(DigestListsView().count(ListKind::kApproved), 0U);
}

TEST(DigestLists, EveryCutOffPartIsRefused) {
  const base::Bytes whole = EncodeDigestLists({{Digest(1)}, {Digest(2), Digest(3)}, {Digest(4)}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const base::Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(DigestListsView::Parse(part).has_value()) << size;
  }
}

TEST(DigestLists, BytesAfterTheEndAreRefused) {
  base::Bytes bytes = EncodeDigestLists({});
  bytes.push_back(0);
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("after the last list"));
}

TEST(DigestLists, DisorderRepeatsAndOtherRecordSizesAreRefused) {
  const base::Bytes good = EncodeDigestLists({{Digest(1), Digest(2)}, {}, {}});
  base::Bytes bytes = good;
  bytes[bytes.size() - 33] = 2;
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("not sorted")) << "twice the same";
  bytes[bytes.size() - 33] = 3;
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("not sorted"));
  bytes = good;
  Write(bytes, kFirstEntry + 4, 64, 4);
  Write(bytes, kFirstEntry + 8, 1, 8);
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("32 bytes"));
}

TEST(DigestLists, LyingTablesAreRefused) {
  const base::Bytes good = EncodeDigestLists({{Digest(1)}, {Digest(1)}, {}});
  base::Bytes bytes = good;
  Write(bytes, kFirstEntry + 8, std::uint64_t{1} << 63, 8);
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("cut off")) << "a count whose product overflows";
  bytes = good;
  Write(bytes, kSecondEntry + 16, 88, 8);
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("does not begin where")) << "overlapping lists";
  bytes = good;
  Write(bytes, kSecondEntry, 1, 4);
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("out of order")) << "one kind twice";
  bytes = good;
  Write(bytes, kFirstEntry, 0, 4);
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("out of order")) << "kind 0";
  bytes = good;
  Write(bytes, kThirdEntry + 4, 0, 4);
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("no size"));
  bytes = good;
  Write(bytes, 8, 0xffffffff, 4);
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("more than 64"));
  bytes = good;
  Write(bytes, 12, 1, 4);
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("reserved"));
  bytes = good;
  bytes[7] = '2';
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("WMLISTS1"));
}

TEST(DigestLists, AKindThatThisReaderDoesNotKnowIsSkipped) {
  base::Bytes bytes = EncodeDigestLists({{Digest(1)}, {}, {Digest(9)}});
  // The approved list becomes a list of kind 700 with 16 records of two bytes in no order.
  Write(bytes, kThirdEntry, 700, 4);
  Write(bytes, kThirdEntry + 4, 2, 4);
  Write(bytes, kThirdEntry + 8, 16, 8);
  const DigestListsView view = DigestListsView::Parse(bytes).value();
  EXPECT_TRUE(view.Contains(ListKind::kBlocked, Digest(1)));
  EXPECT_FALSE(view.Contains(ListKind::kApproved, Digest(9)));
}

}  // namespace
}  // namespace weighmaster::model
