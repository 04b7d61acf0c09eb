#include "agent/app/enrolling.h"

#include <algorithm>
#include <utility>

#include "policy/base/limits.h"
#include "policy/base/version.h"
#include "third_party/openssl/certificate.h"
#include "third_party/posix/files.h"
#include "third_party/spdlog/log.h"
#include "weighmaster/v1/enrol.pb.h"

namespace weighmaster::agent::app {
namespace {

namespace limits = base::limits;

constexpr std::size_t kMaxTokenFileBytes = 16 * 1024;
// Least between two attempts: a wrong token does not mend itself within a second.
constexpr std::chrono::seconds kLeastRetryDelay{5};

std::string Trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace

base::Status TokenSource::ReadStandardInput() {
  if (file != "-") return {};
  WM_ASSIGN_OR_RETURN(text, posix::ReadFile(file, kMaxTokenFileBytes));
  return {};
}

base::Result<std::string> TokenSource::Read() const {
  if (file == "-") return text;
  return posix::ReadFile(file, kMaxTokenFileBytes);
}

Enrolling::Enrolling(Rooms rooms, std::string state_folder, TokenSource token, os::Machine machine,
                     OnIdentity on_identity)
    : rooms_(rooms),
      state_folder_(std::move(state_folder)),
      token_(std::move(token)),
      machine_(std::move(machine)),
      on_identity_(std::move(on_identity)),
      backoff_(rooms.random),
      timer_(rooms.loop) {}

void Enrolling::Start(std::optional<EnrolledIdentity> identity) {
  if (!identity.has_value()) {
    TryEnrol();
    return;
  }
  identity_ = std::move(identity);
  on_identity_(*identity_);
  CheckCertificate();
}

sync::ConnectorOptions Enrolling::OptionsOf(const EnrolledIdentity& identity) const {
  return {identity.address, identity.ca_pem, identity.certificate_pem, rooms_.key.ToPem()};
}

// On the executor.
base::Result<EnrolledIdentity> Enrolling::Enrol() const {
  WM_ASSIGN_OR_RETURN(const std::string text, token_.Read());
  WM_ASSIGN_OR_RETURN(const wire::EnrolmentToken token, wire::ParseToken(Trimmed(text)));
  // The server names the certificate, so any common name will do; a host's may be none at all.
  WM_ASSIGN_OR_RETURN(const base::Bytes request,
                      openssl::MakeSigningRequest(rooms_.key, "endpoint"));
  v1::MachineFacts facts;
  facts.set_hostname(base::EscapeForDisplay(machine_.hostname));
  facts.set_os(machine_.os);
  facts.set_os_release(base::EscapeForDisplay(machine_.os_release));
  facts.set_agent_version(std::string(base::kVersion));
  facts.set_machine_sha256(std::string(base::AsText(machine_.machine_sha256.view())));
  WM_ASSIGN_OR_RETURN(sync::Enrolment enrolment, rooms_.client.Enrol(token, request, facts));
  EnrolledIdentity identity;
  identity.endpoint_id = enrolment.endpoint_id;
  identity.address = token.address;
  identity.ca_pem = std::move(enrolment.ca_pem);
  identity.certificate_pem = std::move(enrolment.certificate_pem);
  identity.root = std::move(enrolment.root);
  WM_RETURN_IF_ERROR(SaveIdentity(state_folder_, identity));
  return identity;
}

// On the executor.
base::Result<EnrolledIdentity> Enrolling::Renew(const EnrolledIdentity& identity) const {
  WM_ASSIGN_OR_RETURN(const base::Bytes request,
                      openssl::MakeSigningRequest(rooms_.key, identity.endpoint_id.ToHex()));
  WM_ASSIGN_OR_RETURN(sync::Renewal renewal, rooms_.client.Renew(OptionsOf(identity), request));
  EnrolledIdentity renewed = identity;
  renewed.certificate_pem = std::move(renewal.certificate_pem);
  renewed.ca_pem = std::move(renewal.ca_pem);
  WM_RETURN_IF_ERROR(SaveIdentity(state_folder_, renewed));
  return renewed;
}

void Enrolling::TryEnrol() {
  if (token_.file.empty()) {
    Complain(
        "this endpoint is not enrolled; set enrolment_token_file in the agent's settings to a file "
        "with a token from \"weighctl tokens create\"");
    return;
  }
  rooms_.executor.Submit([this, alive = std::weak_ptr<const bool>(alive_)] {
    if (alive.expired()) return;  // given up before it was begun
    auto outcome = Enrol();
    rooms_.loop.Post([this, alive, outcome = std::move(outcome)] {
      if (!alive.expired()) Finish(outcome);
    });
  });
}

bool Enrolling::NeedsRenewal() const {
  const auto certificate = openssl::ParseCertificate(identity_->certificate_pem);
  if (!certificate.has_value()) return true;
  const auto life = certificate->not_after - certificate->not_before;
  return rooms_.clock.Now() > certificate->not_after - life / 3;
}

void Enrolling::CheckCertificate() {
  if (!NeedsRenewal()) {
    // A renewal that failed may have been asked for by a clock that was wrong.
    last_error_.clear();
    backoff_.Reset();
    timer_.Start(limits::kCertificateCheckInterval, [this] { CheckCertificate(); });
    return;
  }
  rooms_.executor.Submit([this, alive = std::weak_ptr<const bool>(alive_), before = *identity_] {
    if (alive.expired()) return;
    auto outcome = Renew(before);
    rooms_.loop.Post([this, alive, outcome = std::move(outcome)] {
      if (!alive.expired()) Finish(outcome);
    });
  });
}

void Enrolling::Finish(base::Result<EnrolledIdentity> outcome) {
  if (!outcome.has_value()) {
    Complain(outcome.error().message());
    const base::Duration delay = std::max(backoff_.Next(), base::Duration(kLeastRetryDelay));
    timer_.Start(delay, [this] { identity_.has_value() ? CheckCertificate() : TryEnrol(); });
    return;
  }
  logging::Info("enrolment", identity_.has_value() ? "the certificate was renewed"
                                                   : "enrolled as " + outcome->endpoint_id.ToHex());
  last_error_.clear();
  backoff_.Reset();
  identity_ = std::move(*outcome);
  on_identity_(*identity_);
  timer_.Start(limits::kCertificateCheckInterval, [this] { CheckCertificate(); });
}

void Enrolling::Complain(std::string why) {
  const base::Duration now = rooms_.clock.SinceBoot().since_boot;
  if (why != last_error_ || now >= complain_again_) {
    logging::Warning("enrolment", why);
    complain_again_ = now + base::Duration(limits::kFailureReminderInterval);
  }
  last_error_ = std::move(why);
}

}  // namespace weighmaster::agent::app
