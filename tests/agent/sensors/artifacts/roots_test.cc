#include "agent/sensors/artifacts/roots.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temp_folder.h"

namespace weighmaster::agent::sensors {
namespace {

TEST(ChooseRoots, TakesLocalMountsAndAccountsForTheOthers) {
  const ChosenRoots roots =
      ChooseRoots(os::ParseMountInfo("1 1 8:1 / / rw - ext4 /dev/sda rw\n"
                                     "2 1 0:5 / /proc rw - proc proc rw\n"
                                     "3 1 0:6 / /net rw - nfs4 server:/x rw\n"
                                     "4 1 8:2 / /home rw - xfs /dev/sdb rw\n"
                                     "5 1 8:1 /srv /bind rw - ext4 /dev/sda rw\n"),
                  {}, {});
  EXPECT_EQ(roots.paths, (std::vector<std::string>{"/", "/home"}));
  ASSERT_EQ(roots.others.size(), 2U);
  EXPECT_EQ(roots.others[0].root.bytes, "/proc");
  EXPECT_EQ(roots.others[0].reason, model::CoverageReason::kPseudoFileSystem);
  EXPECT_EQ(roots.others[1].root.bytes, "/net");
  EXPECT_EQ(roots.others[1].reason, model::CoverageReason::kRemoteFileSystem);
  EXPECT_EQ(roots.others[1].state, model::CoverageState::kCouldNot);
  EXPECT_EQ(roots.others[1].detail, "nfs4");
}

TEST(ChooseRoots, TakesTheLocalMountsBelowWhatIsNamed) {
  const os::MountTable table = os::ParseMountInfo(
      "1 1 8:1 / / rw - ext4 /dev/sda rw\n"
      "2 1 8:2 / /home rw - xfs /dev/sdb rw\n"
      "3 2 8:3 / /home/alice rw - ext4 /dev/sdc rw\n"
      "4 2 0:6 / /home/net rw - nfs4 server:/x rw\n"
      "5 1 8:4 / /homes rw - ext4 /dev/sdd rw\n"
      // A view of something that lies outside of what is named.
      "6 1 8:1 /srv /home/bind rw - ext4 /dev/sda rw\n"
      "7 1 8:5 / /home/out/usb rw - ext4 /dev/sde rw\n");
  const std::vector<std::string> excluded = {"/home/out"};
  const ChosenRoots roots = ChooseRoots(table, {"/home"}, excluded);
  EXPECT_EQ(roots.paths, (std::vector<std::string>{"/home", "/home/alice", "/home/bind"}));
  ASSERT_EQ(roots.others.size(), 2U);
  EXPECT_EQ(roots.others[0].root.bytes, "/home/net");
  EXPECT_EQ(roots.others[1].root.bytes, "/home/out/usb");
  EXPECT_EQ(roots.others[1].reason, model::CoverageReason::kExcluded);
  EXPECT_EQ(ChooseRoots(table, {"/home", "/home/alice"}, excluded).paths,
            (std::vector<std::string>{"/home", "/home/alice", "/home/bind"}));
}

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

TEST(OpenRoot, ResolvesTheUsersOwnLinksOnce) {
  const tests::TempFolder folder;
  std::filesystem::create_directory(folder / "real");
  std::filesystem::create_directory_symlink(folder / "real", folder / "link");
  const auto root = OpenRoot(folder / "link", {});
  ASSERT_TRUE(root.has_value());
  EXPECT_EQ((*root)->path, folder / "real");
  EXPECT_EQ(RelativeTo(**root, folder / "real/a/b"), "a/b");
}

TEST(OpenRoot, TakesASingleFile) {
  const tests::TempFolder folder;
  const auto root = OpenRoot(folder.Write("model", "x"), {});
  ASSERT_TRUE(root.has_value());
  EXPECT_EQ((*root)->folder, folder.path());
  EXPECT_EQ((*root)->file, "model");
}

TEST(OpenRoot, SaysWhatIsMissing) {
  const tests::TempFolder folder;
  const auto root = OpenRoot(folder / "none", {});
  ASSERT_FALSE(root.has_value());
  EXPECT_EQ(CouldNotOpen(folder / "none", root.error()).reason, model::CoverageReason::kNotMounted);
}

TEST(IsWithin, IsNotFooledByACommonBeginning) {
  EXPECT_TRUE(IsWithin("/a/b", "/a"));
  EXPECT_TRUE(IsWithin("/a", "/a"));
  EXPECT_TRUE(IsWithin("/a", "/"));
  EXPECT_FALSE(IsWithin("/ab", "/a"));
}

}  // namespace
}  // namespace weighmaster::agent::sensors
