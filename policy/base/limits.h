#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

// Every limit of the product in one place. Beside each: what happens one past it, and who counts
// it.
namespace weighmaster::base::limits {

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

// --- Sealing and the journal ---------------------------------------------------------------------
// A batch is sealed at the first of these two; more events simply make more batches.
inline constexpr std::size_t kMaxEventsPerBatch = 256;
inline constexpr std::chrono::seconds kMaxSealDelay{1};
// One event body. A longer one is a defect of the agent and is refused by journal and server alike.
inline constexpr std::size_t kMaxEventBytes = 64 * kKiB;
// One sealed batch with all its bodies, header included. A batch is sealed before it would pass it.
inline constexpr std::size_t kMaxBatchBytes = 2 * kMiB;
// Bodies kept on the endpoint. Past it the bodies of the least valuable class are dropped, oldest
// first, and counted in every later header (cumulative drops by class). Headers are always kept.
inline constexpr std::size_t kMaxJournalBytes = 256 * kMiB;
// Acknowledged batches kept so that a server restored from a backup can be refilled: whichever of
// the two is less.
inline constexpr std::size_t kMaxAcknowledgedBytes = 64 * kMiB;
inline constexpr std::chrono::hours kMaxAcknowledgedAge{7 * 24};
// How long after a failed write (a full disk) the agent tries again; nothing is lost meanwhile.
inline constexpr std::chrono::seconds kStorageRetryDelay{5};
// Sightings that one transaction of the agent's inventory changes or judges; more make more of
// them.
inline constexpr std::size_t kMaxSightingsPerTransaction = 256;

// --- The stream
// ----------------------------------------------------------------------------------- One frame
// either way. A longer one ends the stream with RESOURCE_EXHAUSTED.
inline constexpr std::size_t kMaxFrameBytes = 4 * kMiB;
// Batches sent and not yet acknowledged; the agent waits at it.
inline constexpr std::size_t kMaxBatchesInFlight = 16;
// Batches given to the transport and not taken by it yet; the agent waits at it, so that a slow
// line costs little memory.
inline constexpr std::size_t kMaxQueuedBatches = 4;
// A peer that owes an answer and sends nothing for this long: the stream is ended and opened again.
inline constexpr std::chrono::seconds kAnswerTimeout{60};
// Resends that a server may ask for without acknowledging anything in between; past it the stream
// is ended and opened again later.
inline constexpr int kMaxResends = 8;
// Frames queued for a slow peer. Past it the stream is ended and opened again later.
inline constexpr std::size_t kMaxOutboxFrames = 64;
// Back-off between connection attempts: doubles from the first to the last, with full jitter.
inline constexpr std::chrono::milliseconds kFirstRetryDelay{500};
inline constexpr std::chrono::minutes kLastRetryDelay{5};
// After a refusal that only a person can mend (revoked, unknown endpoint, wrong fleet).
inline constexpr std::chrono::minutes kRefusedRetryDelay{15};
// A stream that has not reached Welcome by then is ended.
inline constexpr std::chrono::seconds kHandshakeTimeout{30};
// How long a stream that is closed may still write what was queued. Past it the rest is dropped.
inline constexpr std::chrono::seconds kMaxFlushTime{2};
// An attempt to connect, TCP and TLS together, and the diagnostic handshake after one that failed.
inline constexpr std::chrono::seconds kConnectTimeout{10};
// A peer that has said nothing for this long is asked, and is gone if it does not answer in time.
inline constexpr std::chrono::seconds kKeepaliveInterval{60};
inline constexpr std::chrono::seconds kKeepaliveTimeout{20};
// One chunk of a bundle part.
inline constexpr std::size_t kPartChunkBytes = 256 * kKiB;
// A policy whose parts take longer than this ends the stream, with a line that says so, and is gone
// on with on the next.
inline constexpr std::chrono::hours kMaxBundleFetchTime{1};
// A delta of the lists, in place of the part: one chunk. A longer one is not made, and the part
// travels.
inline constexpr std::size_t kMaxListsDeltaBytes = kPartChunkBytes;
// Deltas that the server keeps, since many endpoints ask for the same ones at the same time. Past
// it the one that was asked for longest ago is forgotten, and made again when it is asked for.
inline constexpr std::size_t kMaxListsDeltasKept = 8;
// Parts that an offer brings along, together. Larger ones are asked for by those who lack them.
inline constexpr std::size_t kMaxOfferedPartsBytes = 16 * kKiB;
// A clock further off than this is coverage on every interval, and a finding.
inline constexpr std::chrono::minutes kMaxClockOffset{5};

// --- Policy
// --------------------------------------------------------------------------------------- A policy
// document. Past it lint says so and names the way out (a list in its own file).
inline constexpr std::size_t kMaxPolicyBytes = 1 * kMiB;
inline constexpr std::size_t kMaxListFileBytes = 128 * kMiB;
inline constexpr std::size_t kMaxDigestsPerList = 1'000'000;
inline constexpr std::size_t kMaxRules = 1'000;
inline constexpr std::size_t kMaxConditionDepth = 16;
// How deep a document's lists and maps may nest: enough for every condition within its own limit.
inline constexpr std::size_t kMaxDocumentDepth = 64;
inline constexpr std::size_t kMaxPolicyNameBytes = 128;
inline constexpr std::size_t kMaxRuleIdBytes = 64;
inline constexpr std::size_t kMaxRuleMessageBytes = 1'024;
inline constexpr std::size_t kMaxLinkBytes = 1'024;
inline constexpr std::size_t kMaxGlobBytes = 1'024;
// Bytes compared to find out which rules can never apply, about half a second of work. Past it lint
// warns that it has not compared them all.
inline constexpr std::uint64_t kMaxLintSteps = 200'000'000;
// What a policy may set. Lint says so past either bound, and an agent refuses the rules. Slower
// than the least, a laptop's models would never all be hashed.
inline constexpr std::uint64_t kMaxMinFileBytes = 1 * kGiB;
inline constexpr std::uint64_t kLeastReadPerSecondBytes = 1 * kMiB;
inline constexpr std::uint64_t kMaxReadPerSecondBytes = 1'024 * kGiB;
inline constexpr std::uint32_t kMaxPauseAboveLoad = 1'000;
// Audit rules that a verdict names; further ones that apply are not told.
inline constexpr std::size_t kMaxAuditsInVerdict = 16;
// Exceptions of one scope (an endpoint, or the fleet), how long one may hold, and all of a scope as
// they travel. A set past any is refused.
inline constexpr std::size_t kMaxExceptions = 1'000;
inline constexpr std::chrono::hours kMaxExceptionValidity{30 * 24};
inline constexpr std::size_t kMaxExceptionsBytes = 40 * kKiB;
// How late an expiry may be noticed when the clock was set.
inline constexpr std::chrono::minutes kExpiryCheckInterval{1};
// Diagnostics kept of each severity. Further ones are counted and the count is printed.
inline constexpr std::size_t kMaxDiagnostics = 200;
// One part of a bundle, and its manifest. An agent refuses a bundle past either.
inline constexpr std::size_t kMaxPartBytes = 64 * kMiB;
inline constexpr std::size_t kMaxManifestBytes = 256 * kKiB;
inline constexpr std::size_t kMaxRootBytes = 256 * kKiB;
// How far above the newest version a policy may be published: a slip of the hand, or a stolen key,
// must not use up all versions to come.
inline constexpr std::uint64_t kMaxPolicyVersionStep = 1'000'000;
// A whole bundle with its parts and its text, as an administrator publishes it in one call. Of a
// larger one no more is read, and the call ends with RESOURCE_EXHAUSTED.
inline constexpr std::size_t kMaxBundleBytes = 2 * kMaxPartBytes;
// It travels in pieces of this size. Both ends give up a publication that takes longer.
inline constexpr std::size_t kPublicationChunkBytes = 1 * kMiB;
inline constexpr std::chrono::minutes kMaxPublicationTime{5};
// Refusals of bundles that an agent tells within an hour, and refused manifests that it remembers
// so as not to tell them twice. Past either they are only shown locally.
inline constexpr std::size_t kMaxRefusalsToldPerHour = 16;
inline constexpr std::size_t kMaxRefusedManifests = 64;

// --- Signed documents ----------------------------------------------------------------------------
// A batch header, and what else is signed. Past any of these the reader refuses the document and
// says which.
inline constexpr std::size_t kMaxBatchHeaderBytes = 4 * kKiB;
inline constexpr std::size_t kMaxRootKeys = 64;
inline constexpr std::size_t kMaxRoles = 32;
inline constexpr std::size_t kMaxSignatures = 64;
inline constexpr std::size_t kMaxParts = 16;
inline constexpr std::size_t kMaxFeaturesPerPart = 16;
inline constexpr std::size_t kMaxLabelSelectorBytes = 1 * kKiB;
inline constexpr std::size_t kMaxTokenBytes = 1 * kKiB;
inline constexpr std::size_t kMaxAddressBytes = 261;  // 253 of a DNS name, [ ], ':', port
// A short name of ours in an event or document (role, line, feature, risk, sensor).
inline constexpr std::size_t kMaxNameBytes = 64;
// A sentence of ours in an event (reason, detail, message of a risk); cut to this, at a UTF-8
// boundary.
inline constexpr std::size_t kMaxSentenceBytes = 2 * kKiB;
inline constexpr std::size_t kMaxFileIdentityBytes = 256;

// --- Foreign model files
// -------------------------------------------------------------------------- A first walk takes
// files from this size; smaller ones follow in a slow second pass.
inline constexpr std::uint64_t kDefaultMinFileBytes = 64 * kKiB;
// What looking at one file may cost, in units of about a nanosecond of a slow core: every byte,
// opcode, entry and field has its price (agent/formats/reading/work_budget.h). Past it the parser
// keeps what it found and adds the risk `opaque`. Hashing is not parsing. A checkpoint of 200,000
// tensors or two million pickle opcodes stays under half of it.
inline constexpr std::uint64_t kMaxParseWork = 1'000'000'000;
inline constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // safetensors' own limit
inline constexpr std::size_t kMaxTensors = 1U << 20;
// Of one file whose weights are hashed: its tensors, what is said of all of them, and how many may
// share one byte. Past any of them the file has no weights digest.
inline constexpr std::size_t kMaxMappedTensors = 1U << 18;
inline constexpr std::size_t kMaxTensorMapBytes = 16 * kMiB;
inline constexpr std::size_t kMaxOverlappingTensors = 256;
inline constexpr std::size_t kMaxMetadataEntries = 1U << 16;
// A fact (name, architecture, licence …) is cut to this, at a UTF-8 boundary.
inline constexpr std::size_t kMaxFactBytes = 512;
inline constexpr std::size_t kMaxRisksPerFile = 64;
inline constexpr std::size_t kMaxEvidenceBytes = 256;
// Values that a pickle keeps on its stack and in its memo, over all streams that are open in one.
// Past the first the file is `opaque`; past the others a value is lost, and that is a risk where a
// name or a callee is lost. Picklers count their memo's keys from 0; so many others are kept.
inline constexpr std::size_t kMaxPickleStack = 1U << 20;
inline constexpr std::size_t kMaxPickleMemo = 1U << 20;
inline constexpr std::size_t kMaxPickleSparseMemo = 1U << 16;
// A pickle written inside a pickle as text (base64, hexadecimal), and a member of an archive that
// has to be inflated whole. The rest of a longer one is `opaque`.
inline constexpr std::size_t kMaxDecodedPickleBytes = 4 * kMiB;
inline constexpr std::size_t kMaxInflatedBytes = 32 * kMiB;
// Members of an archive, and the bytes of all their names. Past either the rest is `opaque`.
inline constexpr std::size_t kMaxZipEntries = 1U << 17;
inline constexpr std::size_t kMaxZipNameBytes = 32 * kMiB;
// What the cage answers for one file, and how long a file may keep a worker.
inline constexpr std::size_t kMaxCageAnswerBytes = 128 * kKiB;
inline constexpr std::size_t kMaxDescriptorsPerMessage = 32;
inline constexpr std::chrono::seconds kMaxParseTime{30};

// --- Sensors
// --------------------------------------------------------------------------------------
// Observations in one delivery to the loop, and deliveries that the loop has not taken yet; at it
// the sensor waits.
inline constexpr std::size_t kMaxObservationsPerBatch = 64;
inline constexpr std::size_t kMaxObservationBatchesInFlight = 8;
// Paths and identities of the files that wait to be hashed, together: some 150,000 ordinary ones.
// Past it a file stays `pending` until the next walk.
inline constexpr std::size_t kMaxHashQueueBytes = 64 * kMiB;
// How much is hashed between two checkpoints.
inline constexpr std::uint64_t kHashCheckpointBytes = 64 * kMiB;
// Files whose hashing was interrupted and can go on. Past it the oldest begins anew.
inline constexpr std::size_t kMaxHashCheckpoints = 1'024;
// How often one file's hashing begins anew because the file changed; then its digest is `failed`.
inline constexpr int kMaxHashAttempts = 3;
// A file that changed this recently is looked at again once this much time has passed.
inline constexpr std::chrono::seconds kSettleTime{2};
// Between two walks over everything, unless configured.
inline constexpr std::chrono::minutes kDefaultRescanInterval{15};
// A failure that stays the same is logged when it begins and then this often.
inline constexpr std::chrono::hours kFailureReminderInterval{1};
// How often a certificate's age is looked at; it is renewed once a third of its life is left.
inline constexpr std::chrono::hours kCertificateCheckInterval{1};
// Freshly changed files waiting for their second look. Past it they wait for the next walk.
inline constexpr std::size_t kMaxUnsettledFiles = 4'096;
// Files that are remembered, in memory, to be no model. Past it all are forgotten and sniffed
// again.
inline constexpr std::size_t kMaxSniffedFiles = 1'000'000;
// Hard-linked files whose digest is remembered, and those whose facts are, during one walk; facts
// may be large. Past either each link is read, or parsed, by itself.
inline constexpr std::size_t kMaxHardLinkedFiles = 65'536;
inline constexpr std::size_t kMaxHardLinkedFacts = 1'024;
// Folders and files below one root that could not be read and are named one by one. Past it nothing
// below the root is concluded to be gone.
inline constexpr std::size_t kMaxUnreadPaths = 64;
// Folders of one walk that are kept open; deeper ones are opened again on the way back.
inline constexpr std::size_t kMaxOpenFolders = 64;
// Mounts read from the kernel's table; past it the rest is not looked at and coverage says so.
inline constexpr std::size_t kMaxMounts = 16'384;

// --- Paths
// ---------------------------------------------------------------------------------------- Linux's
// PATH_MAX is 4,096; deeper paths exist through openat and are kept to this.
inline constexpr std::size_t kMaxPathBytes = 32 * kKiB;

// --- Evidence
// ------------------------------------------------------------------------------------- An evidence
// file may be of any length; what bounds its reader is one record. Past any of these the file is
// refused, and the server makes none: it says that a narrower range is to be asked for.
inline constexpr std::size_t kMaxEvidenceRecordBytes = 4 * kMiB;
inline constexpr std::size_t kMaxEvidenceStatementBytes = 1 * kMiB;
inline constexpr std::size_t kMaxEvidenceRoots = 256;
inline constexpr std::size_t kMaxEvidenceKeys = 64;
inline constexpr std::size_t kMaxEvidenceChains = 4'096;
inline constexpr std::size_t kMaxEvidencePolicies = 1'024;
// Problems of a file that are told; further ones are counted.
inline constexpr int kMaxEvidenceProblems = 100;
// What one answer hands out of an endpoint's batches: so many, and so many bytes unless the first
// is larger. Below gRPC's default of 4 MiB for a message, so that any client can read it.
inline constexpr std::size_t kMaxBatchesPerAnswer = 1'000;
inline constexpr std::size_t kMaxBatchesAnswerBytes = 2 * kMiB;

// --- Server
// --------------------------------------------------------------------------------------- How long
// weighctl waits for one call; then it says so.
inline constexpr std::chrono::seconds kAdminCallTimeout{60};
// Every request but a publication's, which is read only once its caller is known. A longer one is
// INVALID_ARGUMENT.
inline constexpr std::size_t kMaxAdminRequestBytes = 64 * kKiB;
// One answer, a page of kMaxPageSize rows. A longer one is RESOURCE_EXHAUSTED; ask for less a page.
inline constexpr std::size_t kMaxAdminAnswerBytes = 128 * kMiB;
inline constexpr std::size_t kMaxPageSize = 1'000;
inline constexpr std::size_t kDefaultPageSize = 100;
// What a list is asked by. Past any of these it is INVALID_ARGUMENT.
inline constexpr std::size_t kMaxFilterBytes = 4 * kKiB;
inline constexpr std::size_t kMaxFilterTerms = 64;
inline constexpr std::size_t kMaxFilterDepth = 16;
inline constexpr std::size_t kMaxOrderFields = 3;
inline constexpr std::size_t kMaxPageTokenBytes = 48 * kKiB;
// Rows that match a filter are counted up to here; a total beyond it is said to be at least this.
inline constexpr std::size_t kMaxCountedRows = 10'000;
// Audit rules that verdicts name, as many as a policy can have; endpoints may name any. What names
// others is not counted.
inline constexpr std::size_t kMaxCountedAudits = kMaxRules;
// Batches committed in one transaction.
inline constexpr std::size_t kMaxGroupCommit = 64;
// Batches waiting for the store, over all endpoints, and their bytes. Past either, the stream that
// sends one more is refused as BUSY and told when to come back.
inline constexpr std::size_t kMaxIngestQueue = 4'096;
inline constexpr std::size_t kMaxIngestQueueBytes = 256 * kMiB;
// Back-off while the store cannot commit (full disk, busy): doubles from kFirstRetryDelay to this.
// Nothing is acknowledged meanwhile.
inline constexpr std::chrono::seconds kLastStoreRetryDelay{30};
// Batches kept apart as evidence (revoked key, equivocation, clone) of one endpoint. Past it they
// are refused, and the finding's count alone grows.
inline constexpr std::size_t kMaxQuarantinedBatches = 4'096;
// Coverage kept of one endpoint, which is some 600 roots; a page of endpoints fits an answer. Past
// it the endpoint's rows for further roots are not kept, and one row of the sensor "server" says
// so: the endpoint counts as looked at partly.
inline constexpr std::size_t kMaxCoverageBytes = 96 * kKiB;
// How often an open stream counts as a contact although nothing is said over it.
inline constexpr std::chrono::minutes kContactInterval{5};
// How long a new contact time may wait to be stored.
inline constexpr std::chrono::seconds kContactFlushDelay{30};
// What a refused stream is given to read why, before it is closed.
inline constexpr std::chrono::seconds kFarewellDelay{1};
// Streams open at once, with or without a hello. One more is closed at once.
inline constexpr std::size_t kMaxStreams = 50'000;
// A new policy is offered to a group of endpoints, then to the next: at least so many at a time,
// and never in more groups than this, so that the last endpoint hears of it half a second after the
// first.
inline constexpr std::size_t kLeastOffersAtOnce = 32;
inline constexpr std::size_t kOfferRounds = 50;
inline constexpr std::chrono::milliseconds kOffersPause{10};
// Enrolment tokens.
inline constexpr std::chrono::hours kMaxTokenValidity{90 * 24};
inline constexpr std::uint32_t kMaxTokenUses = 100'000;
// Logins that weighctl keeps in one file, and how their names may be. One more is not added; a CA
// or a file that is larger is not read.
inline constexpr std::size_t kMaxContexts = 64;
inline constexpr std::size_t kMaxContextNameBytes = 64;
inline constexpr std::size_t kMaxCaFileBytes = 128 * kKiB;
inline constexpr std::size_t kMaxProfileFileBytes = 16 * kMiB;
// How often weighctl --watch looks unless told otherwise, and at most; and how long what it
// compares may be. A longer list is FAILED_PRECONDITION: ask for less of it.
inline constexpr std::chrono::seconds kWatchInterval{2};
inline constexpr std::chrono::seconds kMinWatchInterval{1};
inline constexpr std::size_t kMaxWatchedBytes = 64 * kMiB;
// Administrators' tokens: how long a new one is good for at most, how many are kept that are not
// revoked (one more is RESOURCE_EXHAUSTED), and the bytes of a name.
inline constexpr std::chrono::hours kMaxAdminTokenValidity{366 * 24};
inline constexpr std::size_t kMaxAdminTokens = 1'000;
inline constexpr std::size_t kMaxAdminTokenNameBytes = 128;
// Labels of an endpoint and the bytes of their keys and values, and the labels that a scope asks
// for. What is past any of them is INVALID_ARGUMENT.
inline constexpr std::size_t kMaxLabels = 16;
inline constexpr std::size_t kMaxLabelKeyBytes = 63;
inline constexpr std::size_t kMaxLabelValueBytes = 63;
inline constexpr std::size_t kMaxScopeLabels = 8;
// Calls of one administrator's token: a burst, then one an interval. One more is RESOURCE_EXHAUSTED
// and told when to come back.
inline constexpr int kAdminCallBurst = 200;
inline constexpr std::chrono::milliseconds kAdminCallInterval{10};
// Refused calls of one token that are written into the audit log: a burst, then one an interval.
// Those past it are refused all the same.
inline constexpr int kAuditRefusalBurst = 10;
inline constexpr std::chrono::minutes kAuditRefusalInterval{1};
// Lines of the server's log that a stranger can cause, per port: so many at once, then one an
// interval. How many were left out is said in the next one.
inline constexpr int kPeerLogBurst = 20;
inline constexpr std::chrono::seconds kPeerLogInterval{6};
// What the audit log keeps of a request, as text; the rest is cut off, and it says so.
inline constexpr std::size_t kMaxAuditSummaryBytes = 1 * kKiB;
// The reviewed text of a published policy is kMaxPolicyBytes; a bundle has at most this many parts.
inline constexpr std::size_t kMaxBundleParts = 16;
// What administrators may say of one finding. Past it a text is RESOURCE_EXHAUSTED; a new state
// without one is set all the same, and who set it is in the audit log alone.
inline constexpr std::size_t kMaxFindingCommentBytes = 2 * kKiB;
inline constexpr std::size_t kMaxFindingComments = 500;
// A question to the store that takes longer is given up: others wait behind it.
inline constexpr std::chrono::seconds kMaxQueryTime{10};
// Of what held before (a root's coverage, an endpoint's policy, a finding's state) so many are kept
// with their intervals; of moments before nothing is known then.
inline constexpr std::uint64_t kMaxPastIntervals = 256;
// Of what changed so many are kept; who asks from further back reads the lists again.
inline constexpr std::uint64_t kMaxChangesKept = 1'000'000;
// A simulation that takes longer is given up: as long as it reads, the store's log can't be cut.
inline constexpr std::chrono::seconds kMaxSimulationTime{60};
inline constexpr std::uint64_t kSightingsBetweenLooks = 1'000;
// Changes that a simulation shows of each transition from one outcome to another.
inline constexpr std::uint32_t kMaxSimulatedSamples = 100;

// What gRPC may hold for all connections together (buffers, calls, requests that are not whole
// yet): so much for those that nobody knows yet, and more for each endpoint's open stream, which
// needs half of it. Near it gRPC lets its peers send less; past it it ends calls until there is
// room. Strangers have at most half.
inline constexpr std::size_t kTransportBytes = 256 * kMiB;
inline constexpr std::size_t kTransportBytesPerStream = 128 * kKiB;
// A connection whose peer has not shown yet who it is: from the connection to the call that is
// accepted, what it may send until then, and how many there may be, of one address and in all. Past
// the first two it is cut off; past the others the oldest of the address, or of that which has
// most, is, once it has had its moment: a fleet that comes back at once is not to shut itself out.
// Until then one more of the address is cut off, or all who connect wait. All are counted
// (weighmaster_rpc_strangers_cut_total) and told in the log. Together they hold at most half of
// kTransportBytes. A stranger takes two descriptors, all at most a quarter.
inline constexpr std::chrono::seconds kStrangerTime{30};
inline constexpr std::size_t kMaxStrangerBytes = 256 * kKiB;
inline constexpr std::size_t kMaxStrangersOfAddress = 128;
inline constexpr std::size_t kMaxStrangers = 512;
inline constexpr std::chrono::seconds kStrangerMoment{2};
inline constexpr std::size_t kFilesPerStranger = 8;
// A connection without a call, whoever's it is. It is closed, and opened again for the next call.
inline constexpr std::chrono::minutes kMaxConnectionIdleTime{5};
// Calls of one connection at a time. Past it the peer's transport makes them wait.
inline constexpr int kMaxStreamsPerConnection = 16;
// Connections whose certificate waits to be looked at, which anybody may ask for by opening streams
// and leaving them. One more gets RESOURCE_EXHAUSTED and tries again.
inline constexpr std::size_t kMaxPeersWaiting = 1'024;
// Calls that wait for an answer. Past either the caller gets RESOURCE_EXHAUSTED and tries again.
inline constexpr std::size_t kMaxEnrolmentsWaiting = 64;
inline constexpr std::size_t kMaxAdminCallsWaiting = 64;
// Enrolments and renewals of one address (an IPv6 one by its /64): a burst, then one an interval.
// An office behind one address enrols its machines in minutes; a guesser of tokens gets nowhere.
inline constexpr int kEnrolmentBurst = 60;
inline constexpr std::chrono::milliseconds kEnrolmentInterval{200};
// Addresses remembered for that. Past it those whose burst is whole again are forgotten, then all.
inline constexpr std::size_t kMaxLimitedPeers = 10'000;
// An enrolment or renewal request.
inline constexpr std::size_t kMaxEnrolmentBytes = 64 * kKiB;
// How long a server that stops waits for calls in progress.
inline constexpr std::chrono::seconds kMaxStopTime{5};
// How long an enrolment or renewal may take before the client gives up.
inline constexpr std::chrono::seconds kEnrolmentTimeout{30};

// --- The REST gateway
// ----------------------------------------------------------------------------- Connections at
// once. One more is closed unanswered.
inline constexpr std::size_t kMaxRestConnections = 256;
// Of these, connections of one address, and how often it may open one, or ask without a token that
// is good: a burst, then one an interval. Past it a connection is closed.
inline constexpr std::size_t kMaxRestConnectionsOfAddress = 64;
inline constexpr int kRestConnectionBurst = 200;
inline constexpr std::chrono::milliseconds kRestConnectionInterval{20};
// A request's line and headers (431), and the path with its query (414).
inline constexpr std::size_t kMaxRestHeaderBytes = 16 * kKiB;
inline constexpr std::size_t kMaxRestTargetBytes = 8 * kKiB;
// Parameters of one query; one more is 400.
inline constexpr std::size_t kMaxQueryParameters = 64;
// A body is kMaxAdminRequestBytes; a publication's, as JSON, is this (413). What is larger goes
// over gRPC, where it travels in pieces.
inline constexpr std::size_t kMaxRestPublicationBytes = 16 * kMiB;
// How deep the JSON of a body nests; deeper is 400.
inline constexpr int kMaxRestJsonDepth = 16;
// An answer; a longer one is RESOURCE_EXHAUSTED (429): ask for less a page.
inline constexpr std::size_t kMaxRestAnswerBytes = 32 * kMiB;
// Calls whose answer is being made or written. One more is RESOURCE_EXHAUSTED (429).
inline constexpr std::size_t kMaxRestCallsWaiting = 64;
// Streams of what changed: how many there may be, and of one token, past either of which one more
// is RESOURCE_EXHAUSTED (429) and told which; how often each looks, when one that has nothing to
// say says so, and when a reader that lost it is to come again.
inline constexpr std::size_t kMaxRestEventStreams = 64;
inline constexpr std::size_t kMaxRestEventStreamsOfToken = 8;
inline constexpr std::chrono::milliseconds kRestEventPause{500};
inline constexpr std::chrono::seconds kRestEventHeartbeat{15};
inline constexpr std::chrono::milliseconds kRestEventRetry{2000};
// From the connection to the end of the handshake; from there, or from the answer before, to the
// end of the next headers; from there to the end of the body; from the answer's first byte to its
// last. A slower peer is cut off.
inline constexpr std::chrono::seconds kRestHandshakeTimeout{10};
inline constexpr std::chrono::seconds kRestHeaderTimeout{30};
inline constexpr std::chrono::seconds kRestBodyTimeout{30};
inline constexpr std::chrono::seconds kRestWriteTimeout{60};
// How long a peer whose body is not wanted may go on sending it, so that it reads the answer before
// it sees the connection closed.
inline constexpr std::chrono::seconds kRestLingerTime{2};

// --- Inside a program
// ----------------------------------------------------------------------------- Tasks waiting for a
// thread pool. Whoever submits bounds what it has under way, so reaching this is a defect: a failed
// CHECK.
inline constexpr std::size_t kMaxExecutorQueue = 64 * kKiB;
// The same log line is written this often in a window; how many were left out is said afterwards.
inline constexpr std::size_t kMaxLogRepeats = 5;
inline constexpr std::chrono::minutes kLogRepeatWindow{1};
// Past it the line seen first is forgotten, and what was left out of it is said then.
inline constexpr std::size_t kMaxLogLinesRemembered = 256;

// --- The agent's control socket
// ------------------------------------------------------------------- One request holds at most a
// path; one answer the status with its coverage. Past either the peer is told RESOURCE_EXHAUSTED.
inline constexpr std::size_t kMaxControlRequestBytes = 64 * kKiB;
inline constexpr std::size_t kMaxControlAnswerBytes = 1 * kMiB;
// Coverage in a status; what is left out is counted.
inline constexpr std::size_t kMaxCoverageInStatusBytes = 512 * kKiB;
// Past any of these a new connection is closed unanswered. One user can't shut out the others, and
// all of them together, however many user ids one person may have, not root.
inline constexpr std::size_t kMaxControlConnections = 32;
inline constexpr std::size_t kMaxControlConnectionsPerUser = 8;
inline constexpr std::size_t kControlConnectionsForRoot = 8;
// From the connection to the last byte of the answer; a slower client is cut off.
inline constexpr std::chrono::seconds kControlTimeout{5};

}  // namespace weighmaster::base::limits
