#include "policy/lang/document.h"

#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/base/limits.h"
#include "policy/engine/policy.h"
#include "policy/lang/condition/condition_reader.h"
#include "policy/lang/condition/quantity.h"
#include "policy/lang/lint.h"
#include "policy/lang/list_reader.h"
#include "policy/lang/yaml/tree.h"
#include "policy/lang/yaml/values.h"

namespace weighmaster::lang {
namespace {

void ReadBudget(const YamlNode& map, const Reporter& report, model::ScanSettings& scan) {
  if (!ExpectMap(map, "\"budget\"", report)) return;
  CheckKeys(map, {"read_per_second", "cpu_percent", "pause_on_battery", "pause_above_load"},
            report);
  if (const YamlNode* const node = map.Find("read_per_second")) {
    scan.read_per_second_bytes =
        ReadBytes(*node, "\"read_per_second\"", base::limits::kLeastReadPerSecondBytes,
                  base::limits::kMaxReadPerSecondBytes, report);
  }
  if (const YamlNode* const node = map.Find("cpu_percent")) {
    scan.cpu_percent = ReadNumber(*node, "\"cpu_percent\"", 1, 100, report);
  }
  if (const YamlNode* const node = map.Find("pause_on_battery")) {
    scan.pause_on_battery = ReadBool(*node, "\"pause_on_battery\"", report);
  }
  if (const YamlNode* const node = map.Find("pause_above_load")) {
    scan.pause_above_load =
        ReadNumber(*node, "\"pause_above_load\"", 0, base::limits::kMaxPauseAboveLoad, report);
  }
}

void ReadCollect(const YamlNode& map, const Reporter& report, model::WithheldFields& withheld) {
  if (!ExpectMap(map, "\"collect\"", report)) return;
  std::vector<std::string_view> names;
  for (const model::SentField& field : model::SentFields()) {
    if (field.as.has_value()) names.push_back(field.name);
  }
  for (const YamlEntry& entry : map.entries) {
    const auto field = model::ParseWithheld(entry.key);
    if (!field.has_value()) {
      report.Error(entry.key_at, Quote(entry.key) + " can't be left out of what is sent",
                   SpellingHint(entry.key, names, "fields"));
      continue;
    }
    const std::optional<bool> sent = ReadBool(entry.value, Quote(entry.key), report);
    if (sent == false) withheld.insert(*field);
  }
}

// What a document asks of agents beside judging.
model::Settings ReadSettings(const YamlNode& document, const Reporter& report) {
  model::Settings settings;
  if (const YamlNode* const node = document.Find("min_size")) {
    settings.scan.min_size_bytes =
        ReadBytes(*node, "\"min_size\"", 0, base::limits::kMaxMinFileBytes, report);
  }
  if (const YamlNode* const node = document.Find("budget")) {
    ReadBudget(*node, report, settings.scan);
  }
  if (const YamlNode* const node = document.Find("collect")) {
    ReadCollect(*node, report, settings.withheld);
  }
  return settings;
}

// Reads one document. Lives for one call of ReadDocument.
class DocumentReader {
 public:
  DocumentReader(const Reporter& report, const FileReader& read_file, base::WallTime now,
                 Document& document)
      : report_(report), read_file_(read_file), now_(now), document_(document) {}

  void Read(const YamlNode& root) {
    if (!ExpectMap(root, "the policy", report_)) return;
    CheckTopKeys(root);
    if (const YamlNode* const name = root.Find("policy")) {
      document_.name = ReadSentence(*name, "\"policy\"", base::limits::kMaxPolicyNameBytes, report_)
                           .value_or("");
    } else {
      report_.Error(root.at, "the policy has no name", "begin with \"policy: NAME\"");
    }
    if (const YamlNode* const mode = root.Find("mode")) {
      document_.mode = ReadMode(*mode).value_or(document_.mode);
    }
    if (const YamlNode* const lists = root.Find("lists")) {
      ListReader(report_, read_file_, document_).Read(*lists);
    }
    document_.settings = ReadSettings(root, report_);
    if (const YamlNode* const rules = root.Find("rules")) ReadRules(*rules);
    if (const YamlNode* const fallback = root.Find("default")) ReadDefault(*fallback);
  }

