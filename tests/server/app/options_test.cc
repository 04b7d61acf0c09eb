#include "server/app/options.h"

#include <gtest/gtest.h>

namespace weighmaster::server::app {
namespace {

TEST(ServerOptions, AreACommandWithItsValues) {
  const Options init = ParseOptions({"init", "--data", "/d", "--address", "a:1"});
  ASSERT_TRUE(std::holds_alternative<InitOptions>(init.command));
  EXPECT_FALSE(init.exit_code.has_value());
  EXPECT_EQ(std::get<InitOptions>(init.command).data_folder, "/d");
  EXPECT_EQ(std::get<InitOptions>(init.command).address, "a:1");
  const Options serve = ParseOptions({"serve", "--listen", "a:1", "--data", "/d", "--rest", "b:2"});
  ASSERT_TRUE(std::holds_alternative<ServeOptions>(serve.command));
  EXPECT_EQ(std::get<ServeOptions>(serve.command).listen, "a:1");
  EXPECT_EQ(std::get<ServeOptions>(serve.command).rest, "b:2");
  EXPECT_FALSE(ParseOptions({"serve", "--data", "/d"}).exit_code.has_value());
}

TEST(ServerOptions, SayHowTheLogIsWritten) {
  const auto log = [](std::vector<std::string> more) {
    std::vector<std::string> words = {"serve", "--data", "/d"};
    words.insert(words.end(), more.begin(), more.end());
    return std::get<ServeOptions>(ParseOptions(words).command).log;
  };
  EXPECT_EQ(log({}).form, logging::Form::kText);
  EXPECT_EQ(log({}).level, logging::Level::kInfo);
  EXPECT_EQ(log({"--log-form", "json"}).form, logging::Form::kJson);
  EXPECT_EQ(log({"--log-level", "warning"}).level, logging::Level::kWarning);
}

TEST(ServerOptions, WrongUsageIsTwo) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"start"},
                                                {"init"},
                                                {"serve"},
                                                {"init", "--data", "/d"},
                                                {"serve", "--data"},
                                                {"serve", "--data", "/d", "--address", "a:1"},
                                                {"serve", "--data", "/d", "--log-form", "xml"},
                                                {"serve", "--data", "/d", "--log-level", "all"},
                                                {"init", "--data", "/d", "--listen", "a:1"},
                                                {"init", "--data", "/d", "--rest", "a:1"}}) {
    EXPECT_EQ(ParseOptions(words).exit_code, 2);
  }
  EXPECT_EQ(ParseOptions({"--help"}).exit_code, 0);
  EXPECT_EQ(ParseOptions({"serve", "--version"}).exit_code, 0);
}

}  // namespace
}  // namespace weighmaster::server::app
