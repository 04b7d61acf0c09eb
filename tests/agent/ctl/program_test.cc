#include "agent/ctl/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

namespace weighmaster::agent::ctl {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kCommands[] = {"scan", "check", "why", "status", "doctor"};

struct Ended {
  ExitCode code = ExitCode::kOk;
  std::string out;
  std::string err;
};

Ended Ran(const Words& words) {
  std::ostringstream out;
  std::ostringstream err;
  const ExitCode code = RunWeighmaster(words, {out, err});
  return {code, out.str(), err.str()};
}

std::string Shown(const Words& words) {
  std::string shown = "weighmaster";
  for (const std::string& word : words) shown += " \"" + word + "\"";
  return shown;
}

TEST(Program, HelpsOnStandardOutput) {
  std::vector<Words> asked = {{"--help"}, {"-h"}, {"help"}};
  for (const char* command : kCommands) {
    asked.push_back({command, "--help"});
    asked.push_back({command, "path", "-h"});
  }
  for (const Words& words : asked) {
    const Ended ended = Ran(words);
    EXPECT_EQ(ended.code, ExitCode::kOk) << Shown(words);
    EXPECT_EQ(ended.out.find("Usage: weighmaster scan PATH"), 0U) << Shown(words);
    EXPECT_EQ(ended.err, "") << Shown(words);
  }
}

TEST(Program, SaysOnStandardErrorWhatIsWrongWithItsUsage) {
  std::vector<Words> wrong = {{"nonsense"},
                              {"--wrong"},
                              {""},
                              {"\x1b[31m"},
                              {"scan"},
                              {"scan", "--policy"},
                              {"scan", "--policy", "", "path"},
                              {"scan", "--fail-on", "allow", "path"},
                              {"scan", "--json=1", "path"},
                              {"scan", "--socket", "socket", "path"},
                              {"scan", "path", ""},
                              {"check"},
                              {"check", "--"},
                              {"check", "--json", "path"},
                              {"check", "--socket", "", "path"},
                              {"check", ""},
                              {"why"},
                              {"why", "path", "path"},
                              {"why", ""},
                              {"status", "path"},
                              {"doctor", "path"}};
  for (const char* command : kCommands) {
    wrong.push_back({command, "--wrong"});
    wrong.push_back({command, "-x", "path"});
  }
  for (const Words& words : wrong) {
    const Ended ended = Ran(words);
    EXPECT_EQ(ended.code, ExitCode::kUsage) << Shown(words);
    EXPECT_EQ(ended.out, "") << Shown(words);
    EXPECT_EQ(ended.err.find("weighmaster: "), 0U) << Shown(words) << ended.err;
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << Shown(words) << ended.err;
    EXPECT_EQ(ended.err.find('\x1b'), std::string::npos) << Shown(words);
  }
}

TEST(Program, CalledWithNothingHelpsAndIsWrongUsage) {
  const Ended ended = Ran({});
  EXPECT_EQ(ended.code, ExitCode::kUsage);
  EXPECT_EQ(ended.out, "");
  EXPECT_EQ(ended.err, Ran({"--help"}).out);
}

TEST(Program, TakesAFileThatIsNamedLikeAWordOfItsOwnForAFile) {
  for (const Words& words : {Words{"check", "help", "--socket", "/nowhere"},
                             Words{"check", "--socket", "/nowhere", "--", "--help"},
                             Words{"why", "--socket", "/nowhere", "--", "-h"}}) {
    const Ended ended = Ran(words);
    EXPECT_EQ(ended.code, ExitCode::kFailed) << Shown(words);
    EXPECT_EQ(ended.out, "") << Shown(words);
    EXPECT_NE(ended.err.find("no agent is running here"), std::string::npos) << ended.err;
  }
}

}  // namespace
}  // namespace weighmaster::agent::ctl
