"""packaging/quickstart with nobody there to answer: what it shows, run again, and that nothing of it stays.

It takes the programs of this build, and a folder of its own, so that a person's quickstart is left alone.
"""

import json
import os
import re
import signal
import ssl
import subprocess
import unittest
import urllib.request

import fleet

SCRIPT = os.path.join(fleet.CHECKOUT, "packaging", "quickstart")
# Twice as long as it waits itself before it says what did not happen.
RUN_TIMEOUT_S = 240
# What the kernel calls them: 15 bytes of the program's name.
PROGRAM_NAMES = {"weighmaster-ser", "weighmaster-age", "weighmaster-cag"}
SAMPLES = ("assistant-small.gguf", "classifier.pt", "downloaded-from-a-forum.bin", "embedding.safetensors",
           "novelist-nc.gguf", "ranker.onnx", "renamed-copy.dat")


class RunningProcess:
    """What /proc said of one process. A number that was given away again is another process."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            head, _, rest = file.read().rpartition(") ")
        self.pid, self.name = pid, head.partition(" (")[2]
        fields = rest.split()
        self.is_over, self.parent, start = fields[0] in "ZX", int(fields[1]), fields[19]
        self.identity = (pid, start)

    def names(self, path):
        with open(f"/proc/{self.pid}/cmdline", "rb") as file:
            return os.fsencode(path) in file.read()


def running():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            process = RunningProcess(int(pid))
        except OSError:  # it ended meanwhile
            continue
        if not process.is_over:
            found.append(process)
    return found


def processes_of(folder):
    """Those whose command names the folder, and all that they started: a cage is told nothing of it."""
    processes, found = running(), []
    for process in processes:
        try:
            if process.names(folder):
                found.append(process)
        except OSError:
            continue
    for process in found:
        found += [child for child in processes if child.parent == process.pid and child not in found]
    return found


def still_running(processes):
    alive = {process.identity for process in running()}
    return [process.name for process in processes if process.identity in alive]


class Quickstart(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.state = self.path("state")
        self.home = self.make_folder("home")
        self.models = self.make_folder("models")
        fleet.write_file(os.path.join(self.models, "own.gguf"), fleet.gguf("Own", size=70_000))
        self.addCleanup(self.end_all)

    def end_all(self):
        for process in processes_of(self.folder):
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def quickstart(self, *words, state=None):
        """With a closed standard input; it may ask nothing."""
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("WEIGHCTL_PROFILE", "WEIGHMASTER_SOCKET", "XDG_STATE_HOME")}
        environment.update(HOME=self.home, WEIGHMASTER_QUICKSTART=state or self.state)
        # Into files: what it leaves running must not hold on to its output.
        with open(self.path("out"), "w+b") as out, open(self.path("err"), "w+b") as err:
            code = subprocess.run(
                ["bash", "-c", 'exec bash "$@" <&-', "quickstart", SCRIPT, *words],
                env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=RUN_TIMEOUT_S,
                check=False).returncode
            out.seek(0)
            err.seek(0)
            return code, out.read().decode(), err.read().decode()

    def parts(self, *words):
        """What a run prints below each of its headings."""
        code, out, err = self.quickstart(*words)
        self.assertEqual(0, code, out + err)
        pieces = re.split("\x1b\\[1m(.*)\x1b\\[0m\n", out)
        return dict(zip(pieces[1::2], pieces[2::2]))

    def assert_rows(self, text, verdicts):
        """The table holds exactly these files with these verdicts."""
        table = re.search(r"^ENDPOINT +VERDICT +RULE +FORMAT .* PATH\n((?:.+\n)+)\n", text, re.MULTILINE)
        rows = [line.split() for line in table[1].splitlines()]
        self.assertEqual(verdicts, {os.path.basename(row[-1]): (row[1], row[2]) for row in rows})
        self.assertIn(f"{len(verdicts)} model files. Of 1 endpoints 1 were looked at whole.", text)

    def assert_shows_everything(self, parts):
        allowed = {name: ("allow", "default") for name in SAMPLES + ("own.gguf",)}
        self.assert_rows(parts["What the endpoint has, before any policy"], allowed)
        self.assertRegex(parts["A policy, pushed live"],
                         "policy.yaml: 0 errors, 0 warnings\n.*\nPublished version 1; offered to 1 connected")
        judged = parts["The same files, judged by it"]
        self.assert_rows(judged.partition("$ weighctl findings")[0],
                         {**allowed, "downloaded-from-a-forum.bin": ("deny", "files-that-run-code"),
                          "novelist-nc.gguf": ("warn", "not-for-business")})
        self.assertRegex(judged, "denied_model .*/downloaded-from-a-forum.bin")
        self.assertRegex(judged, "verdict +deny, high\n +mode +observe: .*it may be used\n")
        self.assertIn(f"packaging/quickstart --stop           ends both and removes {self.state}", judged)

        self.assert_answers_over_rest(judged)

    def assert_answers_over_rest(self, text):
        """By the certificate and the token that the command for curl names."""
        ca, header, url = re.search(r"curl --cacert (\S+) -H @(\S+) (https://\S+)$", text, re.MULTILINE).groups()
        self.assertEqual(0o600, os.stat(header).st_mode & 0o777)
        with open(header, encoding="utf-8") as file:
            name, _, value = file.read().strip().partition(": ")
        request = urllib.request.Request(url, headers={name: value})
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=ca)) as answer:
            self.assertEqual("1", json.load(answer)["newest_policy_version"])

    def assert_looks_at_once(self):
        """Neither a battery nor a busy machine keeps it waiting, and it is still nobody's burden."""
        with open(os.path.join(self.state, "agent.yaml"), encoding="utf-8") as settings:
            budget = re.search("^budget: (.*)", settings.read(), re.MULTILINE)[1]
        self.assertIn("pause_on_battery: false", budget)
        self.assertIn("pause_above_load: 0", budget)
        self.assertNotIn("background", budget)

    def assert_all_programs_run(self, processes):
        self.assertEqual(PROGRAM_NAMES, {process.name for process in processes})

    def test_it_shows_a_policy_at_work_starts_over_and_leaves_nothing(self):
        self.assert_shows_everything(self.parts(self.models))
        self.assert_looks_at_once()
        first = processes_of(self.state)
        self.assert_all_programs_run(first)

        self.assert_shows_everything(self.parts(self.models))
        self.assertEqual([], still_running(first))
        second = processes_of(self.state)
        self.assert_all_programs_run(second)

        # Nobody may lose another's quickstart, or a folder that is none.
        self.assertEqual(1, self.quickstart(self.models, state=self.models)[0])
        self.assertEqual(0, self.quickstart("--stop", state=self.models)[0])
        self.assertEqual(["own.gguf"], os.listdir(self.models))
        self.assertEqual(1, self.quickstart(self.path("nowhere"))[0])
        # A caged worker may be another one by now.
        self.assertEqual(PROGRAM_NAMES, set(still_running(second)))
        second += processes_of(self.state)

        code, out, err = self.quickstart("--stop")
        self.assertEqual((0, "Nothing of the quickstart is running.\n", ""), (code, out, err))
        # A caged worker ends when it notices that its agent is gone.
        fleet.wait_for(lambda: not still_running(second), "the end of every process")
        self.assertEqual([], processes_of(self.state))
        self.assertFalse(os.path.exists(self.state))
        self.assertEqual([], os.listdir(self.home))
        self.assertEqual(0, self.quickstart("--stop")[0])


if __name__ == "__main__":
    unittest.main()
