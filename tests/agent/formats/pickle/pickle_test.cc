#include "agent/formats/pickle/pickle.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ByteWriter;
using tests::ModelFixture;

constexpr char kExecutes[] = "pickle_executes_code";
constexpr char kHidden[] = "pickle_hidden_import";

// Protocol 4 from here on; "\x8c" is SHORT_BINUNICODE.
std::string Proto4(const std::string& body) { return "\x80\x04" + body; }
std::string Text4(const std::string& text) {
  return "\x8c" + std::string(1, static_cast<char>(text.size())) + text;
}
const std::string kSystem = Text4("os") + Text4("system") + "\x93";
const std::string kCall = Text4("id") + "\x85R";

TEST(Pickle, RaisesNothingForPlainDataOfAnyProtocol) {
  for (int protocol = 0; protocol < 6; ++protocol) {
    const model::Facts facts =
        ParseBytes(ModelFixture("plain_protocol" + std::to_string(protocol) + ".pkl"));
    EXPECT_EQ(facts.format, Format::kPickle);
    EXPECT_TRUE(HasRisk(facts, "pickle_format", Severity::kInfo));
    EXPECT_EQ(facts.risks.size(), 1U) << protocol;
  }
}

TEST(Pickle, FindsACallOfSystemInAnyProtocol) {
  for (int protocol = 0; protocol < 6; ++protocol) {
    const model::Facts facts =
        ParseBytes(ModelFixture("executes_protocol" + std::to_string(protocol) + ".pkl"));
    ASSERT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical)) << protocol;
    const std::string& evidence = FindRisk(facts, kExecutes)->evidence;
    EXPECT_NE(evidence.find("posix.system, imported by "), std::string::npos) << evidence;
    EXPECT_NE(evidence.find("called by REDUCE at offset 0x"), std::string::npos) << evidence;
  }
}

TEST(Pickle, CountsTheTensorsOfALegacyCheckpoint) {
  const model::Facts facts = ParseBytes(ModelFixture("legacy.pth"));
  EXPECT_EQ(facts.format, Format::kPyTorchLegacy);
  EXPECT_EQ(facts.parameters, 72U);
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_EQ(WorstSeverity(facts), Severity::kInfo);
}

// The class of a whole module stands there as a persistent id, ('module', class, file, source).
TEST(Pickle, KnowsAClassOfALegacyCheckpointByItsPersistentId) {
  const auto legacy = [](const std::string& type) {
    const std::string magic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", 15);
    return ParseText(magic + "\x80\x02M\xe9\x03.\x80\x02}.\x80\x02(U\x06modulec" + type +
                     "U\x07"
                     "file.pyU\x04passtQ)\x81}b.\x80\x02].");
  };
  const model::Facts linear = legacy("torch.nn.modules.linear\nLinear\n");
  EXPECT_EQ(linear.format, Format::kPyTorchLegacy);
  EXPECT_EQ(WorstSeverity(linear), Severity::kInfo) << linear.risks.front().evidence;
  const model::Facts system = legacy("os\nsystem\n");
  ASSERT_TRUE(HasRisk(system, kExecutes, Severity::kCritical));
  EXPECT_NE(FindRisk(system, kExecutes)->evidence.find("called by NEWOBJ"), std::string::npos);
}

TEST(Pickle, PassesOverTheArraysOfJoblib) {
  const model::Facts facts = ParseBytes(ModelFixture("arrays.joblib"));
  EXPECT_EQ(facts.format, Format::kJoblib);
  EXPECT_EQ(WorstSeverity(facts), Severity::kInfo) << facts.risks.front().evidence;
}

TEST(Pickle, TracksEveryWayOfCalling) {
  const std::string system = "cos\nsystem\n";
  const auto called_by = [](const std::string& text) {
    const model::Facts facts = ParseText(text);
    const model::Risk* risk = FindRisk(facts, kExecutes);
    if (risk == nullptr) return std::string("nothing");
    const std::size_t at = risk->evidence.find("called by ");
    if (at == std::string::npos) return std::string("none");
    return risk->evidence.substr(at + 10, risk->evidence.find(" at ", at) - at - 10);
  };
  EXPECT_EQ(called_by(system + "(S'id'\ntR."), "REDUCE");
  EXPECT_EQ(called_by("(S'id'\nios\nsystem\n."), "INST");
  EXPECT_EQ(called_by("(" + system + "S'id'\no."), "OBJ");
  EXPECT_EQ(called_by("\x80\x02" + system + "U\x02id\x85\x81."), "NEWOBJ");
  EXPECT_EQ(called_by("\x80\x04" + system + "U\x02id\x85}\x92."), "NEWOBJ_EX");
  EXPECT_EQ(called_by("\x80\x02" + system + "."), "none");
}

TEST(Pickle, ResolvesNamesFromTheStackAndTheMemo) {
  // Both names by way of the memo, out of order, with a decoy right before the import.
  const std::string body = Text4("system") +
                           "\x94"
                           "0" +
                           Text4("os") +
                           "\x94"
                           "0" +
                           Text4("collections") + "0" + "h\x01h" + std::string(1, '\0') + "\x93" +
                           kCall + ".";
  const model::Facts facts = ParseText(Proto4(body));
  ASSERT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical));
  EXPECT_EQ(FindRisk(facts, kExecutes)->evidence.rfind("os.system,", 0), 0U);
}

