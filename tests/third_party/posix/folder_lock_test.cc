#include "third_party/posix/folder_lock.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "tests/support/temp_folder.h"

namespace weighmaster::posix {
namespace {

TEST(FolderLock, KeepsASecondHolderOffUntilTheFirstIsGone) {
  const tests::TempFolder folder;
  auto taken = FolderLock::Take(folder.path(), "agent");
  ASSERT_TRUE(taken.has_value()) << taken.error().message();
  std::optional<FolderLock> first = std::move(*taken);
  const auto second = FolderLock::Take(folder.path(), "agent");
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), base::ErrorCode::kFailedPrecondition);
  EXPECT_NE(second.error().message().find("another agent works on " + folder.path()),
            std::string::npos);
  first.reset();
  EXPECT_TRUE(FolderLock::Take(folder.path(), "agent").has_value());
}

TEST(FolderLock, NeedsAFolderThatIsThere) {
  const tests::TempFolder folder;
  EXPECT_FALSE(FolderLock::Take(folder / "missing", "server").has_value());
}

}  // namespace
}  // namespace weighmaster::posix
