"""Programs that are killed at a system call of one's choice, and the proof that nothing was lost by it.

strace injects the signal on entry of the call: SIGKILL is pending before the kernel would run the call, so the
call itself is not made (the other threads get a moment more). The n-th call is therefore the end of a life that
had n-1 of them. strace counts for each call and each thread by itself, so that the first thread to make its n-th
call ends the program; a sweep over n reaches the n-th call of the busiest thread, and a call that only ever
follows those of a busier thread is reached by naming its file.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess

import fleet

# From here on a sweep takes strides of a fifth: every call up to the ninth, then about four for each doubling.
STRIDE = 5
# Between two looks at what costs nothing to look at.
FAST_S = 0.01


class Point:
    """The n-th `call` of a thread; with `paths`, only those calls count that are about one of these files."""

    def __init__(self, call, number=1, paths=()):
        self.call = call
        self.number = number
        self.paths = paths

    def next(self):
        return Point(self.call, self.number + max(1, self.number // STRIDE), self.paths)

    def __str__(self):
        where = " on " + ", ".join(self.paths) if self.paths else ""
        return f"{self.call} number {self.number}{where}"

    def strace(self, log):
        """The words before a program, or before -p PID. The threads are followed; what the program starts in
        its turn, such as the cage, is let go when it becomes a program of its own."""
        return ["strace", "-f", "-b", "execve", "-o", log, "-e", "trace=" + self.call,
                "-e", f"inject={self.call}:signal=KILL:when={self.number}",
                *(word for path in self.paths for word in ("-P", path))]


def why_not():
    """Why nothing can be killed this way here, or nothing."""
    if shutil.which("strace") is None:
        return "there is no strace"
    tried = subprocess.run(["strace", "-D", "-f", "-b", "execve", "-o", "/dev/null", "-e", "trace=write",
                            "-e", "inject=write:signal=KILL:when=1", "/bin/echo"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if tried.returncode == -signal.SIGKILL:
        return ""
    return "strace can't kill here: " + tried.stderr.decode(errors="replace").strip()


class Kills(fleet.EndToEnd):
    """A test that kills, and knows what has to be there afterwards."""

    @staticmethod
    def on_disk(folder):
        """The SHA-256 of each file by its path."""
        digests = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as file:
                digests[os.path.join(folder, name)] = hashlib.sha256(file.read()).hexdigest()
        return digests

    @staticmethod
    def connections(agent):
        """So many times it was welcomed by the server, in all its lives: from its log, which costs nothing."""
        return agent.log().count("connected to the server")

    def stored(self, served):
        """What the only endpoint has on its disk, as the server has it."""
        rows = served.inventory()
        digests = {row["path"]: row["sha256"] for row in rows if row["digest_state"] == "verified"}
        self.assertEqual(len(rows), len({row["path"] for row in rows}), "a sighting is there twice")
        return digests

    def assert_no_loss_is_told(self, served):
        findings = served.ask("findings", "--all")
        for rule in ("equivocation", "gap", "clone", "broken_chain", "bad_batch", "bodies_dropped"):
            self.assertNotIn(rule, findings)

    def assert_whole_chains(self, served, chains=1):
        """So many chains, each with every number from 1 on once (docs/formats/server-store.md); the count of
        their events. The server has to be stopped."""
        with contextlib.closing(sqlite3.connect(os.path.join(served.data, "store.db"))) as database:
            found = database.execute(
                "SELECT next_number - 1, (SELECT COUNT(*) FROM batches WHERE chain = id), next_event - 1, "
                "(SELECT COUNT(*) FROM events WHERE chain = id AND body IS NOT NULL), "
                "(SELECT MIN(number) FROM events WHERE chain = id) FROM chains").fetchall()
            quarantined = database.execute("SELECT COUNT(*) FROM quarantined_batches").fetchone()[0]
        self.assertEqual(chains, len(found), found)
        for expected_batches, batches, expected_events, events, first_event in found:
            self.assertEqual((expected_batches, expected_events, 1), (batches, events, first_event))
        self.assertEqual(0, quarantined)
        return sum(events for _, _, _, events, _ in found)


class Sweep(Kills):
    """A test that kills at one point after the other, with a fleet and a folder with a model."""

    @classmethod
    def why_not(cls):
        return why_not()

    def setUp(self):
        super().setUp()
        self.served = self.make_fleet()
        self.models = self.make_folder("models")
        self.written = 0
        self.change_files()

    def change_files(self):
        """One file comes or changes."""
        self.written += 1
        fleet.write_file(os.path.join(self.models, f"model-{self.written % 8}.gguf"),
                         fleet.gguf(f"Version {self.written}", seed=self.written))

    def start_and_connect(self, agent):
        before = self.connections(agent)
        agent.start()
        fleet.wait_for(lambda: self.connections(agent) > before, "the connection", every=FAST_S)

    def sweep(self, points, live):
        """`live(point)` for each point and those after it, until one is not reached any more. It tells whether
        it was reached, with everything looked at that has to hold after it."""
        for point in points:
            first = point
            while self.noting(point, live):
                point = point.next()
            self.assertIsNot(first, point, f"{first} was never reached")

    @staticmethod
    def noting(point, live):
        try:
            return live(point)
        except Exception as error:
            error.add_note(f"killed at {point}")
            raise

    def start_under(self, point, process):
        """-D: the tracer is the grandchild, the program stays ours."""
        process.start([*point.strace(self.path("strace.log")), "-D"])

    @contextlib.contextmanager
    def attached(self, point, process):
        """Calls count from here on. All threads of the process have been found when this begins."""
        pid = process.child.pid
        with open(self.path("strace.err"), "wb") as log:
            tracer = subprocess.Popen([*point.strace(self.path("strace.log")), "-p", str(pid)],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            # One that has died of its first call since is fine as well.
            fleet.wait_for(lambda: not process.is_running or self.is_traced(pid), "strace attaching", every=FAST_S)
            yield
        finally:
            tracer.terminate()  # lets go of what still lives
            tracer.wait(timeout=fleet.PATIENCE_S)

    @staticmethod
    def is_traced(pid):
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8") as status:
                    if "TracerPid:\t0\n" in status.read():
                        return False
        except (FileNotFoundError, ProcessLookupError):  # a thread has ended meanwhile
            return False
        return True

    def was_killed(self, process, done):
        """Whether the process was killed before `done()`. It does not run when this returns."""
        fleet.wait_for(lambda: not process.is_running or done(), "a kill or the end", every=FAST_S)
        if process.is_running:
            process.kill()
            return False
        code = process.child.wait()
        self.assertEqual(-signal.SIGKILL, code, "it ended by itself: " + process.log())
        process.child = None
        return True
