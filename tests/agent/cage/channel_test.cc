#include "agent/cage/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "policy/base/limits.h"

namespace weighmaster::agent::cage {
namespace {

using std::chrono::milliseconds;

TEST(Channel, CarriesAPacketOfTheLargestAnswer) {
  const ChannelPair channel = MakeChannel().value();
  const std::string sent(base::limits::kMaxCageAnswerBytes + 512, 'x');
  ASSERT_TRUE(SendPacket(channel.first.get(), sent, {}).has_value());
  const auto packet = ReceivePacket(channel.second.get(), sent.size(), milliseconds(5000));
  ASSERT_TRUE(packet.has_value() && packet->has_value());
  EXPECT_EQ((*packet)->bytes, sent);
}

TEST(Channel, CarriesAsManyDescriptorsAsABatchHas) {
  const ChannelPair channel = MakeChannel().value();
  std::vector<os::Fd> files;
  std::vector<int> numbers;
  for (std::size_t i = 0; i < base::limits::kMaxDescriptorsPerMessage; ++i) {
    files.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    numbers.push_back(files.back().get());
  }
  ASSERT_TRUE(SendPacket(channel.first.get(), "x", numbers).has_value());
  const auto packet = ReceivePacket(channel.second.get(), 16, milliseconds(5000));
  ASSERT_TRUE(packet.has_value() && packet->has_value());
  EXPECT_EQ((*packet)->descriptors.size(), numbers.size());
  for (const os::Fd& fd : (*packet)->descriptors) {
    EXPECT_EQ(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  }
}

TEST(Channel, RefusesAPacketThatIsTooLong) {
  const ChannelPair channel = MakeChannel().value();
  ASSERT_TRUE(SendPacket(channel.first.get(), "12345", {}).has_value());
  const auto packet = ReceivePacket(channel.second.get(), 4, milliseconds(5000));
  ASSERT_FALSE(packet.has_value());
  EXPECT_EQ(packet.error().code(), base::ErrorCode::kResourceExhausted);
}

TEST(Channel, TellsAPeerThatIsGoneFromOneThatIsSilent) {
  ChannelPair channel = MakeChannel().value();
  const auto silent = ReceivePacket(channel.first.get(), 4, milliseconds(0));
  ASSERT_FALSE(silent.has_value());
  EXPECT_EQ(silent.error().code(), base::ErrorCode::kDeadlineExceeded);
  channel.second.Reset();
  const auto gone = ReceivePacket(channel.first.get(), 4, milliseconds(5000));
  ASSERT_TRUE(gone.has_value());
  EXPECT_FALSE(gone->has_value());
  EXPECT_EQ(SendPacket(channel.first.get(), "x", {}).error().code(), base::ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace weighmaster::agent::cage
