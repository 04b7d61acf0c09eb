#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/base/loop.h"
#include "policy/base/time.h"
#include "proto/wire/trust.h"
#include "server/rpc/calls.h"
#include "tests/support/pki.h"

namespace weighmaster::tests {

// A stream at the server: sends a challenge, then answers each request for a part with a chunk that
// repeats its offset.
class EchoSession final : public wire::ServerListener {
 public:
  EchoSession(model::Id endpoint, std::unique_ptr<wire::ServerChannel> channel);

  void OnFrame(const v1::AgentFrame& frame) override;
  void OnClosed(const base::Error& why) override;

  const model::Id& endpoint() const { return endpoint_; }
  wire::ServerChannel* channel() { return channel_.get(); }
  const std::optional<base::Error>& closed() const { return closed_; }

  // As a revocation does it: says so and hangs up.
  void RefuseAndHangUp();

 private:
  const model::Id endpoint_;
  std::unique_ptr<wire::ServerChannel> channel_;
  std::optional<base::Error> closed_;
};

// What stands behind a server in these tests: certificates are judged as the product judges them,
// every endpoint that the CA has named is known, and sessions echo.
class FakeFleet final : public server::rpc::AgentCalls {
 public:
  FakeFleet(base::Loop& loop, const Pki& pki, const base::Clock& clock);
  ~FakeFleet() override;

  void Classify(const std::string& certificate_pem,
                Reply<server::identity::PeerDecision> reply) override;
  void Enrol(const v1::EnrolRequest& request, Reply<v1::EnrolResponse> reply) override;
  void Renew(const model::Id& endpoint, const v1::RenewRequest& request,
             Reply<v1::RenewResponse> reply) override;
  wire::ServerListener* Accept(std::unique_ptr<wire::ServerChannel> channel,
                               const model::Id& endpoint) override;

  const std::vector<std::unique_ptr<EchoSession>>& sessions() const { return sessions_; }

  // Never replies again, as a store that hangs; `on_silence` hears each call that waits then.
  bool silent = false;
  std::function<void()> on_silence = [] {};
  bool revoked = false;
  std::string token_secret = "open sesame";
  wire::SignedDocument root;
  // What an enrolment or renewal answers with instead of a certificate for the request's key.
  std::optional<std::string> other_certificate_pem;

 private:
  base::Result<server::identity::PeerDecision> Decide(const std::string& certificate_pem) const;
  base::Result<std::string> CertificateFor(const model::Id& endpoint,
                                           const std::string& signing_request) const;

  base::Loop& loop_;
  const Pki& pki_;
  const base::Clock& clock_;
  std::vector<std::unique_ptr<EchoSession>> sessions_;
};

}  // namespace weighmaster::tests
