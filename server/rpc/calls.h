#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "proto/wire/stream/channel.h"
#include "server/identity/peer.h"

namespace weighmaster::v1 {
class EnrolRequest;
class EnrolResponse;
class RenewRequest;
class RenewResponse;
}  // namespace weighmaster::v1

namespace weighmaster::server::fleet {
class Fleet;
}  // namespace weighmaster::server::fleet
namespace weighmaster::server::identity {
class Authority;
}  // namespace weighmaster::server::identity

namespace weighmaster::server::rpc {

// What the calls of agents come to: the Authority and the Fleet in the program, a fake in tests.
// Loop-owned; replies come on the loop. An error goes to the caller as it is, code and message.
class AgentCalls {
 public:
  template <typename T>
  using Reply = std::function<void(base::Result<T>)>;

  virtual ~AgentCalls() = default;

  // What the holder of this certificate may do; PEM, "" for none. TLS has proved that the caller
  // holds its key and has checked nothing else: it may be foreign, expired or revoked.
  virtual void Classify(const std::string& certificate_pem,
                        Reply<identity::PeerDecision> reply) = 0;
  virtual void Enrol(const v1::EnrolRequest& request, Reply<v1::EnrolResponse> reply) = 0;
  virtual void Renew(const model::Id& endpoint, const v1::RenewRequest& request,
                     Reply<v1::RenewResponse> reply) = 0;
  // Who listens to a new stream, or null when it is not wanted and the channel is destroyed. Valid
  // until OnClosed or the channel's destruction.
  virtual wire::ServerListener* Accept(std::unique_ptr<wire::ServerChannel> channel,
                                       const model::Id& endpoint) = 0;
};

std::unique_ptr<AgentCalls> MakeAgentCalls(identity::Authority& authority, fleet::Fleet& fleet);

}  // namespace weighmaster::server::rpc
