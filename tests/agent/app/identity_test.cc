#include "agent/app/identity.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/keys.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::agent::app {
namespace {

EnrolledIdentity MakeIdentity() {
  EnrolledIdentity identity;
  identity.endpoint_id.bytes.fill(7);
  identity.address = "weighmaster.example.org:8443";
  identity.ca_pem = "the CA\n";
  identity.certificate_pem = "the certificate\n";
  identity.root = tests::MakeTestFleet().signed_root;
  return identity;
}

unsigned ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777U;
}

TEST(Identity, IsNothingBeforeEnrolment) {
  const tests::TempFolder folder;
  const auto loaded = LoadIdentity(folder.path());
  ASSERT_TRUE(loaded.has_value());
  EXPECT_FALSE(loaded->has_value());
}

TEST(Identity, ComesBackAsItWasSavedAndIsTheOwnersAlone) {
  const tests::TempFolder folder;
  const EnrolledIdentity saved = MakeIdentity();
  ASSERT_TRUE(SaveIdentity(folder.path(), saved).has_value());
  EXPECT_EQ(ModeOf(folder / "enrolment.json"), 0600U);
  const auto loaded = LoadIdentity(folder.path());
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  ASSERT_TRUE(loaded->has_value());
  const EnrolledIdentity& identity = **loaded;
  EXPECT_EQ(identity.endpoint_id, saved.endpoint_id);
  EXPECT_EQ(identity.address, saved.address);
  EXPECT_EQ(identity.ca_pem, saved.ca_pem);
  EXPECT_EQ(identity.certificate_pem, saved.certificate_pem);
  EXPECT_EQ(identity.root.bytes, saved.root.bytes);
  EXPECT_TRUE(wire::VerifyRoot(identity.root).has_value());
}

TEST(Identity, ADamagedFileSaysWhatToDo) {
  const tests::TempFolder folder;
  ASSERT_TRUE(SaveIdentity(folder.path(), MakeIdentity()).has_value());
  std::stringstream good;
  good << std::ifstream(folder / "enrolment.json").rdbuf();
  std::string no_address = good.str();
  no_address.replace(no_address.find("\"address\""), 9, "\"adress\"");
  for (const std::string& text : {std::string(), std::string("[]"), std::string("{}"), no_address,
                                  good.str().substr(0, good.str().size() / 2)}) {
    folder.Write("enrolment.json", text);
    const auto loaded = LoadIdentity(folder.path());
    ASSERT_FALSE(loaded.has_value()) << text;
    EXPECT_NE(loaded.error().message().find("remove it and enrol this endpoint again"),
              std::string::npos);
    EXPECT_NE(loaded.error().message().find(folder / "enrolment.json"), std::string::npos);
  }
}

TEST(Identity, TheKeyIsMadeOnceAndIsTheOwnersAlone) {
  const tests::TempFolder folder;
  EXPECT_FALSE(HasKey(folder.path()));
  const auto made = LoadOrMakeKey(folder.path());
  ASSERT_TRUE(made.has_value()) << made.error().message();
  EXPECT_TRUE(HasKey(folder.path()));
  EXPECT_EQ(ModeOf(folder / "endpoint.key"), 0600U);
  const auto again = LoadOrMakeKey(folder.path());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(made->public_key().id(), again->public_key().id());
}

TEST(Identity, ADamagedKeyIsNeverReplaced) {
  const tests::TempFolder folder;
  folder.Write("endpoint.key", "no key");
  ASSERT_EQ(chmod((folder / "endpoint.key").c_str(), 0600), 0);
  EXPECT_FALSE(LoadOrMakeKey(folder.path()).has_value());
  std::stringstream kept;
  kept << std::ifstream(folder / "endpoint.key").rdbuf();
  EXPECT_EQ(kept.str(), "no key");
}

}  // namespace
}  // namespace weighmaster::agent::app
