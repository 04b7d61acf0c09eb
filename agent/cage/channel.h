#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/os/fd.h"
#include "policy/base/result.h"

namespace weighmaster::agent::cage {

// One packet of a SOCK_SEQPACKET socket with the descriptors beside it.
struct Packet {
  std::string bytes;
  std::vector<os::Fd> descriptors;
};

// Two ends, close-on-exec, with room for one packet of limits::kMaxCageAnswerBytes and its frame.
struct ChannelPair {
  os::Fd first;
  os::Fd second;
};
base::Result<ChannelPair> MakeChannel();

// Blocks while the peer is behind. At most limits::kMaxDescriptorsPerMessage descriptors; they stay
// open here. A peer that is gone is UNAVAILABLE.
base::Status SendPacket(int socket, std::string_view bytes, std::span<const int> descriptors);

// The next packet, or none when the peer has closed its end. Blocks at most until `timeout`
// (DEADLINE_EXCEEDED); none waits for ever. A packet longer than `limit` bytes, or with descriptors
// that did not fit, is RESOURCE_EXHAUSTED.
base::Result<std::optional<Packet>> ReceivePacket(int socket, std::size_t limit,
                                                  std::optional<std::chrono::milliseconds> timeout);

}  // namespace weighmaster::agent::cage
