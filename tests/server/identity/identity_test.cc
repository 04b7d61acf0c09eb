#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "policy/base/limits.h"
#include "server/identity/authority.h"
#include "server/identity/fleet_files.h"
#include "server/identity/peer.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/support/endpoint_script.h"
#include "tests/support/keys.h"
#include "tests/support/sim_loop.h"
#include "third_party/openssl/certificate.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/enrol.pb.h"

namespace weighmaster::server::identity {
namespace {

using std::chrono::hours;

// One fleet on disk for all tests of this file: making keys takes time.
class FleetFolder {
 public:
  FleetFolder() {
    std::string pattern = ::testing::TempDir() + "/weighmaster-fleet-XXXXXX";
    parent_ = mkdtemp(pattern.data());
    base::SeededRandom random(1);
    NewFleet fleet{{"localhost"}, {"127.0.0.1"}, tests::SimLoop().Now()};
    const base::Status made = CreateFleet(folder(), fleet, random);
    EXPECT_TRUE(made.has_value()) << made.error().ToString();
  }
  ~FleetFolder() { std::filesystem::remove_all(parent_); }
  FleetFolder(const FleetFolder&) = delete;
  FleetFolder& operator=(const FleetFolder&) = delete;
  std::string folder() const { return parent_ + "/fleet"; }

 private:
  std::string parent_;
};

FleetFiles Load(const FleetFolder& folder) {
  auto files = LoadFleet(folder.folder());
  EXPECT_TRUE(files.has_value()) << files.error().ToString();
  return *std::move(files);
}

TEST(FleetFiles, AreTheOwnersAloneAndNeverOverwritten) {
  const FleetFolder folder;
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.folder())) {
    struct stat status {};
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, entry.is_directory() ? 0700U : 0600U) << entry.path();
    files += entry.is_regular_file() ? 1 : 0;
  }
  EXPECT_EQ(files, 9);
  EXPECT_TRUE(std::filesystem::exists(folder.folder() + "/offline-keys/policy.key"));
  base::SeededRandom random(2);
  const base::Status again = CreateFleet(folder.folder(), {{"localhost"}, {}, {}}, random);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code(), base::ErrorCode::kAlreadyExists);
}

TEST(FleetFiles, SayThatOneWasLeftHalfMade) {
  const FleetFolder folder;
  std::filesystem::remove(folder.folder() + "/root.signed");
  base::SeededRandom random(2);
  const base::Status again = CreateFleet(folder.folder(), {{"localhost"}, {}, {}}, random);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code(), base::ErrorCode::kAlreadyExists);
  EXPECT_NE(again.error().message().find("empty the folder"), std::string::npos)
      << again.error().message();
}

TEST(FleetFiles, LoadWithoutTheOfflineKeysAndRefuseKeysThatOthersCanRead) {
  const FleetFolder folder;
  std::filesystem::remove_all(folder.folder() + "/offline-keys");
  const FleetFiles files = Load(folder);
  EXPECT_TRUE(wire::VerifyRoot(files.signed_root).has_value());
  EXPECT_EQ(files.root.roles.at(std::string(wire::kRoleServer)).key_ids.at(0),
            files.ack_key.public_key().id());
  ASSERT_EQ(chmod((folder.folder() + "/ca.key").c_str(), 0644), 0);
  const auto open = LoadFleet(folder.folder());
  ASSERT_FALSE(open.has_value());
  EXPECT_EQ(open.error().code(), base::ErrorCode::kFailedPrecondition);
}

TEST(FleetFiles, RefuseAKeyThatMayNotAcknowledge) {
  const FleetFolder folder;
  const std::string key = folder.folder() + "/ack.key";
  std::filesystem::remove(key);
  std::filesystem::copy_file(folder.folder() + "/offline-keys/policy.key", key);
  const auto files = LoadFleet(folder.folder());
  ASSERT_FALSE(files.has_value());
  EXPECT_NE(files.error().message().find("acknowledgements"), std::string::npos);
}

class AuthorityTest : public ::testing::Test {
 protected:
  AuthorityTest() {
    EXPECT_TRUE(store_
                    ->AdoptFleet(authority_.files().root.fleet_id, tests::TestId(1), 1,
                                 authority_.files().signed_root)
                    .has_value());
  }

  template <typename T, typename Call>
  base::Result<T> Wait(Call call) {
    std::optional<base::Result<T>> answer;
    call([&](base::Result<T> result) { answer.emplace(std::move(result)); });
    EXPECT_FALSE(answer.has_value()) << "replied inside the call";
    loop_.RunReady();
    EXPECT_TRUE(answer.has_value());
    return *std::move(answer);
  }

