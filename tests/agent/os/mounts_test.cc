#include "agent/os/mounts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "policy/base/limits.h"

namespace weighmaster::agent::os {
namespace {

TEST(MountTable, ReadsWhatTheKernelWrites) {
  const MountTable table = ParseMountInfo(
      "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n"
      "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n");
  ASSERT_EQ(table.mounts.size(), 2U);
  EXPECT_EQ(table.unreadable, 0U);
  EXPECT_EQ(table.mounts[0].id, 36U);
  EXPECT_EQ(table.mounts[0].device, "98:0");
  EXPECT_EQ(table.mounts[0].root, "/mnt1");
  EXPECT_EQ(table.mounts[0].mount_point, "/mnt2");
  EXPECT_EQ(table.mounts[0].type, "ext3");
  EXPECT_EQ(table.mounts[0].source, "/dev/root");
  EXPECT_EQ(table.mounts[1].mount_point, "/");
}

TEST(MountTable, UndoesOctalEscapesAndKeepsHostileBytes) {
  const MountTable table = ParseMountInfo(
      "1 1 0:5 / /a\\040b\\011c\\012d\\134e rw - tmpfs x rw\n"
      "2 1 0:6 / /\xff\xfe\x1b[31m rw - tmpfs x rw\n"
      "3 1 0:7 / /trailing\\04 rw - tmpfs x rw\n");
  ASSERT_EQ(table.mounts.size(), 3U);
  EXPECT_EQ(table.mounts[0].mount_point, "/a b\tc\nd\\e");
  EXPECT_EQ(table.mounts[1].mount_point, "/\xff\xfe\x1b[31m");
  EXPECT_EQ(table.mounts[2].mount_point, "/trailing\\04");
}

TEST(MountTable, LeavesOutAndCountsLinesThatDoNotFit) {
  const MountTable table = ParseMountInfo(
      "\n"
      "x 1 0:5 / /a rw - tmpfs x rw\n"
      "1 1 0:5 / relative rw - tmpfs x rw\n"
      "1 1 0:5 / /a rw tmpfs x rw\n"
      "1 1 0:5 / /a rw -\n"
      "99999999999999999999999 1 0:5 / /a rw - tmpfs x rw\n"
      "7 1 0:5 / /good rw - tmpfs x");
  ASSERT_EQ(table.mounts.size(), 1U);
  EXPECT_EQ(table.mounts[0].mount_point, "/good");
  EXPECT_EQ(table.unreadable, 5U);
}

TEST(MountTable, StopsAtItsLimitAndSaysHowMuchIsBeyond) {
  std::string text;
  for (std::size_t i = 0; i < base::limits::kMaxMounts + 3; ++i) {
    text += "1 1 0:5 / /m" + std::to_string(i) + " rw - tmpfs x rw\n";
  }
  const MountTable table = ParseMountInfo(text);
  EXPECT_EQ(table.mounts.size(), base::limits::kMaxMounts);
  EXPECT_EQ(table.beyond_limit, 3U);
}

TEST(MountKinds, AreToldByTheNameOfTheType) {
  for (const char* type : {"ext4", "tmpfs", "a-file-system-of-next-year"}) {
    EXPECT_EQ(ClassifyMount(type, "rw"), MountKind::kLocal) << type;
  }
  for (const char* type : {"nfs4", "fuse.sshfs", "fuse"}) {
    EXPECT_EQ(ClassifyMount(type, "rw,user_id=0"), MountKind::kRemote) << type;
  }
  for (const char* type : {"proc", "cgroup2"}) {
    EXPECT_EQ(ClassifyMount(type, "rw"), MountKind::kPseudo) << type;
  }
}

TEST(MountKinds, AreNotWhatAUsersFuseFileSystemSaysItIs) {
  for (const char* type : {"fuseblk", "fuse.ntfs-3g", "fuse.exfat"}) {
    EXPECT_EQ(ClassifyMount(type, "rw,user_id=0,group_id=0"), MountKind::kLocal) << type;
    EXPECT_EQ(ClassifyMount(type, "rw,user_id=1000,group_id=0"), MountKind::kRemote) << type;
    EXPECT_EQ(ClassifyMount(type, "rw,user_id=01,fsname=user_id=0x"), MountKind::kRemote) << type;
  }
  const MountTable table = ParseMountInfo(
      "1 1 0:5 / /a rw - fuse.ntfs-3g x rw,user_id=1000\n"
      "2 1 0:6 / /b rw - fuse.ntfs-3g /dev/sdb1 rw,user_id=0,allow_other\n");
  ASSERT_EQ(table.mounts.size(), 2U);
  EXPECT_EQ(table.mounts[0].kind, MountKind::kRemote);
  EXPECT_EQ(table.mounts[1].kind, MountKind::kLocal);
}

Mount MakeMount(std::uint64_t id, std::string device, std::string root, std::string point) {
  Mount mount;
  mount.id = id;
  mount.device = std::move(device);
  mount.root = std::move(root);
  mount.mount_point = std::move(point);
  return mount;
}

TEST(DistinctMounts, VisitABindMountOnce) {
  const auto distinct =
      DistinctMounts({MakeMount(1, "8:1", "/", "/"), MakeMount(2, "8:1", "/srv/models", "/models"),
                      MakeMount(3, "8:2", "/", "/home")});
  ASSERT_EQ(distinct.size(), 2U);
  EXPECT_EQ(distinct[0].id, 1U);
  EXPECT_EQ(distinct[1].id, 3U);
}

TEST(DistinctMounts, KeepSiblingFoldersOfAFileSystemWhoseRootIsNotMounted) {
  const auto distinct =
      DistinctMounts({MakeMount(1, "8:1", "/@home", "/home"), MakeMount(2, "8:1", "/@", "/"),
                      MakeMount(3, "8:1", "/@homework", "/homework")});
  EXPECT_EQ(distinct.size(), 3U);
}

TEST(DistinctMounts, KeepOnlyTheTopmostOfSeveralOnOnePoint) {
  const auto distinct =
      DistinctMounts({MakeMount(1, "8:1", "/", "/mnt"), MakeMount(2, "8:2", "/", "/mnt")});
  ASSERT_EQ(distinct.size(), 1U);
  EXPECT_EQ(distinct[0].id, 2U);
}

// The table comes from /proc, so /proc is in it; a root need not be (in a chroot it is a folder).
TEST(Mounts, OfThisMachineAreReadWhole) {
  const base::Result<MountTable> table = ReadMounts();
  ASSERT_TRUE(table.has_value()) << table.error().ToString();
  EXPECT_EQ(table->unreadable, 0U);
  const auto proc = std::ranges::find(table->mounts, "/proc", &Mount::mount_point);
  ASSERT_NE(proc, table->mounts.end());
  EXPECT_EQ(proc->type, "proc");
  EXPECT_EQ(proc->kind, MountKind::kPseudo);
}

}  // namespace
}  // namespace weighmaster::agent::os
