#include "server/app/data_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "server/identity/fleet_files.h"
#include "tests/support/sim_loop.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::server::app {
namespace {

TEST(DataFolder, HoldsAFleetThatItsAddressReaches) {
  for (const char* address : {"fleet.example.org:8443", "192.0.2.1:443", "[::1]:443"}) {
    const tests::TempFolder folder;
    const tests::SimLoop clock;
    const std::string data = folder / "data";
    const base::Status made = InitDataFolder({data, address}, clock);
    ASSERT_TRUE(made.has_value()) << made.error().message();
    EXPECT_EQ(LoadAddress(data).value(), address);
    EXPECT_TRUE(identity::LoadFleet(data).has_value());
    struct stat info {};
    for (const char* name : {"/admin.token", "/address", "/store.db"}) {
      ASSERT_EQ(stat((data + name).c_str(), &info), 0) << name;
      EXPECT_EQ(info.st_mode & 0077U, 0U) << name;
    }
  }
}

TEST(DataFolder, IsNeverMadeTwice) {
  const tests::TempFolder folder;
  const tests::SimLoop clock;
  const InitOptions options{folder / "data", "localhost:8443"};
  ASSERT_TRUE(InitDataFolder(options, clock).has_value());
  const auto root = identity::LoadFleet(options.data_folder)->root.fleet_id;
  const base::Status again = InitDataFolder(options, clock);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code(), base::ErrorCode::kAlreadyExists);
  EXPECT_EQ(identity::LoadFleet(options.data_folder)->root.fleet_id, root);
}

TEST(DataFolder, RefusesWhatIsNoAddressBeforeItMakesAnything) {
  const tests::TempFolder folder;
  const tests::SimLoop clock;
  for (const char* address :
       {"", "host", "host:", ":443", "host:0", "host:65536", "host:https", "host:443x", "[]:443"}) {
    const base::Status made = InitDataFolder({folder / "data", address}, clock);
    ASSERT_FALSE(made.has_value()) << address;
    EXPECT_NE(made.error().message().find("write HOST:PORT"), std::string::npos) << address;
    EXPECT_FALSE(std::filesystem::exists(folder / "data")) << address;
  }
}

}  // namespace
}  // namespace weighmaster::server::app