 private:
  void CheckTopKeys(const YamlNode& root) {
    YamlNode others;
    for (const YamlEntry& entry : root.entries) {
      if (entry.key == "version") {
        report_.Error(entry.key_at, "a document has no version",
                      "remove it; publishing gives the policy its version");
      } else {
        others.entries.push_back({entry.key, entry.key_at, {}});
      }
    }
    CheckKeys(others,
              {"policy", "mode", "min_size", "budget", "collect", "lists", "rules", "default"},
              report_);
  }

  void ReadRules(const YamlNode& rules) {
    if (!ExpectSequence(rules, "\"rules\"", report_)) return;
    if (rules.items.size() > base::limits::kMaxRules) {
      report_.Error(rules.at,
                    "there are " + std::to_string(rules.items.size()) + " rules; the limit is " +
                        std::to_string(base::limits::kMaxRules),
                    "name several values in one rule, or put digests on a list");
      return;
    }
    for (const YamlNode& node : rules.items) ReadRule(node);
  }

  void ReadRule(const YamlNode& node) {
    if (!ExpectMap(node, "a rule", report_)) return;
    CheckKeys(node,
              {"id", "when", "then", "message", "link", "severity", "mode", "expires", "audit",
               "always", "when_unknown"},
              report_);
    DocumentRule rule;
    rule.at = node.at;
    ReadId(node, rule);
    const bool has_condition = ReadWhen(node, rule);
    ReadWhenUnknown(node, rule);
    if (const YamlNode* const then = node.Find("then")) {
      rule.rule.outcome = ReadOutcome(*then).value_or(rule.rule.outcome);
    } else {
      report_.Error(node.at, "the rule has no outcome", "add \"then: allow\", warn or deny");
    }
    if (const YamlNode* const always = node.Find("always")) {
      rule.rule.always = ReadBool(*always, "\"always\"", report_).value_or(false);
    }
    ReadConsequences(node, rule.rule);
    rule.rule.message = ReadMessage(node);
    const bool is_silent = rule.rule.outcome != model::Outcome::kAllow && !rule.rule.audit &&
                           node.Find("message") == nullptr;
    if (is_silent) {
      report_.Warning(node.at, "the rule has no message",
                      "add a sentence that tells the person why, and what to do instead");
    }
    // Without its condition it would look like a rule for everything.
    if (has_condition) document_.rules.push_back(std::move(rule));
  }

  // What a rule says beside its outcome.
  void ReadConsequences(const YamlNode& node, model::Rule& rule) {
    rule.severity = ReadSeverity(node);
    rule.link = ReadLink(node);
    if (const YamlNode* const mode = node.Find("mode")) rule.mode = ReadMode(*mode);
    if (const YamlNode* const expires = node.Find("expires")) rule.expires = ReadExpiry(*expires);
    if (const YamlNode* const audit = node.Find("audit")) {
      rule.audit = ReadBool(*audit, "\"audit\"", report_).value_or(false);
    }
  }

  void ReadId(const YamlNode& node, DocumentRule& rule) {
    const YamlNode* const id = node.Find("id");
    if (id == nullptr) {
      report_.Error(node.at, "the rule has no id", "add \"id: NAME\"; verdicts name it");
      return;
    }
    const std::optional<std::string> text = ReadText(*id, "\"id\"", report_);
    if (!text) return;
    if (!engine::IsRuleId(*text)) {
      report_.Error(id->at, Quote(*text) + " can't be the id of a rule",
                    "use at most 64 of a-z, 0-9, '.', '_', '-', a letter or digit first; blocked, "
                    "denied, approved and default are taken");
      return;
    }
    rule.rule.id = *text;
    const auto [first, is_new] = ids_.try_emplace(*text, id->at);
    if (is_new) return;
    report_.Error(id->at, "two rules have the id " + Quote(*text),
                  "the first is at line " + std::to_string(first->second.line));
  }

  bool ReadWhen(const YamlNode& node, DocumentRule& rule) {
    const YamlNode* const when = node.Find("when");
    if (when == nullptr) return true;
    ConditionReader reader(report_);
    std::optional<model::Condition> condition = reader.Read(*when);
    if (!condition) return false;
    rule.rule.when = *std::move(condition);
    rule.nots = reader.nots();
    return true;
  }

