#include "policy/base/bytes.h"

#include <gtest/gtest.h>

#include "policy/base/random.h"

namespace weighmaster::base {
namespace {

TEST(Hex, EncodesLowerCaseAndDecodesBothCases) {
  EXPECT_EQ(HexEncode(Bytes{0x00, 0xab, 0xff}), "00abff");
  EXPECT_EQ(HexDecode("00ABff").value(), (Bytes{0x00, 0xab, 0xff}));
  EXPECT_TRUE(HexDecode("").value().empty());
}

TEST(Hex, RefusesAnOddLengthAndOtherCharacters) {
  EXPECT_FALSE(HexDecode("abc").has_value());
  EXPECT_FALSE(HexDecode("0g").has_value());
  EXPECT_FALSE(HexDecode("0x").has_value());
}

TEST(Base64Url, MatchesTheVectorsOfRfc4648WithoutPadding) {
  EXPECT_EQ(Base64UrlEncode(AsBytes("")), "");
  EXPECT_EQ(Base64UrlEncode(AsBytes("f")), "Zg");
  EXPECT_EQ(Base64UrlEncode(AsBytes("fo")), "Zm8");
  EXPECT_EQ(Base64UrlEncode(AsBytes("foo")), "Zm9v");
  EXPECT_EQ(Base64UrlEncode(AsBytes("foob")), "Zm9vYg");
  EXPECT_EQ(Base64UrlEncode(AsBytes("fooba")), "Zm9vYmE");
  EXPECT_EQ(Base64UrlEncode(AsBytes("foobar")), "Zm9vYmFy");
  EXPECT_EQ(Base64UrlEncode(Bytes{0xfb, 0xff}), "-_8");
}

TEST(Base64Url, RefusesWhatNoEncoderWrites) {
  EXPECT_FALSE(Base64UrlDecode("Z").has_value()) << "an impossible length";
  EXPECT_FALSE(Base64UrlDecode("Zg==").has_value()) << "padding";
  EXPECT_FALSE(Base64UrlDecode("Zh").has_value()) << "bits that belong to no byte";
  EXPECT_FALSE(Base64UrlDecode("+/8").has_value()) << "the other alphabet";
}

TEST(Encodings, BringRandomBytesBack) {
  SeededRandom random(1);
  for (int i = 0; i < 500; ++i) {
    Bytes bytes(random.Below(70));
    random.Fill(bytes);
    EXPECT_EQ(HexDecode(HexEncode(bytes)).value(), bytes);
    EXPECT_EQ(Base64UrlDecode(Base64UrlEncode(bytes)).value(), bytes);
  }
}

TEST(Utf8, AcceptsEveryLengthOfSequence) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  EXPECT_TRUE(IsUtf8("\xf4\x8f\xbf\xbf"));
}

TEST(Utf8, RefusesOverlongSurrogatesTooLargeAndCutOff) {
  EXPECT_FALSE(IsUtf8("\xc0\x80"));
  EXPECT_FALSE(IsUtf8("\xe0\x80\x80"));
  EXPECT_FALSE(IsUtf8("\xed\xa0\x80"));
  EXPECT_FALSE(IsUtf8("\xf4\x90\x80\x80"));
  EXPECT_FALSE(IsUtf8("\xe2\x82"));
  EXPECT_FALSE(IsUtf8("\x80"));
  EXPECT_FALSE(IsUtf8("\xff"));
}

TEST(EscapeForDisplay, KeepsPlainTextAndEscapesWhatActsOnATerminal) {
  EXPECT_EQ(EscapeForDisplay("caf\xc3\xa9 <b>"), "caf\xc3\xa9 <b>");
  EXPECT_EQ(EscapeForDisplay("a\nb\x1b[31m\x7f"), "a\\x0ab\\x1b[31m\\x7f");
  EXPECT_EQ(EscapeForDisplay("a\\b"), "a\\\\b");
  EXPECT_EQ(EscapeForDisplay("\xff"), "\\xff");
  EXPECT_EQ(EscapeForDisplay("\xe2\x80\xae"), "\\xe2\\x80\\xae") << "right-to-left override";
  EXPECT_EQ(EscapeForDisplay("\xc2\x9b"), "\\xc2\\x9b") << "C1 control";
}

TEST(IsFitForDisplay, HoldsForWhatWasEscapedAndForNoTextThatATerminalWouldObey) {
  for (const char* const text : {"", "caf\xc3\xa9", "a\\b", "\\x1b[31m"}) {
    EXPECT_TRUE(IsFitForDisplay(text)) << text;
  }
  for (const char* const text : {"a\nb", "\x1b[31m", "\xff", "\xe2\x80\xae", "\xc2\x9b"}) {
    EXPECT_FALSE(IsFitForDisplay(text)) << EscapeForDisplay(text);
    EXPECT_TRUE(IsFitForDisplay(EscapeForDisplay(text)));
  }
}

// Undoes EscapeForDisplay.
std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
    } else if (text[i + 1] == '\\') {
      out += '\\';
      i += 1;
    } else {
      out += static_cast<char>(HexDecode(text.substr(i + 2, 2)).value()[0]);
      i += 3;
    }
  }
  return out;
}

TEST(EscapeForDisplay, GivesUtf8FromWhichTheBytesCanBeHadBack) {
  SeededRandom random(2);
  for (int i = 0; i < 2'000; ++i) {
    Bytes bytes(random.Below(24));
    random.Fill(bytes);
    const std::string escaped = EscapeForDisplay(AsText(bytes));
    EXPECT_TRUE(IsUtf8(escaped));
    EXPECT_EQ(Unescape(escaped), AsText(bytes));
  }
}

TEST(CutText, KeepsCharactersWhole) {
  EXPECT_EQ(CutText("abc", 3), "abc");
  EXPECT_EQ(CutText("abc", 2), "ab");
  EXPECT_EQ(CutText("a\xc3\xa4"
                    "b",
                    2),
            "a");
  EXPECT_EQ(CutText("a\xc3\xa4"
                    "b",
                    3),
            "a\xc3\xa4");
  EXPECT_EQ(CutText("\x80\x80", 1), "") << "what is no UTF-8 is cut as well";
}

}  // namespace
}  // namespace weighmaster::base
