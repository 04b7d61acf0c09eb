#include "policy/model/event.h"

#include <gtest/gtest.h>

namespace weighmaster::model {
namespace {

TEST(Event, WhatProvesTheChainIsNeverDropped) {
  EXPECT_EQ(PriorityOf(ChainStarted{}), PriorityClass::kControl);
  EXPECT_EQ(PriorityOf(BodiesDropped{}), PriorityClass::kControl);
  EXPECT_EQ(PriorityOf(PolicyApplied{}), PriorityClass::kControl);
  EXPECT_EQ(PriorityOf(PolicyRefused{}), PriorityClass::kControl);
  EXPECT_EQ(PriorityOf(AgentStarted{}), PriorityClass::kControl);
}

TEST(Event, VerdictsOutlastTheInventory) {
  EXPECT_EQ(PriorityOf(SightingJudged{}), PriorityClass::kVerdict);
  EXPECT_EQ(PriorityOf(SightingAppeared{}), PriorityClass::kInventory);
  EXPECT_EQ(PriorityOf(SightingChanged{}), PriorityClass::kInventory);
  EXPECT_EQ(PriorityOf(SightingGone{}), PriorityClass::kInventory);
  EXPECT_EQ(PriorityOf(CoverageChanged{}), PriorityClass::kInventory);
  EXPECT_LT(PriorityClass::kVerdict, PriorityClass::kInventory);
}

}  // namespace
}  // namespace weighmaster::model
