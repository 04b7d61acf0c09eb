#include "agent/app/state.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "agent/journal/state_file.h"
#include "proto/wire/convert.h"
#include "tests/support/keys.h"
#include "tests/support/sim_loop.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::agent::app {
namespace {

class StateTest : public testing::Test {
 protected:
  // One start of an agent: the reason with which its chain began.
  std::optional<model::ChainReason> Start(bool first_run) {
    auto state = OpenState({path_, model::Id{{1}}, first_run, loop_, random_, tests::TestKey(10)});
    EXPECT_TRUE(state.has_value()) << state.error().message();
    if (!state.has_value()) return std::nullopt;
    chain_ = state->journal->head().chain;
    const auto first = state->journal->Read(1);
    const auto event = wire::ParseEvent((*first)->events.at(0).body);
    return std::get<model::ChainStarted>(event->body).reason;
  }

  const tests::TempFolder folder_;
  const std::string path_ = folder_ / "state.db";
  tests::SimLoop loop_;
  base::SeededRandom random_{1};
  model::Id chain_;
};

TEST_F(StateTest, BeginsTheFirstChainOfAKeyOnce) {
  EXPECT_EQ(Start(true), model::ChainReason::kEnrolled);
  const model::Id chain = chain_;
  EXPECT_EQ(Start(false), model::ChainReason::kEnrolled);
  EXPECT_EQ(chain_, chain);
}

TEST_F(StateTest, NeverCallsASecondChainOfAKeyItsFirst) {
  Start(true);
  std::filesystem::remove(path_);  // by hand, or by a death between moving it aside and a new one
  EXPECT_EQ(Start(false), model::ChainReason::kJournalLost);
}

TEST_F(StateTest, MovesADamagedFileAsideAndSaysThatTheJournalWasLost) {
  Start(true);
  std::ofstream(path_, std::ios::trunc) << "this is no database, and it is long enough to be read";
  EXPECT_EQ(Start(false), model::ChainReason::kJournalLost);
}

TEST_F(StateTest, TakesAJournalThatContradictsItselfForADamagedOne) {
  Start(true);
  {
    const auto database = journal::OpenStateFile(path_);
    ASSERT_TRUE((*database)->Execute("UPDATE journal SET next_number = 9").has_value());
  }
  EXPECT_EQ(Start(false), model::ChainReason::kJournalLost);
  int aside = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    aside += entry.path().filename().string().starts_with("state.db.damaged-") ? 1 : 0;
  }
  EXPECT_GE(aside, 1);
}

}  // namespace
}  // namespace weighmaster::agent::app
