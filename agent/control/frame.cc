#include "agent/control/frame.h"

#include <cstdint>
#include <limits>

#include "policy/base/check.h"

namespace weighmaster::agent::control {
namespace {

constexpr std::size_t kLengthBytes = 4;

std::size_t DecodeLength(std::string_view bytes) {
  std::size_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return length;
}

}  // namespace

std::string EncodeFrame(std::string_view message) {
  WM_CHECK(message.size() <= std::numeric_limits<std::uint32_t>::max());
  std::string frame;
  frame.reserve(kLengthBytes + message.size());
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    frame += static_cast<char>((message.size() >> (8 * i)) & 0xff);
  }
  return frame.append(message);
}

base::Result<bool> FrameReader::Append(base::ByteView bytes) {
  received_.append(base::AsText(bytes));
  if (received_.size() < kLengthBytes) return false;
  const std::size_t length = DecodeLength(received_);
  if (length > max_message_bytes_) {
    return base::ResourceExhausted("a message of " + std::to_string(length) +
                                   " bytes was announced; at most " +
                                   std::to_string(max_message_bytes_) + " are taken");
  }
  if (received_.size() > kLengthBytes + length) {
    return base::InvalidArgument("there are bytes after the end of the message");
  }
  return received_.size() == kLengthBytes + length;
}

std::string_view FrameReader::message() const {
  return std::string_view(received_).substr(kLengthBytes);
}

}  // namespace weighmaster::agent::control
