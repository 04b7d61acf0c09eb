#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

// Every limit of the product in one place. Beside each: what happens one past it, and who counts it.
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

// --- The stream -----------------------------------------------------------------------------------
// One frame either way. A longer one ends the stream with RESOURCE_EXHAUSTED.
inline constexpr std::size_t kMaxFrameBytes = 4 * kMiB;
// Batches sent and not yet acknowledged; the agent waits at it.
inline constexpr std::size_t kMaxBatchesInFlight = 16;
// Frames queued for a slow peer. Past it the stream is ended and opened again later.
inline constexpr std::size_t kMaxOutboxFrames = 64;
// Back-off between connection attempts: doubles from the first to the last, with full jitter.
inline constexpr std::chrono::milliseconds kFirstRetryDelay{500};
inline constexpr std::chrono::minutes kLastRetryDelay{5};
// After a refusal that only a person can mend (revoked, unknown endpoint, wrong fleet).
inline constexpr std::chrono::minutes kRefusedRetryDelay{15};
// A stream that has not reached Welcome by then is ended.
inline constexpr std::chrono::seconds kHandshakeTimeout{30};
// One chunk of a bundle part.
inline constexpr std::size_t kPartChunkBytes = 256 * kKiB;
// A clock further off than this is coverage on every interval, and a finding.
inline constexpr std::chrono::minutes kMaxClockOffset{5};

// --- Policy ---------------------------------------------------------------------------------------
// A policy document. Past it lint says so and names the way out (a list in its own file).
inline constexpr std::size_t kMaxPolicyBytes = 1 * kMiB;
inline constexpr std::size_t kMaxListFileBytes = 128 * kMiB;
inline constexpr std::size_t kMaxDigestsPerList = 1'000'000;
inline constexpr std::size_t kMaxRules = 1'000;
inline constexpr std::size_t kMaxConditionDepth = 16;
// One part of a bundle, and its manifest. An agent refuses a bundle past either.
inline constexpr std::size_t kMaxPartBytes = 64 * kMiB;
inline constexpr std::size_t kMaxManifestBytes = 256 * kKiB;
inline constexpr std::size_t kMaxRootBytes = 256 * kKiB;

// --- Foreign model files --------------------------------------------------------------------------
// A first walk takes files from this size; smaller ones follow in a slow second pass.
inline constexpr std::uint64_t kDefaultMinFileBytes = 64 * kKiB;
// What a parser may read of a file before it gives up with `malformed` (hashing is not parsing).
inline constexpr std::uint64_t kMaxParsedBytes = 512 * kMiB;
inline constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // safetensors' own limit
inline constexpr std::size_t kMaxTensors = 1U << 20;
inline constexpr std::size_t kMaxMetadataEntries = 1U << 16;
// A fact (name, architecture, licence …) is cut to this, at a UTF-8 boundary.
inline constexpr std::size_t kMaxFactBytes = 512;
inline constexpr std::size_t kMaxRisksPerFile = 64;
inline constexpr std::size_t kMaxEvidenceBytes = 256;
inline constexpr std::size_t kMaxPickleOpcodes = 50'000'000;
inline constexpr std::size_t kMaxPickleStack = 1U << 20;
inline constexpr std::size_t kMaxPickleMemo = 1U << 20;
inline constexpr std::size_t kMaxZipEntries = 1U << 17;
// What the cage answers for one file, and how long a file may keep a worker.
inline constexpr std::size_t kMaxCageAnswerBytes = 128 * kKiB;
inline constexpr std::size_t kMaxDescriptorsPerMessage = 32;
inline constexpr std::chrono::seconds kMaxParseTime{30};

// --- Paths ----------------------------------------------------------------------------------------
// Linux's PATH_MAX is 4,096; deeper paths exist through openat and are kept to this.
inline constexpr std::size_t kMaxPathBytes = 32 * kKiB;

// --- Server ---------------------------------------------------------------------------------------
inline constexpr std::size_t kMaxPageSize = 1'000;
inline constexpr std::size_t kDefaultPageSize = 100;
// Batches committed in one transaction.
inline constexpr std::size_t kMaxGroupCommit = 64;
// Batches waiting for the store, over all endpoints. Past it streams are not read from.
inline constexpr std::size_t kMaxIngestQueue = 4'096;

}  // namespace weighmaster::base::limits
