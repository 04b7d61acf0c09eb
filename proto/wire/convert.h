#pragma once

#include <string>
#include <string_view>

#include "policy/base/result.h"
#include "policy/model/event.h"
#include "policy/model/path.h"
#include "policy/model/rules.h"
#include "policy/model/sighting.h"
#include "proto/wire/seal.h"

namespace weighmaster::v1 {
class Coverage;
class Facts;
class Path;
class SealedBatch;
class Sighting;
class Verdict;
}  // namespace weighmaster::v1

namespace weighmaster::wire {

// Protobuf to model values and back. Every From… treats its input as foreign: lengths of digests
// and ids, limits of paths, facts, risks and evidence, presence of what must be there, are checked;
// texts that must be UTF-8 are (protobuf's own parser does). An unknown enum number is kept as it
// is where the model can hold it, else INVALID_ARGUMENT. Every To… makes what its From… accepts:
// texts that are not UTF-8 are escaped (base::EscapeForDisplay), longer ones cut.

// At most limits::kMaxEventBytes: where a file's risks do not fit beside its path, the last ones
// give way to one that says so.
std::string SerialiseEvent(const model::Event& event);
// UNIMPLEMENTED for a kind of event that this build does not know: it is kept and not understood.
base::Result<model::Event> ParseEvent(std::string_view bytes);

void ToProto(const model::Path& path, v1::Path& out);
base::Result<model::Path> FromProto(const v1::Path& in);
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

// The `rules` part of a bundle. Serialising the same rules gives the same bytes. An operator,
// outcome or kind of condition that this build does not know is INVALID_ARGUMENT: half a rule is no
// rule.
std::string SerialiseRules(const model::RuleSet& rules);
base::Result<model::RuleSet> ParseRules(std::string_view bytes);

}  // namespace weighmaster::wire
