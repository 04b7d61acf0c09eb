#include "server/ctl/program/weighctl.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "server/ctl/profile.h"
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

// Of a watch that ends before it waits.
class OneLook final : public Pause {
 public:
  void Begin() override {}
  bool Wait(base::Duration) override { return false; }
};

Outcome Weighctl(const std::vector<std::string>& words) {
  const posix::SystemClock clock;
  std::ostringstream out;
  std::ostringstream err;
  OneLook pause;
  const ExitCode code = RunWeighctl(words, {out, err, clock, pause, false});
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
  const Outcome run = Weighctl({"frobnicate", "it"});
  EXPECT_EQ(run.code, ExitCode::kUsage);
  EXPECT_EQ(run.err,
            "weighctl: there is no command \"frobnicate it\"; \"weighctl --help\" lists them\n");
}

TEST(Weighctl, ShowsAGroupToWhoeverHasOnlyItsNameRight) {
  const Outcome mistyped = Weighctl({"policy", "lnt"});
  EXPECT_EQ(mistyped.code, ExitCode::kUsage);
  EXPECT_EQ(mistyped.err.find("weighctl: there is no command \"policy lnt\", but there are\n"), 0U);
  EXPECT_NE(mistyped.err.find("  policy lint "), std::string::npos);
  EXPECT_EQ(mistyped.err.find("  tokens create"), std::string::npos);

  const Outcome alone = Weighctl({"policy"});
  EXPECT_EQ(alone.code, ExitCode::kUsage);
  EXPECT_NE(alone.err.find("  policy lint "), std::string::npos);

  const Outcome asked = Weighctl({"policy", "--help"});
  EXPECT_EQ(asked.code, ExitCode::kOk);
  EXPECT_NE(asked.out.find("  policy lint "), std::string::npos);
}

TEST(Weighctl, CallsAMissingOptionWrongUsage) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"policy", "sign", "p.yaml", "--out", "b"},
        {"policy", "suggest"},
        {"login", "--server", "a:1"},
        {"root", "next", "root.1"},
        {"exceptions", "revoke", "1"},
        {"evidence", "export", "--endpoint", "e"}}) {
    const Outcome run = Weighctl(words);
    EXPECT_EQ(run.code, ExitCode::kUsage) << words[0];
    EXPECT_NE(run.err.find(" is missing: "), std::string::npos) << run.err;
  }
}

TEST(Weighctl, AsksToLogInFirst) {
  ASSERT_EQ(setenv("WEIGHCTL_PROFILE", "/nonexistent/weighctl.json", 1), 0);
  const Outcome run = Weighctl({"endpoints"});
  EXPECT_EQ(run.code, ExitCode::kFailed);
  EXPECT_NE(run.err.find("weighctl login"), std::string::npos) << run.err;
}

TEST(Weighctl, WatchesAListAtMostOnceASecond) {
  EXPECT_EQ(Weighctl({"endpoints", "--watch", "0s"}).err,
            "weighctl: --watch looks at most once a second\n");
  EXPECT_NE(Weighctl({"endpoints", "--watch=soon"}).err.find("while reading --watch"),
            std::string::npos);
  EXPECT_EQ(Weighctl({"whoami", "--watch"}).code, ExitCode::kUsage);
}

TEST(Weighctl, PrintsOneFieldOfPolicies) {
  const Outcome run = Weighctl({"policy", "fields", "digest_state", "--csv"});
  EXPECT_EQ(run.out.find("field,type,can_be_unknown,values,description\r\ndigest_state,text,"), 0U)
      << run.out;
  EXPECT_EQ(std::ranges::count(run.out, '\n'), 2);
  EXPECT_NE(Weighctl({"policy", "fields", "nothing"}).err.find("there is no field"),
            std::string::npos);
}

TEST(Weighctl, PrintsWhatIsCollectedForPrograms) {
  const Outcome csv = Weighctl({"policy", "collected", "--csv"});
  EXPECT_EQ(csv.out.find("field,can_be_withheld,description\r\npath,false,"), 0U) << csv.out;
  EXPECT_NE(csv.out.find("\r\nowner,true,"), std::string::npos);
  EXPECT_EQ(Weighctl({"policy", "collected", "--json"})
                .out.find("{\"field\":\"path\",\"can_be_withheld\":false,\"description\":"),
            0U);
  EXPECT_EQ(Weighctl({"policy", "collected"}).out.find("# What is collected"), 0U);
}

