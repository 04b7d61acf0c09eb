"""What an endpoint is told that can't enrol, and that it enrols as soon as it can."""

import os
import time
import unittest

import fleet

ROOT_SHA256_FIELD = 3
CA_SHA256_FIELD = 2
SECRET_FIELD = 4


def tamper(token, field):
    """The token with another first byte in one of its 32-byte fields (docs/formats/trust.md)."""
    prefix, _, text = token.partition(".")
    data = bytearray(fleet.decode_base64url(text))
    at = data.index(bytes([field << 3 | 2, 32])) + 2
    data[at] ^= 1
    return f"{prefix}.{fleet.encode_base64url(bytes(data))}"


class Enrolment(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet()
        self.models = self.make_folder("models")
        fleet.write_file(os.path.join(self.models, "model.gguf"), fleet.gguf("Model"))

    def wait_for_line(self, agent, *words):
        fleet.wait_for(lambda: words[0] in agent.server_line, f"the agent saying {words[0]}")
        self.assertTrue(agent.server_line.startswith("not enrolled: "), agent.server_line)
        for word in words:
            self.assertIn(word, agent.server_line)
            self.assertIn(word, agent.log())

    def test_each_wrong_token_has_its_reason_and_a_good_one_mends_it(self):
        used_up = self.fleet.token()
        self.fleet.add_agent([self.models], used_up, "first")
        fleet.wait_for(lambda: "1 endpoints." in self.fleet.ask("endpoints"), "the first enrolment")
        expired = self.fleet.token(valid_for="1s")
        good = self.fleet.token(uses=9)
        time.sleep(1.1)  # the validity itself is what is waited for
        wrong = {
            "unknown": (tamper(good, SECRET_FIELD), "does not know the enrolment token",
                        "weighctl tokens create"),
            "used": (used_up, "the enrolment token is used up (1 use)", "ask for a new one"),
            "expired": (expired, "the enrolment token expired at 20", "ask for a new one"),
            "ca": (tamper(good, CA_SHA256_FIELD), "does not show the CA that the token names",
                   "make a new token"),
            "root": (tamper(good, ROOT_SHA256_FIELD), "root document is not the one that the token names",
                     "make a new token"),
            "text": ("wm2.nonsense", "this is no enrolment token"),
            "damaged": (good[:40], "the enrolment token is damaged", "copy it again"),
        }
        agents = {name: self.fleet.add_agent([self.models], token, name)
                  for name, (token, *_) in wrong.items()}
        for name, (_, *words) in wrong.items():
            with self.subTest(name):
                self.wait_for_line(agents[name], *words)
                self.assertIn("none in force yet", agents[name].status()["policy"])
                self.assertNotIn(good, agents[name].log())
        # The agent works meanwhile, by itself.
        fleet.wait_for(lambda: "1 (1 allowed" in agents["used"].status()["models"], "the walk")
        doctor = agents["used"].weighmaster("doctor")
        self.assertEqual(1, doctor.returncode)
        self.assertIn(b"PROBLEM enrolment the enrolment token is used up", doctor.stdout)

        for agent in agents.values():
            agent.give_token(good)
        for name, agent in agents.items():
            with self.subTest(name):
                fleet.wait_for(lambda: agent.server_line.startswith("connected"), "the enrolment")
        self.assertIn(f"{1 + len(agents)} endpoints.", self.fleet.ask("endpoints"))

    def test_an_agent_takes_its_token_from_standard_input(self):
        agent = self.fleet.add_agent([self.models], "wm2.nonsense", "agent")
        fleet.wait_for(lambda: "no enrolment token" in agent.server_line, "the file being refused")
        agent.stop()
        agent.words += ["--token-file", "-"]
        agent.start(stdin=self.fleet.token().encode() + b"\n")
        fleet.wait_for(lambda: agent.server_line.startswith("connected"), "the enrolment")

    def test_a_missing_token_file_and_an_unreachable_server_have_their_lines(self):
        good = self.fleet.token(uses=9)
        lonely = self.fleet.add_agent([self.models], "", "lonely")
        os.remove(lonely.token_file)
        fleet.wait_for(lambda: lonely.token_file in lonely.server_line, "the file being named")
        self.assertTrue(lonely.server_line.startswith("not enrolled: "))
        self.fleet.server.stop()
        away = self.fleet.add_agent([self.models], good, "away")
        fleet.wait_for(lambda: self.fleet.address in away.server_line, "the address being named")
        self.assertIn("refused", away.server_line)


if __name__ == "__main__":
    unittest.main()
