#include "agent/app/settings.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include "policy/base/duration_words.h"
#include "policy/lang/condition/quantity.h"
#include "policy/lang/yaml/tree.h"
#include "policy/lang/yaml/values.h"
#include "third_party/posix/files.h"

namespace weighmaster::agent::app {
namespace {

using lang::Reporter;
using lang::YamlNode;

constexpr std::size_t kMaxSettingsBytes = base::limits::kMaxPolicyBytes;
// The machine's owner may say what a policy may not.
constexpr std::uint64_t kAnySize = std::numeric_limits<std::uint64_t>::max();

void ReadPath(const YamlNode& node, std::string_view what, const Reporter& report,
              std::string& out) {
  const auto text = lang::ReadText(node, what, report);
  if (!text.has_value()) return;
  if (text->front() != '/') {
    report.Error(node.at, std::string(what) + " must be a full path", "begin it with \"/\"");
    return;
  }
  // "/a//b/" and "/a/b" are one folder, and are compared as text from here on.
  out = std::filesystem::path(*text).lexically_normal().string();
  if (out.size() > 1 && out.back() == '/') out.pop_back();
}

void ReadPaths(const YamlNode& node, std::string_view what, const Reporter& report,
               std::vector<std::string>& out) {
  if (!lang::ExpectSequence(node, what, report)) return;
  for (const YamlNode& item : node.items) {
    std::string path;
    ReadPath(item, what, report, path);
    if (!path.empty()) out.push_back(std::move(path));
  }
}

void ReadDuration(const YamlNode& node, std::string_view what, const Reporter& report,
                  base::Duration& out) {
  const auto text = lang::ReadText(node, what, report);
  if (!text.has_value()) return;
  const auto duration = base::ParseDuration(*text);
  if (duration.has_value() && *duration > base::Duration(0)) {
    out = *duration;
  } else {
    report.Error(node.at, std::string(what) + " is no duration",
                 "write a number and s, m, h or d, e.g. 30m");
  }
}

template <typename Value>
void ReadChoice(const YamlNode& node, std::string_view what,
                const std::vector<std::pair<std::string_view, Value>>& choices,
                const Reporter& report, Value& out) {
  const auto text = lang::ReadText(node, what, report);
  if (!text.has_value()) return;
  std::vector<std::string_view> names;
  for (const auto& [name, value] : choices) {
    if (name == *text) {
      out = value;
      return;
    }
    names.push_back(name);
  }
  report.Error(node.at, lang::Quote(*text) + " is no " + std::string(what),
               lang::SpellingHint(*text, names, what));
}

void ReadBudget(const YamlNode& map, const Reporter& report, Settings& settings) {
  if (!lang::ExpectMap(map, "the budget", report)) return;
  lang::CheckKeys(map,
                  {"read_per_second", "cpu_percent", "hash_threads", "pause_on_battery",
                   "pause_above_load", "background"},
                  report);
  model::ScanSettings& scan = settings.scan;
  if (const YamlNode* node = map.Find("read_per_second")) {
    scan.read_per_second_bytes = lang::ReadBytes(*node, "read_per_second", 0, kAnySize, report);
  }
  if (const YamlNode* node = map.Find("cpu_percent")) {
    scan.cpu_percent = lang::ReadNumber(*node, "cpu_percent", 1, 100, report);
  }
  if (const YamlNode* node = map.Find("hash_threads")) {
    settings.hash_threads =
        lang::ReadNumber(*node, "hash_threads", 1, 64, report).value_or(settings.hash_threads);
  }
  if (const YamlNode* node = map.Find("pause_on_battery")) {
    scan.pause_on_battery = lang::ReadBool(*node, "pause_on_battery", report);
  }
  if (const YamlNode* node = map.Find("pause_above_load")) {
    scan.pause_above_load =
        lang::ReadNumber(*node, "pause_above_load", 0, base::limits::kMaxPauseAboveLoad, report);
  }
  if (const YamlNode* node = map.Find("background")) {
    settings.background = lang::ReadBool(*node, "background", report).value_or(settings.background);
  }
}

void ReadLog(const YamlNode& map, const Reporter& report, logging::Options& log) {
  if (!lang::ExpectMap(map, "the log", report)) return;
  lang::CheckKeys(map, {"level", "form", "file"}, report);
  using logging::Form;
  using logging::Level;
  if (const YamlNode* node = map.Find("level")) {
    ReadChoice<Level>(*node, "log level",
                      {{"debug", Level::kDebug},
                       {"info", Level::kInfo},
                       {"warning", Level::kWarning},
                       {"error", Level::kError}},
                      report, log.level);
  }
  if (const YamlNode* node = map.Find("form")) {
    ReadChoice<Form>(*node, "log form", {{"text", Form::kText}, {"json", Form::kJson}}, report,
                     log.form);
  }
  if (const YamlNode* node = map.Find("file")) {
    std::string path;
    ReadPath(*node, "the log file", report, path);
    log.file = path;
  }
}

// A file whose settings are all commented out is as good as an empty one.
bool HasOnlyComments(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first != std::string_view::npos && line[first] != '#') return false;
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return true;
}

using Reader = std::function<void(const YamlNode&, const Reporter&, Settings&)>;

// The keys of the file, in the order of its manual page.
const std::vector<std::pair<std::string_view, Reader>>& Readers() {
  static const std::vector<std::pair<std::string_view, Reader>> kReaders = {
      {"state_folder", [](const auto& n, const auto& r,
                          Settings& s) { ReadPath(n, "state_folder", r, s.state_folder); }},
      {"control_socket", [](const auto& n, const auto& r,
                            Settings& s) { ReadPath(n, "control_socket", r, s.control_socket); }},
      {"cage_program", [](const auto& n, const auto& r,
                          Settings& s) { ReadPath(n, "cage_program", r, s.cage_program); }},
      {"enrolment_token_file",
       [](const auto& n, const auto& r, Settings& s) {
         ReadPath(n, "enrolment_token_file", r, s.enrolment_token_file);
       }},
      {"policy_line",
       [](const auto& n, const auto& r, Settings& s) {
         s.policy_line = lang::ReadSentence(n, "policy_line", base::limits::kMaxNameBytes, r)
                             .value_or(s.policy_line);
       }},
      {"roots",
       [](const auto& n, const auto& r, Settings& s) { ReadPaths(n, "roots", r, s.roots); }},
      {"exclude",
       [](const auto& n, const auto& r, Settings& s) { ReadPaths(n, "exclude", r, s.excluded); }},
      {"min_size",
       [](const auto& n, const auto& r, Settings& s) {
         s.scan.min_size_bytes = lang::ReadBytes(n, "min_size", 0, kAnySize, r);
       }},
      {"rescan_every", [](const auto& n, const auto& r,
                          Settings& s) { ReadDuration(n, "rescan_every", r, s.rescan_every); }},
      {"budget", [](const auto& n, const auto& r, Settings& s) { ReadBudget(n, r, s); }},
      {"log", [](const auto& n, const auto& r, Settings& s) { ReadLog(n, r, s.log); }},
  };
  return kReaders;
}

}  // namespace

