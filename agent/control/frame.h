#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "policy/base/bytes.h"
#include "policy/base/result.h"

namespace weighmaster::agent::control {

// The framing of the control socket: a u32 little-endian length, then that many bytes of a
// serialised message (weighmaster/local/v1/control.proto).
std::string EncodeFrame(std::string_view message);

// Reads one frame from bytes as they come. It holds what has arrived and allocates nothing for what
// a length merely claims.
class FrameReader {
 public:
  explicit FrameReader(std::size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}

  // Whether the frame is whole now. RESOURCE_EXHAUSTED for a length past the limit,
  // INVALID_ARGUMENT for bytes after the frame; the reader is of no use after either.
  base::Result<bool> Append(base::ByteView bytes);

  // The message of a whole frame.
  std::string_view message() const;

 private:
  const std::size_t max_message_bytes_;
  std::string received_;
};

}  // namespace weighmaster::agent::control
