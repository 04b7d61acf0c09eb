#include "agent/sensors/artifacts/sniffed_files.h"

#include <array>
#include <cstring>
#include <string>

#include "policy/base/limits.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::agent::sensors {

void SniffedFiles::Insert(const std::string& file_system, const os::FileStatus& status,
                          bool written_back) {
  if (keys_.size() >= base::limits::kMaxSniffedFiles) keys_.clear();
  keys_.insert(Key(file_system, status, written_back));
}

std::uint64_t SniffedFiles::Key(const std::string& file_system, const os::FileStatus& status,
                                bool written_back) const {
  const std::array<std::uint64_t, 7> numbers = {salt_,
                                                status.device,
                                                status.inode,
                                                status.size_bytes,
                                                static_cast<std::uint64_t>(status.modified_ns),
                                                static_cast<std::uint64_t>(status.changed_ns),
                                                std::uint64_t{written_back}};
  std::string input(sizeof numbers, '\0');
  std::memcpy(input.data(), numbers.data(), sizeof numbers);
  input += file_system;
  const model::Sha256 digest = openssl::Sha256Of(base::AsBytes(input));
  std::uint64_t key = 0;
  std::memcpy(&key, digest.bytes.data(), sizeof key);
  return key;
}

}  // namespace weighmaster::agent::sensors
