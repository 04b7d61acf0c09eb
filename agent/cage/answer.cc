#include "agent/cage/answer.h"

#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "weighmaster/local/v1/cage.pb.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::agent::cage {

base::Result<CageAnswer> ParseCageAnswer(std::string_view message) {
  local::v1::ParseAnswer answer;
  if (!answer.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return base::InvalidArgument("the cage sent something that is no answer");
  }
  CageAnswer out;
  out.id = answer.id();
  // The detail is the cage's own and shown to people; it is kept short and printable all the same.
  out.failure = base::EscapeForDisplay(answer.detail().substr(0, base::limits::kMaxEvidenceBytes));
  switch (answer.outcome()) {
    case local::v1::PARSE_OUTCOME_DONE:
      break;
    case local::v1::PARSE_OUTCOME_DIED:
      out.failure = "the parser died (" + out.failure + ")";
      return out;
    case local::v1::PARSE_OUTCOME_TIMED_OUT:
      out.failure = "the parser ran out of time";
      return out;
    default:
      out.failure = "the parser gave no usable answer";
      return out;
  }
  v1::Facts facts;
  if (answer.facts().size() <= base::limits::kMaxCageAnswerBytes &&
      facts.ParseFromString(answer.facts())) {
    if (base::Result<model::Facts> checked = wire::FromProto(facts)) {
      out.parsed = true;
      out.facts = *std::move(checked);
      out.failure.clear();
      return out;
    }
  }
  out.failure = "the parser gave no usable answer";
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
