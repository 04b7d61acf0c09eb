"""Full disks of agent and server while events are stored, endpoints enrol and policies arrive: told, nothing
lost, and work goes on by itself once there is room.
"""

import errno
import os
import unittest

import fleet
import mounts

def policy(outcome):
    """One outcome for everything."""
    return f"policy: {outcome}\nmode: warn\ndefault: {{then: {outcome}}}\n"


class DiskFull(mounts.WithMounts):
    def setUp(self):
        super().setUp()
        self.models = self.make_folder("models")
        self.add_model("first")

    def model(self, name):
        return os.path.join(self.models, name)

    def add_model(self, name):
        fleet.write_file(self.model(name), fleet.gguf(name))

    def mount_folder(self, *names):
        return self.mount_tmpfs(self.make_folder(*names))

    def fill(self, folder):
        filler = os.path.join(folder, "filler")
        with open(filler, "wb", buffering=0) as out:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        out.write(bytes(size))
                except OSError as error:
                    self.assertEqual(errno.ENOSPC, error.errno)
        return filler

    def stored(self, served):
        return {name for name, row in served.by_name().items() if row["digest_state"] == "verified"}

    def test_an_agent_without_room_says_so_and_goes_on_when_there_is_some(self):
        served = self.make_fleet()
        state = self.mount_folder("agent-disk")
        agent = served.add_agent([self.models], state_folder=os.path.join(state, "state"))
        fleet.wait_for(lambda: self.stored(served) == {"first"}, "the first delivery")
        filler = self.fill(state)
        # More than SQLite's write-ahead log has room for without growing.
        names = {f"model-{number}" for number in range(400)}
        for name in names:
            self.add_model(name)
        fleet.wait_for(lambda: "full" in agent.status().get("journal", ""), "the full disk in the status")
        self.assertIn("full", agent.log())
        self.assertTrue(agent.is_running)
        doctor = agent.weighmaster("doctor")
        self.assertEqual(1, doctor.returncode)
        self.assertRegex(doctor.stdout.decode(), "PROBLEM journal .*full")

        os.remove(filler)
        fleet.wait_for(lambda: self.stored(served) == names | {"first"}, "everything being stored", 60)
        agent.wait_until_delivered()
        self.assertNotIn("full", agent.status()["journal"])
        self.assertNotIn("gap", served.ask("findings", "--all"))

    def test_agents_keep_what_a_server_without_room_does_not_take(self):
        data = self.mount_folder("server-disk")
        served = self.make_fleet(data=os.path.join(data, "server"))
        agent = served.add_agent([self.models])
        fleet.wait_for(lambda: self.stored(served) == {"first"}, "the first delivery")
        filler = self.fill(data)
        names = {f"model-{number}" for number in range(400)}
        for name in names:
            self.add_model(name)
        fleet.wait_for(lambda: "nothing is acknowledged until it can be written" in served.server.log(),
                       "the full disk in the server's log")
        self.assertRegex(agent.status()["journal"], "^[1-9][0-9]* batches wait")
        self.assertTrue(served.server.is_running)
        self.assertLess(len(self.stored(served)), len(names))

        os.remove(filler)
        fleet.wait_for(lambda: self.stored(served) == names | {"first"}, "everything being stored", 60)
        agent.wait_until_delivered()
        self.assertIn("the store can be written again", served.server.log())
        findings = served.ask("findings", "--all")
        for rule in ("gap", "clone", "equivocation", "broken_chain"):
            self.assertNotIn(rule, findings)

    def test_a_policy_waits_for_room_and_the_last_good_one_stays(self):
        served = self.make_fleet()
        state = self.mount_folder("agent-disk")
        agent = served.add_agent([self.models], state_folder=os.path.join(state, "state"))
        served.publish(policy("deny"))
        self.wait_for_verdict(served, "deny")
        agent.wait_until_delivered()
        filler = self.fill(state)
        served.publish(policy("warn"))
        fleet.wait_for(lambda: "No space left" in agent.server_line, "the full disk in the status")
        self.assertIn(state, agent.server_line)
        self.assertIn("No space left", agent.log())
        self.assertEqual("version 1", agent.status()["policy"])
        self.assertRegex(agent.weighmaster("check", self.model("first")).stdout, b"^deny ")

        os.remove(filler)
        fleet.wait_for(lambda: agent.status()["policy"] == "version 2", "the second policy")
        self.wait_for_verdict(served, "warn")
        agent.wait_until_delivered()
        self.assertIn("0 findings.", served.ask("findings"))

    def test_an_agent_needs_room_to_start_and_has_its_policy_when_it_does(self):
        served = self.make_fleet()
        state = self.mount_folder("agent-disk")
        filler = self.fill(state)
        agent = served.add_agent([self.models], state_folder=os.path.join(state, "state"))
        self.assert_ends_for_want_of_room(agent, state)
        os.remove(filler)
        agent.start()
        served.publish(policy("deny"))
        self.wait_for_verdict(served, "deny")
        agent.wait_until_delivered()
        agent.kill()

        filler = self.fill(state)
        agent.start()
        self.assert_ends_for_want_of_room(agent, state)
        os.remove(filler)
        agent.start()
        fleet.wait_for(lambda: agent.server_line.startswith("connected"), "the agent coming back")
        self.assertEqual("version 1", agent.status()["policy"])
        agent.wait_until_delivered()
        self.assertNotIn("gap", served.ask("findings", "--all"))

    def assert_ends_for_want_of_room(self, agent, disk):
        self.assertEqual(1, agent.child.wait(timeout=fleet.PATIENCE_S))
        last = agent.log().splitlines()[-1]
        self.assertRegex(last, f"^weighmaster-agent: .*{disk}/.*(No space left|is full)")

    def test_an_endpoint_without_room_enrols_by_the_same_use_of_its_token(self):
        served = self.make_fleet()
        state = self.mount_folder("agent-disk")
        agent = served.add_agent([self.models], "none yet", state_folder=os.path.join(state, "state"))
        fleet.wait_for(lambda: "no enrolment token" in agent.server_line, "the agent being at work")
        filler = self.fill(state)
        agent.give_token(served.token(uses=1))
        fleet.wait_for(lambda: "No space left" in agent.server_line, "the full disk in the status")
        self.assertTrue(agent.server_line.startswith("not enrolled: write " + state), agent.server_line)
        self.assertIn("No space left", agent.log())
        self.assertIn("1 endpoints.", served.ask("endpoints"))  # the use is spent

        os.remove(filler)
        fleet.wait_for(lambda: self.stored(served) == {"first"}, "the enrolment")
        self.assertIn("1 endpoints.", served.ask("endpoints"))

    def test_a_server_without_room_spends_no_use_of_a_token(self):
        data = self.mount_folder("server-disk")
        served = self.make_fleet(data=os.path.join(data, "server"))
        token = served.token(uses=1)
        filler = self.fill(data)
        agent = served.add_agent([self.models], token)
        fleet.wait_for(lambda: "is full; make room" in agent.server_line, "the full disk in the status")
        self.assertTrue(agent.server_line.startswith("not enrolled: the disk of " + served.data))
        self.assertIn("is full", agent.log())
        self.assertIn("0 endpoints.", served.ask("endpoints"))
        no_token = served.weighctl("tokens", "create", "--uses", "1", "--valid-for", "1h")
        self.assertEqual(1, no_token.returncode)
        self.assert_one_line(no_token.stderr.decode(), "weighctl: the disk of", served.data, "full")

        os.remove(filler)
        fleet.wait_for(lambda: self.stored(served) == {"first"}, "the enrolment")
        self.assertIn("1 endpoints.", served.ask("endpoints"))

    def test_a_policy_that_a_server_has_no_room_for_is_not_published(self):
        data = self.mount_folder("server-disk")
        served = self.make_fleet(data=os.path.join(data, "server"))
        served.add_agent([self.models])
        served.publish(policy("deny"))
        self.wait_for_verdict(served, "deny")
        served.sign(policy("warn"))
        filler = self.fill(data)
        refused = served.weighctl("policy", "publish", served.bundle)
        self.assertEqual(1, refused.returncode)
        self.assert_one_line(refused.stderr.decode(), "weighctl: the disk of", served.data, "full")
        self.assertIn("policy: deny", served.ask("policy", "show"))
        self.assertEqual("deny", served.by_name()["first"]["verdict"])

        os.remove(filler)
        served.ask("policy", "publish", served.bundle)
        self.wait_for_verdict(served, "warn")
        self.assertIn("policy: warn", served.ask("policy", "show"))

    def wait_for_verdict(self, served, verdict):
        fleet.wait_for(lambda: served.by_name().get("first", {}).get("verdict") == verdict,
                       f"the verdict {verdict}")


if __name__ == "__main__":
    unittest.main()
