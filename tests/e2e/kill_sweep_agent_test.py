"""The agent is killed at its n-th write, sync, rename or send, n = 1, 2, 3 …, until a life passes clean: while a
policy comes into force, and while it stores and sends events."""

import os
import unittest

import fleet
import kills
from kills import Point

# A policy is one outcome for everything.
OUTCOMES = ("deny", "warn")


class AgentSweep(kills.Sweep):
    def test_a_policy_is_in_force_whole_wherever_the_agent_was_killed(self):
        agent = self.served.add_agent([self.models], rescan_every="1h")
        agent.wait_until_delivered()
        model = os.path.join(self.models, os.listdir(self.models)[0])
        version = 0

        def verdict():
            return agent.weighmaster("check", model).stdout.decode().split()[:1]

        def in_force():
            return agent.status().get("policy") == f"version {version}"

        def told():
            return {row["policy_version"] for row in self.served.inventory()}

        def live(point):
            nonlocal version
            version += 1
            outcome = OUTCOMES[version % 2]
            with self.attached(point, agent):
                self.served.publish(f"policy: all\nmode: warn\ndefault: {{then: {outcome}}}\n")
                killed = self.was_killed(agent, lambda: in_force() and verdict() == [outcome] and told() == {version})
            agent.start()
            found = fleet.wait_for(lambda: agent.status().get("policy"), "the status", every=kills.FAST_S)
            self.assertIn(found, {f"version {version}", f"version {version - 1}", "none in force yet"}
                          if version == 1 else {f"version {version}", f"version {version - 1}"})
            fleet.wait_for(lambda: in_force() and verdict() == [outcome] and agent.server_line.startswith("connected"),
                           f"version {version} being in force", every=kills.FAST_S)
            return killed

        self.sweep([Point(call) for call in ("write", "fsync", "rename", "unlink", "pwrite64", "fdatasync", "sendmsg")],
                   live)
        agent.wait_until_delivered()
        rows = self.served.inventory()
        self.assertEqual({(OUTCOMES[version % 2], version)}, {(row["verdict"], row["policy_version"]) for row in rows})
        self.assertIn("in force on 1 of 1 endpoints", self.served.weighctl("policy", "show").stderr.decode())
        self.assertNotIn("policy_refused", self.served.ask("findings", "--all"))
        self.assert_no_loss_is_told(self.served)
        agent.stop()
        self.served.server.stop()
        self.assert_whole_chains(self.served)

    def test_every_event_is_stored_once_wherever_the_agent_was_killed(self):
        agent = self.served.add_agent([self.models])
        agent.wait_until_delivered()
        agent.kill()

        def live(point):
            self.change_files()
            expected = self.on_disk(self.models)
            self.start_under(point, agent)
            return self.was_killed(agent, lambda: self.stored(self.served) == expected)

        self.sweep([Point(call) for call in ("write", "pwrite64", "fdatasync", "sendmsg")], live)
        agent.start()
        agent.wait_until_delivered()
        self.assertEqual(self.on_disk(self.models), self.stored(self.served))
        self.assert_no_loss_is_told(self.served)
        agent.stop()
        self.served.server.stop()
        self.assertGreater(self.assert_whole_chains(self.served), self.written)


if __name__ == "__main__":
    unittest.main()
