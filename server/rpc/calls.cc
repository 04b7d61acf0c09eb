#include "server/rpc/calls.h"

#include <utility>

#include "server/fleet/fleet.h"
#include "server/identity/authority.h"
#include "weighmaster/v1/enrol.pb.h"

namespace weighmaster::server::rpc {

namespace {

class FleetCalls final : public AgentCalls {
 public:
  FleetCalls(identity::Authority& authority, fleet::Fleet& fleet)
      : authority_(authority), fleet_(fleet) {}

  void Classify(const std::string& certificate_pem, Reply<identity::PeerDecision> reply) override {
    authority_.Classify(certificate_pem, std::move(reply));
  }
  void Enrol(const v1::EnrolRequest& request, Reply<v1::EnrolResponse> reply) override {
    authority_.Enrol(request, std::move(reply));
  }
  void Renew(const model::Id& endpoint, const v1::RenewRequest& request,
             Reply<v1::RenewResponse> reply) override {
    authority_.Renew(endpoint, request, std::move(reply));
  }
  wire::ServerListener* Accept(std::unique_ptr<wire::ServerChannel> channel,
                               const model::Id& endpoint) override {
    return fleet_.Accept(std::move(channel), endpoint);
  }

 private:
  identity::Authority& authority_;
  fleet::Fleet& fleet_;
};

}  // namespace

std::unique_ptr<AgentCalls> MakeAgentCalls(identity::Authority& authority, fleet::Fleet& fleet) {
  return std::make_unique<FleetCalls>(authority, fleet);
}

}  // namespace weighmaster::server::rpc
