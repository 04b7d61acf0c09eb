"""Agent and server are killed at the n-th write, sync, rename or send, n = 1, 2, 3 …, of an enrolment, until one
passes clean. Each token is good for one use, and each endpoint has to be there once in the end."""

import os
import unittest

import fleet
import kills
from kills import Point

FILE_CALLS = ("mkdir", "write", "fsync", "link", "unlink", "rename")
DATABASE_CALLS = ("pwrite64", "fdatasync", "ftruncate")
NETWORK_CALLS = ("sendmsg", "sendto")


class EnrolmentSweep(kills.Sweep):
    def setUp(self):
        super().setUp()
        self.agents = self.served.agents

    def new_agent(self):
        agent = fleet.Agent(self.path("fleet", f"agent-{len(self.agents)}"), [self.models], self.served.token(),
                            rescan_every="1h")
        self.agents.append(agent)
        return agent

    def assert_all_are_enrolled_once(self):
        self.assertIn(f"{len(self.agents)} endpoints.", self.served.ask("endpoints"))
        for agent in self.agents:
            agent.start()
        for agent in self.agents:
            agent.wait_until_delivered()
            agent.stop()
        self.assertEqual(len(self.agents), len(self.served.inventory()))
        self.assertIn("0 findings.", self.served.ask("findings", "--all"))
        self.served.server.stop()
        self.assert_whole_chains(self.served, len(self.agents))

    def test_an_endpoint_enrols_once_wherever_its_agent_was_killed(self):
        def live(point):
            agent = self.new_agent()
            self.start_under(point, agent)
            killed = self.was_killed(agent, lambda: self.connections(agent))
            self.start_and_connect(agent)
            agent.kill()
            return killed

        self.sweep([Point(call) for call in (*FILE_CALLS, *DATABASE_CALLS, *NETWORK_CALLS)], live)
        self.assert_all_are_enrolled_once()

    def test_a_grant_that_the_agent_could_not_write_down_is_granted_again(self):
        def live(point):
            agent = self.new_agent()
            identity = os.path.join(agent.state, "enrolment.json")
            self.start_under(Point(point.call, point.number, (identity, identity + ".new")), agent)
            killed = self.was_killed(agent, lambda: self.connections(agent))
            if killed:
                # The one use of the token is spent, and the agent knows nothing of it.
                self.assertIn(f"{len(self.agents)} endpoints.", self.served.ask("endpoints"))
                self.assertFalse(os.path.exists(identity))
            self.start_and_connect(agent)
            agent.kill()
            return killed

        self.sweep([Point(call) for call in ("unlink", "write", "fsync", "rename")], live)
        self.assert_all_are_enrolled_once()

    def test_an_endpoint_enrols_once_wherever_the_server_was_killed(self):
        def live(point):
            agent = self.new_agent()
            with self.attached(point, self.served.server):
                agent.start()
                killed = self.was_killed(self.served.server, lambda: self.connections(agent))
            agent.kill()  # it would come back by itself, in some seconds
            self.served.start()
            self.start_and_connect(agent)
            agent.kill()
            return killed

        self.sweep([Point(call) for call in ("pwrite64", "fdatasync", "sendmsg")], live)
        self.assert_all_are_enrolled_once()


if __name__ == "__main__":
    unittest.main()
