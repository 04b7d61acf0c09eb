#pragma once

#include <string>
#include <string_view>

#include "policy/base/result.h"
#include "policy/model/event.h"
#include "policy/model/rules.h"
#include "policy/model/sighting.h"
#include "proto/wire/seal.h"

namespace weighmaster::v1 {
class Coverage;
class Facts;
class RulesPart;
class SealedBatch;
class Sighting;
class Verdict;
}  // namespace weighmaster::v1

namespace weighmaster::wire {

// Protobuf to model values and back. Every From… treats its input as foreign: lengths of digests and
// ids, limits of paths, facts, risks and evidence, presence of what must be there, are checked; texts
// that must be UTF-8 are (protobuf's own parser does). An unknown enum number is kept as it is where
// the model can hold it, else INVALID_ARGUMENT.

std::string SerialiseEvent(const model::Event& event);
base::Result<model::Event> ParseEvent(std::string_view bytes);

void ToProto(const model::Facts& facts, v1::Facts& out);
base::Result<model::Facts> FromProto(const v1::Facts& in);
void ToProto(const model::Sighting& sighting, v1::Sighting& out);
base::Result<model::Sighting> FromProto(const v1::Sighting& in);
void ToProto(const model::Verdict& verdict, v1::Verdict& out);
base::Result<model::Verdict> FromProto(const v1::Verdict& in);
void ToProto(const model::Coverage& coverage, v1::Coverage& out);
base::Result<model::Coverage> FromProto(const v1::Coverage& in);

void ToProto(const SealedBatch& batch, v1::SealedBatch& out);
base::Result<SealedBatch> FromProto(const v1::SealedBatch& in);

// The `rules` part of a bundle. Serialising the same rules gives the same bytes.
std::string SerialiseRules(const model::RuleSet& rules);
base::Result<model::RuleSet> ParseRules(std::string_view bytes);

}  // namespace weighmaster::wire
