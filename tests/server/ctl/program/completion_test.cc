#include "server/ctl/program/completion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "server/ctl/program/weighctl.h"
#include "server/query/lists.h"

namespace weighmaster::server::ctl {
namespace {

std::vector<Command> Commands() {
  return {
      {"login", "logs in", {}, {{"ca-file", "FILE", "the CA"}}, nullptr},
      {"policy lint", "lints", {"FILE"}, {{"json", "", "as JSON"}}, nullptr},
      {"policy fields", "names fields", {"[FIELD]"}, {}, nullptr},
      {"endpoints",
       "lists endpoints",
       {},
       {{"filter", "FILTER", "only these"},
        {"order", "FIELDS", "in this order"},
        {"watch", "[TIME]", "again and again"},
        {"json", "", "as JSON"}},
       nullptr,
       &query::Endpoints()},
      {"context use", "uses one", {"CONTEXT"}, {}, nullptr},
      {"tokens create", "makes one", {}, {{"role", "ROLE", "what for"}}, nullptr},
  };
}

Completion Completed(const std::vector<std::string>& words) {
  return Complete(Commands(), words, [] { return std::vector<std::string>{"prod", "test"}; });
}

// "a b c".
std::string Found(const std::vector<std::string>& words) {
  std::string found;
  for (const Candidate& candidate : Completed(words).candidates) {
    found += (found.empty() ? "" : " ") + candidate.word;
  }
  return found;
}

TEST(Complete, FindsCommandsWordByWord) {
  EXPECT_EQ(Found({""}), "login policy endpoints context tokens");
  EXPECT_EQ(Found({"p"}), "policy");
  EXPECT_EQ(Found({"policy", ""}), "lint fields");
  EXPECT_EQ(Found({"policy", "f"}), "fields");
  EXPECT_EQ(Found({"nothing", ""}), "");
  EXPECT_EQ(Completed({"policy", "f"}).candidates[0].summary, "names fields");
}

TEST(Complete, FindsOptionsThatWereNotGivenYet) {
  EXPECT_EQ(Found({"endpoints", ""}), "--filter --order --watch --json --context");
  EXPECT_EQ(Found({"endpoints", "--json", "--"}), "--filter --order --watch --context");
  EXPECT_EQ(Found({"endpoints", "--j"}), "--json");
  EXPECT_EQ(Found({"policy", "lint", "--"}), "--json --context") << "also before the FILE";
}

TEST(Complete, LeavesFilesToTheShell) {
  EXPECT_TRUE(Completed({"login", "--ca-file", "/e"}).is_file);
  EXPECT_TRUE(Completed({"login", "--ca-file=/e"}).is_file);
  EXPECT_TRUE(Completed({"policy", "lint", ""}).is_file);
  EXPECT_FALSE(Completed({"policy", "lint", "a.yaml", ""}).is_file);
}

TEST(Complete, FindsContextsAndRoles) {
  EXPECT_EQ(Found({"context", "use", ""}), "prod test");
  EXPECT_EQ(Found({"endpoints", "--context", "t"}), "test");
  EXPECT_EQ(Found({"endpoints", "--context=p"}), "--context=prod");
  EXPECT_EQ(Found({"endpoints", "--context", "=", "p"}), "prod") << "as bash parts it";
  EXPECT_EQ(Found({"endpoints", "--context", "="}), "prod test");
  EXPECT_EQ(Found({"tokens", "create", "--role", ""}), "viewer responder policy_author admin");
}

TEST(Complete, FindsTheFieldsOfTheListAndTheirChoices) {
  EXPECT_EQ(Found({"endpoints", "--filter", "host"}), "hostname");
  EXPECT_EQ(Found({"endpoints", "--filter", "\"state = active AND host"}),
            "state = active AND hostname")
      << "bash tells the quote as well";
  EXPECT_EQ(Found({"endpoints", "--filter", "state = "}),
            "state = active state = revoked state = quarantined");
  EXPECT_EQ(Found({"endpoints", "--filter", "state=r"}), "state=revoked");
  EXPECT_EQ(Found({"endpoints", "--filter", "hostname = a"}), "") << "any text";
  EXPECT_EQ(Found({"endpoints", "--order=last"}), "--order=last_contact_time");
  EXPECT_EQ(Found({"policy", "fields", "risk_s"}), "risk_severity");
}

TEST(Complete, TakesNoOptionalValueForOwed) {
  EXPECT_EQ(Found({"endpoints", "--watch", "--j"}), "--json");
}

TEST(CompletionText, HasItsKindFirstAndATabBeforeEachSummary) {
  EXPECT_EQ(CompletionText({false, {{"a", "what a is"}, {"b", ""}}}), "words\na\twhat a is\nb\t\n");
  EXPECT_EQ(CompletionText({true, {}}), "files\n");
}

TEST(CompletionScript, IsThereForThreeShells) {
  for (const char* const shell : {"bash", "zsh", "fish"}) {
    EXPECT_NE(CompletionScript(shell)->find("weighctl complete"), std::string_view::npos) << shell;
  }
  EXPECT_FALSE(CompletionScript("csh").has_value());
}

}  // namespace
}  // namespace weighmaster::server::ctl
