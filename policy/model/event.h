#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"

namespace weighmaster::model {

// How valuable an event is when the journal must drop bodies: the highest number goes first. One
// batch holds one class.
enum class PriorityClass : std::uint8_t {
  kControl = 1,    // chains, keys, policies, drops: never dropped
  kVerdict = 2,    // judgements
  kInventory = 3,  // sightings and coverage
  kActivity = 4,   // uses and accesses
};
inline constexpr int kPriorityClasses = 4;
std::string_view PriorityClassName(PriorityClass priority);

// A sighting that was not known before, or whose content, digest state or facts changed.
struct SightingAppeared {
  Sighting sighting;
};
struct SightingChanged {
  Sighting sighting;
};

enum class GoneReason : std::uint8_t {
  kDeleted = 1,      // looked again, not there
  kNoModel = 2,      // still there, no model any more
  kRootRemoved = 3,  // its root is no longer configured
};
std::string_view GoneReasonName(GoneReason reason);
struct SightingGone {
  Path path;
  GoneReason reason = GoneReason::kDeleted;
};

// The verdict of a sighting, when verdict, rule or basis changed.
struct SightingJudged {
  Path path;
  std::optional<Sha256> sha256;
  Verdict verdict;
};

struct CoverageChanged {
  Coverage coverage;
};

enum class PolicyRefusal : std::uint8_t {
  kNone = 0,
  kBadSignature = 1,
  kBelowFloor = 2,
  kWrongFleet = 3,
  kWrongLine = 4,
  kPartMissing = 5,  // a part could not be fetched, or its digest differs
  kMalformed = 6,
  kTooLarge = 7,
  kUnknownFeature = 8,  // a needed feature that this agent does not have: partly applied
  kBadRoot = 9,
};
std::string_view PolicyRefusalName(PolicyRefusal refusal);

// A bundle came into force, whole or (with `missing_features`) in part.
struct PolicyApplied {
  std::uint64_t version = 0;
  Sha256 manifest;  // digest of the manifest's bytes
  bool partly = false;
  std::string missing_features;                 // comma-separated, sorted
  std::uint64_t judged = 0;                     // subjects judged again
  std::uint64_t changed = 0;                    // of which the verdict, rule or basis changed
  std::uint64_t allow = 0, warn = 0, deny = 0;  // after
};
struct PolicyRefused {
  std::uint64_t version = 0;  // as offered; 0 if unreadable
  PolicyRefusal refusal = PolicyRefusal::kNone;
  std::string detail;
};

enum class ChainReason : std::uint8_t {
  kEnrolled = 1,      // the first chain of this endpoint
  kHeadUnknown = 2,   // the server's head is not in this journal (restored or copied state)
  kJournalLost = 3,   // the state file was lost or unreadable
  kCannotRefill = 4,  // the server went back further than what is kept
};
std::string_view ChainReasonName(ChainReason reason);
// Always the first event of a chain.
struct ChainStarted {
  ChainReason reason = ChainReason::kEnrolled;
  Id old_chain;                  // zero: none
  std::uint64_t old_number = 0;  // the old chain's last batch, as far as known
  Sha256 old_header;
};

// Bodies were dropped at a limit since the last such event; counts of events.
struct BodiesDropped {
  PriorityClass priority = PriorityClass::kActivity;
  std::uint64_t count = 0;
};

struct AgentStarted {
  std::string version;
  std::string os;  // "linux"
  std::string os_release;
  std::string hostname;
};

using EventBody =
    std::variant<SightingAppeared, SightingChanged, SightingGone, SightingJudged, CoverageChanged,
                 PolicyApplied, PolicyRefused, ChainStarted, BodiesDropped, AgentStarted>;

// A change worth telling. Its number is given when it is sealed.
struct Event {
  base::WallTime wall;
  base::BootTime boot;
  Id boot_id;
  EventBody body;
};

PriorityClass PriorityOf(const EventBody& body);

}  // namespace weighmaster::model
