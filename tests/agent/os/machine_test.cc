#include "agent/os/machine.h"

#include <gtest/gtest.h>

namespace weighmaster::agent::os {
namespace {

TEST(PrettyName, IsFoundAndUnquoted) {
  EXPECT_EQ(PrettyName("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nX=y\n"),
            "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(PrettyName("PRETTY_NAME=plain"), "plain");
  EXPECT_EQ(PrettyName("PRETTY_NAME=\""), "\"");
  EXPECT_EQ(PrettyName("NAME=x"), "");
}

TEST(Machine, HasANameWhereItsHostHasNone) {
  model::Sha256 machine{};
  EXPECT_EQ(NameOf("host", machine), "host");
  EXPECT_EQ(NameOf("", machine), "unnamed-00000000");
}

TEST(Machine, IsTheSameMachineEachTime) {
  const base::Result<Machine> first = ReadMachine();
  const base::Result<Machine> second = ReadMachine();
  ASSERT_TRUE(first.has_value()) << first.error().ToString();
  EXPECT_EQ(first->machine_sha256, second->machine_sha256);
  EXPECT_EQ(first->boot_id, second->boot_id);
  EXPECT_FALSE(first->boot_id.is_zero());
  EXPECT_EQ(first->os, "linux");
  EXPECT_FALSE(first->hostname.empty());
  EXPECT_FALSE(first->os_release.empty());
}

}  // namespace
}  // namespace weighmaster::agent::os
