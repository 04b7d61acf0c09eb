#include "server/store/sqlite/schema.h"

namespace weighmaster::server::store {
namespace {

constexpr std::string_view kVersion1 = R"sql(
CREATE TABLE fleet (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  fleet_id TEXT NOT NULL,
  lineage_id BLOB NOT NULL,
  newest_policy INTEGER NOT NULL DEFAULT 0,
  floor INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE roots (
  version INTEGER PRIMARY KEY,
  signed_root BLOB NOT NULL
) STRICT;

CREATE TABLE tokens (
  id INTEGER PRIMARY KEY,
  secret_sha256 BLOB NOT NULL UNIQUE,
  uses INTEGER NOT NULL,
  uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
  created_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL,
  comment TEXT NOT NULL
) STRICT;

CREATE TABLE admin_tokens (
  id INTEGER PRIMARY KEY,
  secret_sha256 BLOB NOT NULL UNIQUE,
  name TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  expires_us INTEGER
) STRICT;

CREATE TABLE endpoints (
  id INTEGER PRIMARY KEY,
  endpoint_id BLOB NOT NULL UNIQUE,
  state INTEGER NOT NULL,
  hostname TEXT NOT NULL,
  os TEXT NOT NULL,
  os_release TEXT NOT NULL,
  agent_version TEXT NOT NULL,
  machine_sha256 BLOB NOT NULL,
  token INTEGER REFERENCES tokens (id),
  enrolled_us INTEGER NOT NULL,
  last_contact_us INTEGER,
  clock_offset_us INTEGER NOT NULL DEFAULT 0,
  live_chain INTEGER,
  policy_version INTEGER NOT NULL DEFAULT 0,
  policy_manifest BLOB,
  policy_partly INTEGER NOT NULL DEFAULT 0,
  revoked_us INTEGER,
  revoked_reason TEXT
) STRICT;

CREATE TABLE keys (
  id INTEGER PRIMARY KEY,
  endpoint INTEGER NOT NULL REFERENCES endpoints (id),
  key_id BLOB NOT NULL UNIQUE,
  spki BLOB NOT NULL,
  first_number INTEGER NOT NULL DEFAULT 1,
  last_number INTEGER,
  added_us INTEGER NOT NULL,
  revoked_us INTEGER
) STRICT;
CREATE INDEX keys_by_endpoint ON keys (endpoint);

CREATE TABLE chains (
  id INTEGER PRIMARY KEY,
  chain_id BLOB NOT NULL UNIQUE,
  endpoint INTEGER NOT NULL REFERENCES endpoints (id),
  next_number INTEGER NOT NULL,
  next_event INTEGER NOT NULL,
  head_digest BLOB NOT NULL,
  events_stored INTEGER NOT NULL DEFAULT 0,
  events_dropped INTEGER NOT NULL DEFAULT 0,
  events_unreadable INTEGER NOT NULL DEFAULT 0,
  started_us INTEGER NOT NULL,
  superseded_us INTEGER
) STRICT;
CREATE INDEX chains_by_endpoint ON chains (endpoint);

CREATE TABLE batches (
  chain INTEGER NOT NULL REFERENCES chains (id),
  number INTEGER NOT NULL,
  key INTEGER NOT NULL REFERENCES keys (id),
  first_event INTEGER NOT NULL,
  event_count INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  header BLOB NOT NULL,
  header_digest BLOB NOT NULL,
  signature BLOB NOT NULL,
  received_us INTEGER NOT NULL,
  clock_offset_us INTEGER NOT NULL,
  PRIMARY KEY (chain, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  chain INTEGER NOT NULL,
  number INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  wall_us INTEGER,
  artifact INTEGER,
  salt BLOB,
  body BLOB,
  leaf BLOB,
  PRIMARY KEY (chain, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantined_batches (
  id INTEGER PRIMARY KEY,
  endpoint INTEGER NOT NULL REFERENCES endpoints (id),
  chain_id BLOB NOT NULL,
  number INTEGER NOT NULL,
  header_digest BLOB NOT NULL,
  reason INTEGER NOT NULL,
  sealed_batch BLOB NOT NULL,
  received_us INTEGER NOT NULL
) STRICT;
CREATE INDEX quarantined_batches_by_number ON quarantined_batches (endpoint, number);

CREATE TABLE artifacts (
  id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE sightings (
  id INTEGER PRIMARY KEY,
  endpoint INTEGER NOT NULL REFERENCES endpoints (id),
  path_sha256 BLOB NOT NULL,
  path BLOB NOT NULL,
  path_encoding INTEGER NOT NULL,
  path_display TEXT NOT NULL,
  artifact INTEGER,
  sighting BLOB NOT NULL,
  first_seen_us INTEGER NOT NULL,
  last_change_us INTEGER NOT NULL,
  gone_us INTEGER,
  gone_reason INTEGER
) STRICT;
CREATE UNIQUE INDEX sightings_open ON sightings (endpoint, path_sha256) WHERE gone_us IS NULL;
CREATE INDEX sightings_by_endpoint ON sightings (endpoint, gone_us, id);
CREATE INDEX sightings_by_artifact ON sightings (artifact, gone_us, id, endpoint)
  WHERE artifact IS NOT NULL;
CREATE INDEX sightings_present ON sightings (id, endpoint) WHERE gone_us IS NULL;

CREATE TABLE verdicts (
  endpoint INTEGER NOT NULL REFERENCES endpoints (id),
  path_sha256 BLOB NOT NULL,
  outcome INTEGER NOT NULL,
  verdict BLOB NOT NULL,
  judged_us INTEGER NOT NULL,
  PRIMARY KEY (endpoint, path_sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE coverage (
  endpoint INTEGER NOT NULL REFERENCES endpoints (id),
  sensor TEXT NOT NULL,
  root_sha256 BLOB NOT NULL,
  state INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  coverage BLOB NOT NULL,
  changed_us INTEGER NOT NULL,
  PRIMARY KEY (endpoint, sensor, root_sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX coverage_states ON coverage (endpoint, state, reason);

CREATE TABLE findings (
  id INTEGER PRIMARY KEY,
  dedupe_key TEXT NOT NULL UNIQUE,
  rule TEXT NOT NULL,
  endpoint INTEGER NOT NULL REFERENCES endpoints (id),
  subject TEXT NOT NULL,
  severity INTEGER NOT NULL,
  resolved_us INTEGER,
  detail TEXT NOT NULL,
  first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL,
  count INTEGER NOT NULL
) STRICT;
CREATE INDEX findings_open ON findings (id) WHERE resolved_us IS NULL;
CREATE INDEX findings_open_by_endpoint ON findings (endpoint) WHERE resolved_us IS NULL;

CREATE TABLE bundles (
  version INTEGER PRIMARY KEY,
  signed_bundle BLOB NOT NULL,
  manifest_sha256 BLOB NOT NULL,
  floor INTEGER NOT NULL,
  document TEXT NOT NULL,
  published_us INTEGER NOT NULL
) STRICT;

CREATE TABLE parts (
  id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE,
  kind INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE part_pieces (
  part INTEGER NOT NULL REFERENCES parts (id),
  piece INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (part, piece)
) STRICT, WITHOUT ROWID;
)sql";

// Tokens get an id that can be told, a role, a scope and a revocation. Those that are there could
// do everything, and still can.
constexpr std::string_view kVersion2 = R"sql(
ALTER TABLE admin_tokens RENAME TO admin_tokens_1;
CREATE TABLE admin_tokens (
  id INTEGER PRIMARY KEY,
  token_id BLOB NOT NULL UNIQUE,
  secret_sha256 BLOB NOT NULL UNIQUE,
  name TEXT NOT NULL,
  role INTEGER NOT NULL,
  scope TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  created_by BLOB,
  expires_us INTEGER,
  revoked_us INTEGER
) STRICT;
INSERT INTO admin_tokens (id, token_id, secret_sha256, name, role, scope, created_us, expires_us)
  SELECT id, randomblob(16), secret_sha256, name, 4, '', created_us, expires_us
  FROM admin_tokens_1;
DROP TABLE admin_tokens_1;
)sql";

constexpr std::string_view kVersion3 = R"sql(
CREATE TABLE audit (
  number INTEGER PRIMARY KEY,
  time_us INTEGER NOT NULL,
  token_id BLOB NOT NULL,
  token_name TEXT NOT NULL,
  method TEXT NOT NULL,
  outcome INTEGER NOT NULL,
  begun_number INTEGER NOT NULL,
  code INTEGER NOT NULL,
  summary TEXT NOT NULL,
  sha256 BLOB NOT NULL
) STRICT;
)sql";

// `scope` is the endpoint's id, or nothing for the fleet.
constexpr std::string_view kVersion4 = R"sql(
CREATE TABLE exception_sets (
  id INTEGER PRIMARY KEY,
  scope BLOB NOT NULL,
  version INTEGER NOT NULL,
  signed_exceptions BLOB NOT NULL,
  published_us INTEGER NOT NULL,
  UNIQUE (scope, version)
) STRICT;
)sql";

// What lists are filtered by gets columns and indices (FillFacts fills those of rows that are
// there), and a verdict that is replaced is kept with its interval.
constexpr std::string_view kVersion5 = R"sql(
ALTER TABLE sightings ADD COLUMN size_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sightings ADD COLUMN modified_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sightings ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE sightings ADD COLUMN format INTEGER;
ALTER TABLE sightings ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE sightings ADD COLUMN architecture TEXT NOT NULL DEFAULT '';
ALTER TABLE sightings ADD COLUMN license TEXT NOT NULL DEFAULT '';
ALTER TABLE sightings ADD COLUMN quantization TEXT NOT NULL DEFAULT '';
ALTER TABLE sightings ADD COLUMN parameters INTEGER;
ALTER TABLE sightings ADD COLUMN risk_severity INTEGER;
ALTER TABLE sightings ADD COLUMN digest_state INTEGER NOT NULL DEFAULT 1;
ALTER TABLE sightings ADD COLUMN outcome INTEGER;
ALTER TABLE sightings ADD COLUMN rule TEXT;
ALTER TABLE sightings ADD COLUMN basis INTEGER;
CREATE INDEX sightings_unfilled ON sightings (id) WHERE format IS NULL;
CREATE INDEX sightings_by_outcome ON sightings (outcome) WHERE gone_us IS NULL;
CREATE INDEX sightings_objected ON sightings (endpoint, outcome)
  WHERE gone_us IS NULL AND outcome > 1;
CREATE INDEX sightings_by_format ON sightings (format) WHERE gone_us IS NULL;
CREATE INDEX sightings_by_risk ON sightings (risk_severity)
  WHERE gone_us IS NULL AND risk_severity IS NOT NULL;
CREATE INDEX sightings_by_license ON sightings (license) WHERE gone_us IS NULL;
CREATE INDEX sightings_by_path ON sightings (path_display, gone_us, first_seen_us);
CREATE INDEX sightings_by_time ON sightings (first_seen_us, gone_us, endpoint);

ALTER TABLE verdicts ADD COLUMN rule TEXT;
ALTER TABLE verdicts ADD COLUMN basis INTEGER;
CREATE INDEX verdicts_unfilled ON verdicts (endpoint) WHERE rule IS NULL;
CREATE TABLE past_verdicts (
  endpoint INTEGER NOT NULL REFERENCES endpoints (id),
  path_sha256 BLOB NOT NULL,
  from_us INTEGER NOT NULL,
  until_us INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  rule TEXT NOT NULL,
  basis INTEGER NOT NULL,
  verdict BLOB NOT NULL,
  PRIMARY KEY (endpoint, path_sha256, from_us)
) STRICT, WITHOUT ROWID;
)sql";

// What administrators do with findings, who published what, what changed, and weights digests.
constexpr std::string_view kVersion6 = R"sql(
ALTER TABLE findings ADD COLUMN state INTEGER NOT NULL DEFAULT 1;
UPDATE findings SET state = 2 WHERE resolved_us IS NOT NULL;
CREATE TABLE finding_comments (
  id INTEGER PRIMARY KEY,
  finding INTEGER NOT NULL REFERENCES findings (id),
  time_us INTEGER NOT NULL,
  token_id BLOB NOT NULL,
  token_name TEXT NOT NULL,
  state INTEGER,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX finding_comments_by_finding ON finding_comments (finding);

ALTER TABLE bundles ADD COLUMN publisher_id BLOB NOT NULL DEFAULT x'';
ALTER TABLE bundles ADD COLUMN publisher TEXT NOT NULL DEFAULT '';
ALTER TABLE exception_sets ADD COLUMN publisher_id BLOB NOT NULL DEFAULT x'';
ALTER TABLE exception_sets ADD COLUMN publisher TEXT NOT NULL DEFAULT '';

CREATE TABLE changes (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  time_us INTEGER NOT NULL,
  topic INTEGER NOT NULL,
  endpoint BLOB NOT NULL,
  chain BLOB NOT NULL,
  number INTEGER NOT NULL,
  count INTEGER NOT NULL
) STRICT;

CREATE TABLE weights (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE
) STRICT;
ALTER TABLE sightings ADD COLUMN weights INTEGER;
CREATE INDEX sightings_by_weights ON sightings (weights, gone_us, id, endpoint)
  WHERE weights IS NOT NULL;
)sql";

// The rest of what a verdict says beside its words gets columns; FillFacts fills those of rows that
// are there, which are known by their missing step. `audits` is the ids of audit rules, each
// between blanks.
constexpr std::string_view kVersion7 = R"sql(
ALTER TABLE sightings ADD COLUMN step INTEGER;
ALTER TABLE sightings ADD COLUMN mode INTEGER;
ALTER TABLE sightings ADD COLUMN severity INTEGER;
ALTER TABLE sightings ADD COLUMN audits TEXT NOT NULL DEFAULT '';
CREATE INDEX sightings_audited ON sightings (audits) WHERE gone_us IS NULL AND audits > '';

ALTER TABLE verdicts ADD COLUMN step INTEGER;
ALTER TABLE verdicts ADD COLUMN mode INTEGER;
ALTER TABLE verdicts ADD COLUMN severity INTEGER;
ALTER TABLE verdicts ADD COLUMN audits TEXT NOT NULL DEFAULT '';
DROP INDEX verdicts_unfilled;
CREATE INDEX verdicts_unfilled ON verdicts (endpoint) WHERE step IS NULL;

ALTER TABLE past_verdicts ADD COLUMN step INTEGER;
ALTER TABLE past_verdicts ADD COLUMN mode INTEGER;
ALTER TABLE past_verdicts ADD COLUMN severity INTEGER;
ALTER TABLE past_verdicts ADD COLUMN audits TEXT NOT NULL DEFAULT '';
CREATE INDEX past_verdicts_unfilled ON past_verdicts (endpoint) WHERE step IS NULL;

-- A revocation ends what is present, which those before did not do.
UPDATE sightings SET gone_us = max(first_seen_us, coalesce(
    (SELECT e.revoked_us FROM endpoints e WHERE e.id = sightings.endpoint), first_seen_us))
  WHERE gone_us IS NULL AND endpoint IN (SELECT id FROM endpoints WHERE state = 2);
)sql";

// Labels of endpoints, and of those that enrol with a token: a set, each KEY=VALUE between blanks,
// by the keys.
constexpr std::string_view kVersion8 = R"sql(
ALTER TABLE endpoints ADD COLUMN labels TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN labels TEXT NOT NULL DEFAULT '';
)sql";

// Findings are counted at each scrape, in a scope as well, without their rows. Each has a state
// above 0. It is said so that no list takes this index: one of a single state wants the newest, and
// would sort all of them.
constexpr std::string_view kVersion9 = R"sql(
CREATE INDEX findings_counted ON findings (state, severity, endpoint) WHERE state > 0;
)sql";

// What held before, for who asks of a moment: each with its interval. Of what is in force when this
// step is taken it is known that it was at the last contact.
constexpr std::string_view kVersion10 = R"sql(
ALTER TABLE endpoints ADD COLUMN quarantined_us INTEGER;
UPDATE endpoints SET quarantined_us = coalesce(last_contact_us, enrolled_us) WHERE state = 3;
ALTER TABLE endpoints ADD COLUMN policy_since_us INTEGER;
UPDATE endpoints SET policy_since_us = coalesce(last_contact_us, enrolled_us)
  WHERE policy_version > 0;
CREATE TABLE past_policies (
  endpoint INTEGER NOT NULL REFERENCES endpoints (id),
  from_us INTEGER NOT NULL,
  until_us INTEGER NOT NULL,
  version INTEGER NOT NULL,
  partly INTEGER NOT NULL,
  PRIMARY KEY (endpoint, from_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX past_policies_by_version ON past_policies (version, until_us);
CREATE TABLE past_coverage (
  endpoint INTEGER NOT NULL REFERENCES endpoints (id),
  sensor TEXT NOT NULL,
  root_sha256 BLOB NOT NULL,
  from_us INTEGER NOT NULL,
  until_us INTEGER NOT NULL,
  state INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  coverage BLOB NOT NULL,
  PRIMARY KEY (endpoint, sensor, root_sha256, from_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX past_coverage_by_end ON past_coverage (until_us);

-- Whoever changes the state of a finding says since when it holds; a trigger keeps the one before.
ALTER TABLE findings ADD COLUMN state_since_us INTEGER NOT NULL DEFAULT 0;
UPDATE findings SET state_since_us = coalesce((SELECT max(c.time_us) FROM finding_comments c
    WHERE c.finding = findings.id AND c.state = findings.state), resolved_us, first_us);
CREATE TABLE past_finding_states (
  finding INTEGER NOT NULL REFERENCES findings (id),
  from_us INTEGER NOT NULL,
  until_us INTEGER NOT NULL,
  state INTEGER NOT NULL,
  PRIMARY KEY (finding, from_us)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER findings_keep_their_states AFTER UPDATE OF state ON findings
  WHEN new.state <> old.state AND old.state_since_us < new.state_since_us
  BEGIN
    INSERT OR REPLACE INTO past_finding_states
      VALUES (old.id, old.state_since_us, new.state_since_us, old.state);
    DELETE FROM past_finding_states WHERE finding = old.id AND from_us <= (SELECT from_us
      FROM past_finding_states WHERE finding = old.id ORDER BY from_us DESC LIMIT 1 OFFSET 256);
  END;

-- What the sets of exceptions hold, one by one: from the set that brought it until one that is
-- without it. FillExceptions fills it of sets that are there.
CREATE TABLE exceptions (
  id INTEGER PRIMARY KEY,
  scope BLOB NOT NULL,
  exception_id BLOB NOT NULL,
  sha256 BLOB,
  weights BLOB,
  user TEXT NOT NULL,
  overrides TEXT NOT NULL,
  reason TEXT NOT NULL,
  expires_us INTEGER NOT NULL,
  version INTEGER NOT NULL,
  granted_us INTEGER NOT NULL,
  publisher_id BLOB NOT NULL,
  publisher TEXT NOT NULL,
  withdrawn_us INTEGER
) STRICT;
CREATE UNIQUE INDEX exceptions_held ON exceptions (scope, exception_id)
  WHERE withdrawn_us IS NULL;

-- FillFacts fills it of verdicts that are there.
ALTER TABLE sightings ADD COLUMN policy_version INTEGER;
ALTER TABLE verdicts ADD COLUMN policy_version INTEGER;
ALTER TABLE past_verdicts ADD COLUMN policy_version INTEGER;
DROP INDEX verdicts_unfilled;
CREATE INDEX verdicts_unfilled ON verdicts (endpoint) WHERE policy_version IS NULL;
DROP INDEX past_verdicts_unfilled;
CREATE INDEX past_verdicts_unfilled ON past_verdicts (endpoint) WHERE policy_version IS NULL;

DROP INDEX sightings_by_artifact;
CREATE INDEX sightings_by_artifact ON sightings (artifact, gone_us, id, endpoint, first_seen_us)
  WHERE artifact IS NOT NULL;
)sql";

// A sighting keeps the verdict that it had when it ended, and since when it had it: what was judged
// at a moment is told by indices, and rows of `verdicts` are not looked for one by one. FillFacts
// fills it of verdicts that lack their columns.
constexpr std::string_view kVersion11 = R"sql(
ALTER TABLE sightings ADD COLUMN judged_us INTEGER;
DROP INDEX sightings_by_endpoint;
UPDATE sightings SET
  (outcome, rule, basis, step, mode, severity, audits, policy_version, judged_us) =
  (v.outcome, v.rule, v.basis, v.step, v.mode, v.severity, v.audits, v.policy_version, v.judged_us)
  FROM verdicts v
  WHERE v.endpoint = sightings.endpoint AND v.path_sha256 = sightings.path_sha256
    AND (sightings.gone_us IS NULL OR v.judged_us <= sightings.gone_us);
UPDATE sightings SET
  (outcome, rule, basis, step, mode, severity, audits, policy_version, judged_us) =
  (p.outcome, p.rule, p.basis, p.step, p.mode, p.severity, p.audits, p.policy_version, p.from_us)
  FROM past_verdicts p
  WHERE sightings.gone_us IS NOT NULL AND p.endpoint = sightings.endpoint
    AND p.path_sha256 = sightings.path_sha256 AND p.from_us <= sightings.gone_us
    AND p.until_us > sightings.gone_us;
CREATE INDEX sightings_by_endpoint
  ON sightings (endpoint, gone_us, id, first_seen_us, judged_us, outcome);
CREATE INDEX sightings_judged
  ON sightings (outcome, judged_us, first_seen_us, gone_us, audits, endpoint);
CREATE INDEX sightings_ended ON sightings (endpoint, path_sha256, gone_us)
  WHERE gone_us IS NOT NULL;
)sql";

// A search inside paths goes over the whole of an index: of present sightings alone it is smaller,
// and asks nothing else of a row.
constexpr std::string_view kVersion12 = R"sql(
CREATE INDEX sightings_present_by_path ON sightings (path_display) WHERE gone_us IS NULL;
)sql";

constexpr std::string_view kSteps[] = {kVersion1, kVersion2,  kVersion3,  kVersion4,
                                       kVersion5, kVersion6,  kVersion7,  kVersion8,
                                       kVersion9, kVersion10, kVersion11, kVersion12};

}  // namespace

std::span<const std::string_view> SchemaSteps() { return kSteps; }

}  // namespace weighmaster::server::store
