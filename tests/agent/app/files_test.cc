#include "agent/app/files.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temp_folder.h"

namespace weighmaster::agent::app {
namespace {

TEST(ResolveRoot, FollowsLinksAndLeavesWhatIsNotThereAsItIsWritten) {
  const tests::TempFolder folder;
  const std::string base = std::filesystem::canonical(folder.path()).string();
  std::filesystem::create_directory(base + "/models");
  std::filesystem::create_symlink(base + "/models", base + "/link");
  EXPECT_EQ(ResolveRoot(base + "/link"), base + "/models");
  EXPECT_EQ(ResolveRoot(base + "/models/"), base + "/models");
  EXPECT_EQ(ResolveRoot(base + "/nowhere/deep"), base + "/nowhere/deep");
}

TEST(ResolveRoot, DoesNotGuessWhereALinkLedThatLeadsNowhereNow) {
  const tests::TempFolder folder;
  std::filesystem::create_symlink("/not/mounted/now", folder / "link");
  EXPECT_EQ(ResolveRoot(folder / "link"), std::nullopt);
  EXPECT_EQ(ResolveRoot(folder / "link/below"), std::nullopt);
}

}  // namespace
}  // namespace weighmaster::agent::app
