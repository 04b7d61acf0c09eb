#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/limits.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Every risk that a file's content can carry. Id, severity and sentence of each stand in one table
// in risks.cc; docs/formats/model-files.md says where each is looked for.
enum class RiskId : std::uint8_t {
  kMalformed,
  kOpaque,
  kTrailingData,
  kUnsupportedVersion,
  kChatTemplateReachesPython,
  kPickleFormat,
  kPickleExecutesCode,
  kPickleReachesSystem,
  kPickleUnlistedGlobal,
  kPickleHiddenImport,
  kPickleUnknownCall,
  kPickleFramesDisagree,
  kEmbeddedPickle,
  kArchivePathEscapes,
  kNativeCodeInside,
  kCustomOperators,
  kExternalDataEscapes,
  kKerasLambda,
  kKerasForeignModule,
  kTfExecutesCode,
  kTfReachesFiles,
  kConfigNamesCode,
  kPythonCodeInside,
};

// What policy, JSON and people see of a risk.
std::string_view RiskName(RiskId id);
model::Severity RiskSeverity(RiskId id);

// The risks of one file, the same one told once. Past limits::kMaxRisksPerFile the mildest give
// way, so the worst is always told.
class RiskList {
 public:
  // `evidence` is foreign text: it is escaped and cut here.
  void Add(RiskId id, std::string_view evidence);
  void Add(RiskId id, std::string_view evidence, model::Severity severity);

  // That the file was not looked at whole, because its work is spent. Whoever hides behind size is
  // not judged clean.
  void AddSpent(std::uint64_t offset);

  // Everything that `other` holds.
  void Add(RiskList other);

  // What was found in a part of the file; `place` begins its evidence.
  void AddOfPart(std::vector<model::Risk> risks, std::string_view place);

  // Of the worst of them; kInfo where there is none.
  model::Severity worst() const;

  // The worst first, otherwise in the order in which they were found.
  std::vector<model::Risk> Take() &&;

 private:
  void AddRisk(model::Risk risk);
  bool HasRoomFor(model::Severity severity) const;

  std::vector<model::Risk> risks_;
};

// "offset 0x1f": how evidence names a place in a file.
std::string AtOffset(std::uint64_t offset);

// A foreign text as a fact or as evidence: UTF-8 with no control characters (they and invalid bytes
// become \xNN), cut to `most` bytes at the end of a character.
std::string CleanText(std::string_view text, std::size_t most = base::limits::kMaxFactBytes);

}  // namespace weighmaster::agent::formats
