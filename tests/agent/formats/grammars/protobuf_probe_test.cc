#include "agent/formats/grammars/protobuf_probe.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {
namespace {

using End = ProtobufProbe::End;

// A file of which the first `head` bytes are known.
FileEnds File(const std::string& bytes, std::size_t head, std::uint64_t size) {
  return {base::AsBytes(bytes).first(head), {}, size};
}
FileEnds File(const std::string& bytes) { return File(bytes, bytes.size(), bytes.size()); }

End EndOf(const FileEnds& file) {
  ProtobufProbe probe(file);
  while (probe.Next().has_value()) {
  }
  return probe.end();
}

TEST(ProtobufProbe, GoesOverFieldsOfEveryType) {
  const std::string bytes(
      "\x08\x96\x01\x12\x03"
      "abc\x1d"
      "1234\x21"
      "12345678",
      22);
  ProtobufProbe probe(File(bytes));
  auto field = probe.Next();
  ASSERT_TRUE(field.has_value());
  EXPECT_EQ(field->number, 1U);
  EXPECT_EQ(field->type, WireType::kVarint);
  EXPECT_EQ(field->value, 150U);
  field = probe.Next();
  ASSERT_TRUE(field.has_value());
  EXPECT_EQ(field->number, 2U);
  EXPECT_EQ(base::AsText(field->content), "abc");
  EXPECT_EQ(field->length, 3U);
  EXPECT_TRUE(field->is_whole());
  field = probe.Next();
  ASSERT_TRUE(field.has_value());
  EXPECT_EQ(field->type, WireType::kFixed32);
  EXPECT_EQ(base::AsText(field->content), "1234");
  field = probe.Next();
  ASSERT_TRUE(field.has_value());
  EXPECT_EQ(field->type, WireType::kFixed64);
  EXPECT_EQ(base::AsText(field->content), "12345678");
  EXPECT_FALSE(probe.Next().has_value());
  EXPECT_EQ(probe.end(), End::kWhole);
}

TEST(ProtobufProbe, GivesThePartOfAFieldThatLiesInTheHead) {
  const std::string bytes =
      "\x0a\x64"
      "beginning";
  ProtobufProbe probe(File(bytes, bytes.size(), 200));
  const auto field = probe.Next();
  ASSERT_TRUE(field.has_value());
  EXPECT_EQ(base::AsText(field->content), "beginning");
  EXPECT_EQ(field->length, 100U);
  EXPECT_TRUE(field->fits);
  EXPECT_FALSE(field->is_whole());
  EXPECT_FALSE(probe.Next().has_value());
  EXPECT_EQ(probe.end(), End::kHead);
  EXPECT_TRUE(probe.holds());
}

TEST(ProtobufProbe, LooksIntoAMessageThatTheHeadCutsOff) {
  const std::string bytes =
      "\x0a\x64\x0a\x04name\x12\x50"
      "cut";
  ProtobufProbe outer(File(bytes, bytes.size(), 200));
  const auto message = outer.Next();
  ASSERT_TRUE(message.has_value());
  ProtobufProbe inner(*message);
  EXPECT_EQ(base::AsText(inner.Next()->content), "name");
  const auto second = inner.Next();
  ASSERT_TRUE(second.has_value());
  EXPECT_TRUE(second->fits);
  EXPECT_EQ(base::AsText(second->content), "cut");
  EXPECT_FALSE(inner.Next().has_value());
  EXPECT_EQ(inner.end(), End::kHead);
}

TEST(ProtobufProbe, SaysWhenAFieldDoesNotFit) {
  const std::string bytes =
      "\x08\x01\x12\x7f"
      "abc";
  ProtobufProbe probe(File(bytes));
  EXPECT_TRUE(probe.Next()->fits);
  const auto field = probe.Next();
  ASSERT_TRUE(field.has_value());
  EXPECT_FALSE(field->fits);
  EXPECT_EQ(base::AsText(field->content), "abc");
  EXPECT_FALSE(probe.Next().has_value());
  EXPECT_EQ(probe.end(), End::kCutOff);
}

TEST(ProtobufProbe, SaysWhyThereIsNoField) {
  EXPECT_EQ(EndOf(File("")), End::kWhole);
  EXPECT_EQ(EndOf(File(std::string("\0", 1))), End::kNoField);        // number 0
  EXPECT_EQ(EndOf(File("\x0b")), End::kNoField);                      // a group
  EXPECT_EQ(EndOf(File("\x0f")), End::kNoField);                      // no type
  EXPECT_EQ(EndOf(File("\xff\xff\xff\xff\xff\x01")), End::kNoField);  // a number past 29 bits
  EXPECT_EQ(EndOf(File("\x08")), End::kNumber);
  EXPECT_EQ(EndOf(File("\x08\x80\x80")), End::kNumber);
  EXPECT_EQ(EndOf(File("\x08" + std::string(10, '\xff') + "\x01")), End::kNumber);
  EXPECT_EQ(EndOf(File("\x08\x80\x80", 3, 10)), End::kHead);
  EXPECT_EQ(EndOf(File("\x08" + std::string(9, '\xff') + "\x01")), End::kWhole);
}

TEST(ProtobufProbe, DoesNotOverflowAtTheLongestLength) {
  const std::string bytes = "\x0a" + std::string(9, '\xff') + "\x01" + "rest";
  ProtobufProbe probe(File(bytes, bytes.size(), 1'000'000));
  const auto field = probe.Next();
  ASSERT_TRUE(field.has_value());
  EXPECT_FALSE(field->fits);
  EXPECT_EQ(base::AsText(field->content), "rest");
  EXPECT_FALSE(probe.Next().has_value());
}

TEST(ProtobufProbe, TellsTextFromMessages) {
  const auto is_text = [](const std::string& text, std::size_t head) {
    const std::string bytes = "\x0a" + std::string(1, static_cast<char>(text.size())) + text;
    ProtobufProbe probe(File(bytes, head + 2, bytes.size()));
    return LooksLikeText(*probe.Next());
  };
  EXPECT_TRUE(is_text("two\nlines", 9));
  EXPECT_TRUE(is_text("gr\xc3\xbc\xc3\x9f", 6));
  EXPECT_TRUE(is_text("gr\xc3\xbc\xc3\x9f", 5));  // within a character
  EXPECT_FALSE(is_text("gr\xc3", 3));
  EXPECT_FALSE(is_text("\xff\xfe", 2));
  EXPECT_FALSE(is_text(std::string("\x08\x01", 2), 2));
  const std::string number = "\x08\x01";
  EXPECT_FALSE(LooksLikeText(*ProtobufProbe(File(number)).Next()));
}

}  // namespace
}  // namespace weighmaster::agent::formats
