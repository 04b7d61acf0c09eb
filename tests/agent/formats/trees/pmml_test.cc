#include "agent/formats/trees/pmml.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

bool LooksLike(std::string_view text) {
  return LooksLikePmml({base::AsBytes(text.substr(0, 4'096)), {}, text.size()});
}

model::Facts Read(ByteSource& source) {
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParsePmml(source, budget, tensors);
}

model::Facts Read(std::string_view text) {
  MemorySource source(base::AsBytes(text));
  return Read(source);
}

std::string Document(const std::string& models, const std::string& version = "4.4") {
  return "<?xml version=\"1.0\"?>\n<PMML xmlns=\"http://www.dmg.org/PMML-4_4\" version=\"" +
         version +
         "\">\n<Header copyright=\"c\"><Application name=\"JPMML\"/><Extension "
         "name=\"x\"/></Header>\n"
         "<DataDictionary><DataField name=\"TreeModel\" "
         "optype=\"continuous\"/></DataDictionary>\n" +
         models + "</PMML>\n";
}

const std::string kTree =
    "<TreeModel modelName=\"iris\" functionName=\"classification\"><Node/></TreeModel>\n";

TEST(Pmml, ReadsTheKindAndNameOfTheModel) {
  EXPECT_TRUE(LooksLike(Document(kTree)));
  const model::Facts facts = Read(Document(kTree));
  EXPECT_EQ(facts.format, Format::kPmml);
  EXPECT_EQ(facts.name, "iris");
  EXPECT_EQ(facts.architecture, "TreeModel");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Pmml, ReadsDocumentsWithATypeAPrefixOrNoModel) {
  const std::string typed =
      "<!DOCTYPE PMML PUBLIC \"PMML 2.0\" \"http://www.dmg.org/v2-0/pmml_v2_0.dtd\">\n"
      "<PMML version=\"2.0\"><Header/><RegressionModel modelName=\"r\"/></PMML><!-- end -->";
  EXPECT_TRUE(LooksLike(typed));
  EXPECT_EQ(Read(typed).architecture, "RegressionModel");
  EXPECT_TRUE(Read(typed).risks.empty());
  const std::string prefixed =
      "<p:PMML xmlns:p=\"http://www.dmg.org/PMML-4_2\" version=\"4.2\"><p:Scorecard/></p:PMML>";
  EXPECT_TRUE(LooksLike(prefixed));
  EXPECT_EQ(Read(prefixed).architecture, "Scorecard");
  EXPECT_TRUE(Read(prefixed).risks.empty());
  EXPECT_EQ(Read(Document("")).format, Format::kPmml);
  EXPECT_EQ(Read(Document("")).architecture, "");
  EXPECT_TRUE(Read(Document("")).risks.empty());
}

TEST(Pmml, SaysThatADocumentIsCutOff) {
  const std::string text = Document(kTree);
  for (const std::size_t size : {text.size() - 4, text.find("<Node"), text.find("<DataField")}) {
    EXPECT_TRUE(HasRisk(Read(text.substr(0, size)), "malformed", Severity::kHigh)) << size;
  }
}

TEST(Pmml, SaysThatAVersionIsTooNew) {
  EXPECT_TRUE(HasRisk(Read(Document(kTree, "5.0")), "unsupported_version", Severity::kLow));
  EXPECT_TRUE(HasRisk(Read(Document(kTree, "44")), "unsupported_version", Severity::kLow));
}

TEST(Pmml, DoesNotReadWhatAModelHolds) {
  const std::string text = Document(kTree);
  const std::string head = text.substr(0, text.find("<Node"));
  CountedSource source(base::AsBytes(head), 100ULL << 30);
  EXPECT_EQ(Read(source).name, "iris");
  EXPECT_LT(source.bytes_read(), 300'000U);
}

TEST(Pmml, IsNoOtherDocument) {
  for (const char* text : {"<PMML>", "<PMML/>", "<pmml version=\"4.4\"/>", "PMML version=\"4.4\"",
                           "<html><PMML version=\"4.4\"/></html>"}) {
    EXPECT_FALSE(LooksLike(text)) << text;
    EXPECT_EQ(Read(text).format, Format::kUnknown) << text;
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
