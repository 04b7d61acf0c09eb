#include "agent/control/frame.h"

#include <gtest/gtest.h>

#include <string>

namespace weighmaster::agent::control {
namespace {

TEST(Frame, IsALittleEndianLengthAndTheMessage) {
  EXPECT_EQ(EncodeFrame("abc"), std::string("\x03\0\0\0abc", 7));
  EXPECT_EQ(EncodeFrame(std::string(0x0102, 'x')).substr(0, 4), std::string("\x02\x01\0\0", 4));
}

TEST(FrameReader, ReadsAFrameByteByByte) {
  const std::string frame = EncodeFrame("hello");
  FrameReader reader(100);
  for (std::size_t i = 0; i < frame.size(); ++i) {
    const base::Result<bool> whole = reader.Append(base::AsBytes(frame).subspan(i, 1));
    ASSERT_TRUE(whole.has_value());
    EXPECT_EQ(*whole, i + 1 == frame.size());
  }
  EXPECT_EQ(reader.message(), "hello");
}

TEST(FrameReader, ReadsAnEmptyMessage) {
  FrameReader reader(0);
  const base::Result<bool> whole = reader.Append(base::AsBytes(EncodeFrame("")));
  ASSERT_TRUE(whole.has_value());
  EXPECT_TRUE(*whole);
  EXPECT_EQ(reader.message(), "");
}

TEST(FrameReader, RefusesALengthPastItsLimitBeforeTheBytesCome) {
  FrameReader exact(3);
  EXPECT_TRUE(exact.Append(base::AsBytes(EncodeFrame("abc"))).has_value());
  FrameReader reader(2);
  const base::Result<bool> whole =
      reader.Append(base::AsBytes(std::string_view(EncodeFrame("abc")).substr(0, 4)));
  ASSERT_FALSE(whole.has_value());
  EXPECT_EQ(whole.error().code(), base::ErrorCode::kResourceExhausted);
  FrameReader largest(1'000'000);
  EXPECT_FALSE(largest.Append(base::AsBytes("\xff\xff\xff\xff")).has_value());
}

TEST(FrameReader, RefusesBytesAfterTheFrame) {
  FrameReader reader(100);
  const base::Result<bool> whole = reader.Append(base::AsBytes(EncodeFrame("abc") + "d"));
  ASSERT_FALSE(whole.has_value());
  EXPECT_EQ(whole.error().code(), base::ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace weighmaster::agent::control
