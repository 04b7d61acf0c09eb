#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/base/bytes.h"
#include "policy/base/time.h"
#include "policy/model/artifact.h"
#include "policy/model/event.h"
#include "policy/model/exception.h"
#include "policy/model/path.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"
#include "proto/wire/audit.h"
#include "proto/wire/evidence.h"
#include "proto/wire/seal.h"
#include "proto/wire/trust.h"
#include "server/query/cursor.h"
#include "server/store/event_write.h"
#include "server/store/labels.h"

namespace weighmaster::server::store {

// What goes into the store and comes out of it: plain values. Numbers of enums are stored.

enum class EndpointState : std::uint8_t {
  kActive = 1,
  kRevoked = 2,      // by a person; nothing of it is taken any more
  kQuarantined = 3,  // its key was seen in two live chains; what it sends is kept apart
};
std::string_view EndpointStateName(EndpointState state);

using wire::QuarantineReason;

struct FleetRecord {
  std::string fleet_id;
  model::Id lineage;  // renewed when the store is restored from a backup
  std::uint64_t newest_policy = 0;
  std::uint64_t next_policy = 1;  // the least version above it that was never published
  std::uint64_t floor = 0;
};

// What an endpoint says of its machine. Foreign text: UTF-8, cut to limits::kMaxFactBytes.
struct MachineFacts {
  std::string hostname;
  std::string os;
  std::string os_release;
  std::string agent_version;
  base::Bytes machine_sha256;
};

struct NewEndpoint {
  model::Id id;
  openssl::PublicKey key;
  MachineFacts machine;
};

// Who an endpoint is, for everything that decides whether to listen to it.
struct EndpointIdentity {
  model::Id id;
  EndpointState state = EndpointState::kActive;
  openssl::PublicKey key;  // the current one
  std::uint64_t policy_version = 0;
};

struct EndpointRow {
  model::Id id;
  EndpointState state = EndpointState::kActive;
  MachineFacts machine;
  base::WallTime enrolled;
  std::optional<base::WallTime> last_contact;
  base::Duration clock_offset{0};  // server's clock minus the endpoint's
  std::uint64_t policy_version = 0;
  bool policy_partly = false;  // in force without the rules that its agent does not understand
  std::optional<base::WallTime> policy_since;  // none: it has no policy
  std::uint64_t sightings = 0;                 // open ones
  std::uint64_t denied = 0;                    // of which
  std::uint64_t warned = 0;
  std::uint64_t events_stored = 0;
  std::uint64_t events_dropped = 0;
  std::uint64_t events_unreadable = 0;  // stored, but of a kind that this version does not know
  std::vector<model::Coverage> coverage;
  model::CoverageState coverage_state = model::CoverageState::kCouldNot;  // as FleetCoverage counts
  model::Sha256 key_sha256;  // of the current key: what its batches name
  base::WallTime key_added;
  std::optional<base::WallTime> revoked;
  std::string revoked_reason;
  Labels labels;
};

struct Contact {
  model::Id endpoint;
  base::WallTime at;
  base::Duration clock_offset{0};
  MachineFacts machine;
};

struct EnrolmentTokenRecord {
  model::Sha256 secret_sha256;
  std::uint32_t uses = 1;
  base::WallTime created;
  base::WallTime expires;
  std::string comment;
  Labels labels = {};  // of the endpoints that enrol with it
};

// What an administrator is there for. The numbers of v1::AdminRole, which are also in the store.
enum class AdminRole : std::uint8_t {
  kViewer = 1,
  kResponder,
  kPolicyAuthor,
  kAdmin,
};
inline constexpr int kAdminRoles = 4;
// "viewer", "responder", "policy_author", "admin".
std::string_view AdminRoleName(AdminRole role);

struct AdminTokenRecord {
  model::Id id;
  model::Sha256 secret_sha256;
  std::string name;
  AdminRole role = AdminRole::kViewer;
  Scope scope = Scope::WholeFleet();  // the endpoints that it may see and act on
  base::WallTime created;
  std::optional<model::Id> created_by;  // the token; none: `init`
  std::optional<base::WallTime> expires;
  std::optional<base::WallTime> revoked;
};

// Who did something: an administrator's token, and its name then.
struct Actor {
  model::Id token;
  std::string name;
};

struct AuditEntry {
  wire::AuditRow row;
  model::Sha256 digest;
};

struct ChainHead {
  model::Id chain;
  std::uint64_t number = 0;             // 0: nothing of this chain is stored
  std::optional<model::Sha256> digest;  // of the header of that batch
};

// A batch that has passed wire::VerifyBatch with the key of its endpoint.
struct BatchWrite {
  model::Id endpoint;
  wire::SealedBatch batch;
  wire::BatchHeader header;
  model::Sha256 digest;  // of the header
  // Parallel to batch.events; none where the body is gone or this version cannot read it.
  std::vector<std::optional<EventWrite>> events;
  base::WallTime received;
  base::Duration clock_offset{0};
};

struct BatchOutcome {
  enum class Kind : std::uint8_t {
    kStored = 1,
    kRepeated,      // stored before, with this very digest
    kGap,           // `expected` is wanted first
    kEquivocation,  // another batch has this number; both are kept
    kBrokenChain,   // it names another predecessor; kept apart
    kClone,         // a second live chain of one key; kept apart, the endpoint is quarantined
    kQuarantined,   // key revoked or endpoint quarantined; kept apart
    kRefused,       // not kept; `detail` says why
  };
  Kind kind = Kind::kRefused;
  std::uint64_t expected = 0;  // kGap
  ChainHead head;              // kStored, kRepeated: what may be acknowledged
  std::string detail;          // a sentence for the finding and for the agent
};
std::string_view BatchOutcomeName(BatchOutcome::Kind kind);

// A finding opened (or seen again) or, when what it was about has passed, resolved.
struct FindingChange {
  bool resolve = false;
  std::string dedupe_key;  // one finding each
  model::Id endpoint;
  // The rest is for opening, but for `at`.
  std::string rule;
  std::string subject;  // escaped for display
  model::Severity severity = model::Severity::kInfo;
  std::string detail;
  base::WallTime at;
};

// Turns a batch and its outcome into findings, inside the transaction that stores the batch. Pure.
// `any_open`: the endpoint has findings that are not resolved.
using FindingRules = std::function<std::vector<FindingChange>(const BatchWrite&,
                                                              const BatchOutcome&, bool any_open)>;

// Where a finding stands. Seen again it is open, unless somebody works on it or has said that it is
// known and fine; the latter holds until it is graver than it was then.
enum class FindingState : std::uint8_t {
  kOpen = 1,
  kResolved = 2,  // what it was about has passed: the server's word alone
  kAcknowledged = 3,
  kDismissed = 4,
};

// "open", "resolved", "acknowledged", "dismissed".
std::string_view FindingStateName(FindingState state);

struct FindingRow {
  std::uint64_t id = 0;
  std::string rule;
  model::Id endpoint;
  std::string hostname;
  std::string subject;
  model::Severity severity = model::Severity::kInfo;
  FindingState state = FindingState::kOpen;
  std::string detail;
  base::WallTime first;
  base::WallTime last;
  std::uint64_t count = 0;
};

// What somebody did with a finding, or said of it.
struct FindingComment {
  base::WallTime at;
  Actor actor;
  std::optional<FindingState> state;  // none: as it was
  std::string text;
};
struct FindingDetails {
  FindingRow finding;
  std::vector<FindingComment> comments;  // oldest first
};

// What changed, for whoever looks at it all the time: what to ask for again, not the thing itself.
enum class ChangeTopic : std::uint8_t {
  kEvents = 1,      // an endpoint's events were stored: of `chain`, from `number`, `count` of them
  kFinding = 2,     // `number` is the finding
  kPolicy = 3,      // `number` is the version
  kExceptions = 4,  // of `endpoint`, or of the fleet; `number` is the version
  kEndpoint = 5,    // it enrolled, was revoked, quarantined or got other labels
};
// "events", "finding", "policy", "exceptions", "endpoint".
std::string_view ChangeTopicName(ChangeTopic topic);

struct Change {
  std::uint64_t position = 0;
  base::WallTime time;  // the server's
  ChangeTopic topic = ChangeTopic::kEvents;
  std::optional<model::Id> endpoint;
  std::optional<model::Id> chain;
  std::uint64_t number = 0;
  std::uint64_t count = 0;
};
struct ChangeQuery {
  std::optional<std::uint64_t> after;  // a position; none: no rows, only where it stands
  std::optional<query::Filter> filter = {};
  std::size_t size = 0;  // 0: limits::kDefaultPageSize; cut to limits::kMaxPageSize
};
struct ChangePage {
  std::vector<Change> rows;
  std::uint64_t next = 0;  // `after` of the next question
};

// How much of the fleet an answer speaks for. The four add up: endpoints is the sum of the others.
// Of a moment in the past it counts the endpoints that were enrolled and not revoked then.
struct FleetCoverage {
  std::uint64_t endpoints = 0;  // enrolled and not revoked
  std::uint64_t looked = 0;     // every root was looked at whole
  std::uint64_t partly = 0;
  std::uint64_t none = 0;  // nothing is known
};

// A model file by its content. The facts are those of one of its sightings.
struct ArtifactRow {
  model::Sha256 sha256;
  std::uint64_t places = 0;  // present now
  std::uint64_t endpoints = 0;
  std::optional<base::WallTime> first_seen;
  std::optional<model::Format> format;
  std::string name;
  std::string license;
  std::optional<std::uint64_t> size_bytes;
};

struct EventRow {
  model::Id chain;
  std::uint64_t number = 0;
  std::uint32_t kind = 0;  // field number in v1::Event; 0: the body is gone or can't be read
  std::optional<base::WallTime> wall;  // the endpoint's clock
  std::optional<model::Sha256> sha256;
  std::string body;  // a serialised v1::Event; empty: gone
};

// Of sightings that are present now.
struct VerdictCounts {
  std::uint64_t allow = 0;
  std::uint64_t warn = 0;
  std::uint64_t deny = 0;
  std::uint64_t pending = 0;
  // That an audit rule would have decided, by its id; the first limits::kMaxCountedAudits that
  // come. Only CountVerdicts fills it.
  std::map<std::string, std::uint64_t, std::less<>> audits;
  FleetCoverage coverage;
};

// What the store holds, in numbers.
struct Statistics {
  struct EndpointCount {
    EndpointState state = EndpointState::kActive;
    std::uint64_t endpoints = 0;
  };
  struct FindingCount {
    FindingState state = FindingState::kOpen;
    model::Severity severity = model::Severity::kInfo;
    std::uint64_t findings = 0;
  };
  std::vector<EndpointCount> endpoints;
  VerdictCounts verdicts;
  std::vector<FindingCount> findings;
  std::uint64_t newest_policy = 0;
  std::uint64_t endpoints_in_force = 0;  // of it; not revoked
  std::uint64_t endpoints_partly = 0;    // of which: without the rules that they do not understand
  // Of a scope that is not the whole fleet: its endpoints.
  std::optional<std::vector<model::Id>> in_scope;
};

struct PolicyRow {
  std::uint64_t version = 0;
  base::WallTime published;
  std::uint64_t floor = 0;
  model::Sha256 manifest_sha256;
  std::uint64_t endpoints_in_force = 0;  // not revoked
  std::uint64_t endpoints_partly = 0;    // of which: without the rules that they do not understand
  std::optional<Actor> publisher;        // none: it was published before this was kept
};

struct BundlePart {
  wire::PartReference reference;
  std::string content;
};

struct NewBundle {
  wire::SignedDocument document;
  wire::BundleManifest manifest;  // of the document
  std::vector<BundlePart> parts;  // those that the store may not have yet
  std::string text;               // the reviewed document
  base::WallTime published;
  std::optional<Actor> publisher = {};
};

struct StoredBundle {
  wire::SignedDocument document;
  std::uint64_t version = 0;
  model::Sha256 manifest_sha256;
  std::string text;
  base::WallTime published;
  std::uint64_t endpoints_in_force = 0;
  std::uint64_t endpoints_partly = 0;  // of which: without the rules that they do not understand
  std::uint64_t endpoints_total = 0;   // not revoked
  std::optional<Actor> publisher;      // none: it was published before this was kept
};

// A set of exceptions as it was published.
struct ExceptionSetRecord {
  wire::SignedDocument document;
  model::ExceptionSet set;  // of the document
  base::WallTime published;
  std::optional<Actor> publisher;  // none: it was published before this was kept
};

// An exception of one of the sets.
struct ExceptionRow {
  std::optional<model::Id> endpoint;  // none: the fleet's
  model::Exception exception;
  std::uint64_t version = 0;  // of the set that brought it
  base::WallTime granted;     // when that was published
  std::optional<Actor> publisher;
  std::optional<base::WallTime> withdrawn;  // none: it is in the newest
};

// Which batches are meant: by number in their chain and by when the server received them.
struct BatchRange {
  std::uint64_t first_number = 1;
  std::uint64_t last_number = UINT64_MAX;
  std::optional<base::WallTime> from;
  std::optional<base::WallTime> until;
};

// A chain has every batch from the first to the last that the range has; its policies are those
// that the endpoint said were in force in these, and the one that it says is in force.
struct EndpointEvidence {
  std::string hostname;
  std::vector<wire::EvidenceKey> keys;
  std::vector<wire::EvidenceChain> chains;
  std::vector<model::Sha256> last_digests;  // parallel: of the last batch's header
  std::vector<wire::EvidenceQuarantined> quarantined;
  std::vector<wire::EvidenceAppliedPolicy> policies;  // ascending, each once
};

struct BatchQuery {
  model::Id endpoint;
  std::optional<model::Id> chain;  // none: what is kept beside the chains
  BatchRange range;
  std::uint64_t from = 0;  // BatchPage::next of the page before
};
struct BatchPage {
  std::vector<wire::SealedBatch> batches;
  std::optional<std::uint64_t> next;  // none: this was the last page
};

// A piece of a part, at most limits::kPartChunkBytes.
struct PartPiece {
  std::string data;
  std::uint64_t total_bytes = 0;
};

// What of a list is wanted. Rows, totals and coverage of one answer come from one moment.
struct PageQuery {
  std::optional<query::Filter> filter;
  query::Order order;                    // empty: the list's own
  std::optional<query::Position> after;  // none: from the start
  std::size_t size = 0;                  // 0: limits::kDefaultPageSize; cut to limits::kMaxPageSize
  // What was so then, as far as is known now; none: now. Lists whose rows never change have none.
  std::optional<base::WallTime> as_of;
};

template <typename Row>
struct Page {
  std::vector<Row> rows;
  std::optional<query::Position> next;  // `after` of the next page; none: this was the last
  // Of all pages, as it was for the first one. Exact without a filter; with one, rows are counted
  // up to limits::kMaxCountedRows.
  std::uint64_t total = 0;
  bool total_is_least = false;
};

struct EndpointQuery {
  PageQuery page;
  // Those whose streams are open now, where the filter asks for it.
  std::vector<model::Id> connected;
};

struct ExceptionQuery {
  PageQuery page;
  bool include_ended = false;  // also what was withdrawn, or has expired at `now`
  base::WallTime now;
};

struct SightingRow {
  model::Id endpoint;
  std::string hostname;
  model::Sighting sighting;
  std::optional<model::Verdict> verdict;
  base::WallTime first_seen;  // corrected by the clock offset, as are the others
  base::WallTime last_change;
  std::optional<base::WallTime> gone;
};

// A sighting that is present now, with what its newest verdict says. Views die with the visit.
struct PresentSighting {
  struct Judged {
    model::Outcome outcome = model::Outcome::kAllow;
    std::string_view rule;
    model::Mode mode = model::Mode::kObserve;
    model::Severity severity = model::Severity::kInfo;
  };
  const model::Id& endpoint;
  std::string_view hostname;
  const model::Sighting& sighting;
  std::optional<Judged> judged;  // none: not judged yet
};

struct SightingQuery {
  std::optional<model::Id> endpoint;
  std::optional<model::Sha256> sha256;   // claimed or verified
  std::optional<model::Sha256> weights;  // the weights digest
  bool include_gone = false;             // not with `page.as_of`
  PageQuery page;
};

struct SightingPage : Page<SightingRow> {
  // Of a question for one file, whatever a filter leaves: on how many endpoints it lies, how many
  // of its sightings are present.
  std::uint64_t endpoints = 0;
  std::uint64_t present = 0;
  // Where nothing was found by a weights digest: of how many present sightings one is known.
  std::uint64_t weights_known = 0;
  FleetCoverage coverage;
};

}  // namespace weighmaster::server::store