TEST(Pickle, ReadsNamesWrittenWithEscapes) {
  EXPECT_TRUE(HasRisk(ParseText(Proto4("S'\\x6f\\163'\nVsyst\\u0065m\n\x93" + kCall + ".")),
                      kExecutes, Severity::kCritical));
}

TEST(Pickle, IsAlarmedByANameThatIsNotWrittenDown) {
  // A name that a call computes, one of bytes, one longer than any name.
  const std::string computed = "cbuiltins\nstr\n" + Text4("os") + "\x85R";
  for (const std::string& name : {computed, std::string("C\x02os"),
                                  std::string("X\x00\x10\x00\x00", 5) + std::string(0x1000, 'x')}) {
    const std::string body = name + Text4("system") + "\x93" + kCall + ".";
    EXPECT_TRUE(HasRisk(ParseText(Proto4(body)), kHidden, Severity::kCritical));
  }
}

TEST(Pickle, IsAlarmedByTheExtensionRegistry) {
  for (const std::string& code : {std::string("\x82\x01"), std::string("\x83\x01\x01"),
                                  std::string("\x84\x01\x01\x01\x01")}) {
    EXPECT_TRUE(HasRisk(ParseText(Proto4(code + kCall + ".")), kHidden, Severity::kCritical));
  }
}

TEST(Pickle, IsAlarmedByACallOfWhatACallGave) {
  const std::string body = "cmodule\nfactory\n)R)R.";
  EXPECT_TRUE(HasRisk(ParseText(Proto4(body)), "pickle_unknown_call", Severity::kHigh));
}

TEST(Pickle, GradesUnlistedAndReachingImports) {
  EXPECT_TRUE(HasRisk(ParseText(Proto4("cmymodel\nNet\n)\x81.")), "pickle_unlisted_global",
                      Severity::kMedium));
  EXPECT_TRUE(
      HasRisk(ParseText(Proto4("cshutil\nrmtree\n)R.")), "pickle_reaches_system", Severity::kHigh));
}

// GHSA-mxhj-88fx-4pcv: the result of the call is thrown away at once.
TEST(Pickle, FindsACallWhoseResultIsPopped) {
  EXPECT_TRUE(HasRisk(ParseText(Proto4(kSystem + kCall + "0N.")), kExecutes, Severity::kCritical));
  EXPECT_TRUE(HasRisk(ParseText("(S'id'\nios\nsystem\n0N."), kExecutes, Severity::kCritical));
  EXPECT_TRUE(HasRisk(ParseText("N(cos\nsystem\nS'id'\no0."), kExecutes, Severity::kCritical));
}

// nullifAI: the payload stands first and the stream breaks after it.
TEST(Pickle, KeepsWhatItFoundInAStreamThatBreaks) {
  for (const std::string& stream :
       {Proto4(kSystem + kCall), std::string("cos\nsystem\n(S'id'\ntR")}) {
    const model::Facts facts = ParseText(stream + "\xff\xff garbage");
    EXPECT_EQ(facts.format, Format::kPickle);
    EXPECT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical));
    EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  }
}

// A magic number that a call makes, and a payload in a later stream.
TEST(Pickle, WalksEveryStreamWhateverTheFirstSays) {
  const std::string first = Proto4("cbuiltins\nint\n" + Text4("7") + "\x85R.");
  const model::Facts facts = ParseText(first + Proto4("K\x01.") + Proto4(kSystem + kCall + "."));
  EXPECT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical));
  EXPECT_EQ(FindRisk(facts, "pickle_format")->evidence, "3 streams");
}

TEST(Pickle, FindsPicklesHiddenInItsData) {
  for (const char* name :
       {"embedded_raw.pkl", "embedded_base64.pkl", "embedded_hex.pkl", "embedded_latin1.pkl"}) {
    const model::Facts facts = ParseBytes(ModelFixture(name));
    EXPECT_TRUE(HasRisk(facts, "embedded_pickle", Severity::kHigh)) << name;
    // Nothing runs until something loads it a second time.
    EXPECT_TRUE(HasRisk(facts, kExecutes, Severity::kHigh)) << name;
  }
}

TEST(Pickle, FollowsPicklesInPicklesOnlySoFar) {
  std::string stream = Proto4(kSystem + kCall + ".");
  for (int i = 0; i < 40; ++i) {
    const base::Bytes length = ByteWriter().U32(static_cast<std::uint32_t>(stream.size())).Take();
    stream = Proto4("B" + std::string(base::AsText(length)) + stream + ".");
  }
  const model::Facts facts = ParseText(stream);
  EXPECT_TRUE(HasRisk(facts, "embedded_pickle", Severity::kHigh));
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
}

