#include "proto/wire/exceptions.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "policy/base/limits.h"
#include "tests/support/keys.h"
#include "weighmaster/v1/exceptions.pb.h"

namespace weighmaster::wire {
namespace {

using tests::kTestEpoch;

model::Exception MakeException(std::uint8_t n) {
  model::Exception exception;
  exception.id.bytes[0] = n;
  exception.digest.bytes.fill(n);
  exception.of_weights = n % 2 == 0;
  exception.user = n % 3 == 0 ? "ada" : "";
  exception.overrides = "default";
  exception.reason = "Legal has looked at it.";
  exception.expires = kTestEpoch + std::chrono::hours(24);
  return exception;
}

model::ExceptionSet MakeSet() {
  model::ExceptionSet set =
      tests::MakeExceptionSet(3, {MakeException(1), MakeException(2), MakeException(3)});
  set.endpoint = model::Id{{7}};
  return set;
}

TEST(Exceptions, SurviveSerialisingAndGiveTheSameBytes) {
  const std::string bytes = SerialiseExceptions(MakeSet());
  const auto set = ParseExceptions(bytes);
  ASSERT_TRUE(set) << set.error().ToString();
  EXPECT_EQ(*set, MakeSet());
  EXPECT_EQ(SerialiseExceptions(*set), bytes);
}

TEST(Exceptions, ThatBreakARuleAreRefusedWhole) {
  const std::pair<std::string, std::function<void(v1::ExceptionSet&)>> changes[] = {
      {"no version", [](v1::ExceptionSet& p) { p.set_version(0); }},
      {"short endpoint", [](v1::ExceptionSet& p) { p.set_endpoint_id("x"); }},
      {"no subject", [](v1::ExceptionSet& p) { p.mutable_exceptions(0)->clear_subject(); }},
      {"short digest", [](v1::ExceptionSet& p) { p.mutable_exceptions(0)->set_sha256("x"); }},
      {"no overrides", [](v1::ExceptionSet& p) { p.mutable_exceptions(0)->clear_overrides(); }},
      {"no reason", [](v1::ExceptionSet& p) { p.mutable_exceptions(0)->clear_reason(); }},
      {"one twice",
       [](v1::ExceptionSet& p) {
         p.mutable_exceptions(0)->set_exception_id(p.exceptions(1).exception_id());
       }},
      {"too long a time",
       [](v1::ExceptionSet& p) {
         const auto latest = kTestEpoch + base::limits::kMaxExceptionValidity;
         p.mutable_exceptions(0)->set_expires_time_us(base::ToMicroseconds(latest) + 1);
       }},
      {"too many",
       [](v1::ExceptionSet& p) {
         while (std::size_t(p.exceptions_size()) <= base::limits::kMaxExceptions) {
           *p.add_exceptions() = p.exceptions(0);
         }
       }},
  };
  for (const auto& [what, change] : changes) {
    v1::ExceptionSet proto;
    ASSERT_TRUE(proto.ParseFromString(SerialiseExceptions(MakeSet())));
    change(proto);
    EXPECT_FALSE(ParseExceptions(proto.SerializeAsString())) << what;
  }
  EXPECT_FALSE(ParseExceptions("nonsense"));
  EXPECT_FALSE(ParseExceptions(std::string(base::limits::kMaxExceptionsBytes + 1, '\0')));
}

TEST(Exceptions, AreTrustedFromTheirRoleAndFleetAlone) {
  const Root root = tests::MakeTestFleet().root;
  EXPECT_TRUE(VerifyExceptions(tests::SignExceptions(MakeSet()), root));
  SignedDocument by_policy{.bytes = SerialiseExceptions(MakeSet()), .signatures = {}};
  ASSERT_TRUE(Sign(by_policy, kDomainExceptions, tests::PolicyKey()));
  EXPECT_EQ(VerifyExceptions(by_policy, root).error().code(), base::ErrorCode::kUnauthenticated);
  SignedDocument as_bundle{.bytes = SerialiseExceptions(MakeSet()), .signatures = {}};
  ASSERT_TRUE(Sign(as_bundle, kDomainBundle, tests::ExceptionsKey()));
  EXPECT_FALSE(VerifyExceptions(as_bundle, root)) << "signed in another domain";
  model::ExceptionSet other = MakeSet();
  other.fleet_id = std::string(32, 'a');
  EXPECT_EQ(VerifyExceptions(tests::SignExceptions(other), root).error().code(),
            base::ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(VerifyExceptions(tests::SignExceptions(MakeSet()), tests::MakeRoot({1}, 1)))
      << "a root without the role trusts nobody with it";
}

}  // namespace
}  // namespace weighmaster::wire
