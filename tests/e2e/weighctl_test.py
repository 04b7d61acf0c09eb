"""What weighctl says when it can't do its work: one line each, and an exit code."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import unittest

import fleet


def said_by_the_format(heading):
    """What docs/formats says that each command prints: the cells of the table under "columns" or "keys", without what
    stands in brackets."""
    with open(os.path.join(fleet.CHECKOUT, "docs", "formats", "weighctl-lists.md"), encoding="utf-8") as page:
        table = page.read().partition(f"| command | {heading} |\n")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines()[1:]]
    return {name: re.sub(r"\([^)]*\)", "", cell) for names, cell in rows for name in names_in(names)}


def names_in(text):
    return re.findall("`([^`]+)`", text)


class Weighctl(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet()
        self.watches = 0

    def assert_fails(self, words, *command, code=1):
        done = self.fleet.weighctl(*command)
        self.assertEqual(code, done.returncode, done)
        self.assertEqual(b"", done.stdout)
        self.assertTrue(done.stderr.startswith(b"weighctl: "))
        self.assert_one_line(done.stderr.decode(), *words)

    def login(self, token_file, ca_file=None):
        return ["login", "--server", self.fleet.address,
                "--ca-file", ca_file or os.path.join(self.fleet.data, "ca.pem"),
                "--token-file", token_file]

    def test_failures_have_one_line_each(self):
        self.assert_fails(["does not know", "login"], *self.login(self.bad_token()))
        self.assert_fails(["No such file"], *self.login(self.path("nowhere")))
        self.assert_fails(["there is no endpoint"], "revoke", "0" * 32)
        self.assert_fails(["hexadecimal"], "where", "not-a-digest")
        self.assert_fails(["column 1", "did you mean \"hostname\"?"],
                          "endpoints", "--filter", "hostnme = a")
        self.assert_fails(["expected asc, desc"], "findings", "--order", "rule down")
        self.assert_fails(["--as-of", "2026-03-01"], "inventory", "--as-of", "yesterday")
        self.assert_fails(["--limit"], "audit", "list", "--limit", "0")
        self.assert_fails(["there is no command \"frobnicate\""], "frobnicate", code=2)
        self.assert_fails(["there is no option --wrong"], "inventory", "--wrong", code=2)
        self.assert_fails(["FILE is missing"], "policy", "lint", code=2)
        self.assert_fails(["is no bundle"], "policy", "publish", self.bad_token())
        self.assert_fails(["--valid-for"], "tokens", "create", "--valid-for", "soon")

        other = fleet.Fleet(self.make_folder("other"))
        self.assert_fails([self.fleet.address, "is not the server"],
                          *self.login(os.path.join(self.fleet.data, "admin.token"),
                                      os.path.join(other.data, "ca.pem")))
        # All that failed left the login as it was.
        self.assertIn("0 endpoints.", self.fleet.ask("endpoints"))
        self.assertIn("0 artifacts.", self.fleet.ask("artifacts", "--filter", "places > 0"))
        self.assertTrue(self.fleet.ask("verdicts").startswith("0 denied, 0 warned of, 0 allowed"))
        self.assertIn("0 policies.", self.fleet.ask("policy", "list", "--order", "version"))
        self.assert_fails(["there is no endpoint"], "events", "0" * 32)

        os.chmod(self.fleet.profile, 0o644)
        self.assert_fails(["can be read by others", "chmod 600"], "endpoints")
        os.chmod(self.fleet.profile, 0o600)
        self.fleet.server.stop()
        self.assert_fails([self.fleet.address, "refused"], "endpoints")
        os.remove(self.fleet.profile)
        self.assert_fails(["not logged in", "weighctl login"], "inventory")

    def test_login_takes_the_token_from_standard_input(self):
        with open(os.path.join(self.fleet.data, "admin.token"), "rb") as token:
            good = token.read()
        os.remove(self.fleet.profile)
        self.assertNotEqual(0, self.fleet.weighctl(*self.login("-")).returncode)
        self.assertFalse(os.path.exists(self.fleet.profile))
        done = self.fleet.weighctl(*self.login("-"), stdin=good)
        self.assertEqual(0, done.returncode, done)
        self.assertNotIn(good.strip(), done.stdout + done.stderr)
        self.assertIn("0 endpoints.", self.fleet.ask("endpoints"))
        self.assertIn("0 artifacts.", self.fleet.ask("artifacts", "--filter", "places > 0"))
        self.assertIn("0 denied, 0 warned of, 0 allowed", self.fleet.ask("verdicts"))
        self.assertIn("0 policies.", self.fleet.ask("policy", "list", "--order", "version"))
        self.assert_fails(["there is no endpoint"], "events", "0" * 32)

    def test_contexts_are_logins_to_several_servers(self):
        other = self.make_fleet("other")
        os.remove(self.fleet.profile)
        token_file = os.path.join(self.fleet.data, "admin.token")
        self.assertIn("as the context default", self.fleet.ask(*self.login(token_file)))
        added = self.fleet.ask(
            "context", "add", "other", "--server", other.address, "--ca-file", other.ca_file,
            "--token-file", os.path.join(other.data, "admin.token"))
        self.assertIn(other.address, added)
        self.assertEqual(0o600, os.stat(self.fleet.profile).st_mode & 0o777)

        here = self.fleet.ask("whoami", "--csv")
        there = self.fleet.ask("whoami", "--csv", "--context", "other")
        self.assertNotEqual(here, there)
        done = fleet.run(["weighctl", "whoami", "--csv"],
                         {"WEIGHCTL_PROFILE": self.fleet.profile, "WEIGHCTL_CONTEXT": "other"})
        self.assertEqual(there, done.stdout.decode())
        self.fleet.ask("context", "use", "other")
        self.assertEqual(there, self.fleet.ask("whoami", "--csv"))
        # What fails leaves what was kept.
        self.assert_fails(["does not know"], "context", "add", "third",
                          *self.login(self.bad_token())[1:])
        rows = fleet.json_lines(self.fleet.ask("context", "list", "--json"))
        self.assertEqual([("default", False), ("other", True)],
                         [(row["context"], row["in_use"]) for row in rows])

    def start_watch(self, *words):
        """A command that goes on, and its output as it grows."""
        self.watches += 1
        watch = fleet.Process(["weighctl", *words], self.path(f"watch-{self.watches}.log"),
                              prefix=("env", f"WEIGHCTL_PROFILE={self.fleet.profile}"))
        self.addCleanup(watch.kill)
        watch.start()
        return watch

    def test_a_watch_prints_what_is_new_and_outlives_a_server_that_is_away(self):
        watch = self.start_watch("audit", "list", "--watch", "1s", "--csv")
        fleet.wait_for(lambda: "number,time" in watch.log(), "the first look")
        self.fleet.token()
        fleet.wait_for(lambda: watch.log().count(",CreateToken,") == 2, "two rows of a call")
        self.fleet.server.stop()
        fleet.wait_for(lambda: "looking again until it answers" in watch.log(), "the server going")
        self.fleet.server.start()
        fleet.wait_for(lambda: "the server answers again" in watch.log(), "the server coming back")
        self.fleet.wait_until_up()
        self.fleet.token()
        fleet.wait_for(lambda: watch.log().count(",CreateToken,") == 4, "two rows more")
        self.assertEqual(1, watch.log().count("number,time"))
        watch.child.send_signal(signal.SIGINT)
        self.assertEqual(0, watch.child.wait(fleet.PATIENCE_S))

    def test_a_watch_ends_at_once_while_it_waits_for_a_server_that_hangs(self):
        self.fleet.server.child.send_signal(signal.SIGSTOP)
        self.addCleanup(self.fleet.server.child.send_signal, signal.SIGCONT)
        watch = self.start_watch("endpoints", "--watch", "1s")
        files = f"/proc/{watch.child.pid}/fd"
        fleet.wait_for(lambda: any("socket:" in os.path.realpath(os.path.join(files, name))
                                   for name in os.listdir(files)), "the call to the server")
        self.assertEqual(0, watch.stop())

    def test_the_examples_of_its_manual_work(self):
        with open(os.path.join(fleet.CHECKOUT, "docs", "man", "weighctl.1.md"), encoding="utf-8") as manual:
            examples = manual.read().partition("## Examples\n")[2].partition("\n## ")[0]
        lines = [line.strip().replace("weighmaster.example:8443", self.fleet.address)
                 for line in examples.splitlines() if line.strip()]
        self.assertGreater(len(lines), 15)
        folder = self.make_folder("examples")
        for name in ("ca.pem", "admin.token", "offline-keys/policy.key"):
            shutil.copy(os.path.join(self.fleet.data, name), folder)
        for line in lines:
            if "--watch" in line:
                watch = self.start_watch(*shlex.split(line)[1:])
                fleet.wait_for(watch.log, line)
                self.assertTrue(watch.is_running, watch.log())
                self.assertEqual(0, watch.stop(), line)
                continue
            done = subprocess.run(
                ["bash", "-c", line], cwd=folder, capture_output=True, check=False, timeout=fleet.COMMAND_TIMEOUT_S,
                env={**os.environ, "PATH": f"{fleet.PROGRAMS}:{os.environ['PATH']}",
                     "WEIGHCTL_PROFILE": self.fleet.profile})
            self.assertEqual(0, done.returncode, (line, done.stderr.decode()))

    def make_finding(self):
        """The number of a finding, that a model of the only endpoint was denied."""
        models = self.make_folder("models")
        fleet.write_file(os.path.join(models, "some.gguf"), fleet.gguf("some"))
        self.fleet.add_agent([models]).wait_until_delivered()
        self.fleet.publish("policy: none\ndefault: {then: deny}\n")
        filtered = ("findings", "--json", "--filter", "rule = denied_model")
        return str(fleet.wait_for(lambda: fleet.json_lines(self.fleet.ask(*filtered)), "the finding")[0]["finding_id"])

    def test_every_list_prints_the_columns_that_its_format_says(self):
        finding = self.make_finding()
        row = self.fleet.inventory()[0]
        arguments = {"where": ["0" * 64], "events": [row["endpoint_id"]], "endpoint show": [row["endpoint_id"]],
                     "finding show": [finding], "policy lint": [self.path("fleet", "policy.yaml")]}
        for name, said in said_by_the_format("columns").items():
            words = [*name.split(), *arguments.get(name, [])]
            _, has_csv, csv = said.partition(" CSV")
            if has_csv:
                said = csv
            if "JSON" not in said:
                self.assertEqual(names_in(said), self.fleet.ask(*words, "--csv").splitlines()[0].split(","), name)
            elif name in ("audit verify", "policy show"):
                (printed,) = fleet.json_lines(self.fleet.ask(*words, "--json"))
                self.assertEqual(names_in(said), list(printed), name)

    def test_whatever_makes_or_changes_something_says_what_in_the_keys_that_its_format_says(self):
        finding = self.make_finding()
        row = self.fleet.inventory()[0]
        endpoint, keys = row["endpoint_id"], os.path.join(self.fleet.data, "offline-keys")
        said = said_by_the_format("keys")

        def did(name, *words):
            done = self.fleet.weighctl(*name.split(), *words, "--json")
            self.assertEqual(0, done.returncode, done)
            self.assertEqual(1, done.stdout.count(b"\n"), done)
            told = json.loads(done.stdout)
            self.assertEqual(names_in(said.pop(name)), list(told), name)
            return told

        login = self.login(os.path.join(self.fleet.data, "admin.token"))[1:]
        self.assertEqual("default", did("login", *login)["context"])
        self.assertEqual(self.fleet.address, did("context add", "second", *login)["server"])
        did("context use", "second")
        self.assertTrue(did("context remove", "second")["was_in_use"])
        self.fleet.ask("context", "use", "default")
        did("tokens create")
        token = did("admin-tokens create", "--name", "a", "--role", "viewer")["token_id"]
        self.assertEqual(token, did("admin-tokens revoke", token)["token_id"])
        self.assertEqual(["site=berlin"], did("endpoint label", endpoint, "site=berlin")["labels"])
        for verb, state in (("acknowledge", "acknowledged"), ("dismiss", "dismissed"), ("reopen", "open")):
            self.assertEqual(state, did("finding " + verb, finding)["state"])
        self.assertEqual(int(finding), did("finding comment", finding, "--comment", "fine")["finding_id"])

        document, bundle = self.path("suggested.yaml"), self.path("bundle")
        self.assertEqual(document, did("policy suggest", "--from-inventory", "--out", document)["file"])
        signed = did("policy sign", document, "--out", bundle, "--key", os.path.join(keys, "policy.key"))
        self.assertEqual([2, 1, bundle], [signed["version"], signed["signatures"], signed["file"]])
        with open(bundle, encoding="utf-8") as file:
            json.load(file)
        self.assertEqual({"version": 2, "endpoints_offered": 1}, did("policy publish", bundle))

        signer = ("--endpoint", endpoint, "--key", os.path.join(keys, "exceptions.key"))
        granted = did("exceptions grant", *signer, "--weights", row["sha256"], "--overrides", "default",
                      "--reason", "r")
        self.assertEqual([endpoint, None, row["sha256"], 1],
                         [granted[key] for key in ("endpoint_id", "sha256", "weights_digest", "version")])
        (listed,) = fleet.json_lines(self.fleet.ask("exceptions", "list", "--json"))
        self.assertEqual({key: granted[key] for key in granted if key in listed},
                         {key: listed[key] for key in listed if key in granted})
        self.assertEqual(2, did("exceptions revoke", granted["exception_id"], *signer)["version"])

        made = did("key new", self.path("new.key"))
        self.assertEqual(made["key_id"], did("key show", made["public_file"])["key_id"])
        before, after = os.path.join(self.fleet.data, "root.signed"), self.path("root.2")
        added = "policy=" + made["public_file"]
        self.assertEqual(2, did("root next", before, "--out", after, "--add", added)["version"])
        root = did("root sign", after, "--root", before, "--key", os.path.join(keys, "root.key"))
        self.assertEqual([1, 1, 1, 1, True, after], list(root.values())[2:])
        exported = did("evidence export", "--endpoint", endpoint, "--out", self.path("evidence"))
        self.assertGreater(exported["events"], 0)
        self.assertTrue(did("revoke", endpoint)["was_connected"])
        self.assertEqual({}, said, "said and not done here")

    def test_the_format_speaks_of_every_command_that_answers_programs(self):
        commands = re.findall(r"(?m)^  (\S+(?: \S+)*)  ", self.fleet.ask("--help"))
        self.assertGreater(len(commands), 40)
        answering = {name for name in commands if "  --json " in self.fleet.ask(*name.split(), "--help")}
        self.assertEqual(answering, {*said_by_the_format("columns"), *said_by_the_format("keys")})

    def test_a_watch_of_one_thing_prints_what_is_new_of_it(self):
        finding = self.make_finding()
        endpoint = self.fleet.inventory()[0]["endpoint_id"]
        comments = self.start_watch("finding", "show", finding, "--watch", "1s", "--csv")
        shown = self.start_watch("endpoint", "show", endpoint, "--watch", "1s")
        counts = self.start_watch("status", "--watch", "1s", "--csv")
        fleet.wait_for(lambda: "finding_id,time" in comments.log(), "the first look at the finding")
        fleet.wait_for(lambda: "labels        none" in shown.log(), "the first look at the endpoint")
        fleet.wait_for(lambda: "server_version," in counts.log(), "the first look at the server")
        self.fleet.ask("finding", "dismiss", finding, "--comment", "=known")
        self.fleet.ask("endpoint", "label", endpoint, "site=berlin")
        fleet.wait_for(lambda: re.search(f"(?m)^{finding},.*,init,dismissed,'=known$", comments.log()), "the comment")
        fleet.wait_for(lambda: "labels        site=berlin" in shown.log(), "the label")
        fleet.wait_for(lambda: re.search("(?m),1,0$", counts.log()), "one that is dismissed, and none that is resolved")
        for watch, once in ((comments, "finding_id,time"), (shown, "hostname"), (counts, "server_version,")):
            self.assertEqual(1, watch.log().count(once), watch.log())
            self.assertEqual(0, watch.stop())

    def bad_token(self):
        path = self.path("bad.token")
        with open(path, "w", encoding="utf-8") as out:
            out.write("wma1." + "A" * 43 + "\n")
        return path

    def test_lint_says_all_that_is_wrong_with_its_place(self):
        document = self.path("policy.yaml")
        with open(document, "w", encoding="utf-8") as out:
            out.write("policy: broken\nrules:\n  - id: a\n    then: forbid\n"
                      "  - id: b\n    when: {licence: mit}\n    then: warn\n")
        done = self.fleet.weighctl("policy", "lint", document)
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stderr.decode(), rf"{document}:4:\d+: error: .*forbid")
        self.assertRegex(done.stderr.decode(), rf"{document}:6:\d+: error: .*licence")
        self.assertIn(b"2 errors", done.stdout)


if __name__ == "__main__":
    unittest.main()
