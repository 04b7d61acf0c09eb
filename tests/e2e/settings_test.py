"""What a policy asks of agents beside judging: what they send, and how they look."""

import os
import unittest

import fleet
import signed_events

COVERAGE_CHANGED = 20
SMALL_FILES_PENDING = 6
RULES = """
rules:
  - {id: owned, when: {owner: {known: true}}, then: warn, message: It is somebody's.}
"""


class Settings(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet()
        self.models = self.make_folder("models", "mine")
        self.add_model("first")

    def add_model(self, name):
        fleet.write_file(os.path.join(self.models, name + ".gguf"), fleet.gguf(name))

    def wait_for_row(self, model, what, **wanted):
        def is_there():
            row = self.fleet.by_name().get(model + ".gguf", {})
            return all(row.get(key, "no such row") == value for key, value in wanted.items())
        fleet.wait_for(is_there, what)

    def settings_of(self, agent):
        lines = agent.weighmaster("status").stdout.decode().splitlines()
        return [line.removeprefix("setting").strip() for line in lines if line.startswith("setting")]

    def wait_for_setting(self, agent, line):
        fleet.wait_for(lambda: line in self.settings_of(agent), line)

    def test_what_is_withheld_is_gone_from_the_server_and_comes_back(self):
        agent = self.fleet.add_agent([self.models])
        agent.wait_until_delivered()
        owner = self.fleet.by_name()["first.gguf"]["owner"]
        self.assertTrue(owner)
        self.fleet.publish("policy: narrow\ncollect: {owner: false, name: false}" + RULES)
        self.wait_for_row("first", "an owner that is gone", owner=None, name=None, architecture="llama")
        self.wait_for_row("first", "a verdict by the owner all the same", verdict="warn", rule="owned")
        self.assertIn("withheld owner, name, by policy version 1", self.settings_of(agent))
        why = agent.weighmaster("why", os.path.join(self.models, "first.gguf")).stdout.decode()
        self.assertIn("name          first", why)

        agent.kill()
        self.add_model("second")
        agent.start()
        self.wait_for_row("second", "a new model without its owner", owner=None, name=None, verdict="warn")

        self.fleet.publish("policy: whole" + RULES)
        for model in ("first", "second"):
            self.wait_for_row(model, "an owner that is back", owner=owner, name=model)

    def pending_told(self):
        """How often the endpoint has said that it puts small files off."""
        return sum(1 for event in signed_events.bodies(self.fleet.data, COVERAGE_CHANGED)
                   if signed_events.read_batch.one(
                       signed_events.read_batch.fields(signed_events.read_batch.one(event, 1, b"")), 4, 0)
                   == SMALL_FILES_PENDING)

    def test_the_endpoint_looks_as_the_policy_says_where_its_own_settings_do_not(self):
        silent = self.fleet.add_agent([self.models], min_size=None,
                                      budget={"pause_above_load": "0", "background": False})
        stubborn = self.fleet.add_agent([self.make_folder("others")], name="stubborn", min_size="2MB")
        for agent in (silent, stubborn):
            agent.wait_until_delivered()
        told = self.pending_told()
        self.assertGreaterEqual(told, 1, "the model is small")
        self.fleet.publish("policy: everything\nmin_size: 0\nbudget: {cpu_percent: 60, pause_on_battery: false}\n")
        self.wait_for_setting(silent, "min_size 0 B, by policy version 1")
        self.assertIn("cpu_percent 60, by policy version 1", self.settings_of(silent))
        self.wait_for_setting(stubborn, "pause_above_load 0, by the settings file")
        self.assertIn("min_size 2 MB, by the settings file", self.settings_of(stubborn))

        # Its next first walk has one pass: nothing is put off, and the new model is found.
        silent.stop()
        self.add_model("second")
        silent.start()
        self.wait_for_row("second", "the new model", digest_state="verified")
        self.assertEqual(told, self.pending_told())

        self.fleet.publish("policy: nothing\n")
        self.wait_for_setting(silent, "min_size 64 KiB, by default")


if __name__ == "__main__":
    unittest.main()