  wire::EnrolmentToken Token(std::uint32_t uses = 1) {
    auto token = Wait<NewEnrolmentToken>([&](auto reply) {
      authority_.CreateToken(store::Scope::WholeFleet(), {uses, hours(1), "test"}, reply);
    });
    EXPECT_TRUE(token.has_value());
    auto parsed = wire::ParseToken(token->text);
    EXPECT_TRUE(parsed.has_value());
    return *parsed;
  }
  v1::EnrolRequest Request(const wire::EnrolmentToken& token, int key) {
    v1::EnrolRequest request;
    request.set_token_secret(std::string(base::AsText(token.secret)));
    const auto csr = openssl::MakeSigningRequest(tests::TestKey(key), "ignored");
    request.set_signing_request(std::string(base::AsText(*csr)));
    request.mutable_machine()->set_hostname("laptop");
    return request;
  }
  base::Result<v1::EnrolResponse> Enrol(const v1::EnrolRequest& request) {
    return Wait<v1::EnrolResponse>([&](auto reply) { authority_.Enrol(request, reply); });
  }
  PeerDecision Classify(const std::string& pem) {
    auto decision = Wait<PeerDecision>([&](auto reply) { authority_.Classify(pem, reply); });
    EXPECT_TRUE(decision.has_value());
    return *decision;
  }

  static const FleetFolder& Folder() {
    static const FleetFolder kFolder;
    return kFolder;
  }
  tests::SimLoop loop_;
  tests::SimExecutor executor_{loop_};
  base::SeededRandom random_{1};
  std::unique_ptr<store::SqliteStore> store_ =
      std::move(store::SqliteStore::Open(":memory:")).value();
  std::unique_ptr<store::Queries> queries_ = std::move(store_->OpenQueries()).value();
  Authority authority_{loop_,     loop_,   random_,   Load(Folder()), "localhost:7400",
                       executor_, *store_, executor_, *queries_};
};

TEST_F(AuthorityTest, EnrolsByTokenAndTheCertificateNamesTheEndpoint) {
  const wire::EnrolmentToken token = Token();
  EXPECT_EQ(token.address, "localhost:7400");
  EXPECT_EQ(token.ca, openssl::ParseCertificate(authority_.files().ca_pem)->digest);
  EXPECT_EQ(token.root, openssl::Sha256Of(base::AsBytes(authority_.files().signed_root.bytes)));
  const auto response = Enrol(Request(token, 11));
  ASSERT_TRUE(response.has_value()) << response.error().ToString();
  const auto certificate = openssl::ParseCertificate(response->certificate_pem());
  ASSERT_TRUE(certificate.has_value());
  EXPECT_EQ(certificate->common_name,
            model::IdFromBytes(base::AsBytes(response->endpoint_id()))->ToHex());
  EXPECT_EQ(certificate->key->id(), tests::TestKey(11).public_key().id());
  EXPECT_TRUE(openssl::IsIssuedBy(*certificate, response->ca_pem()));
  const PeerDecision decision = Classify(response->certificate_pem());
  EXPECT_EQ(decision.right, PeerRight::kSync);
  EXPECT_EQ(decision.endpoint->ToHex(), certificate->common_name);
}

TEST_F(AuthorityTest, RefusesWrongUsedUpAndExpiredTokensWithASentenceEach) {
  const wire::EnrolmentToken token = Token();
  ASSERT_TRUE(Enrol(Request(token, 11)).has_value());
  const auto used = Enrol(Request(token, 12));
  ASSERT_FALSE(used.has_value());
  EXPECT_NE(used.error().message().find("used up"), std::string::npos);

  const wire::EnrolmentToken late = Token();
  loop_.RunFor(hours(1));
  const auto expired = Enrol(Request(late, 12));
  ASSERT_FALSE(expired.has_value());
  EXPECT_NE(expired.error().message().find("expired"), std::string::npos);

  wire::EnrolmentToken wrong = Token();
  wrong.secret[0] ^= 1;
  const auto unknown = Enrol(Request(wrong, 12));
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code(), base::ErrorCode::kUnauthenticated);
}

TEST_F(AuthorityTest, RefusesASigningRequestThatItsKeyDidNotSignAndKeepsTheToken) {
  const wire::EnrolmentToken token = Token();
  v1::EnrolRequest request = Request(token, 11);
  request.mutable_signing_request()->back() ^= 1;
  const auto refused = Enrol(request);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kInvalidArgument);
  EXPECT_TRUE(Enrol(Request(token, 11)).has_value());
}