// The words of each command, by the help that is made of their table.
std::vector<std::vector<std::string>> CommandNames() {
  std::vector<std::vector<std::string>> names;
  std::istringstream help(Weighctl({"--help"}).out);
  for (std::string line; std::getline(help, line);) {
    if (!line.starts_with("  ")) continue;
    std::istringstream words(line.substr(2, line.find("  ", 2) - 2));
    names.emplace_back(std::istream_iterator<std::string>(words),
                       std::istream_iterator<std::string>());
  }
  return names;
}

// What may come next, as the shells are told.
std::string Completions(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.begin(), "complete");
  words.insert(words.end(), more.begin(), more.end());
  return Weighctl(words).out;
}

TEST(Weighctl, KnowsForEveryFilterWhichFieldsThereAre) {
  int lists = 0;
  for (const std::vector<std::string>& name : CommandNames()) {
    if (Completions(name, {"--"}).find("--filter\t") == std::string::npos) continue;
    EXPECT_NE(Completions(name, {"--filter", ""}), "words\n") << name.back();
    ++lists;
  }
  EXPECT_GE(lists, 8);
}

TEST(Weighctl, AnswersProgramsWhateverTheyAsk) {
  // Each with the reason why it has no --json.
  std::map<std::vector<std::string>, std::string> exempt = {
      {{"completion"}, "a script, for shells alone"},
      {{"policy", "schema"}, "is JSON"},
  };
  const auto names = CommandNames();
  EXPECT_GE(names.size(), 40U);
  for (const std::vector<std::string>& name : names) {
    const bool has_json = Completions(name, {"--json"}).find("--json\t") != std::string::npos;
    const bool is_exempt = exempt.erase(name) == 1;
    EXPECT_NE(has_json, is_exempt) << name.front() << " " << name.back();
  }
  EXPECT_TRUE(exempt.empty()) << "exempt, and no command";
}

