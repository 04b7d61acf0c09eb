"""A large file is hashed on from its last checkpoint after the agent was killed."""

import hashlib
import os
import re
import shutil
import tempfile
import unittest

import fleet

MIB = 1 << 20
SIZE = 320 * MIB  # of this size a file is not read before it has settled
CHECKPOINT = 64 * MIB  # limits::kHashCheckpointBytes
SLOW = {"cpu_percent": "100", "pause_on_battery": False, "pause_above_load": "0", "background": False,
        "read_per_second": "32MiB"}


class LargeFile(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        # Not on a tmpfs, which /tmp may be: there a file's times prove nothing, and nothing is resumed.
        self.models = tempfile.mkdtemp(prefix="wm-models-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.models)
        path = os.path.join(self.models, "large.gguf")
        digest = hashlib.sha256()
        # Written, not a hole: those wait for everything else.
        with open(path, "wb") as out:
            for part in range(SIZE // MIB):
                content = fleet.gguf("Large", size=MIB) if part == 0 else bytes([part % 251]) * MIB
                digest.update(content)
                out.write(content)
        self.digest = digest.hexdigest()

    @staticmethod
    def bytes_read(agent):
        """By this life of the agent, whatever for (proc(5), io)."""
        with open(f"/proc/{agent.child.pid}/io", encoding="utf-8") as io:
            return int(re.search(r"^rchar: (\d+)$", io.read(), re.MULTILINE)[1])

    @staticmethod
    def model(served):
        return served.by_name().get("large.gguf", {})

    def test_a_killed_agent_reads_on_where_it_was(self):
        served = self.make_fleet()
        agent = served.add_agent([self.models], budget=SLOW)
        fleet.wait_for(lambda: self.model(served).get("digest_state") == "pending", "the model being stored")
        fleet.wait_for(lambda: self.bytes_read(agent) > CHECKPOINT + 16 * MIB, "the first checkpoint")
        agent.kill()
        self.assertEqual("pending", self.model(served)["digest_state"])
        agent.start()
        fleet.wait_for(lambda: self.model(served)["sha256"] == self.digest, "the digest")
        # What was before the checkpoint is not read again; a little is read for everything else.
        self.assertLess(self.bytes_read(agent), SIZE - CHECKPOINT + 16 * MIB)


if __name__ == "__main__":
    unittest.main()
