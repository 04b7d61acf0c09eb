#include "agent/sensors/artifacts/sniffed_files.h"

#include <cstring>
#include <string>

#include "policy/base/limits.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::agent::sensors {

void SniffedFiles::Insert(const FileStamp& stamp) {
  if (keys_.size() >= base::limits::kMaxSniffedFiles) keys_.clear();
  keys_.insert(Key(stamp));
}

std::uint64_t SniffedFiles::Key(const FileStamp& stamp) const {
  std::string input = stamp.identity.bytes;
  const auto append = [&input](auto value) {
    input.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  append(salt_);
  append(stamp.size_bytes);
  append(stamp.modified_ns);
  append(stamp.changed_ns);
  const model::Sha256 digest = openssl::Sha256Of(base::AsBytes(input));
  std::uint64_t key = 0;
  std::memcpy(&key, digest.bytes.data(), sizeof key);
  return key;
}

}  // namespace weighmaster::agent::sensors
