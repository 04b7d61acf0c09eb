#include "server/query/order.h"

#include <gtest/gtest.h>

namespace weighmaster::server::query {
namespace {

TEST(Order, IsReadWithItsDirections) {
  const auto order = ParseOrder(Endpoints(), " hostname desc,os ,\tdenied asc ");
  ASSERT_TRUE(order.has_value());
  ASSERT_EQ(order->size(), 3U);
  EXPECT_EQ(order->at(0).field->name, "hostname");
  EXPECT_TRUE(order->at(0).descending);
  EXPECT_EQ(order->at(1).field->name, "os");
  EXPECT_FALSE(order->at(1).descending);
  EXPECT_FALSE(KeyDescends(Endpoints(), *order));
}

TEST(Order, OfBlanksIsTheListsOwn) {
  EXPECT_TRUE(ParseOrder(Findings(), " ")->empty());
  EXPECT_TRUE(KeyDescends(Findings(), {}));
  EXPECT_FALSE(KeyDescends(Endpoints(), {}));
}

TEST(Order, SaysWhatIsWrong) {
  const auto error = [](std::string_view text) {
    const auto order = ParseOrder(Sightings(), text);
    return order.has_value() ? std::string() : order.error().message();
  };
  EXPECT_EQ(error("pth"), "order_by: \"pth\" is no field; did you mean \"path\"?");
  EXPECT_NE(error("license").find("\"license\" gives no order; "), std::string::npos);
  EXPECT_EQ(error("path down"), "order_by: expected asc, desc or a comma instead of \"down\"");
  EXPECT_EQ(error("path, path desc"), "order_by: path comes twice");
  EXPECT_FALSE(error("path,").empty());
  EXPECT_FALSE(ParseOrder(Endpoints(), "os, hostname, denied, warned").has_value());
}

}  // namespace
}  // namespace weighmaster::server::query
