#include "proto/wire/audit.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace weighmaster::wire {
namespace {

AuditRow Row(std::uint64_t number) {
  AuditRow row;
  row.number = number;
  row.time = base::WallTimeFromMicroseconds(1'700'000'000'000'000);
  row.token_id.bytes[15] = 7;
  row.token_name = "ada";
  row.method = "RevokeEndpoint";
  row.summary = "endpoint_id=01";
  return row;
}

// docs/formats/audit-log.md gives this very example.
TEST(AuditDigest, IsTheOneOfTheFormat) {
  EXPECT_EQ(AuditDigest(model::Sha256(), Row(1)).ToHex(),
            "2e37f0cb6acae23c741e39e6f6c214051802a76a5bbdd9a70c431fb1c4da92e7");
}

TEST(AuditChain, TakesWhatWasWritten) {
  AuditChain chain;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    EXPECT_TRUE(chain.Add(Row(i), AuditDigest(chain.head(), Row(i))).has_value());
  }
  EXPECT_EQ(chain.number(), 3U);
}

TEST(AuditChain, FindsEveryFieldThatWasChanged) {
  const std::vector<std::function<void(AuditRow&)>> changes = {
      [](AuditRow& row) { row.time += std::chrono::seconds(1); },
      [](AuditRow& row) { row.token_id.bytes[0] = 1; },
      [](AuditRow& row) { row.token_name = "bo"; }, [](AuditRow& row) { row.method = "WhoAmI"; },
      [](AuditRow& row) { row.outcome = AuditOutcome::kDone; },
      [](AuditRow& row) { row.begun_number = 1; }, [](AuditRow& row) { row.code = 5; },
      [](AuditRow& row) { row.summary.clear(); },
      // The same letters at another place.
      [](AuditRow& row) { row.token_name = "adaR", row.method = "evokeEndpoint"; }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    AuditChain chain;
    AuditRow row = Row(1);
    changes[i](row);
    EXPECT_FALSE(chain.Add(row, AuditDigest(model::Sha256(), Row(1))).has_value()) << i;
  }
}

TEST(AuditChain, FindsARowThatIsGone) {
  const model::Sha256 first = AuditDigest(model::Sha256(), Row(1));
  const model::Sha256 second = AuditDigest(first, Row(2));
  AuditChain chain;
  EXPECT_FALSE(chain.Add(Row(2), second).has_value());
  ASSERT_TRUE(chain.Add(Row(1), first).has_value());
  // Numbered anew, it still has another predecessor.
  EXPECT_FALSE(chain.Add(Row(2), AuditDigest(second, Row(2))).has_value());
}

}  // namespace
}  // namespace weighmaster::wire
