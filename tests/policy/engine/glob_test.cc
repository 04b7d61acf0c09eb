#include "policy/engine/glob.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace weighmaster::engine {
namespace {

bool Matches(std::string_view pattern, std::string_view text) {
  return Glob(pattern).Matches(text);
}

TEST(Glob, MatchesTheWholeTextAndNotAPartOfIt) {
  EXPECT_TRUE(Matches("model.gguf", "model.gguf"));
  EXPECT_FALSE(Matches("model", "model.gguf"));
  EXPECT_FALSE(Matches("gguf", "model.gguf"));
  EXPECT_TRUE(Matches("", ""));
  EXPECT_FALSE(Matches("", "a"));
}

TEST(Glob, AStarStaysWithinOneName) {
  EXPECT_TRUE(Matches("/tmp/*", "/tmp/a.gguf"));
  EXPECT_TRUE(Matches("/tmp/*", "/tmp/"));
  EXPECT_FALSE(Matches("/tmp/*", "/tmp/deep/a.gguf"));
  EXPECT_TRUE(Matches("/*/models/*.gguf", "/srv/models/a.b.gguf"));
}

TEST(Glob, AQuestionMarkIsOneCharacterOfAName) {
  EXPECT_TRUE(Matches("a?c", "abc"));
  EXPECT_FALSE(Matches("a?c", "ac"));
  EXPECT_FALSE(Matches("a?c", "a/c"));
  EXPECT_TRUE(Matches("caf?", "caf\xc3\xa9"));
  EXPECT_FALSE(Matches("caf??", "caf\xc3\xa9"));
  EXPECT_TRUE(Matches("??", "\xff\xc3")) << "bytes that are not UTF-8 count one each";
}

TEST(Glob, TwoStarsCrossFolders) {
  EXPECT_TRUE(Matches("/tmp/**", "/tmp/a/b/c"));
  EXPECT_TRUE(Matches("/tmp/**", "/tmp/"));
  EXPECT_FALSE(Matches("/tmp/**", "/tmp"));
  EXPECT_FALSE(Matches("/tmp/**", "/var/tmp/a"));
  EXPECT_TRUE(Matches("/a**z", "/a/b/z"));
}

TEST(Glob, TwoStarsAndASlashAreAnyNumberOfWholeFolders) {
  EXPECT_TRUE(Matches("/home/**/models/*", "/home/models/a"));
  EXPECT_TRUE(Matches("/home/**/models/*", "/home/ada/x/models/a"));
  EXPECT_FALSE(Matches("/home/**/models/*", "/home/ada/mymodels/a"));
  EXPECT_TRUE(Matches("**/a", "a"));
  EXPECT_TRUE(Matches("**/a", "/x/a"));
  EXPECT_FALSE(Matches("**/a", "xa"));
}

TEST(Glob, IgnoresTheCaseOfAsciiLettersOnly) {
  EXPECT_TRUE(Matches("LLAMA-*", "llama-3"));
  EXPECT_FALSE(Matches("\xc3\x89", "\xc3\xa9"));
}

TEST(Glob, ABackslashTakesTheNextCharacterAsItStands) {
  EXPECT_TRUE(Matches("a\\*b", "a*b"));
  EXPECT_FALSE(Matches("a\\*b", "axb"));
  EXPECT_TRUE(Matches("a\\", "a\\")) << "at the end it stands for itself";
  EXPECT_TRUE(Matches("[ab]", "[ab]")) << "brackets have no meaning";
}

TEST(Glob, HostilePatternsAndTextsTakeTimeInProportion) {
  std::string pattern;
  for (int i = 0; i < 250; ++i) pattern += "**a*";
  const std::string text(4096, 'a');
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(Matches(pattern + "b", text));
  // Backtracking would not end in the lifetime of the machine.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(Glob, KnowsWhetherSomeTextThatBeginsSoMatches) {
  for (const char* const pattern : {"/tmp/*", "**", "**/*.gguf", "/", "*/a", "\\/a"}) {
    EXPECT_TRUE(Glob(pattern).MatchesSomeAfter("/")) << pattern;
  }
  for (const char* const pattern : {"*.gguf", "tmp/**", "?tmp", ""}) {
    EXPECT_FALSE(Glob(pattern).MatchesSomeAfter("/")) << pattern;
  }
  EXPECT_TRUE(Glob("C:/models/*").MatchesSomeAfter("c:/"));
  EXPECT_FALSE(Glob("*.gguf").MatchesSomeAfter("c:/"));
}

TEST(Glob, KnowsWhetherATextWithoutASlashMatches) {
  for (const char* const pattern : {"*.gguf", "**/*.gguf", "**", "**/**/a", ""}) {
    EXPECT_TRUE(Glob(pattern).MatchesSomeName()) << pattern;
  }
  for (const char* const pattern : {"**/a/*.gguf", "/", "a/**", "\\/"}) {
    EXPECT_FALSE(Glob(pattern).MatchesSomeName()) << pattern;
  }
}

}  // namespace
}  // namespace weighmaster::engine