  void ReadWhenUnknown(const YamlNode& node, DocumentRule& rule) {
    const YamlNode* const when_unknown = node.Find("when_unknown");
    if (when_unknown == nullptr || when_unknown->kind == YamlNode::Kind::kRefused) return;
    rule.says_when_unknown = true;
    if (when_unknown->text == "fire" || when_unknown->text == "skip") {
      rule.rule.fire_when_unknown = when_unknown->text == "fire";
    } else {
      report_.Error(when_unknown->at, "\"when_unknown\" must be fire or skip",
                    SpellingHint(when_unknown->text, {"fire", "skip"}, "values"));
    }
  }

  void ReadDefault(const YamlNode& node) {
    if (!ExpectMap(node, "\"default\"", report_)) return;
    CheckKeys(node, {"then", "message", "link", "severity"}, report_);
    if (const YamlNode* const then = node.Find("then")) {
      document_.default_outcome = ReadOutcome(*then).value_or(document_.default_outcome);
    } else {
      report_.Error(node.at, "the default has no outcome", "add \"then: allow\", warn or deny");
    }
    document_.default_message = ReadMessage(node);
    document_.default_severity = ReadSeverity(node);
    document_.default_link = ReadLink(node);
  }

  std::optional<model::Outcome> ReadOutcome(const YamlNode& node) {
    return ReadNamed(node, "\"then\"", model::ParseOutcome, kOutcomeNames, report_);
  }

  std::optional<model::Mode> ReadMode(const YamlNode& node) {
    return ReadNamed(node, "\"mode\"", model::ParseMode, kModeNames, report_);
  }

  std::optional<model::Severity> ReadSeverity(const YamlNode& node) {
    const YamlNode* const severity = node.Find("severity");
    if (severity == nullptr) return std::nullopt;
    return ReadNamed(*severity, "\"severity\"", model::ParseSeverity, kSeverityNames, report_);
  }

  std::string ReadLink(const YamlNode& node) {
    const YamlNode* const link = node.Find("link");
    if (link == nullptr) return {};
    const std::optional<std::string> text = ReadText(*link, "\"link\"", report_);
    if (!text) return {};
    if (engine::IsLink(*text)) return *text;
    report_.Error(link->at, Quote(*text) + " is no link",
                  "write an https:// address in ASCII; escape what is not with %, at most " +
                      std::to_string(base::limits::kMaxLinkBytes) + " bytes");
    return {};
  }

  std::optional<base::WallTime> ReadExpiry(const YamlNode& node) {
    const std::optional<base::WallTime> time = ReadTime(node, "\"expires\"", report_);
    if (time && *time <= now_) {
      report_.Warning(node.at, "the rule has expired",
                      "it is not asked any more; remove it, or give it a later time");
    }
    return time;
  }

  std::string ReadMessage(const YamlNode& node) {
    const YamlNode* const message = node.Find("message");
    if (message == nullptr) return {};
    return ReadSentence(*message, "\"message\"", base::limits::kMaxRuleMessageBytes, report_)
        .value_or("");
  }

  const Reporter& report_;
  const FileReader& read_file_;
  const base::WallTime now_;
  Document& document_;
  std::unordered_map<std::string, Location> ids_;
};

}  // namespace

Reading ReadDocument(std::string_view file, std::string_view text, const FileReader& read_file,
                     base::WallTime now) {
  Reading reading;
  reading.document.files.emplace_back(file);
  const Reporter report{std::string(file), reading.diagnostics};
  if (text.size() > base::limits::kMaxPolicyBytes) {
    report.Error({},
                 "the document is larger than " +
                     std::to_string(base::limits::kMaxPolicyBytes / base::limits::kMiB) + " MiB",
                 "move long lists of digests to text files: approved: [{file: approved.txt}]");
    return reading;
  }
  if (const std::optional<YamlNode> root = ReadYaml(text, report)) {
    DocumentReader(report, read_file, now, reading.document).Read(*root);
    Lint(reading.document, reading.diagnostics);
  }
  reading.diagnostics.Sort(file);
  return reading;
}

}  // namespace weighmaster::lang
