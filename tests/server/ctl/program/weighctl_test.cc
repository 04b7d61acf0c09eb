#include "server/ctl/program/weighctl.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/support/temp_folder.h"
#include "third_party/posix/system_clock.h"

namespace weighmaster::server::ctl {
namespace {

struct Outcome {
  ExitCode code;
  std::string out;
  std::string err;
};

Outcome Weighctl(const std::vector<std::string>& words) {
  const posix::SystemClock clock;
  std::ostringstream out;
  std::ostringstream err;
  const ExitCode code = RunWeighctl(words, out, err, clock);
  return {code, out.str(), err.str()};
}

TEST(Weighctl, ListsItsCommandsOnHelp) {
  const Outcome run = Weighctl({"--help"});
  EXPECT_EQ(run.code, ExitCode::kOk);
  for (const char* name :
       {"login", "endpoints", "inventory", "where", "tokens create", "policy lint", "policy sign",
        "policy publish", "policy show", "findings", "revoke"}) {
    EXPECT_NE(run.out.find(name), std::string::npos) << name;
  }
}

TEST(Weighctl, SaysWhichCommandItDoesNotHave) {
  const Outcome run = Weighctl({"tokens", "mint"});
  EXPECT_EQ(run.code, ExitCode::kUsage);
  EXPECT_EQ(run.err,
            "weighctl: there is no command \"tokens mint\"; \"weighctl --help\" lists them\n");
}

TEST(Weighctl, AsksToLogInFirst) {
  ASSERT_EQ(setenv("WEIGHCTL_PROFILE", "/nonexistent/weighctl.json", 1), 0);
  const Outcome run = Weighctl({"endpoints"});
  EXPECT_EQ(run.code, ExitCode::kFailed);
  EXPECT_NE(run.err.find("weighctl login"), std::string::npos) << run.err;
}

TEST(Weighctl, RefusesTwoFormsAtOnce) {
  const Outcome run = Weighctl({"endpoints", "--json", "--csv"});
  EXPECT_EQ(run.code, ExitCode::kFailed);
  EXPECT_EQ(run.err, "weighctl: --json and --csv exclude each other\n");
}

TEST(Weighctl, PrintsWhatLintFindsForPrograms) {
  const tests::TempFolder folder;
  const std::string document = folder / "policy.yaml";
  std::ofstream(document) << "policy: p\nrules: []\ndefault: {then: forbid}\n";
  const Outcome csv = Weighctl({"policy", "lint", document, "--csv"});
  EXPECT_EQ(csv.code, ExitCode::kFailed);
  EXPECT_EQ(csv.out, "file,line,column,severity,message,hint\r\n" + document +
                         ",3,17,error,\"\"\"then\"\" can't be \"\"forbid\"\"\","
                         "\"known values: allow, warn, deny\"\r\n");
  EXPECT_EQ(csv.err, "");
  const Outcome json = Weighctl({"policy", "lint", document, "--json"});
  EXPECT_EQ(json.code, ExitCode::kFailed);
  EXPECT_EQ(json.out.find("{\"file\":"), 0U) << json.out;
}

}  // namespace
}  // namespace weighmaster::server::ctl