TEST(Pickle, SaysWhichRuleAStreamBreaks) {
  const auto broken = [](const std::string& body) {
    // What makes it a pickle for sure stands first: a harmless call.
    const model::Facts facts = ParseText(Proto4("ctorch\nSize\n)R0" + body));
    const model::Risk* risk = FindRisk(facts, "malformed");
    return risk == nullptr ? std::string() : risk->evidence.substr(0, risk->evidence.find(" at "));
  };
  EXPECT_EQ(broken("K\x01K\x02h\x07."), "nothing was remembered as this: BINGET");
  EXPECT_EQ(broken("K\x01ss."), "the stack is empty: SETITEM");
  EXPECT_EQ(broken("K\x01(\x86."), "the stack is empty: TUPLE2");
  EXPECT_EQ(broken("K\x01K\x01u."), "there is no mark: SETITEMS");
  EXPECT_EQ(broken("K\x01K\x01\x80\x04."), "a protocol mark in the middle: PROTO");
  EXPECT_EQ(broken("K\x01"
                   "c\xff\nx\n."),
            "a name that is not UTF-8: GLOBAL");
  EXPECT_EQ(broken("K\x01K"), "the file ends too early: BININT1");
  EXPECT_EQ(broken("K\x01\xf0"), "byte 240 is no opcode: offset 0x13");
}

TEST(Pickle, TellsOfFramesThatDoNotFit) {
  const std::string frame =
      std::string("\x95") + std::string(base::AsText(ByteWriter().U64(1ULL << 40).Take()));
  EXPECT_TRUE(HasRisk(ParseText(Proto4(frame + "N.")), "pickle_frames_disagree", Severity::kInfo));
}

TEST(Pickle, TellsOfDataBehindTheLastStream) {
  EXPECT_TRUE(
      HasRisk(ParseText(Proto4("N.") + "not a pickle"), "trailing_data", Severity::kMedium));
}

// A list that holds itself, and tuples that hold it: what Python itself writes for such values, and
// loads again. Nothing in it breaks a rule.
TEST(Pickle, EndsOnACyclicMemo) {
  const std::string get_0("h\0", 2);
  const std::string cycle = "]\x94" + get_0 + "a" + get_0 + "\x85\x94h\x01\x86\x94";
  const model::Facts facts = ParseText(Proto4(cycle + "."));
  EXPECT_EQ(facts.format, Format::kPickle);
  ASSERT_EQ(facts.risks.size(), 1U);
  EXPECT_TRUE(HasRisk(facts, "pickle_format", Severity::kInfo));
  // Neither does it hide what comes behind it, by way of the memo too, nor make up for a value that
  // was never remembered.
  const model::Facts behind = ParseText(Proto4(cycle + kSystem + "\x94" + "0h\x03" + kCall + "."));
  EXPECT_TRUE(HasRisk(behind, kExecutes, Severity::kCritical));
  EXPECT_EQ(FindRisk(behind, "pickle_unknown_call"), nullptr);
  EXPECT_TRUE(HasRisk(ParseText(Proto4("]\x94h\x01"
                                       "a.")),
                      "malformed", Severity::kHigh));
}

TEST(Pickle, PaysNothingForExponentialNesting) {
  // Each round doubles what the value would be if it were written out: 2^10000 leaves.
  std::string body = "K\x01";
  for (int i = 0; i < 10'000; ++i) body += "2\x86";
  const model::Facts facts = ParseText(Proto4(body + "."));
  EXPECT_EQ(WorstSeverity(facts), Severity::kInfo);
}

TEST(Pickle, PassesOverATextOfFourGigabytes) {
  const std::string start = Proto4("X\xf0\xff\xff\xff");
  CountedSource whole(base::AsBytes(start), start.size() + 0xfffffff0 + 1);
  EXPECT_EQ(Parse(whole).format, Format::kPickle);
  EXPECT_LT(whole.bytes_read(), 300'000U);
  CountedSource cut(base::AsBytes(start), 100'000);
  EXPECT_TRUE(HasRisk(Parse(cut), "malformed", Severity::kHigh));
}

TEST(Pickle, GivesUpOnImportsWithoutEnd) {
  std::string body = kSystem + "0";
  for (int i = 0; i < 300'000; ++i) body += kSystem + "0";
  const model::Facts facts = ParseText(Proto4(body + "N."));
  EXPECT_TRUE(HasRisk(facts, kExecutes, Severity::kCritical));
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
}

TEST(Pickle, GivesUpOnAStreamThatBreaksRuleAfterRule) {
  const std::string body(1'000'000, 'R');
  const model::Facts facts = ParseText(Proto4("K\x01" + body + "."));
  EXPECT_LE(facts.risks.size(), base::limits::kMaxRisksPerFile);
}

TEST(Pickle, IsNoTextThatBeginsLikeOne) {
  for (const char* text :
       {"cat\ndog\nelephant\n", "(define x 1)\n", "Name: value\n", "import os\n", "NOTICE\n.",
        "I am a text.\n", "Some 'quoted' words", "}\n", "]", "K.", "", ".", "[1, 2]", "Vague."}) {
    EXPECT_EQ(ParseText(text).format, Format::kUnknown) << text;
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
