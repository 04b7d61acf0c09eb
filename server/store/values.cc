#include "server/store/values.h"

#include "policy/model/named.h"

namespace weighmaster::server::store {
namespace {

using Kind = BatchOutcome::Kind;

constexpr model::Named<EndpointState> kStates[] = {{EndpointState::kActive, "active"},
                                                   {EndpointState::kRevoked, "revoked"},
                                                   {EndpointState::kQuarantined, "quarantined"}};
constexpr model::Named<Kind> kOutcomes[] = {{Kind::kStored, "stored"},
                                            {Kind::kRepeated, "repeated"},
                                            {Kind::kGap, "gap"},
                                            {Kind::kEquivocation, "equivocation"},
                                            {Kind::kBrokenChain, "broken_chain"},
                                            {Kind::kClone, "clone"},
                                            {Kind::kQuarantined, "quarantined"},
                                            {Kind::kRefused, "refused"}};
constexpr model::Named<AdminRole> kRoles[] = {{AdminRole::kViewer, "viewer"},
                                              {AdminRole::kResponder, "responder"},
                                              {AdminRole::kPolicyAuthor, "policy_author"},
                                              {AdminRole::kAdmin, "admin"}};

constexpr model::Named<FindingState> kFindingStates[] = {
    {FindingState::kOpen, "open"},
    {FindingState::kResolved, "resolved"},
    {FindingState::kAcknowledged, "acknowledged"},
    {FindingState::kDismissed, "dismissed"}};
constexpr model::Named<ChangeTopic> kTopics[] = {{ChangeTopic::kEvents, "events"},
                                                 {ChangeTopic::kFinding, "finding"},
                                                 {ChangeTopic::kPolicy, "policy"},
                                                 {ChangeTopic::kExceptions, "exceptions"},
                                                 {ChangeTopic::kEndpoint, "endpoint"}};

}  // namespace

std::string_view FindingStateName(FindingState state) {
  return model::NameOf(kFindingStates, state);
}
std::string_view ChangeTopicName(ChangeTopic topic) { return model::NameOf(kTopics, topic); }
std::string_view AdminRoleName(AdminRole role) { return model::NameOf(kRoles, role); }
std::string_view EndpointStateName(EndpointState state) { return model::NameOf(kStates, state); }
std::string_view BatchOutcomeName(BatchOutcome::Kind kind) {
  return model::NameOf(kOutcomes, kind);
}

}  // namespace weighmaster::server::store
