"""Hostile names: faithful in JSON, harmless on a terminal, the same at every step."""

import os
import unittest

import fleet

NAMES = [
    b"two\nlines.gguf",
    b"not\xffutf\xfe8.gguf",
    b"<img src=x onerror=alert(1)>&amp;.gguf",
    b"\x1b[2J\x1b]0;owned\x07.gguf",
    b"n" * 255,
    "right-to-left\u202egpj.gguf".encode(),
    b"back\\slash\\x41.gguf",
    b"--json",
    b" tab\tand carriage\rreturn \x7f\xc2\x9b31m",
    "größer-模型.gguf".encode(),
]
POLICY = """
policy: none
mode: enforce
default:
  then: deny
  message: No model is allowed here.
"""


class Names(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.models = os.fsencode(self.make_folder("models"))
        self.paths = set()
        for number, name in enumerate(NAMES):
            path = os.path.join(self.models, name)
            # What a model calls itself is as foreign as its file's name.
            fleet.write_file(path, fleet.gguf("\x1b[31mred\n\u202e", seed=number))
            self.paths.add(path)
        self.paths.add(self.make_deep_file(5000))

    def make_deep_file(self, length):
        """A file whose path is longer than a path may be in a call."""
        path, folder = self.models, os.open(self.models, os.O_RDONLY)
        try:
            while len(path) < length:
                name = b"d" * 200
                os.mkdir(name, dir_fd=folder)
                inner = os.open(name, os.O_RDONLY, dir_fd=folder)
                os.close(folder)
                path, folder = os.path.join(path, name), inner
            with open(b"deep.gguf", "wb", opener=lambda name, flags: os.open(
                    name, flags, 0o644, dir_fd=folder)) as out:
                out.write(fleet.gguf("Deep"))
        finally:
            os.close(folder)
        return os.path.join(path, b"deep.gguf")

    def path_of(self, row):
        return fleet.decode_base64url(row["path_base64"]) if "path_base64" in row \
            else row["path"].encode()

    def assert_harmless(self, output):
        text = output.decode("utf-8")  # strictly
        self.assertEqual(set(), {character for character in text
                                 if character != "\n" and not character.isprintable()})

    def test_every_path_is_shown_faithfully_and_safely_everywhere(self):
        served = self.make_fleet()
        agent = served.add_agent([os.fsdecode(self.models)])
        fleet.wait_for(lambda: sum(row["digest_state"] == "verified" for row in served.inventory())
                       == len(self.paths), "the inventory")
        self.assertEqual(self.paths, {self.path_of(row) for row in served.inventory()})
        served.publish(POLICY)
        fleet.wait_for(lambda: all(row["verdict"] == "deny" for row in served.inventory()), "the policy")
        agent.wait_until_delivered()
        fleet.wait_for(lambda: f"{len(self.paths)} findings." in served.ask("findings"), "the findings")

        rows = served.inventory()
        for words in (["inventory"], ["inventory", "--json"], ["findings"], ["endpoints"],
                      ["where", rows[0]["sha256"]]):
            with self.subTest(words):
                done = served.weighctl(*words)
                self.assertEqual(0, done.returncode)
                self.assert_harmless(done.stdout)
        # One line a row: a heading, the rows, an empty line, the count.
        self.assertEqual(len(self.paths) + 3, len(served.ask("inventory").splitlines()))

        for path in sorted(self.paths):
            with self.subTest(path[-40:]):
                why = agent.weighmaster("why", path)
                self.assertEqual(0, why.returncode, why.stderr)
                self.assertIn(b"deny", why.stdout)
                self.assert_harmless(why.stdout)
                words = ["--", path] if path.startswith(b"-") else [path]
                check = agent.weighmaster("check", *words)
                self.assertEqual(3, check.returncode)
                self.assert_harmless(check.stdout)
        for words in (["status"], ["doctor"], ["why", b"/no\x1b[31m\nmodel"]):
            done = agent.weighmaster(*words)
            self.assert_harmless(done.stdout + done.stderr)
        for process in (agent, served.server):
            with open(process.log_file, "rb") as log:
                self.assert_harmless(log.read())

    def test_a_scan_shows_them_as_well(self):
        folder = os.fsdecode(self.models)
        text = fleet.run(["weighmaster", "scan", folder])
        self.assertEqual(0, text.returncode, text.stderr)
        self.assert_harmless(text.stdout + text.stderr)
        rows = fleet.json_lines(fleet.run(["weighmaster", "scan", "--json", folder]).stdout)
        self.assertEqual(self.paths, {self.path_of(row) for row in rows})


if __name__ == "__main__":
    unittest.main()
