#include "third_party/openssl/resumable_sha256.h"

#include <gtest/gtest.h>

#include <string>

#include "third_party/openssl/sha256.h"

namespace weighmaster::openssl {
namespace {

std::string Content(std::size_t size) {
  std::string content(size, '\0');
  for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 31 + 7);
  return content;
}

TEST(ResumableSha256, IsSha256) {
  for (const std::size_t size : {0U, 1U, 55U, 56U, 63U, 64U, 65U, 1000U}) {
    const std::string content = Content(size);
    ResumableSha256 hasher;
    hasher.Update(base::AsBytes(content));
    EXPECT_EQ(hasher.size(), size);
    EXPECT_EQ(hasher.Finish(), Sha256Of(base::AsBytes(content))) << size;
  }
}

TEST(ResumableSha256, GoesOnFromAnyPlace) {
  const std::string content = Content(300);
  const model::Sha256 expected = Sha256Of(base::AsBytes(content));
  for (std::size_t cut = 0; cut <= content.size(); ++cut) {
    ResumableSha256 first;
    first.Update(base::AsBytes(content.substr(0, cut)));
    base::Result<ResumableSha256> second = ResumableSha256::Restore(first.Serialise());
    ASSERT_TRUE(second.has_value()) << cut;
    EXPECT_EQ(second->size(), cut);
    second->Update(base::AsBytes(content.substr(cut)));
    EXPECT_EQ(second->Finish(), expected) << cut;
  }
}

TEST(ResumableSha256, KeepsALengthBeyondHalfAGigabyte) {
  // The length in bits passes 32 bits there; only the count is looked at, so nothing that long is
  // hashed: a state is taken, its count replaced by a larger multiple of 64.
  ResumableSha256 hasher;
  base::Bytes state = hasher.Serialise();
  state[1 + 32 + 3] = 0x01;  // 2^32 bytes
  base::Result<ResumableSha256> restored = ResumableSha256::Restore(state);
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(restored->size(), std::uint64_t{1} << 32);
  EXPECT_EQ(restored->Serialise(), state);
  // The length is part of what is hashed.
  EXPECT_NE(restored->Finish(), ResumableSha256().Finish());
}

TEST(ResumableSha256, RefusesAStateThatIsNone) {
  ResumableSha256 hasher;
  hasher.Update(base::AsBytes("abc"));
  const base::Bytes state = hasher.Serialise();
  for (std::size_t size = 0; size < state.size(); ++size) {
    EXPECT_FALSE(ResumableSha256::Restore(base::ByteView(state).first(size)).has_value()) << size;
  }
  base::Bytes longer = state;
  longer.push_back(0);
  EXPECT_FALSE(ResumableSha256::Restore(longer).has_value());
  base::Bytes other_version = state;
  other_version[0] = 2;
  EXPECT_FALSE(ResumableSha256::Restore(other_version).has_value());
}

}  // namespace
}  // namespace weighmaster::openssl
