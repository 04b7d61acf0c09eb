#pragma once

#include <cstdint>
#include <optional>

#include "server/store/sqlite/projection/projection.h"
#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// Stores batches, one by one, inside the caller's transaction: checks each against its endpoint,
// key and chain as they stand in this very transaction, so nothing that was decided outside can be
// stale. A value over the writer's connection.
class BatchWriter {
 public:
  BatchWriter(sqlite::Database& database, const FindingRules& rules)
      : database_(database), projection_(database), rules_(rules) {}

  // An error means that the database failed, not the batch; what was written of it is for the
  // caller to roll back.
  base::Result<BatchOutcome> Write(const BatchWrite& write);

  // Before the transaction ends: what was written may still be held back. The batches must be there
  // until then.
  base::Status Flush() { return projection_.Flush(); }

  // To be called when a batch was rolled back.
  void Forget() { projection_.Forget(); }

 private:
  struct Sender {
    std::int64_t endpoint = 0;
    EndpointState state = EndpointState::kActive;
    std::optional<std::int64_t> live_chain;
    std::int64_t key = 0;
    bool key_revoked = false;
    bool key_covers_number = false;
  };
  struct Chain {
    std::int64_t id = 0;
    std::int64_t endpoint = 0;
    std::uint64_t next_number = 1;
    std::uint64_t next_event = 1;
    model::Sha256 head;
    bool superseded = false;
  };

  base::Result<BatchOutcome> Place(const BatchWrite& write);
  base::Result<BatchOutcome> PlaceInChain(const BatchWrite& write, const Sender& sender,
                                          const Chain& chain);
  base::Result<BatchOutcome> StartChain(const BatchWrite& write, const Sender& sender);
  base::Result<BatchOutcome> Repeated(const BatchWrite& write, const Sender& sender,
                                      const Chain& chain);
  base::Result<BatchOutcome> Clone(const BatchWrite& write, const Sender& sender,
                                   std::string detail);
  base::Result<BatchOutcome> SetApart(const BatchWrite& write, const Sender& sender,
                                      BatchOutcome::Kind kind, QuarantineReason reason,
                                      std::string detail);

  base::Result<std::optional<Sender>> FindSender(const BatchWrite& write);
  base::Result<std::optional<Chain>> FindChain(const model::Id& chain_id);
  base::Result<Chain> AddChain(const BatchWrite& write, const Sender& sender);
  base::Result<BatchOutcome> Append(const BatchWrite& write, const Sender& sender,
                                    const Chain& chain);
  base::Status AdvanceHead(const BatchWrite& write, const Chain& chain);
  base::Status InsertBatch(const BatchWrite& write, const Sender& sender, const Chain& chain);
  base::Status InsertEvents(const BatchWrite& write, const Sender& sender, const Chain& chain);

  sqlite::Database& database_;
  Projection projection_;
  const FindingRules& rules_;
};

}  // namespace weighmaster::server::store
