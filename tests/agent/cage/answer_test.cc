#include "agent/cage/answer.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/limits.h"
#include "weighmaster/local/v1/cage.pb.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::agent::cage {
namespace {

std::string Message(local::v1::ParseOutcome outcome, const std::string& facts,
                    const std::string& detail = "") {
  local::v1::ParseAnswer answer;
  answer.set_id(7);
  answer.set_outcome(outcome);
  answer.set_facts(facts);
  answer.set_detail(detail);
  return answer.SerializeAsString();
}

TEST(CageAnswer, CarriesFacts) {
  v1::Facts facts;
  facts.set_format(v1::FORMAT_GGUF);
  facts.set_name("m");
  const auto answer =
      ParseCageAnswer(Message(local::v1::PARSE_OUTCOME_DONE, facts.SerializeAsString()));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->id, 7U);
  EXPECT_TRUE(answer->parsed);
  EXPECT_EQ(answer->facts.format, model::Format::kGguf);
  EXPECT_EQ(answer->facts.name, "m");
}

TEST(CageAnswer, TakesFactsThatDoNotHoldForAFailureOfTheFile) {
  v1::Facts long_name;
  long_name.set_name(std::string(base::limits::kMaxFactBytes + 1, 'x'));
  v1::Facts many_risks;
  for (std::size_t i = 0; i <= base::limits::kMaxRisksPerFile; ++i) {
    v1::Risk* risk = many_risks.add_risks();
    risk->set_id("malformed");
    risk->set_severity(v1::SEVERITY_HIGH);
  }
  for (const std::string& facts :
       {long_name.SerializeAsString(), many_risks.SerializeAsString(), std::string("\x12\xff"),
        std::string("\x12\x01\xff"), std::string(base::limits::kMaxCageAnswerBytes + 1, '\0')}) {
    const auto answer = ParseCageAnswer(Message(local::v1::PARSE_OUTCOME_DONE, facts));
    ASSERT_TRUE(answer.has_value());
    EXPECT_FALSE(answer->parsed);
    EXPECT_EQ(answer->failure, "the parser gave no usable answer");
  }
}

TEST(CageAnswer, SaysHowTheWorkerEnded) {
  const auto died = ParseCageAnswer(Message(local::v1::PARSE_OUTCOME_DIED, "", "killed by SIGSYS"));
  EXPECT_EQ(died->failure, "the parser died (killed by SIGSYS)");
  const auto late = ParseCageAnswer(Message(local::v1::PARSE_OUTCOME_TIMED_OUT, ""));
  EXPECT_EQ(late->failure, "the parser ran out of time");
  const auto odd = ParseCageAnswer(Message(static_cast<local::v1::ParseOutcome>(99), ""));
  EXPECT_FALSE(odd->parsed);
  EXPECT_FALSE(ParseCageAnswer("\xff\xff\xff").has_value());
}

TEST(CageAnswer, GivesTensorsPieceByPiece) {
  const auto piece = [](local::v1::ParseOutcome outcome, const std::string& bytes) {
    local::v1::ParseAnswer answer;
    answer.set_id(7);
    answer.set_outcome(outcome);
    answer.set_tensors(bytes);
    return ParseCageTensors(answer.SerializeAsString());
  };
  const auto more = piece(local::v1::PARSE_OUTCOME_MORE, "first");
  EXPECT_EQ(more->id, 7U);
  EXPECT_FALSE(more->last);
  EXPECT_EQ(more->piece, "first");
  const auto done = piece(local::v1::PARSE_OUTCOME_DONE, "second");
  EXPECT_TRUE(done->last);
  EXPECT_EQ(done->piece, "second");
  EXPECT_EQ(done->failure, "");
  const auto died = piece(local::v1::PARSE_OUTCOME_DIED, "third");
  EXPECT_TRUE(died->last);
  EXPECT_EQ(died->piece, "");
  EXPECT_NE(died->failure, "");
  EXPECT_FALSE(ParseCageTensors("\xff\xff\xff").has_value());
}

TEST(UnparsedFacts, KeepWhatTheSnifferSaidAndWarn) {
  const model::Facts facts = UnparsedFacts(model::Format::kPickle, "the parser ran out of time");
  EXPECT_EQ(facts.format, model::Format::kPickle);
  ASSERT_EQ(facts.risks.size(), 1U);
  EXPECT_EQ(facts.risks[0].id, "malformed");
  EXPECT_EQ(facts.risks[0].severity, model::Severity::kHigh);
  EXPECT_EQ(facts.risks[0].evidence, "the parser ran out of time");
}

}  // namespace
}  // namespace weighmaster::agent::cage
