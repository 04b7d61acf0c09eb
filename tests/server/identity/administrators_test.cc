#include "server/identity/administrators.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>

#include "server/store/sqlite/sqlite_store.h"
#include "tests/support/sim_loop.h"

namespace weighmaster::server::identity {
namespace {

using std::chrono::hours;

class AdministratorsTest : public ::testing::Test {
 protected:
  base::Result<Caller> Authenticate(const std::string& authorization) {
    std::optional<base::Result<Caller>> answer;
    administrators_.Authenticate(authorization, [&](auto result) { answer.emplace(result); });
    loop_.RunReady();
    EXPECT_TRUE(answer.has_value());
    return *std::move(answer);
  }

  tests::SimLoop loop_;
  tests::SimExecutor executor_{loop_};
  base::SeededRandom random_{1};
  std::unique_ptr<store::SqliteStore> store_ =
      std::move(store::SqliteStore::Open(":memory:")).value();
  std::unique_ptr<store::Queries> queries_ = std::move(store_->OpenQueries()).value();
  Administrators administrators_{loop_, loop_, random_, executor_, *store_, executor_, *queries_};
};

TEST_F(AdministratorsTest, ShowATokenThatIsKnownAndGood) {
  const NewAdminToken token =
      MakeAdminToken("ada", store::AdminRole::kResponder, store::Scope::WholeFleet(), loop_.Now(),
                     loop_.Now() + hours(1), random_);
  ASSERT_TRUE(store_->AddAdminToken(token.record).has_value());
  const auto caller = Authenticate("Bearer " + token.text);
  ASSERT_TRUE(caller.has_value());
  EXPECT_EQ(caller->token.name, "ada");
  EXPECT_EQ(caller->token.role, store::AdminRole::kResponder);
  EXPECT_EQ(caller->token.id, token.record.id);
  std::string guessed = token.text;
  guessed[8] = guessed[8] == 'A' ? 'B' : 'A';
  for (const std::string& bad : {std::string(), token.text, "Bearer " + guessed,
                                 std::string("Bearer wm1.abc"), std::string("Bearer wma1.!!")}) {
    const auto refused = Authenticate(bad);
    ASSERT_FALSE(refused.has_value()) << bad;
    EXPECT_EQ(refused.error().code(), base::ErrorCode::kUnauthenticated);
    EXPECT_EQ(refused.error().message().find(guessed), std::string::npos);
  }
  loop_.RunFor(hours(1));
  EXPECT_FALSE(Authenticate("Bearer " + token.text).has_value());
}

TEST_F(AdministratorsTest, CareNotForTheCaseOfTheSchemeButForThatOfTheToken) {
  const NewAdminToken token =
      MakeAdminToken("ada", store::AdminRole::kViewer, store::Scope::WholeFleet(), loop_.Now(),
                     std::nullopt, random_);
  ASSERT_TRUE(store_->AddAdminToken(token.record).has_value());
  for (const std::string scheme : {"Bearer ", "bearer ", "BEARER "}) {
    EXPECT_TRUE(Authenticate(scheme + token.text).has_value()) << scheme;
  }
  EXPECT_FALSE(Authenticate("bearer WMA1" + token.text.substr(4)).has_value());
  EXPECT_FALSE(Authenticate("bearer" + token.text).has_value());
}

}  // namespace
}  // namespace weighmaster::server::identity
