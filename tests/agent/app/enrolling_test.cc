#include "agent/app/enrolling.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/limits.h"
#include "tests/agent/app/issuer.h"
#include "tests/support/sim_loop.h"
#include "tests/support/temp_folder.h"
#include "third_party/spdlog/log.h"

namespace weighmaster::agent::app {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr hours kDay{24};
// One in an hour of back-off is 5 s at the least and 5 min at the most, 2.5 min on average.
constexpr int kMostAttemptsInAnHour = 60;
constexpr int kLeastAttemptsInAnHour = 12;

os::Machine MachineNamed(const std::string& hostname) {
  os::Machine machine;
  machine.hostname = hostname;
  return machine;
}

class EnrollingTest : public testing::Test {
 protected:
  EnrollingTest() { GiveToken(issuer_.Token()); }

  void GiveToken(const wire::EnrolmentToken& token) {
    folder_.Write("token", wire::FormatToken(token) + "\n");
  }

  // As at a start of the agent: with what is in the state folder.
  void Start() {
    auto saved = LoadIdentity(folder_.path());
    ASSERT_TRUE(saved.has_value()) << saved.error().message();
    enrolling_.emplace(Enrolling::Rooms{loop_, executor_, loop_, random_, key_, issuer_},
                       folder_.path(), token_, MachineNamed(hostname_),
                       [this](const EnrolledIdentity& identity) { told_.push_back(identity); });
    enrolling_->Start(std::move(*saved));
  }

  // An endpoint that enrolled earlier, with a certificate of these dates.
  std::string SaveIdentityOf(tests::Validity validity) {
    EnrolledIdentity identity;
    identity.endpoint_id = tests::Issuer::kEndpoint;
    identity.address = issuer_.Token().address;
    identity.ca_pem = issuer_.pki().ca_pem();
    identity.certificate_pem =
        issuer_.pki().ClientCertificate(key_.public_key(), identity.endpoint_id, validity);
    identity.root = tests::MakeTestFleet().signed_root;
    EXPECT_TRUE(SaveIdentity(folder_.path(), identity).has_value());
    return identity.certificate_pem;
  }

  std::string SavedCertificate() const {
    const auto saved = LoadIdentity(folder_.path());
    if (!saved.has_value() || !saved->has_value()) return "nothing is saved";
    return (*saved)->certificate_pem;
  }
  // What the next connection shows.
  std::string CertificateInUse() const { return enrolling_->connector_options().certificate_pem; }

  void ExpectFewAttemptsAnHour() {
    const int before = issuer_.attempts();
    loop_.RunFor(hours(1));
    EXPECT_LE(issuer_.attempts() - before, kMostAttemptsInAnHour);
    EXPECT_GE(issuer_.attempts() - before, kLeastAttemptsInAnHour);
  }

