#include "agent/formats/reading/name_hashes.h"

#include <algorithm>

namespace weighmaster::agent::formats {

bool NameHashes::HoldOneTwice() {
  std::sort(hashes_.begin(), hashes_.end());
  return std::adjacent_find(hashes_.begin(), hashes_.end()) != hashes_.end();
}

}  // namespace weighmaster::agent::formats
