"""The server is killed at its n-th write, sync or send, n = 1, 2, 3 …, until a life passes clean: while it takes
events in, while a policy is published, and while it starts and stops."""

import re
import signal
import unittest

import fleet
import kills
from kills import Point


class ServerSweep(kills.Sweep):
    def setUp(self):
        super().setUp()
        self.agent = self.served.add_agent([self.models])
        self.agent.wait_until_delivered()
        self.agent.kill()

    def assert_nothing_was_lost(self):
        self.agent.start()
        self.agent.wait_until_delivered()
        self.assertEqual(self.on_disk(self.models), self.stored(self.served))
        self.assert_no_loss_is_told(self.served)
        self.agent.stop()
        self.served.server.stop()
        self.assertGreater(self.assert_whole_chains(self.served), self.written)

    def test_every_event_is_stored_once_wherever_the_server_was_killed(self):
        def live(point):
            self.change_files()
            with self.attached(point, self.served.server):
                self.agent.start()
                killed = self.was_killed(self.served.server, self.agent.is_delivered)
            self.agent.kill()  # it would come back by itself, in some seconds
            self.served.start()
            return killed

        self.sweep([Point(call) for call in ("pwrite64", "fdatasync", "sendmsg")], live)
        self.assert_nothing_was_lost()

    def test_a_policy_is_published_whole_or_not_at_all(self):
        version = 0

        def newest():
            found = re.search(r"^Version (\d+),", self.served.weighctl("policy", "show").stderr.decode())
            return int(found[1]) if found else 0

        def live(point):
            nonlocal version
            version += 1
            self.served.sign(f"policy: number-{version}\ndefault: {{then: warn}}\n")
            with self.attached(point, self.served.server):
                done = self.served.weighctl("policy", "publish", self.served.bundle)
                killed = self.was_killed(self.served.server, lambda: done.returncode == 0)
            if done.returncode != 0:
                self.assert_one_line(done.stderr.decode(), "weighctl: ", self.served.address)
            self.served.start()
            self.assertIn(newest(), (version,) if done.returncode == 0 else (version - 1, version))
            self.served.ask("policy", "publish", self.served.bundle)
            self.assertEqual(version, newest())
            return killed

        self.sweep([Point(call) for call in ("pwrite64", "fdatasync", "sendmsg")], live)
        self.assert_nothing_was_lost()
        self.served.start()
        self.assertEqual({("warn", version)},
                         {(row["verdict"], row["policy_version"]) for row in self.served.inventory()})

    def test_a_server_that_was_killed_while_it_started_or_stopped_starts_again(self):
        server = self.served.server

        def live(point):
            self.served.token()  # is in the write-ahead log, to be recovered
            server.kill()
            lives = server.log().count("serves fleet")
            self.start_under(point, server)
            fleet.wait_for(lambda: not server.is_running or server.log().count("serves fleet") > lives,
                           "the server's start", every=kills.FAST_S)
            code = server.stop()
            self.assertIn(code, (0, -signal.SIGKILL), server.log())
            self.served.start()
            return code != 0

        self.sweep([Point(call) for call in ("pwrite64", "fdatasync", "ftruncate", "unlink")], live)
        self.assert_nothing_was_lost()


if __name__ == "__main__":
    unittest.main()
