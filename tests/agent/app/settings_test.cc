#include "agent/app/settings.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temp_folder.h"

namespace weighmaster::agent::app {
namespace {

// What is wrong with the text, a diagnostic a line.
std::string Wrong(std::string_view text) {
  const auto settings = ParseSettings("agent.yaml", text);
  return settings.has_value() ? "" : settings.error().message();
}

TEST(Settings, AnEmptyFileIsTheDefaults) {
  for (const char* text : {"", "# nothing\n", "{}\n"}) {
    const auto settings = ParseSettings("agent.yaml", text);
    ASSERT_TRUE(settings.has_value()) << settings.error().message();
    EXPECT_EQ(settings->state_folder, "/var/lib/weighmaster");
    EXPECT_EQ(settings->control_socket, "/run/weighmaster/agent.sock");
    EXPECT_EQ(settings->policy_line, "default");
    EXPECT_TRUE(settings->roots.empty());
    EXPECT_TRUE(settings->enrolment_token_file.empty());
    EXPECT_EQ(settings->scan, model::ScanSettings{}) << "the policy may say it";
    EXPECT_TRUE(settings->background);
  }
}

TEST(Settings, ReadsEveryKey) {
  const auto settings = ParseSettings("agent.yaml", R"(
state_folder: /s
control_socket: /c
cage_program: /p
enrolment_token_file: /t
policy_line: canary
roots: [/a, "/b c"]
exclude:
  - /a/x
min_size: 1MiB
rescan_every: 90s
budget:
  read_per_second: 2MB
  cpu_percent: 7
  hash_threads: 3
  pause_on_battery: false
  pause_above_load: 0
  background: false
log: {level: debug, form: json, file: /l}
)");
  ASSERT_TRUE(settings.has_value()) << settings.error().message();
  EXPECT_EQ(settings->state_folder, "/s");
  EXPECT_EQ(settings->control_socket, "/c");
  EXPECT_EQ(settings->cage_program, "/p");
  EXPECT_EQ(settings->enrolment_token_file, "/t");
  EXPECT_EQ(settings->policy_line, "canary");
  EXPECT_EQ(settings->roots, (std::vector<std::string>{"/a", "/b c"}));
  EXPECT_EQ(settings->excluded, std::vector<std::string>{"/a/x"});
  EXPECT_EQ(settings->scan.min_size_bytes, 1024U * 1024U);
  EXPECT_EQ(settings->rescan_every, std::chrono::seconds(90));
  EXPECT_EQ(settings->scan.read_per_second_bytes, 2'000'000U);
  EXPECT_EQ(settings->scan.cpu_percent, 7U);
  EXPECT_EQ(settings->hash_threads, 3U);
  EXPECT_EQ(settings->scan.pause_on_battery, false);
  EXPECT_EQ(settings->scan.pause_above_load, 0U);
  EXPECT_FALSE(settings->background);
  EXPECT_EQ(settings->log.level, logging::Level::kDebug);
  EXPECT_EQ(settings->log.form, logging::Form::kJson);
  EXPECT_EQ(settings->log.file, "/l");
}

TEST(Settings, SaysWhatIsWrongWhereAndWhatToDo) {
  struct Case {
    std::string_view text;
    std::string_view wrong;
  };
  const Case cases[] = {
      {"state_folder: here",
       "agent.yaml:1:15: error: state_folder must be a full path\n  hint: begin it with \"/\""},
      {"log: {file: l}",
       "agent.yaml:1:13: error: the log file must be a full path\n  hint: begin it with \"/\""},
      {"roots: /a", "agent.yaml:1:8: error: roots must be a list, and here stands a text"},
      {"roots: [a]",
       "agent.yaml:1:9: error: roots must be a full path\n  hint: begin it with \"/\""},
      {"state_folder: \"\"", "agent.yaml:1:15: error: state_folder is empty"},
      {"rescan_every: 0s",
       "agent.yaml:1:15: error: rescan_every is no duration\n"
       "  hint: write a number and s, m, h or d, e.g. 30m"},
      {"budget: {cpu_percent: 101}",
       "agent.yaml:1:23: error: cpu_percent must be a number from 1 to 100"},
      {"budget: {hash_threads: 0}",
       "agent.yaml:1:24: error: hash_threads must be a number from 1 to 64"},
      {"budget: {background: \"no\"}",
       "agent.yaml:1:22: error: background must be true or false\n"
       "  hint: without quotes; yes, no, on and off are not read as such"},
      {"budget: fast", "agent.yaml:1:9: error: the budget must be a map, and here stands a text"},
      {"log: {level: loud}",
       "agent.yaml:1:14: error: \"loud\" is no log level\n"
       "  hint: known log level: debug, info, warning, error"},
      {"log: {from: text}",
       "agent.yaml:1:7: error: there is no key \"from\" here\n  hint: did you mean \"form\"?"},
      {"exclud: [/a]",
       "agent.yaml:1:1: error: there is no setting \"exclud\"\n  hint: did you mean \"exclude\"?"},
      {"- a", "agent.yaml:1:1: error: the settings must be a map, and here stands a list"},
  };
  for (const Case& one : cases) EXPECT_EQ(Wrong(one.text), one.wrong) << one.text;
  EXPECT_NE(Wrong("min_size: many").find("agent.yaml:1:11: error: min_size is no size"),
            std::string::npos);
  EXPECT_NE(Wrong("roots: [").find("agent.yaml:"), std::string::npos);
  EXPECT_NE(Wrong("policy_line: " + std::string(65, 'a')), "");
  EXPECT_NE(Wrong("roots: []\nroots: []"), "");
}

TEST(Settings, TellsAllThatIsWrongInTheOrderOfTheFile) {
  EXPECT_EQ(Wrong("whatever: 1\nroots: [a]\nlog: 1\n"),
            "agent.yaml:1:1: error: there is no setting \"whatever\"\n"
            "  hint: known settings: state_folder, control_socket, cage_program, "
            "enrolment_token_file, policy_line, roots, exclude, min_size, rescan_every, budget, "
            "log\n"
            "agent.yaml:2:9: error: roots must be a full path\n"
            "  hint: begin it with \"/\"\n"
            "agent.yaml:3:6: error: the log must be a map, and here stands a text");
}

TEST(Settings, AreReadFromAFile) {
  const tests::TempFolder folder;
  const auto settings = LoadSettings(folder.Write("agent.yaml", "policy_line: canary\n"));
  ASSERT_TRUE(settings.has_value());
  EXPECT_EQ(settings->policy_line, "canary");
  const auto missing = LoadSettings(folder / "missing.yaml");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code(), base::ErrorCode::kNotFound);
}

}  // namespace
}  // namespace weighmaster::agent::app
