#include "server/rollout/whole_part.h"

namespace weighmaster::server::rollout {

base::Result<std::string> ReadWholePart(store::Queries& queries, const model::Sha256& part) {
  std::string bytes;
  while (true) {
    WM_ASSIGN_OR_RETURN(const store::PartPiece piece, queries.ReadPart(part, bytes.size()));
    bytes += piece.data;
    if (bytes.size() >= piece.total_bytes) return bytes;
    if (piece.data.empty()) return base::DataLoss("the store lacks a piece of a part");
  }
}

}  // namespace weighmaster::server::rollout
