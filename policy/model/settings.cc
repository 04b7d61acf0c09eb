#include "policy/model/settings.h"

#include <algorithm>
#include <string>
#include <utility>

namespace weighmaster::model {
namespace {

constexpr SentField kSentFields[] = {
    {"path", "The file's full path."},
    {"identity",
     "Bytes that name the file whatever its path, so that links of one file count once."},
    {"size", "The file's size."},
    {"modified", "When the file was last written."},
    {"owner", "The user that the file belongs to, by name and by id.", Withheld::kOwner,
     [](Sighting& sighting) { sighting.owner = {}; }},
    {"format", "What the file is by its content."},
    {"name", "The model's name, as the file gives it.", Withheld::kName,
     [](Sighting& sighting) { sighting.facts.name.clear(); }},
    {"architecture", "The model's architecture.", Withheld::kArchitecture,
     [](Sighting& sighting) { sighting.facts.architecture.clear(); }},
    {"license", "The licence as the file writes it.", Withheld::kLicense,
     [](Sighting& sighting) { sighting.facts.license.clear(); }},
    {"quantization", "How the weights are stored.", Withheld::kQuantization,
     [](Sighting& sighting) { sighting.facts.quantization.clear(); }},
    {"parameters", "The number of weights in the file.", Withheld::kParameters,
     [](Sighting& sighting) { sighting.facts.parameters.reset(); }},
    {"tensor_count", "The number of tensors in the file.", Withheld::kTensorCount,
     [](Sighting& sighting) { sighting.facts.tensor_count.reset(); }},
    {"risks", "The risks found in the file's content: id, severity, and a sentence of ours."},
    {"risk_evidence",
     "What a risk was seen by, in the file's own words: an offset, an opcode, a name.",
     Withheld::kRiskEvidence,
     [](Sighting& sighting) {
       for (Risk& risk : sighting.facts.risks) risk.evidence.clear();
     }},
    {"digest", "The file's SHA-256, how far it is known, and since when."},
    {"weights",
     "The digest of the weights alone, the same for every packing of them, or why there is none."},
};

const SentField* Find(Withheld field) {
  const auto* const found = std::ranges::find(kSentFields, std::optional(field), &SentField::as);
  return found == std::end(kSentFields) ? nullptr : found;
}

}  // namespace

std::span<const SentField> SentFields() { return kSentFields; }

std::string_view WithheldName(Withheld field) {
  const SentField* const row = Find(field);
  return row == nullptr ? "unknown" : row->name;
}

base::Result<Withheld> ParseWithheld(std::string_view name) {
  for (const SentField& row : kSentFields) {
    if (row.as.has_value() && row.name == name) return *row.as;
  }
  return base::InvalidArgument("\"" + std::string(name) + "\" is nothing that can be withheld");
}

Sighting Without(const WithheldFields& withheld, Sighting sighting) {
  for (const Withheld field : withheld) {
    if (const SentField* const row = Find(field)) row->withhold(sighting);
  }
  return sighting;
}

}  // namespace weighmaster::model
