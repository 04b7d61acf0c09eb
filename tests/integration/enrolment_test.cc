// First contact and renewal, over loopback and real TLS.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "agent/sync/grpc/enrolment_client.h"
#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "server/rpc/server.h"
#include "tests/integration/fake_fleet.h"
#include "tests/integration/plain_server.h"
#include "tests/support/keys.h"
#include "tests/support/live_loop.h"
#include "tests/support/pki.h"
#include "third_party/openssl/certificate.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/enrol.pb.h"

namespace weighmaster::tests {
namespace {

using agent::sync::ConnectorOptions;
using agent::sync::Enrolment;
using agent::sync::GrpcEnrolmentClient;
using agent::sync::Renewal;
namespace limits = base::limits;

constexpr std::chrono::hours kDay{24};

class EnrolmentTest : public testing::Test {
 protected:
  EnrolmentTest() {
    fleet_.root = MakeTestFleet().signed_root;
    const Identity identity = pki_.ServerIdentity();
    auto server = server::rpc::Server::Start(
        {"127.0.0.1:0", identity.certificate_pem, identity.private_key_pem, pki_.ca_pem()}, loop_,
        clock_, fleet_, nullptr);
    WM_CHECK(server.has_value());
    server_ = std::move(server).value();
    token_.address = address();
    token_.ca = pki_.ca_digest();
    token_.root = openssl::Sha256Of(base::AsBytes(fleet_.root.bytes));
    const base::ByteView secret = base::AsBytes(fleet_.token_secret);
    token_.secret.assign(secret.begin(), secret.end());
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  // The client blocks, so it runs beside the loop.
  template <typename T>
  base::Result<T> Beside(const std::function<base::Result<T>()>& call) {
    std::optional<base::Result<T>> result;
    bool done = false;
    std::thread thread([&] {
      base::Result<T> mine = call();
      loop_.Post([&, mine = std::move(mine)] {
        result = mine;
        done = true;
      });
    });
    EXPECT_TRUE(loop_.RunUntil([&] { return done; }, std::chrono::minutes(1)));
    thread.join();
    return result.value_or(base::Internal("no answer"));
  }

  base::Result<Enrolment> Enrol() {
    return Beside<Enrolment>(
        [this] { return client_.Enrol(token_, signing_request_, v1::MachineFacts()); });
  }

  base::Result<Renewal> Renew(const std::string& certificate_pem) {
    return Beside<Renewal>([this, &certificate_pem] {
      return client_.Renew({address(), pki_.ca_pem(), certificate_pem, key_.ToPem()},
                           signing_request_);
    });
  }

  LiveLoop loop_;
  SystemClock clock_;
  const Pki pki_{clock_};
  FakeFleet fleet_{loop_, pki_, clock_};
  std::unique_ptr<server::rpc::Server> server_;
  wire::EnrolmentToken token_;
  const openssl::PrivateKey key_ = openssl::PrivateKey::Generate().value();
  const base::Bytes signing_request_ = openssl::MakeSigningRequest(key_, "endpoint").value();
  const GrpcEnrolmentClient client_{clock_};
};

TEST_F(EnrolmentTest, GivesACertificateForTheKeyAndTheRootOfTheToken) {
  const auto enrolment = Enrol();
  ASSERT_TRUE(enrolment) << enrolment.error().ToString();
  EXPECT_EQ(enrolment->endpoint_id, (model::Id{{7}}));
  const auto certificate = openssl::ParseCertificate(enrolment->certificate_pem);
  ASSERT_TRUE(certificate);
  EXPECT_EQ(certificate->key->id(), key_.public_key().id());
  EXPECT_TRUE(openssl::IsIssuedBy(*certificate, enrolment->ca_pem));
  EXPECT_EQ(enrolment->root.bytes, fleet_.root.bytes);
}

TEST_F(EnrolmentTest, IsRefusedWithAnotherToken) {
  token_.secret.back() ^= 1;
  const auto enrolment = Enrol();
  ASSERT_FALSE(enrolment);
  EXPECT_EQ(enrolment.error().code(), base::ErrorCode::kPermissionDenied);
}

TEST_F(EnrolmentTest, TellsNothingToAServerWhoseCaTheTokenDoesNotName) {
  token_.ca.bytes[0] ^= 1;
  fleet_.silent = true;  // a request that got there would hang, and fail for another reason
  const auto enrolment = Enrol();
  ASSERT_FALSE(enrolment);
  EXPECT_EQ(enrolment.error().code(), base::ErrorCode::kUnauthenticated);
  EXPECT_NE(enrolment.error().message().find("CA that the token names"), std::string::npos);
}

TEST_F(EnrolmentTest, TakesNoOtherRootThanTheTokens) {
  token_.root.bytes[0] ^= 1;
  const auto enrolment = Enrol();
  ASSERT_FALSE(enrolment);
  EXPECT_EQ(enrolment.error().code(), base::ErrorCode::kUnauthenticated);
  EXPECT_NE(enrolment.error().message().find("root"), std::string::npos);
}

TEST_F(EnrolmentTest, TakesNoRootThatIsNotSigned) {
  fleet_.root.signatures.clear();
  EXPECT_FALSE(Enrol());
}

TEST_F(EnrolmentTest, TakesNoCertificateForAnotherKey) {
  fleet_.other_certificate_pem = pki_.ClientIdentity(model::Id{{7}}).certificate_pem;
  EXPECT_FALSE(Enrol());
}

TEST_F(EnrolmentTest, TakesNoCertificateOfAnotherCa) {
  const Pki other(clock_);
  fleet_.other_certificate_pem = other.ClientCertificate(key_.public_key(), model::Id{{7}});
  EXPECT_FALSE(Enrol());
}

TEST_F(EnrolmentTest, SaysWhatIsWrongWithTheAddress) {
  const PlainServer garbage("220 mail.example ESMTP\r\n");
  token_.address = garbage.address();
  const auto enrolment = Enrol();
  ASSERT_FALSE(enrolment);
  EXPECT_NE(enrolment.error().message().find("TLS"), std::string::npos);
}

TEST_F(EnrolmentTest, RenewsAnExpiredCertificate) {
  const std::string expired =
      pki_.ClientCertificate(key_.public_key(), model::Id{{9}}, {-2 * kDay, -kDay});
  const auto renewal = Renew(expired);
  ASSERT_TRUE(renewal) << renewal.error().ToString();
  const auto certificate = openssl::ParseCertificate(renewal->certificate_pem);
  EXPECT_EQ(certificate->common_name, (model::Id{{9}}).ToHex());
  EXPECT_GT(certificate->not_after, clock_.Now());
}

TEST_F(EnrolmentTest, RenewsNothingForAForeignCertificate) {
  const auto renewal = Renew(Pki(clock_).ClientCertificate(key_.public_key(), model::Id{{9}}));
  ASSERT_FALSE(renewal);
  EXPECT_EQ(renewal.error().code(), base::ErrorCode::kPermissionDenied);
}

TEST_F(EnrolmentTest, RenewsNothingForARevokedEndpoint) {
  fleet_.revoked = true;
  const auto renewal = Renew(pki_.ClientCertificate(key_.public_key(), model::Id{{9}}));
  ASSERT_FALSE(renewal);
  EXPECT_EQ(renewal.error().code(), base::ErrorCode::kPermissionDenied);
}

TEST_F(EnrolmentTest, RenewsNothingWithoutACertificate) {
  const auto renewal = Beside<Renewal>([this] {
    return client_.Renew({address(), pki_.ca_pem(), "", ""}, signing_request_);
  });
  ASSERT_FALSE(renewal);
  EXPECT_EQ(renewal.error().code(), base::ErrorCode::kUnauthenticated);
}

TEST_F(EnrolmentTest, SlowsDownAnAddressThatAsksTooOften) {
  token_.secret.back() ^= 1;
  std::optional<base::Error> error;
  for (int i = 0; i <= 4 * limits::kEnrolmentBurst; ++i) {
    error = Enrol().error();
    if (error->code() == base::ErrorCode::kResourceExhausted) break;
  }
  EXPECT_EQ(error->code(), base::ErrorCode::kResourceExhausted);
}

TEST_F(EnrolmentTest, AnswersTheCallsThatWaitWhenItStops) {
  fleet_.silent = true;
  fleet_.on_silence = [this] { loop_.Post([this] { server_->Stop(); }); };
  const auto enrolment = Enrol();
  ASSERT_FALSE(enrolment);
  EXPECT_EQ(enrolment.error().code(), base::ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace weighmaster::tests
