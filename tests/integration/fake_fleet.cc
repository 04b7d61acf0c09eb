#include "tests/integration/fake_fleet.h"

#include <utility>

#include "third_party/openssl/certificate.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::tests {

EchoSession::EchoSession(model::Id endpoint, std::unique_ptr<wire::ServerChannel> channel)
    : endpoint_(endpoint), channel_(std::move(channel)) {
  v1::ServerFrame frame;
  frame.mutable_challenge()->set_nonce(std::string(32, 'n'));
  channel_->Send(frame);
}

void EchoSession::OnFrame(const v1::AgentFrame& frame) {
  v1::ServerFrame answer;
  answer.mutable_part_chunk()->set_offset(frame.part_request().offset());
  channel_->Send(answer);
}

void EchoSession::OnClosed(const base::Error& why) {
  closed_ = why;
  channel_.reset();
}

void EchoSession::RefuseAndHangUp() {
  v1::ServerFrame frame;
  frame.mutable_refusal()->set_reason(v1::REFUSAL_REASON_REVOKED);
  channel_->Send(frame);
  channel_.reset();
}

FakeFleet::FakeFleet(base::Loop& loop, const Pki& pki, const base::Clock& clock)
    : loop_(loop), pki_(pki), clock_(clock) {}
FakeFleet::~FakeFleet() = default;

base::Result<server::identity::PeerDecision> FakeFleet::Decide(
    const std::string& certificate_pem) const {
  if (certificate_pem.empty()) {
    return server::identity::DecidePeer({}, pki_.ca_pem(), {}, clock_.Now());
  }
  WM_ASSIGN_OR_RETURN(const openssl::Certificate certificate,
                      openssl::ParseCertificate(certificate_pem));
  std::optional<server::store::EndpointIdentity> known;
  if (const auto named = server::identity::EndpointNamed(certificate)) {
    const auto state =
        revoked ? server::store::EndpointState::kRevoked : server::store::EndpointState::kActive;
    known = server::store::EndpointIdentity{*named, state, *certificate.key, 0};
  }
  return server::identity::DecidePeer(certificate, pki_.ca_pem(), known, clock_.Now());
}

void FakeFleet::Classify(const std::string& certificate_pem,
                         Reply<server::identity::PeerDecision> reply) {
  if (silent) return on_silence();
  loop_.Post([reply = std::move(reply), decision = Decide(certificate_pem)] { reply(decision); });
}

base::Result<std::string> FakeFleet::CertificateFor(const model::Id& endpoint,
                                                    const std::string& signing_request) const {
  if (other_certificate_pem) return *other_certificate_pem;
  WM_ASSIGN_OR_RETURN(const openssl::PublicKey key,
                      openssl::VerifySigningRequest(base::AsBytes(signing_request)));
  return pki_.ClientCertificate(key, endpoint);
}

void FakeFleet::Enrol(const v1::EnrolRequest& request, Reply<v1::EnrolResponse> reply) {
  if (request.token_secret() != token_secret) {
    return reply(base::PermissionDenied("the enrolment token is not known"));
  }
  const model::Id endpoint{{7}};
  const auto certificate = CertificateFor(endpoint, request.signing_request());
  if (!certificate) return reply(certificate.error());
  v1::EnrolResponse response;
  response.set_endpoint_id(std::string(base::AsText(endpoint.view())));
  response.set_certificate_pem(*certificate);
  response.set_ca_pem(pki_.ca_pem());
  wire::ToProto(root, *response.mutable_root());
  reply(response);
}

void FakeFleet::Renew(const model::Id& endpoint, const v1::RenewRequest& request,
                      Reply<v1::RenewResponse> reply) {
  const auto certificate = CertificateFor(endpoint, request.signing_request());
  if (!certificate) return reply(certificate.error());
  v1::RenewResponse response;
  response.set_certificate_pem(*certificate);
  response.set_ca_pem(pki_.ca_pem());
  reply(response);
}

wire::ServerListener* FakeFleet::Accept(std::unique_ptr<wire::ServerChannel> channel,
                                        const model::Id& endpoint) {
  sessions_.push_back(std::make_unique<EchoSession>(endpoint, std::move(channel)));
  return sessions_.back().get();
}

}  // namespace weighmaster::tests
