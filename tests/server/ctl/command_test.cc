#include "server/ctl/command.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "server/ctl/weighctl.h"
#include "tests/support/temp_folder.h"
#include "third_party/posix/system_clock.h"

namespace weighmaster::server::ctl {
namespace {

const std::vector<Arguments::Option> kOptions = {
    {"uses", "N", "how many"}, {"for", "TIME", "how long"}, {"json", "", "as JSON"}};

TEST(Arguments, TakeValuesFlagsAndPositionalsInAnyOrder) {
  const auto arguments = Arguments::Parse({"--json", "abc", "--uses=3"}, kOptions, {"SHA256"});
  ASSERT_TRUE(arguments.has_value()) << arguments.error().message();
  EXPECT_TRUE(arguments->Has("json"));
  EXPECT_EQ(arguments->Positional(0), "abc");
  EXPECT_EQ(*arguments->Number("uses", 1), 3U);
}

TEST(Arguments, NameWhatIsWrong) {
  const auto message = [](const std::vector<std::string>& words) {
    return Arguments::Parse(words, kOptions, {"SHA256"}).error().message();
  };
  EXPECT_EQ(message({}), "SHA256 is missing");
  EXPECT_EQ(message({"a", "b"}), "\"b\" is one argument too many");
  EXPECT_EQ(message({"a", "--bogus"}), "there is no option --bogus");
  EXPECT_EQ(message({"a", "--uses"}), "--uses needs a value: N");
  EXPECT_EQ(message({"a", "--json=1"}), "--json takes no value");
  EXPECT_EQ(message({"a", "--json", "--json"}), "--json is given twice");
}

TEST(Arguments, ReadDurationsWithTheirUnit) {
  const auto duration = [](const std::string& text) {
    return Arguments::Parse({"--for", text}, kOptions, {})->Duration("for", base::Duration{0});
  };
  EXPECT_EQ(*duration("90s"), std::chrono::seconds(90));
  EXPECT_EQ(*duration("7d"), std::chrono::hours(168));
  for (const char* wrong : {"7", "d", "-1d", "1w", "99999999999999999999d", "5000000d"}) {
    EXPECT_FALSE(duration(wrong).has_value()) << wrong;
  }
}

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
