#include "policy/lang/suggest.h"

#include <algorithm>

#include "policy/base/bytes.h"
#include "policy/engine/text.h"
#include "policy/lang/condition/condition_text.h"

namespace weighmaster::lang {
namespace {

// Texts of licences that name none; the starter policies take them for a missing one as well.
bool NamesALicence(const std::string& licence) {
  return licence != "unknown" && licence != "none" && licence != "noassertion" &&
         licence != "other";
}

// Longer texts are the licence itself and not its name.
constexpr std::size_t kLongestLicenceName = 64;
// More different ones are no list that a person reviews.
constexpr std::size_t kMostLicences = 40;

bool IsDangerous(const model::Sighting& sighting) {
  return std::ranges::any_of(sighting.facts.risks, [](const model::Risk& risk) {
    return risk.severity >= model::Severity::kHigh;
  });
}

std::string Joined(const std::set<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + YamlScalar(text);
  return list;
}

// A name on one line of a list file, where '#' after a blank would begin a comment.
std::string NameFor(const model::Sighting& sighting) {
  const std::string& name = sighting.facts.name;
  std::string shown = base::EscapeForDisplay(name.empty() ? sighting.path.FileName() : name);
  std::ranges::replace(shown, '#', '_');
  return shown;
}

}  // namespace

void Suggestion::Add(const model::Sighting& sighting) {
  ++files_;
  const model::ContentDigest& digest = sighting.digest;
  if (digest.state != model::DigestState::kVerified || !digest.sha256.has_value()) {
    ++unread_;
    return;
  }
  if (IsDangerous(sighting)) {
    ++dangerous_;
    return;
  }
  approved_.emplace(*digest.sha256, NameFor(sighting));
  formats_.emplace(model::FormatName(sighting.facts.format));
  const std::string licence = engine::FoldCase(sighting.facts.license);
  const bool is_name = !licence.empty() && licence.size() <= kLongestLicenceName &&
                       base::IsUtf8(licence) && NamesALicence(licence);
  if (is_name && licences_.size() < kMostLicences) licences_.insert(licence);
}

std::string Suggestion::LicenceRules() const {
  std::string rules =
      "  # A licence that is missing is not a permission.\n"
      "  - id: license-unknown\n"
      "    when: {any: [{license: {known: false}}, {license: [unknown, none, noassertion]}]}\n"
      "    then: warn\n"
      "    message: The file does not state a licence. Look it up before you use the model at "
      "work.\n";
  if (licences_.empty()) return rules;
  return rules +
         "\n"
         "  # The licences of the files that are there today. Strike out what you do not want.\n"
         "  - id: license-in-use\n"
         "    when: {license: [" +
         Joined(licences_) +
         "]}\n"
         "    then: allow\n"
         "    message: Models under this licence are in use already.\n";
}

std::string Suggestion::document() const {
  std::string text =
      "# Suggested from the inventory: what was there and read stays allowed, what is new is a "
      "warning. Nothing is denied\n"
      "# until you say so.\n"
      "\n"
      "policy: " +
      YamlScalar(name_) +
      "\n"
      "mode: observe\n";
  if (!approved_.empty()) {
    text +=
        "\n"
        "lists:\n"
        "  # The files that are there today.\n"
        "  approved:\n"
        "    - file: " +
        YamlScalar(list_file_) + "\n";
  }
  text +=
      "\n"
      "rules:\n"
      "  # Dangers come before the approved list.\n"
      "  - id: dangerous\n"
      "    always: true\n"
      "    when: {risk_severity: {at_least: high}}\n"
      "    then: warn\n"
      "    message: This file can run code, or is made to mislead. Use the same model as "
      "safetensors or GGUF.\n"
      "\n";
  if (!formats_.empty()) {
    text +=
        "  # Formats that nobody uses today.\n"
        "  - id: new-format\n"
        "    when: {not: {format: [" +
        Joined(formats_) +
        "]}}\n"
        "    then: warn\n"
        "    message: Models of this format are not in use here. Ask before you use it at work.\n"
        "\n";
  }
  return text + LicenceRules() +
         "\n"
         "default:\n"
         "  then: warn\n"
         "  message: This model was not there when the policy was written.\n";
}

std::string Suggestion::approved() const {
  std::string text = "# The files that were there when this list was written.\n";
  for (const auto& [digest, name] : approved_) text += digest.ToHex() + " " + name + "\n";
  return text;
}

}  // namespace weighmaster::lang
