#include "policy/model/event.h"

#include "policy/model/named.h"

namespace weighmaster::model {
namespace {

constexpr Named<PriorityClass> kPriorities[] = {{PriorityClass::kControl, "control"},
                                                {PriorityClass::kVerdict, "verdict"},
                                                {PriorityClass::kInventory, "inventory"},
                                                {PriorityClass::kActivity, "activity"}};
constexpr Named<GoneReason> kGoneReasons[] = {{GoneReason::kDeleted, "deleted"},
                                              {GoneReason::kNoModel, "no_model"},
                                              {GoneReason::kRootRemoved, "root_removed"}};
constexpr Named<PolicyRefusal> kRefusals[] = {
    {PolicyRefusal::kNone, "none"},
    {PolicyRefusal::kBadSignature, "bad_signature"},
    {PolicyRefusal::kBelowFloor, "below_floor"},
    {PolicyRefusal::kWrongFleet, "wrong_fleet"},
    {PolicyRefusal::kWrongLine, "wrong_line"},
    {PolicyRefusal::kPartMissing, "part_missing"},
    {PolicyRefusal::kMalformed, "malformed"},
    {PolicyRefusal::kTooLarge, "too_large"},
    {PolicyRefusal::kUnknownFeature, "unknown_feature"},
    {PolicyRefusal::kBadRoot, "bad_root"},
};
constexpr Named<ChainReason> kChainReasons[] = {{ChainReason::kEnrolled, "enrolled"},
                                                {ChainReason::kHeadUnknown, "head_unknown"},
                                                {ChainReason::kJournalLost, "journal_lost"},
                                                {ChainReason::kCannotRefill, "cannot_refill"}};

struct PriorityVisitor {
  PriorityClass operator()(const SightingAppeared&) const { return PriorityClass::kInventory; }
  PriorityClass operator()(const SightingChanged&) const { return PriorityClass::kInventory; }
  PriorityClass operator()(const SightingGone&) const { return PriorityClass::kInventory; }
  PriorityClass operator()(const SightingJudged&) const { return PriorityClass::kVerdict; }
  PriorityClass operator()(const CoverageChanged&) const { return PriorityClass::kInventory; }
  PriorityClass operator()(const PolicyApplied&) const { return PriorityClass::kControl; }
  PriorityClass operator()(const PolicyRefused&) const { return PriorityClass::kControl; }
  PriorityClass operator()(const ChainStarted&) const { return PriorityClass::kControl; }
  PriorityClass operator()(const BodiesDropped&) const { return PriorityClass::kControl; }
  PriorityClass operator()(const AgentStarted&) const { return PriorityClass::kControl; }
};

}  // namespace

std::string_view PriorityClassName(PriorityClass priority) { return NameOf(kPriorities, priority); }
std::string_view GoneReasonName(GoneReason reason) { return NameOf(kGoneReasons, reason); }
std::string_view PolicyRefusalName(PolicyRefusal refusal) { return NameOf(kRefusals, refusal); }
std::string_view ChainReasonName(ChainReason reason) { return NameOf(kChainReasons, reason); }

PriorityClass PriorityOf(const EventBody& body) { return std::visit(PriorityVisitor{}, body); }

}  // namespace weighmaster::model
