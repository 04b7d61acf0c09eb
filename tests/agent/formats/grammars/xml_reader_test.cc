#include "agent/formats/grammars/xml_reader.h"

#include <gtest/gtest.h>

#include "agent/formats/reading/byte_source.h"

namespace weighmaster::agent::formats {
namespace {

// The tokens of a document: "+name" and "-", then "." at its end or "!" where it breaks.
std::string Tokens(std::string_view text) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget;
  Cursor cursor(source, budget);
  XmlReader xml(cursor);
  std::string tokens;
  while (true) {
    switch (xml.Next()) {
      case XmlToken::kElement:
        tokens += "+" + xml.name();
        break;
      case XmlToken::kEndElement:
        tokens += "-";
        break;
      case XmlToken::kEnd:
        return tokens + ".";
      case XmlToken::kBroken:
        return tokens + "!";
    }
  }
}

TEST(XmlReader, TellsElementsAndPassesOverTheRest) {
  EXPECT_EQ(Tokens("<a/>"), "+a-.");
  EXPECT_EQ(
      Tokens("\xef\xbb\xbf<?xml version='1.0'?>\n<!-- <x> -->\n<a>text<b/><![CDATA[</a>]]></a>\n"),
      "+a+b--.");
  EXPECT_EQ(Tokens("<p:a xmlns:p='u'><p:b></p:b ></p:a>"), "+a+b--.");
  EXPECT_EQ(Tokens("<!DOCTYPE a [<!ENTITY x \"]>\"><!-- ' -->]><a>&x;</a><!-- end -->"), "+a-.");
}

TEST(XmlReader, SaysWhereADocumentIsBroken) {
  EXPECT_EQ(Tokens(""), "!");
  EXPECT_EQ(Tokens("text"), "!");
  EXPECT_EQ(Tokens("<a>"), "+a!");
  EXPECT_EQ(Tokens("<a></b>"), "+a!");
  EXPECT_EQ(Tokens("<a/><b/>"), "+a-!");
  EXPECT_EQ(Tokens("<a/>text"), "+a-!");
  EXPECT_EQ(Tokens("<a b=c/>"), "!");
  EXPECT_EQ(Tokens("<a b='<'/>"), "!");
  EXPECT_EQ(Tokens("<a b='c/>"), "!");
  EXPECT_EQ(Tokens("<a><!DOCTYPE a></a>"), "+a!");
  EXPECT_EQ(Tokens("<!DOCTYPE a [<a/>"), "!");
}

TEST(XmlReader, KeepsTheBeginningOfAttributesAsTheyAreWritten) {
  const std::string text = "<a one='1' two = \"&lt;'2'\" long='" + std::string(5'000, 'x') + "'/>";
  MemorySource source(base::AsBytes(text));
  WorkBudget budget;
  Cursor cursor(source, budget);
  XmlReader xml(cursor);
  ASSERT_EQ(xml.Next(), XmlToken::kElement);
  EXPECT_EQ(xml.Attribute("one"), "1");
  EXPECT_EQ(xml.Attribute("two"), "&lt;'2'");
  EXPECT_EQ(xml.Attribute("long").size(), XmlReader::kKeptValueBytes);
  EXPECT_EQ(xml.Attribute("three"), "");
}

TEST(XmlReader, StopsAtElementsNestedWithoutEnd) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += "<a>";
  const std::string tokens = Tokens(text);
  EXPECT_EQ(tokens.size(), 2 * XmlReader::kMaxDepth + 1);
  EXPECT_EQ(tokens.back(), '!');
}

TEST(XmlReader, FindsTheFirstTagOfAHead) {
  const auto tag = FirstXmlTag("<?xml?><!DOCTYPE n [<!ELEMENT n ANY>]><p:n a=\"1>\" b='2'> <c/>");
  ASSERT_TRUE(tag.has_value());
  EXPECT_EQ(tag->name, "n");
  EXPECT_EQ(XmlAttribute(tag->attributes, "a"), "1>");
  EXPECT_EQ(XmlAttribute(tag->attributes, "b"), "2");
  EXPECT_EQ(XmlAttribute(tag->attributes, "c"), std::nullopt);
  EXPECT_EQ(FirstXmlTag(tag->rest)->name, "c");
  for (const char* text :
       {"", "n", "<", "<n", "<n a='", "<!-- <n>", "<?xml", "<!DOCTYPE n [", "</n>"}) {
    EXPECT_FALSE(FirstXmlTag(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
