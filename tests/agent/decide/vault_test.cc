#include "agent/decide/vault.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/decide/vault_record.h"
#include "tests/support/keys.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::agent::decide {
namespace {

namespace fs = std::filesystem;

class VaultTest : public testing::Test {
 protected:
  VaultTest() { Reopen(); }
  void Reopen() {
    auto opened = PolicyVault::Open(folder_ / "policy");
    ASSERT_TRUE(opened.has_value());
    vault_ = std::move(opened).value();
  }
  static model::Sha256 DigestOf(const std::string& bytes) {
    return openssl::Sha256Of(base::AsBytes(bytes));
  }
  std::string FileOf(const model::Sha256& sha256) { return folder_ / ("policy/" + sha256.ToHex()); }

  tests::TempFolder folder_;
  std::unique_ptr<PolicyVault> vault_;
};

TEST_F(VaultTest, GivesBackWhatWasPutThere) {
  const auto sha256 = vault_->Put("a document");
  ASSERT_TRUE(sha256.has_value());
  EXPECT_EQ(*sha256, DigestOf("a document"));
  Reopen();
  EXPECT_EQ(vault_->Read(*sha256).value(), "a document");
}

TEST_F(VaultTest, MapsAPartThatOutlivesItsFile) {
  const model::Sha256 sha256 = *vault_->Put("lists");
  const auto mapped = vault_->Map(sha256);
  vault_->Sweep();
  EXPECT_FALSE(vault_->Has(sha256));
  EXPECT_EQ(base::AsText((*mapped)->bytes()), "lists");
}

TEST_F(VaultTest, MakesAPartOfItsPiecesOnlyWhenAllOfItIsThere) {
  const std::string part = "one two three";
  const model::Sha256 sha256 = DigestOf(part);
  auto writer = vault_->Begin(sha256, part.size());
  ASSERT_TRUE((*writer)->Append("one two").has_value());
  EXPECT_FALSE((*writer)->Append(" three and more").has_value());
  ASSERT_TRUE((*writer)->Append(" three").has_value());
  EXPECT_FALSE(vault_->Has(sha256));
  ASSERT_TRUE((*writer)->Commit().has_value());
  EXPECT_EQ(vault_->Read(sha256).value(), part);
}

TEST_F(VaultTest, ThrowsAwayAPartWithAnotherDigest) {
  auto writer = vault_->Begin(DigestOf("good"), 4);
  ASSERT_TRUE((*writer)->Append("evil").has_value());
  EXPECT_EQ((*writer)->Commit().error().code(), base::ErrorCode::kDataLoss);
  writer->reset();
  EXPECT_TRUE(fs::is_empty(folder_ / "policy"));
}

TEST_F(VaultTest, LeavesNothingOfAPartThatNeverCame) {
  { const auto writer = vault_->Begin(DigestOf("x"), 1); }
  EXPECT_TRUE(fs::is_empty(folder_ / "policy"));
  std::ofstream(folder_ / "policy/left by a crash.tmp") << "half";
  Reopen();
  EXPECT_TRUE(fs::is_empty(folder_ / "policy"));
}

TEST_F(VaultTest, NoticesAFileThatChanged) {
  const model::Sha256 sha256 = *vault_->Put("a document");
  std::ofstream(FileOf(sha256)) << "A document";
  EXPECT_EQ(vault_->Read(sha256).error().code(), base::ErrorCode::kDataLoss);
  EXPECT_FALSE(vault_->Has(sha256)) << "so that it is fetched again";
}

TEST_F(VaultTest, KeepsWhatItsRecordNamesAndSweepsTheRest) {
  VaultRecord record;
  record.root = *vault_->Put("root");
  record.floor = 7;
  record.verified_time = tests::kTestEpoch;
  const model::Sha256 other = *vault_->Put("other");
  ASSERT_TRUE(vault_->Commit(record).has_value());
  vault_->Sweep();
  Reopen();
  EXPECT_EQ(vault_->record(), record);
  EXPECT_TRUE(vault_->Has(*record.root));
  EXPECT_FALSE(vault_->Has(other));
}

TEST_F(VaultTest, SaysOfADamagedRecordWhatToDo) {
  std::ofstream(folder_ / "policy/in_force") << "weighmaster-policy 1\nroot -\n";
  const auto opened = PolicyVault::Open(folder_ / "policy");
  EXPECT_EQ(opened.error().code(), base::ErrorCode::kDataLoss);
  EXPECT_NE(opened.error().message().find("enrol"), std::string::npos);
}

TEST(VaultRecord, IsReadOnlyWhenWhole) {
  VaultRecord record;
  record.bundle = model::Sha256{{1, 2}};
  record.withheld = {model::Withheld::kOwner, model::Withheld::kName};
  record.floor = 3;
  const std::string text = FormatVaultRecord(record);
  EXPECT_EQ(ParseVaultRecord(text).value(), record);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseVaultRecord(text.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(ParseVaultRecord(text + "more").has_value());
  std::string unknown = text;
  unknown.replace(unknown.find("owner"), 5, "ownes");
  EXPECT_FALSE(ParseVaultRecord(unknown).has_value()) << "it would be sent";
}

}  // namespace
}  // namespace weighmaster::agent::decide