TEST_F(AuthorityTest, TokensHaveLimits) {
  const auto make = [&](std::uint32_t uses, base::Duration valid) {
    return Wait<NewEnrolmentToken>([&](auto reply) {
      authority_.CreateToken(store::Scope::WholeFleet(), {uses, valid, ""}, reply);
    });
  };
  EXPECT_FALSE(make(0, hours(1)).has_value());
  EXPECT_FALSE(make(1, hours(0)).has_value());
  EXPECT_FALSE(make(1, hours(91 * 24)).has_value());
  EXPECT_TRUE(make(1, hours(90 * 24)).has_value());
}

TEST_F(AuthorityTest, AnExpiredCertificateMayRenewForTheSameKeyOnly) {
  const auto response = Enrol(Request(Token(), 11));
  ASSERT_TRUE(response.has_value());
  loop_.RunFor(hours(91 * 24));
  const PeerDecision expired = Classify(response->certificate_pem());
  EXPECT_EQ(expired.right, PeerRight::kRenewOnly);
  EXPECT_NE(expired.message.find("expired at"), std::string::npos);

  const auto renew = [&](int key) {
    v1::RenewRequest request;
    const auto csr = openssl::MakeSigningRequest(tests::TestKey(key), "x");
    request.set_signing_request(std::string(base::AsText(*csr)));
    return Wait<v1::RenewResponse>(
        [&](auto reply) { authority_.Renew(*expired.endpoint, request, reply); });
  };
  const auto other = renew(12);
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code(), base::ErrorCode::kPermissionDenied);
  const auto renewed = renew(11);
  ASSERT_TRUE(renewed.has_value());
  EXPECT_EQ(Classify(renewed->certificate_pem()).right, PeerRight::kSync);

  ASSERT_TRUE(store_->Revoke(store::Scope::WholeFleet(), *expired.endpoint, "lost", loop_.Now())
                  .has_value());
  EXPECT_EQ(Classify(renewed->certificate_pem()).right, PeerRight::kRefused);
  EXPECT_EQ(Classify(response->certificate_pem()).reason, PeerReason::kRevoked);
  EXPECT_FALSE(renew(11).has_value());
}

TEST_F(AuthorityTest, LooksAtSoManyConnectionsAtATimeAndNoMore) {
  std::size_t looked_at = 0;
  std::size_t turned_away = 0;
  const auto count = [&](const base::Result<PeerDecision>& decision) {
    if (decision.has_value()) {
      ++looked_at;
    } else {
      EXPECT_EQ(decision.error().code(), base::ErrorCode::kResourceExhausted);
      ++turned_away;
    }
  };
  for (std::size_t i = 0; i < base::limits::kMaxPeersWaiting + 3; ++i) {
    authority_.Classify("", count);
  }
  EXPECT_EQ(looked_at + turned_away, 0U) << "replied inside the call";
  loop_.RunReady();
  EXPECT_EQ(looked_at, base::limits::kMaxPeersWaiting);
  EXPECT_EQ(turned_away, 3U);
  EXPECT_EQ(Classify("").right, PeerRight::kEnrolOnly) << "and later again";
}

TEST_F(AuthorityTest, ClassifiesConnectionsWithoutWithForeignAndWithUnreadableCertificates) {
  EXPECT_EQ(Classify("").right, PeerRight::kEnrolOnly);
  EXPECT_EQ(Classify("junk").right, PeerRight::kRefused);
  const auto foreign_ca = openssl::MakeCaCertificate(tests::TestKey(20), "another fleet",
                                                     loop_.Now(), loop_.Now() + hours(1));
  ASSERT_TRUE(foreign_ca.has_value());
  const auto response = Enrol(Request(Token(), 11));
  openssl::CertificateRequest request;
  request.common_name = openssl::ParseCertificate(response->certificate_pem())->common_name;
  request.not_before = loop_.Now();
  request.not_after = loop_.Now() + hours(1);
  const auto forged = openssl::IssueCertificate(tests::TestKey(20), *foreign_ca,
                                                tests::TestKey(11).public_key(), request);
  ASSERT_TRUE(forged.has_value());
  EXPECT_EQ(Classify(*forged).reason, PeerReason::kForeign);

  // Ours, but for an endpoint that is not there, and for a key that is not the endpoint's.
  const FleetFiles files = Load(Folder());
  request.common_name = tests::TestId(0x77).ToHex();
  auto issued = openssl::IssueCertificate(files.ca_key, files.ca_pem,
                                          tests::TestKey(11).public_key(), request);
  EXPECT_EQ(Classify(*issued).reason, PeerReason::kUnknownEndpoint);
  request.common_name = model::IdFromBytes(base::AsBytes(response->endpoint_id()))->ToHex();
  issued = openssl::IssueCertificate(files.ca_key, files.ca_pem, tests::TestKey(12).public_key(),
                                     request);
  EXPECT_EQ(Classify(*issued).reason, PeerReason::kOtherKey);
}

}  // namespace
}  // namespace weighmaster::server::identity
