#include "agent/app/options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace weighmaster::agent::app {
namespace {

using Words = std::vector<std::string>;

struct Ended {
  Options options;
  std::string out;
  std::string err;
};

Ended Parsed(const Words& words) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Ended ended;
  ended.options = ParseOptions(words);
  ended.out = testing::internal::GetCapturedStdout();
  ended.err = testing::internal::GetCapturedStderr();
  return ended;
}

TEST(ParseOptions, TakesWhatTheAgentIsGiven) {
  const Ended plain = Parsed({});
  EXPECT_FALSE(plain.options.exit_code.has_value());
  EXPECT_EQ(plain.options.settings_path, "/etc/weighmaster/agent.yaml");
  const Ended given = Parsed({"--settings", "/s", "--token-file", "-", "--check-settings"});
  EXPECT_FALSE(given.options.exit_code.has_value());
  EXPECT_EQ(given.options.settings_path, "/s");
  EXPECT_EQ(given.options.token_file, "-");
  EXPECT_TRUE(given.options.check_only);
  EXPECT_EQ(given.out + given.err, "");
}

TEST(ParseOptions, HelpsOnStandardOutput) {
  for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"--check-settings", "--help"}}) {
    const Ended ended = Parsed(words);
    EXPECT_EQ(ended.options.exit_code, 0);
    EXPECT_EQ(ended.out.find("Usage: weighmaster-agent "), 0U) << ended.out;
    EXPECT_EQ(ended.err, "");
  }
}

TEST(ParseOptions, SaysOnStandardErrorWhatIsWrong) {
  for (const Words& words :
       {Words{"--wrong"}, Words{"-x"}, Words{"path"}, Words{""}, Words{"\x1b[31m"},
        Words{"--settings"}, Words{"--settings", ""}, Words{"--settings=/s"}, Words{"--token-file"},
        Words{"--token-file", ""}}) {
    const Ended ended = Parsed(words);
    EXPECT_EQ(ended.options.exit_code, 2) << words.front();
    EXPECT_EQ(ended.out, "");
    EXPECT_EQ(ended.err.find("weighmaster-agent: "), 0U) << ended.err;
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
    EXPECT_EQ(ended.err.find('\x1b'), std::string::npos) << ended.err;
  }
}

}  // namespace
}  // namespace weighmaster::agent::app
