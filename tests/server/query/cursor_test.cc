#include "server/query/cursor.h"

#include <gtest/gtest.h>

namespace weighmaster::server::query {
namespace {

constexpr model::Sha256 kQuestion{{1}};
constexpr model::Sha256 kAnother{{2}};

Order OrderOf(std::string_view text) { return *ParseOrder(Sightings(), text); }

Position Somewhere() {
  Position position;
  position.values = {std::string("/home/a.b\0c", 11), std::int64_t{-5}};
  position.key = 17;
  position.total = 10'000;
  position.total_is_least = true;
  return position;
}

TEST(Cursor, LeadsBackToItsPosition) {
  const Order order = OrderOf("path, first_seen_time");
  const std::string token = WriteCursor(Somewhere(), kQuestion);
  const auto read = ReadCursor(token, kQuestion, order);
  ASSERT_TRUE(read.has_value()) << read.error().message();
  EXPECT_EQ(*read, Somewhere());
}

TEST(Cursor, OfAnotherQuestionIsRefused) {
  const std::string token = WriteCursor(Somewhere(), kQuestion);
  const auto read = ReadCursor(token, kAnother, OrderOf("path, first_seen_time"));
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code(), base::ErrorCode::kInvalidArgument);
  EXPECT_NE(read.error().message().find("another question"), std::string::npos);
}

TEST(Cursor, ThatWasChangedAnywhereIsRefusedOrIsAnotherPosition) {
  const Order order = OrderOf("path, first_seen_time");
  const std::string token = WriteCursor(Somewhere(), kQuestion);
  for (std::size_t i = 0; i < token.size(); ++i) {
    EXPECT_FALSE(ReadCursor(token.substr(0, i), kQuestion, order).has_value() &&
                 i + 1 < token.size());
    std::string changed = token;
    changed[i] = '~';
    EXPECT_FALSE(ReadCursor(changed, kQuestion, order).has_value()) << changed;
  }
  for (const std::string& odd :
       {token + ".", token + "x", " " + token, std::string("c1"), std::string(100'000, 'c')}) {
    EXPECT_FALSE(ReadCursor(odd, kQuestion, order).has_value());
  }
}

}  // namespace
}  // namespace weighmaster::server::query