base::Result<Settings> ParseSettings(std::string_view file, std::string_view text) {
  Settings settings;
  lang::Diagnostics diagnostics;
  const Reporter report{std::string(file), diagnostics};
  if (HasOnlyComments(text)) return settings;
  const std::optional<YamlNode> tree = lang::ReadYaml(text, report);
  if (tree.has_value() && lang::ExpectMap(*tree, "the settings", report)) {
    std::vector<std::string_view> names;
    for (const auto& [name, read] : Readers()) {
      names.push_back(name);
      if (const YamlNode* node = tree->Find(name)) read(*node, report, settings);
    }
    for (const lang::YamlEntry& entry : tree->entries) {
      if (std::ranges::find(names, entry.key) != names.end()) continue;
      report.Error(entry.key_at, "there is no setting " + lang::Quote(entry.key),
                   lang::SpellingHint(entry.key, names, "settings"));
    }
  }
  if (!diagnostics.has_errors()) return settings;
  diagnostics.Sort(file);
  std::string text_of_all = diagnostics.ToText();
  text_of_all.pop_back();  // the line end: whoever prints the error makes it
  return base::InvalidArgument(std::move(text_of_all));
}

base::Result<Settings> LoadSettings(const std::string& path) {
  WM_ASSIGN_OR_RETURN(const std::string text, posix::ReadFile(path, kMaxSettingsBytes));
  return ParseSettings(path, text);
}

}  // namespace weighmaster::agent::app
