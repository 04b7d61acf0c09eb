#include "policy/lang/list_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/lang/reading.h"

namespace weighmaster::lang {
namespace {

using model::ListKind;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Lists, TakeDigestsInEveryForm) {
  const Reading reading =
      ReadText("policy: p\nlists:\n  denied:\n  - " + Hex('a') + "\n  - sha256:" + Hex('b') +
               "\n  - {sha256: " + Hex('c') + ", name: bad one, reason: leaked}\n");
  EXPECT_EQ(reading.diagnostics.ToText(), "");
  ASSERT_EQ(reading.document.digests.size(), 3U);
  EXPECT_EQ(reading.document.digests[1].digest.ToHex(), Hex('b'));
  EXPECT_EQ(reading.document.digests[1].kind, ListKind::kDenied);
  ASSERT_EQ(reading.document.notes.size(), 1U);
  EXPECT_EQ(reading.document.notes[0].digest.ToHex(), Hex('c'));
  EXPECT_EQ(reading.document.notes[0].name, "bad one");
  EXPECT_EQ(reading.document.notes[0].reason, "leaked");
}

TEST(Lists, TakeDigestsFromAFileOfTheirOwn) {
  const std::string file = "\xef\xbb\xbf# approved in 2026\n\n" + Hex('1') + "\r\n  " + Hex('2') +
                           "  Llama 3.1 8B  # by Ada\n" + Hex('3') + "# no comment";
  const Reading reading =
      ReadText("policy: p\nlists:\n  approved:\n  - file: lists/a.txt\n", {{"lists/a.txt", file}});
  ASSERT_EQ(reading.document.digests.size(), 2U);
  EXPECT_EQ(reading.document.digests[0].at.line, 3U);
  EXPECT_EQ(reading.document.files[reading.document.digests[0].file], "lists/a.txt");
  ASSERT_EQ(reading.document.notes.size(), 1U);
  EXPECT_EQ(reading.document.notes[0].name, "Llama 3.1 8B");
  EXPECT_THAT(reading.diagnostics.ToText(), HasSubstr("lists/a.txt:5:1: error:"))
      << "a # inside a word begins no comment";
}

TEST(Lists, BadDigestsAreReportedWhereTheyStand) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nlists:\n  blocked: [abc]\n"),
              AllOf(HasSubstr("policy.yaml:3:13: error: \"abc\" is no digest"),
                    HasSubstr("3 characters instead of 64")));
  EXPECT_THAT(DiagnosticsOf("policy: p\nlists:\n  blocked: [{file: a.txt}]\n",
                            {{"a.txt", "# x\n   nonsense here\n"}}),
              HasSubstr("a.txt:2:4: error: \"nonsense\" is no digest"));
}

TEST(Lists, APathNeverLeavesTheDocumentsFolder) {
  for (const char* const path :
       {"/etc/passwd", "../a.txt", "a/../../b", "a/./b", "a//b", "a/", "'a\\b'", "..", "."}) {
    EXPECT_THAT(DiagnosticsOf("policy: p\nlists:\n  denied: [{file: " + std::string(path) + "}]\n"),
                HasSubstr("no path inside the document's folder"))
        << path;
  }
}

TEST(Lists, AFileThatCanNotBeReadIsAnError) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nlists:\n  denied: [{file: gone.txt}]\n"),
              HasSubstr("there is no such file"));
  const Reading reading =
      ReadDocument("p", "policy: p\nlists:\n  denied: [{file: a.txt}]\n", nullptr, kNow);
  EXPECT_THAT(reading.diagnostics.ToText(), HasSubstr("can't be read here"));
}

TEST(Lists, WrongEntriesAreRefused) {
  for (const std::string& entry :
       {std::string("[a]"), std::string("{}"), std::string("{name: x}"), std::string("~"),
        "{sha256: " + Hex('a') + ", file: a.txt}", "{sha: " + Hex('a') + "}",
        "{sha256: " + Hex('a') + ", name: [x]}"}) {
    EXPECT_THAT(DiagnosticsOf("policy: p\nlists:\n  denied: [" + entry + "]\n"),
                HasSubstr("error:"))
        << entry;
  }
  EXPECT_THAT(DiagnosticsOf("policy: p\nlists: {aproved: []}\n"),
              HasSubstr("did you mean \"approved\"?"));
}

TEST(Lists, AHundredThousandBadLinesStayReadable) {
  std::string file;
  for (int i = 0; i < 100'000; ++i) file += "bad\n";
  const Reading reading =
      ReadText("policy: p\nlists:\n  denied: [{file: a.txt}]\n", {{"a.txt", file}});
  EXPECT_EQ(reading.diagnostics.errors(), 100'000U);
  EXPECT_LT(reading.diagnostics.ToText().size(), 100'000U);
}

TEST(ListReader, DigestsOfWeightsStandAmongTheOthers) {
  const Reading reading =
      ReadText("policy: p\nlists:\n  denied:\n  - {weights: " + Hex('a') +
                   ", name: leaked}\n  - {file: more.txt}\n  approved:\n  - weights:" + Hex('b') +
                   "\n  - " + Hex('a') + "\n",
               {{"more.txt", "weights:" + Hex('c') + " another\n" + Hex('d') + "\n"}});
  EXPECT_EQ(reading.diagnostics.ToText(), "");
  using enum model::ListKind;
  const std::vector<model::ListKind> kinds = {kDeniedWeights, kDeniedWeights, kDenied,
                                              kApprovedWeights, kApproved};
  ASSERT_EQ(reading.document.digests.size(), kinds.size());
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    EXPECT_EQ(reading.document.digests[i].kind, kinds[i]) << i;
  }
  ASSERT_EQ(reading.document.notes.size(), 2U);
  EXPECT_EQ(reading.document.notes[1].name, "another");
}

TEST(ListReader, WeightsCannotBeBlockedOrStandBesideASha256) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nlists: {blocked: [{weights: " + Hex('a') + "}]}\n"),
              ::testing::HasSubstr("weights can't be blocked"));
  EXPECT_THAT(DiagnosticsOf("policy: p\nlists: {denied: [{weights: " + Hex('a') +
                            ", sha256: " + Hex('b') + "}]}\n"),
              ::testing::HasSubstr("can't stand in one entry"));
}

TEST(Lists, AByteOrderMarkInsideAFileIsCalledThat) {
  const std::string mark = "\xef\xbb\xbf";
  const auto of_file = [](const std::string& text) {
    return DiagnosticsOf("policy: p\nlists: {denied: [{file: d.txt}]}\n", {{"d.txt", text}});
  };
  EXPECT_EQ(of_file(mark + Hex('a') + "\n"), "");
  EXPECT_THAT(of_file(Hex('a') + "\n" + mark + Hex('b') + "\n"),
              HasSubstr("d.txt:2:1: error: here stands a byte order mark"));
  EXPECT_THAT(of_file(Hex('a') + "\n" + mark), HasSubstr("d.txt:2:1: error: here stands a byte"));
}

}  // namespace
}  // namespace weighmaster::lang
