#include "server/ctl/commands/weighctl.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/support/evidence.h"
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
        "policy publish", "policy show", "findings", "revoke", "evidence verify"}) {
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

TEST(Weighctl, VerifiesEvidenceWithNoServerAndNoProfile) {
  ASSERT_EQ(setenv("WEIGHCTL_PROFILE", "/nonexistent/weighctl.json", 1), 0);
  const tests::TempFolder folder;
  auto records = tests::EvidenceRecords();
  const std::string whole = folder.Write("whole", tests::EvidenceFile(records));
  const Outcome run = Weighctl({"evidence", "verify", whole});
  EXPECT_EQ(run.code, ExitCode::kOk) << run.err;
  EXPECT_NE(run.out.find("Everything holds."), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("equivocation"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("trusted on sight"), std::string::npos) << run.out;
  records.pop_back();
  const std::string changed = folder.Write("changed", tests::EvidenceFile(records));
  const Outcome failed = Weighctl({"evidence", "verify", changed, "--json"});
  EXPECT_EQ(failed.code, ExitCode::kFailed);
  EXPECT_NE(failed.out.find("\"verified\":false"), std::string::npos) << failed.out;
}

TEST(Weighctl, SaysWhatAnExportOfEvidenceNeeds) {
  const Outcome run = Weighctl({"evidence", "export", "--endpoint", std::string(32, 'a')});
  EXPECT_EQ(run.code, ExitCode::kFailed);
  EXPECT_NE(run.err.find("--out FILE"), std::string::npos) << run.err;
  const Outcome from = Weighctl({"evidence", "export", "--endpoint", std::string(32, 'a'), "--out",
                                 "/nonexistent/file", "--from", "0"});
  EXPECT_NE(from.err.find("numbered from 1"), std::string::npos) << from.err;
}

}  // namespace
}  // namespace weighmaster::server::ctl
