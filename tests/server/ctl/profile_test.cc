#include "server/ctl/profile.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "policy/base/limits.h"
#include "tests/support/temp_folder.h"
#include "third_party/posix/files.h"

namespace weighmaster::server::ctl {
namespace {

Profile ProfileOf(const std::string& address) { return {address, "ca", "token", "fleet"}; }

class ProfileTest : public testing::Test {
 protected:
  void WriteFile(const std::string& text, mode_t mode = 0600) {
    ASSERT_TRUE(posix::ReplaceFile(path_, text, mode).has_value());
  }
  std::string ErrorOf(const std::string& context) {
    const auto profile = LoadProfile({path_, context});
    return profile.has_value() ? "" : profile.error().message();
  }

  tests::TempFolder folder_;
  const std::string path_ = folder_ / "config/weighctl.json";
};

TEST_F(ProfileTest, OfAFirstLoginIsInUseFromThenOn) {
  EXPECT_EQ(*SaveProfile({path_, ""}, ProfileOf("a:1")), "default");
  EXPECT_EQ(*SaveProfile({path_, "other"}, ProfileOf("b:2")), "other");
  EXPECT_EQ(LoadProfile({path_, ""})->address, "a:1");
  EXPECT_EQ(LoadProfile({path_, "other"})->address, "b:2");
  EXPECT_EQ(LoadProfile({path_, "other"})->token, "token");
}

TEST_F(ProfileTest, IsReplacedByAnotherLoginToItsContextAlone) {
  ASSERT_TRUE(SaveProfile({path_, "one"}, ProfileOf("a:1")).has_value());
  ASSERT_TRUE(SaveProfile({path_, "two"}, ProfileOf("b:2")).has_value());
  EXPECT_EQ(*SaveProfile({path_, ""}, ProfileOf("c:3")), "one");
  EXPECT_EQ(LoadProfile({path_, "one"})->address, "c:3");
  EXPECT_EQ(LoadProfile({path_, "two"})->address, "b:2");
}

TEST_F(ProfileTest, IsKeptInAFileThatNobodyElseCanRead) {
  ASSERT_TRUE(SaveProfile({path_, ""}, ProfileOf("a:1")).has_value());
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(ProfileTest, OfTheTimeBeforeContextsIsTheDefaultContext) {
  ASSERT_TRUE(SaveProfile({path_, ""}, ProfileOf("x")).has_value());  // makes the folder
  WriteFile(R"({"address": "old:1", "ca_pem": "c", "fleet_id": "f", "token": "wma1.x"})");
  EXPECT_EQ(LoadProfile({path_, ""})->address, "old:1");
  EXPECT_EQ(LoadProfile({path_, "default"})->token, "wma1.x");
  ASSERT_TRUE(SaveProfile({path_, "new"}, ProfileOf("b:2")).has_value());
  EXPECT_EQ(LoadProfile({path_, ""})->address, "old:1");
}

TEST_F(ProfileTest, IsRefusedFromAFileThatOthersCanRead) {
  ASSERT_TRUE(SaveProfile({path_, ""}, ProfileOf("a:1")).has_value());
  ASSERT_EQ(chmod(path_.c_str(), 0640), 0);
  EXPECT_NE(ErrorOf("").find("chmod 600"), std::string::npos);
  EXPECT_FALSE(SaveProfile({path_, "b"}, ProfileOf("b:2")).has_value());
}

TEST_F(ProfileTest, ThatCannotBeHadSaysWhatToDo) {
  EXPECT_NE(ErrorOf("").find("weighctl login"), std::string::npos);
  ASSERT_TRUE(SaveProfile({path_, "prod"}, ProfileOf("a:1")).has_value());
  EXPECT_EQ(ErrorOf("prdo"), "there is no context \"prdo\"; there are: prod");
  Contexts contexts = *LoadContexts(path_);
  contexts.in_use.clear();
  ASSERT_TRUE(SaveContexts(path_, contexts).has_value());
  EXPECT_NE(ErrorOf("").find("context use NAME\" with one of: prod"), std::string::npos);
}

TEST_F(ProfileTest, OfAnotherFormIsRefusedWithWhatIsWrong) {
  ASSERT_TRUE(SaveProfile({path_, ""}, ProfileOf("x")).has_value());
  const std::pair<const char*, const char*> wrongs[] = {
      {"[]", "no JSON object"},
      {"{}", "\"address\" is missing"},
      {R"({"in_use": "a", "contexts": []})", "\"contexts\" is no JSON object"},
      {R"({"contexts": {}})", "\"in_use\" is missing"},
      {R"({"in_use": "a", "contexts": {"a": 1}})", "a context is no JSON object"},
      {R"({"in_use": "a", "contexts": {"a b": {}}})", "can't be a context's name"},
      {R"({"in_use": "a", "contexts": {"a": {"address": 1}}})", "\"address\" is missing"}};
  for (const auto& [text, what] : wrongs) {
    WriteFile(text);
    EXPECT_NE(ErrorOf("").find(what), std::string::npos) << text << ": " << ErrorOf("");
  }
}

TEST_F(ProfileTest, HasANameThatShellsAndFilesTakeAsItIs) {
  const std::string longest(base::limits::kMaxContextNameBytes, 'x');
  for (const std::string& name : {std::string("a"), std::string("prod-eu.2_B"), longest}) {
    EXPECT_TRUE(CheckContextName(name).has_value()) << name;
  }
  for (const std::string& name : {std::string(), std::string("-a"), std::string("a b"),
                                  std::string("a/b"), std::string("ä"), longest + "x"}) {
    EXPECT_FALSE(CheckContextName(name).has_value()) << name;
  }
}

TEST_F(ProfileTest, OneTooManyIsNotAdded) {
  Contexts contexts;
  for (std::size_t i = 0; i < base::limits::kMaxContexts; ++i) {
    contexts.profiles["c" + std::to_string(i)] = ProfileOf("a:1");
  }
  ASSERT_TRUE(SaveContexts(path_, contexts).has_value());
  EXPECT_FALSE(SaveProfile({path_, "another"}, ProfileOf("a:1")).has_value());
  EXPECT_EQ(LoadContexts(path_)->profiles.size(), base::limits::kMaxContexts);
}

}  // namespace
}  // namespace weighmaster::server::ctl
