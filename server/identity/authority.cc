#include "server/identity/authority.h"

#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "server/store/ask.h"
#include "third_party/openssl/certificate.h"
#include "third_party/openssl/sha256.h"
#include "third_party/spdlog/log.h"
#include "weighmaster/v1/enrol.pb.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::server::identity {
namespace {

using base::Result;

constexpr std::chrono::hours kCertificateLifetime{90 * 24};
// Endpoints' clocks may be behind the server's.
constexpr std::chrono::hours kClockSlack{24};
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kMaxRequestBytes = 16 * base::limits::kKiB;

std::string CutFact(const std::string& text) {
  return base::CutText(text, base::limits::kMaxFactBytes);
}

store::MachineFacts MachineOf(const v1::MachineFacts& in) {
  store::MachineFacts machine;
  machine.hostname = CutFact(in.hostname());
  machine.os = CutFact(in.os());
  machine.os_release = CutFact(in.os_release());
  machine.agent_version = CutFact(in.agent_version());
  const base::ByteView digest = base::AsBytes(in.machine_sha256());
  if (digest.size() <= model::Sha256::kBytes) {
    machine.machine_sha256.assign(digest.begin(), digest.end());
  }
  return machine;
}

Result<std::string> IssueFor(const FleetFiles& files, const model::Id& endpoint,
                             const openssl::PublicKey& key, base::WallTime now) {
  openssl::CertificateRequest request;
  request.common_name = endpoint.ToHex();
  request.use = openssl::CertificateUse::kClient;
  request.not_before = now - kClockSlack;
  request.not_after = now + kCertificateLifetime;
  return openssl::IssueCertificate(files.ca_key, files.ca_pem, key, request);
}

Result<openssl::PublicKey> KeyOf(const std::string& signing_request) {
  if (signing_request.size() > kMaxRequestBytes) {
    return base::InvalidArgument("the signing request is too large");
  }
  auto key = openssl::VerifySigningRequest(base::AsBytes(signing_request));
  if (key.has_value()) return key;
  return base::InvalidArgument("the signing request does not hold: " + key.error().message());
}

base::Status CheckWish(const store::Scope& scope, const TokenWish& wish) {
  if (wish.uses == 0 || wish.uses > base::limits::kMaxTokenUses) {
    return base::InvalidArgument("a token has 1 to " + std::to_string(base::limits::kMaxTokenUses) +
                                 " uses");
  }
  if (wish.valid_for <= base::Duration(0) || wish.valid_for > base::limits::kMaxTokenValidity) {
    return base::InvalidArgument("a token is valid for at most 90 days");
  }
  if (!scope.Has(wish.labels)) {
    return base::PermissionDenied(
        "endpoints that enrol with it would not be in the scope of the token that makes it; give "
        "them the labels " +
        scope.ToText());
  }
  return {};
}

}  // namespace

Authority::Authority(base::Loop& loop, const base::Clock& clock, base::Random& random,
                     FleetFiles files, std::string address, base::Executor& writer,
                     store::Store& store, base::Executor& reader, store::Queries& queries)
    : loop_(loop),
      clock_(clock),
      random_(random),
      files_(std::make_shared<const FleetFiles>(std::move(files))),
      address_(std::move(address)),
      writer_(writer),
      store_(store),
      reader_(reader),
      queries_(queries) {}

void Authority::Classify(const std::string& certificate_pem, Reply<PeerDecision> reply) {
  if (classifying_ >= base::limits::kMaxPeersWaiting) {
    loop_.Post([reply = std::move(reply), alive = std::weak_ptr<const void>(alive_)] {
      if (alive.lock() == nullptr) return;
      reply(base::ResourceExhausted(
          "the server has too many new connections to look at; try again in a few seconds"));
    });
    return;
  }
  ++classifying_;
  store::Ask(
      reader_, loop_, alive_,
      [&queries = queries_, files = files_, pem = certificate_pem,
       now = clock_.Now()]() -> Result<PeerDecision> {
        if (pem.empty()) return DecidePeer(std::nullopt, files->ca_pem, std::nullopt, now);
        auto certificate = openssl::ParseCertificate(pem);
        if (!certificate.has_value()) {
          PeerDecision refused;
          refused.reason = PeerReason::kForeign;
          refused.message = "the client certificate cannot be read";
          return refused;
        }
        std::optional<store::EndpointIdentity> endpoint;
        if (const auto id = EndpointNamed(*certificate)) {
          auto found = queries.FindEndpoint(*id);
          if (found.has_value()) {
            endpoint.emplace(*std::move(found));
          } else if (found.error().code() != base::ErrorCode::kNotFound) {
            return std::move(found).error();
          }
        }
        return DecidePeer(*certificate, files->ca_pem, endpoint, now);
      },
      [this, reply = std::move(reply)](Result<PeerDecision> decision) {
        --classifying_;
        reply(std::move(decision));
      });
}

