#include "policy/report/sighting_json.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "policy/base/bytes.h"
#include "policy/report/json_line.h"

namespace weighmaster::report {
namespace {

using Json = nlohmann::ordered_json;

Json TextOrNull(std::string_view text) {
  if (text.empty()) return nullptr;
  return JsonText(text);
}

void AddPath(Json& out, const model::Path& path) {
  out["path"] = path.ToDisplay();
  if (!path.IsDisplayable()) {
    out["path_base64"] = base::Base64UrlEncode(base::AsBytes(path.bytes));
  }
}

void AddDigest(Json& out, const model::ContentDigest& digest) {
  out["sha256"] = digest.sha256.has_value() ? Json(digest.sha256->ToHex()) : Json(nullptr);
  out["digest_state"] = model::DigestStateName(digest.state);
  if (!digest.detail.empty()) out["digest_detail"] = TextOrNull(digest.detail);
}

void AddFacts(Json& out, const model::Facts& facts) {
  out["name"] = TextOrNull(facts.name);
  out["architecture"] = TextOrNull(facts.architecture);
  out["parameters"] = facts.parameters.has_value() ? Json(*facts.parameters) : Json(nullptr);
  out["quantization"] = TextOrNull(facts.quantization);
  out["license"] = TextOrNull(facts.license);
  out["risks"] = Json::array();
  for (const model::Risk& risk : facts.risks) {
    out["risks"].push_back({{"id", risk.id},
                            {"severity", model::SeverityName(risk.severity)},
                            {"message", TextOrNull(risk.message)},
                            {"evidence", TextOrNull(risk.evidence)}});
  }
}

void AddVerdict(Json& out, const std::optional<model::Verdict>& verdict) {
  if (!verdict.has_value()) {
    out["verdict"] = nullptr;
    out["rule"] = nullptr;
    out["reason"] = nullptr;
    return;
  }
  out["verdict"] = model::OutcomeName(verdict->outcome);
  out["rule"] = verdict->rule;
  out["reason"] = TextOrNull(verdict->reason);
  out["basis"] = model::BasisName(verdict->basis);
  out["step"] = model::JudgementStepName(verdict->step);
  out["policy_version"] = verdict->policy_version;
  out["severity"] = model::SeverityName(verdict->severity);
  out["mode"] = model::ModeName(verdict->mode);
  out["link"] = TextOrNull(verdict->link);
  out["until"] = verdict->until ? Json(base::FormatWallTime(*verdict->until)) : Json(nullptr);
  out["audits"] = verdict->audits;
}

}  // namespace

std::string SightingToJson(const model::Sighting& sighting,
                           const std::optional<model::Verdict>& verdict,
                           const SightingContext& context) {
  Json out;
  if (!context.endpoint_id.empty()) {
    out["endpoint_id"] = context.endpoint_id;
    out["hostname"] = TextOrNull(context.hostname);
    out["present"] = context.present;
    out["first_seen"] = base::FormatWallTime(context.first_seen);
    out["last_change"] = base::FormatWallTime(context.last_change);
  }
  AddPath(out, sighting.path);
  out["format"] = model::FormatName(sighting.facts.format);
  out["size_bytes"] = sighting.size_bytes;
  out["modified"] = base::FormatWallTime(sighting.modified_at);
  out["owner"] = TextOrNull(sighting.owner.name.empty() ? sighting.owner.id : sighting.owner.name);
  AddDigest(out, sighting.digest);
  out["weights_digest"] =
      sighting.weights_digest ? Json(sighting.weights_digest->ToHex()) : Json(nullptr);
  if (sighting.weights_reason != model::WeightsReason::kNone) {
    out["weights_reason"] = model::WeightsReasonName(sighting.weights_reason);
  }
  AddFacts(out, sighting.facts);
  AddVerdict(out, verdict);
  return JsonLine(out);
}

}  // namespace weighmaster::report
