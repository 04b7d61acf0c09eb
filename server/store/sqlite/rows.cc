#include "server/store/sqlite/rows.h"

namespace weighmaster::server::store {

model::Sha256 PathKey(const model::Path& path) {
  openssl::Sha256Hasher hasher;
  const auto encoding = static_cast<std::uint8_t>(path.encoding);
  hasher.Update({&encoding, 1});
  hasher.Update(base::AsBytes(path.bytes));
  return hasher.Finish();
}

}  // namespace weighmaster::server::store
