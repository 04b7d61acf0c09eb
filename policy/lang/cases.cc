#include "policy/lang/cases.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "policy/base/limits.h"
#include "policy/engine/fields.h"
#include "policy/lang/condition/quantity.h"
#include "policy/lang/list_reader.h"
#include "policy/lang/yaml/tree.h"
#include "policy/lang/yaml/values.h"

namespace weighmaster::lang {
namespace {

using model::Facts;
using model::Sighting;

constexpr std::pair<std::string_view, std::string Facts::*> kTexts[] = {
    {"name", &Facts::name},
    {"architecture", &Facts::architecture},
    {"license", &Facts::license},
    {"quantization", &Facts::quantization}};
constexpr std::pair<std::string_view, std::optional<std::uint64_t> Facts::*> kCounts[] = {
    {"parameters", &Facts::parameters}, {"tensor_count", &Facts::tensor_count}};
// What follows from another field, which is to be given instead.
constexpr std::pair<std::string_view, std::string_view> kDerived[] = {
    {"file_name", "path"}, {"weights_approved", "weights"}};

std::vector<std::string_view> GivenKeys() {
  std::vector<std::string_view> keys = {"time"};
  for (const engine::Field& field : engine::Fields()) keys.push_back(field.name);
  return keys;
}

// Reads the `given` of one case.
class GivenReader {
 public:
  GivenReader(const Reporter& report, Case& out) : report_(report), out_(out) {}

  void Read(const YamlNode& given) {
    if (!ExpectMap(given, "\"given\"", report_)) return;
    sighting().path.bytes = "/models/model";
    for (const YamlEntry& entry : given.entries) ReadEntry(entry);
    model::ContentDigest& digest = sighting().digest;
    if (!state_) state_ = model::DigestState::kVerified;
    digest.state = *state_;
    const bool has_digest =
        *state_ == model::DigestState::kVerified || *state_ == model::DigestState::kClaimed;
    if (has_digest) digest.sha256 = sha256_.value_or(model::Sha256{});
    for (model::Risk& risk : sighting().facts.risks) {
      if (risk_severity_ && risk.severity == kNotSaid) risk.severity = *risk_severity_;
      if (risk.severity == kNotSaid) risk.severity = model::Severity::kHigh;
    }
    if (risk_severity_ && sighting().facts.risks.empty()) {
      report_.Error(given.at, "\"risk_severity\" is of no risk", "name it: risk: malformed");
    }
    if (sha256_ && !has_digest) {
      report_.Error(given.at, "a file whose digest is " +
                                  std::string(model::DigestStateName(*state_)) + " has no SHA-256");
    }
  }

 private:
  static constexpr model::Severity kNotSaid{0};

  Sighting& sighting() { return out_.given; }

  void ReadEntry(const YamlEntry& entry) {
    const YamlNode& value = entry.value;
    const std::string what = "\"" + entry.key + "\"";
    for (const auto& [name, member] : kTexts) {
      if (name != entry.key) continue;
      sighting().facts.*member = ReadText(value, what, report_).value_or("");
      return;
    }
    for (const auto& [name, member] : kCounts) {
      if (name != entry.key) continue;
      sighting().facts.*member = ReadQuantity(value, entry.key);
      return;
    }
    for (const auto& [name, source] : kDerived) {
      if (name != entry.key) continue;
      report_.Error(entry.key_at, what + " follows from \"" + std::string(source) + "\"",
                    "give \"" + std::string(source) + "\" instead");
      return;
    }
    if (entry.key == "time") {
      out_.time = ReadTime(value, what, report_).value_or(out_.time);
    } else if (entry.key == "format") {
      sighting().facts.format =
          ReadNamed(value, what, model::ParseFormat, ValuesOf(entry.key), report_)
              .value_or(model::Format::kUnknown);
    } else if (entry.key == "size") {
      sighting().size_bytes = ReadQuantity(value, entry.key).value_or(0);
    } else if (entry.key == "path") {
      sighting().path.bytes = ReadText(value, what, report_).value_or("");
    } else if (entry.key == "owner") {
      sighting().owner.name = ReadText(value, what, report_).value_or("");
    } else if (entry.key == "risk") {
      ReadRisks(value);
    } else if (entry.key == "risk_severity") {
      risk_severity_ = ReadNamed(value, what, model::ParseSeverity, ValuesOf(entry.key), report_);
    } else if (entry.key == "digest_state") {
      state_ = ReadNamed(value, what, model::ParseDigestState, ValuesOf(entry.key), report_);
    } else if (entry.key == "sha256") {
      sha256_ = ReadDigest(value, what, report_);
    } else if (entry.key == "weights") {
      sighting().weights_digest = ReadDigest(value, what, report_);
    } else if (entry.key == "weights_reason") {
      sighting().weights_reason =
          ReadNamed(value, what, model::ParseWeightsReason, ValuesOf(entry.key), report_)
              .value_or(model::WeightsReason::kNone);
    } else {
      report_.Error(entry.key_at, "there is no field " + Quote(entry.key),
                    SpellingHint(entry.key, GivenKeys(), "fields"));
    }
  }