void Authority::Enrol(const v1::EnrolRequest& request, Reply<v1::EnrolResponse> reply) {
  model::Id id;
  random_.Fill(id.bytes);
  store::Ask(
      writer_, loop_, alive_,
      [&store = store_, files = files_, id, request,
       now = clock_.Now()]() -> Result<v1::EnrolResponse> {
        if (request.token_secret().size() != kSecretBytes) {
          return base::InvalidArgument("the enrolment token's secret does not have 32 bytes");
        }
        WM_ASSIGN_OR_RETURN(openssl::PublicKey key, KeyOf(request.signing_request()));
        const store::NewEndpoint endpoint{id, key, MachineOf(request.machine())};
        const model::Sha256 token = openssl::Sha256Of(base::AsBytes(request.token_secret()));
        WM_ASSIGN_OR_RETURN(const model::Id enrolled, store.Enrol(token, now, endpoint));
        WM_ASSIGN_OR_RETURN(std::string certificate, IssueFor(*files, enrolled, key, now));
        v1::EnrolResponse response;
        response.set_endpoint_id(std::string(base::AsText(enrolled.view())));
        response.set_certificate_pem(std::move(certificate));
        response.set_ca_pem(files->ca_pem);
        wire::ToProto(files->signed_root, *response.mutable_root());
        return response;
      },
      [id, hostname = CutFact(request.machine().hostname()),
       reply = std::move(reply)](Result<v1::EnrolResponse> enrolled) {
        if (enrolled.has_value()) {
          const base::ByteView stored = base::AsBytes(enrolled->endpoint_id());
          logging::Info("identity",
                        "endpoint " + base::HexEncode(stored) + " enrolled" +
                            (base::AsText(id.view()) == enrolled->endpoint_id() ? "" : " again") +
                            ", on " + hostname);
        }
        reply(std::move(enrolled));
      });
}

void Authority::Renew(const model::Id& endpoint, const v1::RenewRequest& request,
                      Reply<v1::RenewResponse> reply) {
  store::Ask(
      reader_, loop_, alive_,
      [&queries = queries_, files = files_, endpoint, request,
       now = clock_.Now()]() -> Result<v1::RenewResponse> {
        WM_ASSIGN_OR_RETURN(const openssl::PublicKey key, KeyOf(request.signing_request()));
        WM_ASSIGN_OR_RETURN(const store::EndpointIdentity known, queries.FindEndpoint(endpoint));
        if (known.state != store::EndpointState::kActive) {
          return base::PermissionDenied("this endpoint is " +
                                        std::string(store::EndpointStateName(known.state)) +
                                        "; it must enrol again with a new key");
        }
        if (key.id() != known.key.id()) {
          return base::PermissionDenied("a certificate is renewed for the same key only");
        }
        v1::RenewResponse response;
        WM_ASSIGN_OR_RETURN(*response.mutable_certificate_pem(),
                            IssueFor(*files, endpoint, key, now));
        response.set_ca_pem(files->ca_pem);
        return response;
      },
      std::move(reply));
}

void Authority::CreateToken(const store::Scope& scope, TokenWish wish,
                            Reply<NewEnrolmentToken> reply) {
  base::Bytes secret(kSecretBytes);
  random_.Fill(secret);
  store::Ask(
      writer_, loop_, alive_,
      [&store = store_, files = files_, address = address_, secret = std::move(secret), scope,
       wish = std::move(wish), now = clock_.Now()]() -> Result<NewEnrolmentToken> {
        WM_RETURN_IF_ERROR(CheckWish(scope, wish));
        WM_ASSIGN_OR_RETURN(const openssl::Certificate ca,
                            openssl::ParseCertificate(files->ca_pem));
        store::EnrolmentTokenRecord record;
        record.secret_sha256 = openssl::Sha256Of(secret);
        record.uses = wish.uses;
        record.created = now;
        record.expires = now + wish.valid_for;
        record.comment = CutFact(wish.comment);
        record.labels = wish.labels;
        WM_RETURN_IF_ERROR(store.AddToken(record));
        wire::EnrolmentToken token;
        token.address = address;
        token.ca = ca.digest;
        token.root = openssl::Sha256Of(base::AsBytes(files->signed_root.bytes));
        token.secret = secret;
        return NewEnrolmentToken{wire::FormatToken(token), record.expires};
      },
      std::move(reply));
}

}  // namespace weighmaster::server::identity
