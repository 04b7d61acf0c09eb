"""Agent and server are killed again and again while files change: nothing is lost, nothing is there twice."""

import os
import random
import time
import unittest

import fleet
import kills

SEED = 7
KILLS = 14
LONGEST_LIFE_S = 1.2


class Crashes(kills.Kills):
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
        expected = self.on_disk(self.models)
        fleet.wait_for(lambda: self.stored(served) == expected, "the inventory of what is on the disk")
        agent.wait_until_delivered()
        self.assertEqual(expected, self.stored(served))

        self.assert_no_loss_is_told(served)
        agent.stop()
        served.server.stop()
        self.assertGreater(self.assert_whole_chains(served), self.written // 4)


if __name__ == "__main__":
    unittest.main()