  // Ids, or maps of id and severity.
  void ReadRisks(const YamlNode& node) {
    const std::span<const YamlNode> risks =
        node.kind == YamlNode::Kind::kSequence ? std::span(node.items) : std::span(&node, 1);
    for (const YamlNode& risk : risks) {
      model::Risk read;
      read.severity = kNotSaid;
      const YamlNode* id = &risk;
      if (risk.kind == YamlNode::Kind::kMap) {
        CheckKeys(risk, {"id", "severity"}, report_);
        id = risk.Find("id");
        if (const YamlNode* const severity = risk.Find("severity")) {
          read.severity =
              ReadNamed(*severity, "\"severity\"", model::ParseSeverity, kSeverityNames, report_)
                  .value_or(kNotSaid);
        }
      }
      if (id == nullptr) {
        report_.Error(risk.at, "the risk has no id");
        continue;
      }
      read.id = ReadText(*id, "a risk", report_).value_or("");
      sighting().facts.risks.push_back(std::move(read));
    }
  }

  static std::vector<std::string_view> ValuesOf(std::string_view field) {
    const auto values = engine::FindField(field)->values;
    return {values.begin(), values.end()};
  }

  std::optional<std::uint64_t> ReadQuantity(const YamlNode& node, std::string_view field) {
    const std::optional<std::string> text = ReadText(node, field, report_);
    if (!text) return std::nullopt;
    const auto number = ParseQuantity(*text, engine::FindField(field)->unit);
    if (number.has_value()) return *number;
    report_.Error(node.at, Quote(*text) + " is no number", number.error().message());
    return std::nullopt;
  }

