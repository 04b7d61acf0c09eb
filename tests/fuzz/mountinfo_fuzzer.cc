#include <cstddef>
#include <cstdint>

#include "agent/os/mounts.h"
#include "policy/base/bytes.h"
#include "policy/base/check.h"

// Mount points are named by whoever may mount, FUSE users included.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using weighmaster::agent::os::MountTable;
  const MountTable table =
      weighmaster::agent::os::ParseMountInfo(weighmaster::base::AsText({data, size}));
  for (const auto& mount : table.mounts) WM_CHECK(mount.mount_point.front() == '/');
  WM_CHECK(weighmaster::agent::os::DistinctMounts(table.mounts).size() <= table.mounts.size());
  return 0;
}
