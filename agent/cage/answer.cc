#include "agent/cage/answer.h"

#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "weighmaster/local/v1/cage.pb.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::agent::cage {

namespace {

constexpr std::string_view kUnusable = "the parser gave no usable answer";

base::Result<local::v1::ParseAnswer> ParseAnswer(std::string_view message) {
  local::v1::ParseAnswer answer;
  if (!answer.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return base::InvalidArgument("the cage sent something that is no answer");
  }
  return answer;
}

// Why there is none, in words.
std::string FailureOf(const local::v1::ParseAnswer& answer) {
  switch (answer.outcome()) {
    case local::v1::PARSE_OUTCOME_DIED:
      // The detail is the cage's own and shown to people; it is kept short and printable all the
      // same.
      return "the parser died (" +
             base::EscapeForDisplay(answer.detail().substr(0, base::limits::kMaxEvidenceBytes)) +
             ")";
    case local::v1::PARSE_OUTCOME_TIMED_OUT:
      return "the parser ran out of time";
    default:
      return std::string(kUnusable);
  }
}

}  // namespace

base::Result<CageAnswer> ParseCageAnswer(std::string_view message) {
  WM_ASSIGN_OR_RETURN(const local::v1::ParseAnswer answer, ParseAnswer(message));
  CageAnswer out;
  out.id = answer.id();
  if (answer.outcome() != local::v1::PARSE_OUTCOME_DONE) {
    out.failure = FailureOf(answer);
    return out;
  }
  v1::Facts facts;
  if (answer.facts().size() <= base::limits::kMaxCageAnswerBytes &&
      facts.ParseFromString(answer.facts())) {
    if (base::Result<model::Facts> checked = wire::FromProto(facts)) {
      out.parsed = true;
      out.facts = *std::move(checked);
      return out;
    }
  }
  out.failure = kUnusable;
  return out;
}

base::Result<CageTensors> ParseCageTensors(std::string_view message) {
  WM_ASSIGN_OR_RETURN(local::v1::ParseAnswer answer, ParseAnswer(message));
  CageTensors out;
  out.id = answer.id();
  out.last = answer.outcome() != local::v1::PARSE_OUTCOME_MORE;
  if (out.last && answer.outcome() != local::v1::PARSE_OUTCOME_DONE) {
    out.failure = FailureOf(answer);
  } else {
    out.piece = std::move(*answer.mutable_tensors());
  }
  return out;
}

model::Facts UnparsedFacts(model::Format sniffed, std::string_view failure) {
  model::Facts facts;
  facts.format = sniffed;
  model::Risk risk;
  risk.id = "malformed";
  risk.severity = model::Severity::kHigh;
  risk.message =
      "The file could not be read as the model that it looks like: " + std::string(failure) +
      ". A file that does this to a careful parser may do worse "
      "to the program that loads it.";
  risk.evidence = std::string(failure.substr(0, base::limits::kMaxEvidenceBytes));
  facts.risks.push_back(std::move(risk));
  return facts;
}

}  // namespace weighmaster::agent::cage