  tests::TempFolder folder_;
  TokenSource token_{folder_ / "token", ""};
  std::string hostname_ = "host";
  tests::SimLoop loop_;
  tests::SimExecutor executor_{loop_};
  base::SeededRandom random_{1};
  const openssl::PrivateKey& key_ = tests::TestKey(10);
  tests::Issuer issuer_{loop_};
  std::vector<EnrolledIdentity> told_;
  std::optional<Enrolling> enrolling_;
};

TEST_F(EnrollingTest, EnrolsAndSavesWhatItGot) {
  Start();
  loop_.RunReady();
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_EQ(enrolling_->last_error(), "");
  EXPECT_EQ(issuer_.attempts(), 1);
  const auto saved = LoadIdentity(folder_.path());
  ASSERT_TRUE(saved.has_value() && saved->has_value());
  const EnrolledIdentity& identity = **saved;
  EXPECT_EQ(identity.endpoint_id, tests::Issuer::kEndpoint);
  EXPECT_EQ(identity.address, issuer_.Token().address);
  EXPECT_EQ(identity.ca_pem, issuer_.pki().ca_pem());
  EXPECT_EQ(identity.root.bytes, tests::MakeTestFleet().signed_root.bytes);
  EXPECT_EQ(identity.certificate_pem, told_[0].certificate_pem);
  const auto certificate = openssl::ParseCertificate(identity.certificate_pem);
  ASSERT_TRUE(certificate.has_value());
  EXPECT_EQ(certificate->key->id(), key_.public_key().id());
}

TEST_F(EnrollingTest, EnrolsWithTheTokenThatStandardInputHeld) {
  token_ = {"-", wire::FormatToken(issuer_.Token()) + "\n"};
  folder_.Write("token", "no token");
  Start();
  loop_.RunReady();
  EXPECT_EQ(told_.size(), 1U) << enrolling_->last_error();
}

TEST_F(EnrollingTest, EnrolsWhateverTheHostIsCalled) {
  for (const std::string& hostname :
       {std::string(), std::string("\xff\xfe"), std::string(65, 'x')}) {
    hostname_ = hostname;
    std::filesystem::remove_all(folder_.path());
    std::filesystem::create_directory(folder_.path());
    GiveToken(issuer_.Token());
    told_.clear();
    Start();
    loop_.RunReady();
    EXPECT_EQ(told_.size(), 1U) << enrolling_->last_error();
  }
}

TEST_F(EnrollingTest, LogsAReasonOnceAndThenNowAndThen) {
  tests::TempFolder logs;
  logging::Options log;
  log.file = logs / "agent.log";
  ASSERT_TRUE(logging::SetUp(log).has_value());
  const auto lines = [&](const std::string& text) {
    std::ifstream in(log.file);
    std::string line;
    int count = 0;
    while (std::getline(in, line)) count += line.find(text) != std::string::npos ? 1 : 0;
    return count;
  };
  issuer_.refusal = base::Unauthenticated("used up");
  Start();
  loop_.RunFor(minutes(50));
  EXPECT_EQ(lines("used up"), 1);
  loop_.RunFor(minutes(50));
  EXPECT_EQ(lines("used up"), 2);
  issuer_.refusal = base::Unauthenticated("expired");
  loop_.RunFor(minutes(20));
  EXPECT_EQ(lines("used up"), 2);
  EXPECT_EQ(lines("expired"), 1);
  ASSERT_TRUE(logging::SetUp({}).has_value());
}

TEST_F(EnrollingTest, ShowsTheServerItsOwnKeyAndCertificate) {
  Start();
  loop_.RunReady();
  const sync::ConnectorOptions options = enrolling_->connector_options();
  EXPECT_EQ(options.address, issuer_.Token().address);
  EXPECT_EQ(options.ca_pem, issuer_.pki().ca_pem());
  EXPECT_EQ(options.certificate_pem, told_.at(0).certificate_pem);
  EXPECT_EQ(options.private_key_pem, key_.ToPem());
}

TEST_F(EnrollingTest, EnrolsOnlyOnce) {
  Start();
  loop_.RunReady();
  Start();
  loop_.RunFor(hours(3));
  EXPECT_EQ(issuer_.attempts(), 1);
  EXPECT_EQ(told_.size(), 2U) << "each start has its identity";
}

TEST_F(EnrollingTest, KeepsTryingSlowlyWhileItIsRefused) {
  issuer_.refusal = base::Unauthenticated("the enrolment token is used up; ask for a new one");
  Start();
  ExpectFewAttemptsAnHour();
  loop_.RunFor(kDay);
  ExpectFewAttemptsAnHour();
  EXPECT_EQ(enrolling_->last_error(), "the enrolment token is used up; ask for a new one");
  EXPECT_FALSE(enrolling_->identity().has_value());
  EXPECT_TRUE(told_.empty());

  issuer_.refusal.reset();
  loop_.RunFor(base::limits::kLastRetryDelay);
  EXPECT_EQ(told_.size(), 1U);
  EXPECT_EQ(enrolling_->last_error(), "");
}

TEST_F(EnrollingTest, NeverAsksTwiceWithinSeconds) {
  issuer_.refusal = base::Unavailable("no server answers");
  Start();
  loop_.RunFor(seconds(4));
  EXPECT_EQ(issuer_.attempts(), 1);
}

TEST_F(EnrollingTest, ReadsTheTokenFileAnewAtEachAttempt) {
  wire::EnrolmentToken wrong = issuer_.Token();
  wrong.secret.back() ^= 1;
  GiveToken(wrong);
  Start();
  loop_.RunFor(minutes(10));
  EXPECT_EQ(enrolling_->last_error(), "no such token");
  std::filesystem::remove(folder_ / "token");
  loop_.RunFor(minutes(10));
  EXPECT_NE(enrolling_->last_error().find(folder_ / "token"), std::string::npos);
  GiveToken(issuer_.Token());
  loop_.RunFor(minutes(10));
  EXPECT_EQ(enrolling_->last_error(), "");
  EXPECT_EQ(told_.size(), 1U);
}

TEST_F(EnrollingTest, RenewsWhenAThirdOfTheLifeIsLeftAndUsesTheNewCertificateFromThenOn) {
  issuer_.life = kDay * 30;
  Start();
  loop_.RunReady();
  const std::string first = CertificateInUse();
  loop_.RunFor(kDay * 20 - hours(1));
  EXPECT_EQ(issuer_.renewals().size(), 0U);
  EXPECT_EQ(CertificateInUse(), first);
  loop_.RunFor(hours(2) + base::limits::kCertificateCheckInterval);
  ASSERT_EQ(issuer_.renewals().size(), 1U);
  EXPECT_EQ(issuer_.renewals()[0].certificate_pem, first) << "it shows the one it has";
  EXPECT_EQ(issuer_.renewals()[0].private_key_pem, key_.ToPem());
  const std::string second = CertificateInUse();
  EXPECT_NE(second, first);
  EXPECT_EQ(SavedCertificate(), second);
  ASSERT_EQ(told_.size(), 2U);
  EXPECT_EQ(told_[1].certificate_pem, second);

  loop_.RunFor(kDay * 21);
  ASSERT_EQ(issuer_.renewals().size(), 2U) << "and so on";
  EXPECT_EQ(issuer_.renewals()[1].certificate_pem, second);
}

TEST_F(EnrollingTest, RenewsAtItsStartACertificateThatHasExpired) {
  const std::string expired = SaveIdentityOf({kDay * -30, kDay * -1});
  Start();
  loop_.RunReady();
  ASSERT_EQ(issuer_.renewals().size(), 1U);
  EXPECT_EQ(issuer_.renewals()[0].certificate_pem, expired);
  EXPECT_EQ(issuer_.attempts(), 1) << "nothing is enrolled anew";
  EXPECT_NE(CertificateInUse(), expired);
  EXPECT_EQ(SavedCertificate(), CertificateInUse());
  EXPECT_EQ(enrolling_->last_error(), "");
}

TEST_F(EnrollingTest, LeavesAFreshCertificateAloneAtItsStart) {
  const std::string fresh = SaveIdentityOf({kDay * -1, kDay * 29});
  Start();
  loop_.RunFor(kDay);
  EXPECT_EQ(issuer_.attempts(), 0);
  EXPECT_EQ(CertificateInUse(), fresh);
  EXPECT_EQ(told_.size(), 1U);
}

TEST_F(EnrollingTest, GoesOnWithTheOldCertificateWhileItsRenewalFails) {
  const std::string old = SaveIdentityOf({kDay * -25, kDay * 5});
  issuer_.refusal = base::Unavailable("no server answers at this address");
  Start();
  ASSERT_EQ(told_.size(), 1U) << "it serves before the renewal is tried";
  ExpectFewAttemptsAnHour();
  loop_.RunFor(kDay);
  ExpectFewAttemptsAnHour();
  EXPECT_EQ(enrolling_->last_error(), "no server answers at this address");
  EXPECT_EQ(CertificateInUse(), old);
  EXPECT_EQ(SavedCertificate(), old);
  EXPECT_EQ(told_.size(), 1U);

  issuer_.refusal.reset();
  loop_.RunFor(base::limits::kLastRetryDelay);
  EXPECT_EQ(enrolling_->last_error(), "");
  EXPECT_NE(CertificateInUse(), old);
  EXPECT_EQ(SavedCertificate(), CertificateInUse());
}

TEST_F(EnrollingTest, ForgetsAFailedRenewalThatOnlyAWrongClockAskedFor) {
  SaveIdentityOf({kDay * -1, kDay * 29});
  loop_.StepWallClock(kDay * 365);
  issuer_.refusal = base::Unavailable("the server's certificate expired 364 days ago");
  Start();
  loop_.RunFor(hours(1));
  ASSERT_NE(enrolling_->last_error(), "");
  loop_.StepWallClock(kDay * -365);
  loop_.RunFor(base::limits::kLastRetryDelay);
  EXPECT_EQ(enrolling_->last_error(), "");
  EXPECT_TRUE(told_.size() == 1U && enrolling_->identity().has_value());
}

TEST_F(EnrollingTest, SaysWhatToDoWithoutATokenFile) {
  enrolling_.emplace(Enrolling::Rooms{loop_, executor_, loop_, random_, key_, issuer_},
                     folder_.path(), TokenSource{}, MachineNamed("host"),
                     [](const EnrolledIdentity&) {});
  enrolling_->Start(std::nullopt);
  loop_.RunFor(hours(1));
  EXPECT_EQ(issuer_.attempts(), 0);
  EXPECT_NE(enrolling_->last_error().find("set enrolment_token_file"), std::string::npos);
}

TEST_F(EnrollingTest, HearsNothingOfACallThatItDidNotLiveToFinish) {
  Start();
  enrolling_.reset();
  loop_.RunFor(hours(1));
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace weighmaster::agent::app
