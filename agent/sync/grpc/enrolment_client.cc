#include "agent/sync/grpc/enrolment_client.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/sync/grpc/connect_failure.h"
#include "agent/sync/grpc/grpc_channel.h"
#include "policy/base/limits.h"
#include "third_party/openssl/certificate.h"
#include "third_party/openssl/handshake.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/sync.grpc.pb.h"

namespace weighmaster::agent::sync {

namespace {

namespace limits = base::limits;

template <typename Request, typename Response>
using UnaryCall = grpc::Status (v1::AgentService::Stub::*)(grpc::ClientContext*, const Request&,
                                                           Response*);

template <typename Request, typename Response>
base::Result<Response> Call(const ConnectorOptions& options, const base::Clock& clock,
                            UnaryCall<Request, Response> method, const Request& request) {
  const std::unique_ptr<v1::AgentService::Stub> stub =
      v1::AgentService::NewStub(MakeChannel(options));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + limits::kEnrolmentTimeout);
  Response response;
  const grpc::Status status = ((*stub).*method)(&context, request, &response);
  if (status.ok()) return response;
  base::Error error = FromGrpcStatus(status);
  if (MayBeTransport(error)) return ExplainConnectFailure(options, error, clock.Now());
  return error;
}

// The CA that the server shows, once it is the one that the token names.
base::Result<openssl::Certificate> FindCa(const wire::EnrolmentToken& token) {
  WM_ASSIGN_OR_RETURN(const openssl::TlsDiagnosis shown,
                      openssl::DiagnoseTls(token.address, limits::kConnectTimeout));
  const auto found =
      std::find_if(shown.chain.begin(), shown.chain.end(),
                   [&](const openssl::Certificate& one) { return one.digest == token.ca; });
  if (found == shown.chain.end()) {
    return base::Unauthenticated(
        "the server at " + token.address +
        " does not show the CA that the token names: the token is for another server, or someone "
        "is in between; make a new token on the server");
  }
  return *found;
}

// Whether this certificate is of the CA and for the key that asked for it.
base::Status CheckIssued(const std::string& certificate_pem, const std::string& ca_pem,
                         base::ByteView signing_request) {
  WM_ASSIGN_OR_RETURN(const openssl::PublicKey key, openssl::VerifySigningRequest(signing_request));
  WM_ASSIGN_OR_RETURN(const openssl::Certificate issued,
                      openssl::ParseCertificate(certificate_pem));
  if (!issued.key || issued.key->id() != key.id()) {
    return base::Unauthenticated("the server issued a certificate for another key");
  }
  if (!openssl::IsIssuedBy(issued, ca_pem)) {
    return base::Unauthenticated("the server issued a certificate of another CA");
  }
  return {};
}

base::Result<Enrolment> CheckEnrolment(const wire::EnrolmentToken& token,
                                       const openssl::Certificate& ca,
                                       base::ByteView signing_request,
                                       const v1::EnrolResponse& response) {
  Enrolment enrolment;
  WM_ASSIGN_OR_RETURN(enrolment.endpoint_id,
                      model::IdFromBytes(base::AsBytes(response.endpoint_id())));
  WM_RETURN_IF_ERROR(CheckIssued(response.certificate_pem(), ca.pem, signing_request));
  enrolment.certificate_pem = response.certificate_pem();
  enrolment.ca_pem = ca.pem;
  WM_ASSIGN_OR_RETURN(enrolment.root, wire::FromProto(response.root()));
  if (openssl::Sha256Of(base::AsBytes(enrolment.root.bytes)) != token.root) {
    return base::Unauthenticated(
        "the server's root document is not the one that the token names; make a new token");
  }
  WM_RETURN_IF_ERROR(wire::VerifyRoot(enrolment.root));
  return enrolment;
}

}  // namespace

base::Result<Enrolment> GrpcEnrolmentClient::Enrol(const wire::EnrolmentToken& token,
                                                   base::ByteView signing_request,
                                                   const v1::MachineFacts& machine) const {
  WM_ASSIGN_OR_RETURN(const openssl::Certificate ca, FindCa(token));
  v1::EnrolRequest request;
  request.set_token_secret(std::string(base::AsText(token.secret)));
  request.set_signing_request(std::string(base::AsText(signing_request)));
  *request.mutable_machine() = machine;
  const ConnectorOptions options{token.address, ca.pem, "", ""};
  WM_ASSIGN_OR_RETURN(const v1::EnrolResponse response,
                      (Call<v1::EnrolRequest, v1::EnrolResponse>(
                          options, clock_, &v1::AgentService::Stub::Enrol, request)));
  auto enrolment = CheckEnrolment(token, ca, signing_request, response);
  if (!enrolment) return std::move(enrolment).error().While("enrolling at " + token.address);
  return enrolment;
}

base::Result<Renewal> GrpcEnrolmentClient::Renew(const ConnectorOptions& options,
                                                 base::ByteView signing_request) const {
  v1::RenewRequest request;
  request.set_signing_request(std::string(base::AsText(signing_request)));
  WM_ASSIGN_OR_RETURN(const v1::RenewResponse response,
                      (Call<v1::RenewRequest, v1::RenewResponse>(
                          options, clock_, &v1::AgentService::Stub::Renew, request)));
  // The answer may not replace the CA: only the one that is trusted already counts.
  WM_RETURN_IF_ERROR(CheckIssued(response.certificate_pem(), options.ca_pem, signing_request));
  return Renewal{response.certificate_pem(), options.ca_pem};
}

}  // namespace weighmaster::agent::sync
