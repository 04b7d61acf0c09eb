#include "policy/model/path.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace weighmaster::model {
namespace {

Path PathOf(std::string bytes) {
  Path path;
  path.bytes = std::move(bytes);
  return path;
}

TEST(Path, IsShownOnOneLineWhateverItHolds) {
  EXPECT_EQ(PathOf("/a\nb").ToDisplay(), "/a\\x0ab");
  EXPECT_EQ(PathOf("/\xff").ToDisplay(), "/\\xff");
  EXPECT_EQ(PathOf("/caf\xc3\xa9").ToDisplay(), "/caf\xc3\xa9");
}

TEST(Path, SaysWhetherTheDisplayIsExact) {
  EXPECT_TRUE(PathOf("/caf\xc3\xa9").IsDisplayable());
  EXPECT_FALSE(PathOf("/a\nb").IsDisplayable());
  EXPECT_FALSE(PathOf("/\xff").IsDisplayable());
}

TEST(Path, TheFileNameIsWhatFollowsTheLastSlash) {
  EXPECT_EQ(PathOf("/a/b.gguf").FileName(), "b.gguf");
  EXPECT_EQ(PathOf("b.gguf").FileName(), "b.gguf");
  EXPECT_EQ(PathOf("/a/").FileName(), "");
}

}  // namespace
}  // namespace weighmaster::model
