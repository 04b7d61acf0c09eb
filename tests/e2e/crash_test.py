"""Agent and server are killed again and again while files change: nothing is lost, nothing is there twice."""

import contextlib
import hashlib
import os
import random
import sqlite3
import time
import unittest

import fleet

SEED = 7
KILLS = 14
LONGEST_LIFE_S = 1.2


class Crashes(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.models = self.make_folder("models")
        self.chance = random.Random(SEED)
        self.written = 0

    def change_files(self):
        """One file comes or changes, and sometimes one goes."""
        self.written += 1
        name = f"model-{self.chance.randrange(12)}.gguf"
        fleet.write_file(os.path.join(self.models, name),
                         fleet.gguf(f"Version {self.written}", seed=self.written))
        if self.chance.random() < 0.3:
            os.remove(os.path.join(self.models, self.chance.choice(sorted(os.listdir(self.models)))))

    def on_disk(self):
        digests = {}
        for name in os.listdir(self.models):
            with open(os.path.join(self.models, name), "rb") as file:
                digests[os.path.join(self.models, name)] = hashlib.sha256(file.read()).hexdigest()
        return digests

    def stored(self, served):
        rows = served.inventory()
        digests = {row["path"]: row["sha256"] for row in rows if row["digest_state"] == "verified"}
        self.assertEqual(len(rows), len({row["path"] for row in rows}), "a sighting is there twice")
        return digests

    def live(self, process):
        """Lets the process work for a moment that is never the same, while files change."""
        end = time.monotonic() + self.chance.uniform(0, LONGEST_LIFE_S)
        while time.monotonic() < end:
            self.change_files()
            time.sleep(min(0.05, max(0.0, end - time.monotonic())))
        process.kill()

    def test_every_event_is_stored_once_after_kill_9_at_any_moment(self):
        served = self.make_fleet()
        agent = served.add_agent([self.models])
        fleet.wait_for(lambda: agent.server_line.startswith("connected"), "the enrolment")
        for _ in range(KILLS):
            victim = self.chance.choice([agent, served.server])
            self.live(victim)
            if self.chance.random() < 0.5:
                self.change_files()
            victim.start()
        served.wait_until_up()
        self.change_files()
        expected = self.on_disk()
        fleet.wait_for(lambda: self.stored(served) == expected, "the inventory of what is on the disk")
        agent.wait_until_delivered()
        self.assertEqual(expected, self.stored(served))

        findings = served.ask("findings", "--all")
        for rule in ("equivocation", "gap", "clone", "broken_chain", "bad_batch", "bodies_dropped"):
            self.assertNotIn(rule, findings)
        agent.stop()
        served.server.stop()
        self.assert_whole_chain(os.path.join(served.data, "store.db"))

    def assert_whole_chain(self, store):
        """One chain, with every number from 1 on once (docs/formats/server-store.md)."""
        with contextlib.closing(sqlite3.connect(store)) as database:
            chains = database.execute(
                "SELECT next_number, next_event, (SELECT COUNT(*) FROM batches WHERE chain = id), "
                "(SELECT COUNT(*) FROM events WHERE chain = id AND body IS NOT NULL), "
                "(SELECT MIN(number) FROM events WHERE chain = id) FROM chains").fetchall()
            quarantined = database.execute("SELECT COUNT(*) FROM quarantined_batches").fetchone()[0]
        self.assertEqual(1, len(chains), chains)
        next_number, next_event, batches, events, first_event = chains[0]
        self.assertEqual(next_number - 1, batches)
        self.assertEqual(next_event - first_event, events)
        self.assertGreater(events, self.written // 4)
        self.assertEqual(0, quarantined)


if __name__ == "__main__":
    unittest.main()