  const Reporter& report_;
  Case& out_;
  std::optional<model::Severity> risk_severity_;
  std::optional<model::DigestState> state_;
  std::optional<model::Sha256> sha256_;
};

Expectation ReadExpectation(const YamlNode& node, const Reporter& report) {
  Expectation expect;
  if (!ExpectMap(node, "\"expect\"", report)) return expect;
  CheckKeys(node, {"verdict", "rule", "basis", "severity", "mode", "audits"}, report);
  if (const YamlNode* const verdict = node.Find("verdict")) {
    expect.verdict = ReadNamed(*verdict, "\"verdict\"", model::ParseOutcome, kOutcomeNames, report)
                         .value_or(expect.verdict);
  } else {
    report.Error(node.at, "the case expects no verdict", "add \"verdict: allow\", warn or deny");
  }
  if (const YamlNode* const rule = node.Find("rule")) {
    expect.rule = ReadText(*rule, "\"rule\"", report);
  }
  if (const YamlNode* const basis = node.Find("basis")) {
    expect.basis = ReadNamed(*basis, "\"basis\"", model::ParseBasis,
                             {"verified", "claimed", "partial"}, report);
  }
  if (const YamlNode* const severity = node.Find("severity")) {
    expect.severity =
        ReadNamed(*severity, "\"severity\"", model::ParseSeverity, kSeverityNames, report);
  }
  if (const YamlNode* const mode = node.Find("mode")) {
    expect.mode = ReadNamed(*mode, "\"mode\"", model::ParseMode, kModeNames, report);
  }
  if (const YamlNode* const audits = node.Find("audits")) {
    const bool is_none = audits->kind == YamlNode::Kind::kSequence && audits->items.empty();
    expect.audits = is_none ? std::vector<std::string>() : ReadTexts(*audits, "\"audits\"", report);
  }
  return expect;
}

// Entries for the policy's lists, as a document writes them but for files.
std::vector<ListedDigest> ReadLists(const YamlNode& lists, const Reporter& report) {
  Document document;
  document.files.push_back(report.file());
  ListReader(report, nullptr, document).Read(lists);
  return std::move(document.digests);
}

void ReadCase(const YamlNode& node, base::WallTime now, const Reporter& report,
              std::vector<Case>& out) {
  if (!ExpectMap(node, "a case", report)) return;
  CheckKeys(node, {"name", "given", "expect"}, report);
  Case one;
  one.at = node.at;
  one.time = now;
  if (const YamlNode* const name = node.Find("name")) {
    one.name =
        ReadSentence(*name, "\"name\"", base::limits::kMaxRuleMessageBytes, report).value_or("");
  } else {
    report.Error(node.at, "the case has no name", "add \"name: what it shows\"");
  }
  YamlNode nothing;
  nothing.kind = YamlNode::Kind::kMap;
  nothing.at = node.at;
  const YamlNode* const given = node.Find("given");
  GivenReader(report, one).Read(given == nullptr ? nothing : *given);
  const YamlNode* const expect = node.Find("expect");
  one.expect = ReadExpectation(expect == nullptr ? nothing : *expect, report);
  out.push_back(std::move(one));
}

void CheckNames(const std::vector<Case>& cases, const Reporter& report) {
  std::map<std::string_view, Location> places;
  for (const Case& one : cases) {
    if (one.name.empty()) continue;
    const auto [first, is_new] = places.try_emplace(one.name, one.at);
    if (is_new) continue;
    report.Error(one.at, "two cases have the name " + Quote(one.name),
                 "the first is at line " + std::to_string(first->second.line));
  }
}

template <typename T>
void Compare(std::string_view what, const T& is, const std::optional<T>& expected,
             std::string_view (*name)(T), std::vector<std::string>& differences) {
  if (!expected || is == *expected) return;
  differences.push_back("the " + std::string(what) + " is " + std::string(name(is)) + ", not " +
                        std::string(name(*expected)));
}

std::string Listed(const std::vector<std::string>& ids) {
  std::string text;
  for (const std::string& id : ids) text += (text.empty() ? "" : ", ") + Quote(id);
  return text.empty() ? "none" : text;
}

std::vector<std::string> DifferencesOf(const model::Verdict& verdict, const Expectation& expect) {
  std::vector<std::string> differences;
  Compare("verdict", verdict.outcome, std::optional(expect.verdict), model::OutcomeName,
          differences);
  if (expect.rule && *expect.rule != verdict.rule) {
    differences.push_back("the rule is " + Quote(verdict.rule) + ", not " + Quote(*expect.rule));
  }
  Compare("basis", verdict.basis, expect.basis, model::BasisName, differences);
  Compare("severity", verdict.severity, expect.severity, model::SeverityName, differences);
  Compare("mode", verdict.mode, expect.mode, model::ModeName, differences);
  if (expect.audits && *expect.audits != verdict.audits) {
    differences.push_back("the audit rules are " + Listed(verdict.audits) + ", not " +
                          Listed(*expect.audits));
  }
  return differences;
}

}  // namespace

CasesReading ReadCases(std::string_view file, std::string_view text, base::WallTime now) {
  CasesReading reading;
  const Reporter report{std::string(file), reading.diagnostics};
  if (text.size() > base::limits::kMaxPolicyBytes) {
    report.Error({}, "the cases are larger than " +
                         std::to_string(base::limits::kMaxPolicyBytes / base::limits::kMiB) +
                         " MiB");
    return reading;
  }
  const std::optional<YamlNode> root = ReadYaml(text, report);
  if (!root || !ExpectMap(*root, "a file of cases", report)) return reading;
  CheckKeys(*root, {"lists", "cases"}, report);
  if (const YamlNode* const lists = root->Find("lists")) {
    reading.digests = ReadLists(*lists, report);
  }
  const YamlNode* const cases = root->Find("cases");
  if (cases == nullptr) {
    report.Error(root->at, "there are no cases", "begin with \"cases:\"");
  } else if (ExpectSequence(*cases, "\"cases\"", report)) {
    if (cases->items.empty()) {
      report.Error(cases->at, "there are no cases", "add {name: …, given: {…}, expect: {…}}");
    }
    for (const YamlNode& node : cases->items) ReadCase(node, now, report, reading.cases);
    CheckNames(reading.cases, report);
  }
  reading.diagnostics.Sort(file);
  return reading;
}

CasesOutcome RunCases(const engine::Policy& policy, const std::vector<Case>& cases) {
  CasesOutcome outcome;
  std::set<std::string, std::less<>> busy;
  for (const Case& one : cases) {
    model::Verdict verdict = policy.Judge(one.given, one.time);
    busy.insert(verdict.rule);
    busy.insert(verdict.audits.begin(), verdict.audits.end());
    std::vector<std::string> differences = DifferencesOf(verdict, one.expect);
    if (differences.empty()) {
      ++outcome.passed;
    } else {
      outcome.failures.push_back({&one, std::move(verdict), std::move(differences)});
    }
  }
  for (const model::Rule& rule : policy.rules().rules) {
    if (!busy.contains(rule.id)) outcome.idle_rules.push_back(rule.id);
  }
  return outcome;
}

}  // namespace weighmaster::lang