TEST(Weighctl, RefusesTwoFormsAtOnce) {
  for (std::vector<std::string> words : {std::vector<std::string>{"endpoints"},
                                         {"status"},
                                         {"endpoint", "show", "e"},
                                         {"finding", "show", "1"},
                                         {"policy", "collected"}}) {
    words.insert(words.end(), {"--json", "--csv"});
    const Outcome run = Weighctl(words);
    EXPECT_EQ(run.code, ExitCode::kFailed);
    EXPECT_EQ(run.err, "weighctl: --json and --csv exclude each other\n");
  }
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

// Two contexts, "one" in use.
class WeighctlContext : public testing::Test {
 protected:
  WeighctlContext() {
    setenv("WEIGHCTL_PROFILE", path_.c_str(), 1);
    Contexts contexts;
    contexts.in_use = "one";
    contexts.profiles = {{"one", {"a:1", "ca", "secret-one", "f1"}},
                         {"two", {"b:2", "ca", "secret-two", "f2"}}};
    EXPECT_TRUE(SaveContexts(path_, contexts).has_value());
  }
  ~WeighctlContext() override { unsetenv("WEIGHCTL_CONTEXT"); }

  tests::TempFolder folder_;
  const std::string path_ = folder_ / "weighctl.json";
};

TEST_F(WeighctlContext, ListNamesServersAndTheOneInUseButNoToken) {
  EXPECT_EQ(Weighctl({"context", "list"}).out,
            "CONTEXT  IN USE  SERVER  FLEET\n"
            "one      yes     a:1     f1\n"
            "two              b:2     f2\n"
            "\n2 contexts.\n");
  EXPECT_EQ(Weighctl({"context", "list", "--csv"}).out,
            "context,in_use,server,fleet_id\r\none,true,a:1,f1\r\ntwo,false,b:2,f2\r\n");
}

TEST_F(WeighctlContext, UseChangesTheOneInUse) {
  EXPECT_EQ(Weighctl({"context", "use", "two"}).out, "Using two: b:2.\n");
  EXPECT_EQ(LoadProfile({path_, ""})->address, "b:2");
  EXPECT_EQ(Weighctl({"context", "use", "three"}).err,
            "weighctl: there is no context \"three\"; there are: one, two\n");
  EXPECT_EQ(LoadProfile({path_, ""})->address, "b:2");
}

TEST_F(WeighctlContext, RemoveForgetsOneAndLeavesNoneInUseWhereItWas) {
  EXPECT_EQ(Weighctl({"context", "remove", "two"}).code, ExitCode::kOk);
  EXPECT_EQ(LoadProfile({path_, ""})->address, "a:1");
  EXPECT_NE(Weighctl({"context", "remove", "one"}).out.find("no context is in use now"),
            std::string::npos);
  EXPECT_NE(Weighctl({"endpoints"}).err.find("weighctl login"), std::string::npos);
}

TEST_F(WeighctlContext, UseAndRemoveTellProgramsWhichOneItWas) {
  EXPECT_EQ(Weighctl({"context", "use", "two", "--json"}).out,
            "{\"context\":\"two\",\"server\":\"b:2\",\"fleet_id\":\"f2\"}\n");
  EXPECT_EQ(Weighctl({"context", "remove", "two", "--json"}).out,
            "{\"context\":\"two\",\"server\":\"b:2\",\"fleet_id\":\"f2\",\"was_in_use\":true}\n");
  const Outcome gone = Weighctl({"context", "use", "two", "--json"});
  EXPECT_EQ(gone.out, "");
  EXPECT_EQ(gone.err, "weighctl: there is no context \"two\"; there are: one\n");
}

TEST_F(WeighctlContext, OfTheOptionGoesBeforeTheEnvironmentAndThatBeforeTheOneInUse) {
  const auto in_use = [](std::vector<std::string> words) {
    words.insert(words.begin(), {"context", "list", "--csv"});
    const std::string out = Weighctl(words).out;
    return out.find("two,true") != std::string::npos ? "two" : "one";
  };
  EXPECT_STREQ(in_use({}), "one");
  EXPECT_STREQ(in_use({"--context", "two"}), "two");
  setenv("WEIGHCTL_CONTEXT", "two", 1);
  EXPECT_STREQ(in_use({}), "two");
  EXPECT_STREQ(in_use({"--context", "one"}), "one");
  setenv("WEIGHCTL_CONTEXT", "three", 1);
  EXPECT_EQ(Weighctl({"endpoints"}).err,
            "weighctl: there is no context \"three\"; there are: one, two\n");
}

TEST_F(WeighctlContext, AddIsRefusedForANameThatIsTakenOrCanBeNone) {
  const auto add = [](const std::string& name) {
    return Weighctl(
        {"context", "add", name, "--server", "a:1", "--ca-file", "ca", "--token-file", "token"});
  };
  EXPECT_NE(add("one").err.find("already"), std::string::npos);
  EXPECT_NE(add("a b").err.find("can't be"), std::string::npos);
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

TEST(Weighctl, TellsProgramsOfTheKeysThatItMakesAndPeopleNothingThatATerminalObeys) {
  const tests::TempFolder folder;
  const std::string file = folder / "a\x1b[2J.key";
  const std::string id_line = Weighctl({"key", "new", file}).out;
  EXPECT_NE(id_line.find("a\\x1b[2J.key.pub"), std::string::npos) << id_line;
  EXPECT_EQ(id_line.find('\x1b'), std::string::npos);
  const std::string id = id_line.substr(id_line.size() - 65, 64);
  EXPECT_EQ(Weighctl({"key", "show", file, "--json"}).out, "{\"key_id\":\"" + id + "\"}\n");

  const std::string made = Weighctl({"key", "new", folder / "\x1b", "--json"}).out;
  EXPECT_EQ(made.find("{\"key_id\":\""), 0U) << made;
  EXPECT_NE(made.find("\\u001b\",\"public_file\":\""), std::string::npos) << made;
  EXPECT_EQ(made.find('\x1b'), std::string::npos);
}

TEST(Weighctl, SaysWhatAnExportOfEvidenceNeeds) {
  const Outcome run = Weighctl({"evidence", "export", "--endpoint", std::string(32, 'a')});
  EXPECT_EQ(run.code, ExitCode::kUsage);
  EXPECT_NE(run.err.find("--out FILE"), std::string::npos) << run.err;
  const Outcome from = Weighctl({"evidence", "export", "--endpoint", std::string(32, 'a'), "--out",
                                 "/nonexistent/file", "--from", "0"});
  EXPECT_NE(from.err.find("numbered from 1"), std::string::npos) << from.err;
}

}  // namespace
}  // namespace weighmaster::server::ctl
