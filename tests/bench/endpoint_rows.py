"""The rows of the endpoint."""

import hashlib
import os
import shutil
import signal
import subprocess
import threading
import time

import files
import measure
import processes

TREE_FILES = 200_000
TREE_MODELS = 500
CHECKOUT_FILES = 50_000
BUILD_STEPS = 6
# Several times as many pairs as the other rows have: its bar is nearer than the noise of one.
BESIDE_PAIRS = 4
IDLE_WINDOW_SECONDS = 10
LIST_DIGESTS = 100_000
HASHED_BYTES = 2048 * files.MIB
WEIGHTS_TENSORS = 256


def scan_of(bench, *paths):
    return lambda: measure.time_of([os.path.join(bench.bin, "weighmaster"), "scan", "--json", *paths])


def openssl_of(*paths):
    return lambda: measure.time_of(*(["openssl", "dgst", "-sha256", path] for path in paths))


SCAN_AS_A_WHOLE = "`weighmaster scan` as a whole: started, recognised, parsed in the cage, hashed, judged"


def hashing(bench):
    """Of files without tensors: one digest."""
    folder = bench.in_memory("hashing")
    cores = len(os.sched_getaffinity(0))
    size = HASHED_BYTES // cores // files.MIB * files.MIB
    large = os.path.join(folder, "large.gguf")
    several = [os.path.join(folder, f"{number}.gguf") for number in range(cores)]
    files.write_gguf(large, HASHED_BYTES, 0, tensors=0)
    for path in several:
        files.write_gguf(path, size, path, tensors=0)

    def compared(what, gigabytes, mine, theirs, reference):
        costs = [his.processor_seconds / my.processor_seconds
                 for my, his in zip(mine, theirs, strict=True)]
        busy = measure.spread([my.processor_seconds / my.seconds for my in mine])
        return measure.compared(
            what, [gigabytes / my.seconds for my in mine], [gigabytes / his.seconds for his in theirs],
            reference, "GB/s", at_least=0.95,
            note=f"{SCAN_AS_A_WHOLE}; {busy} processors busy of {cores}; told by processor time, which other work "
                 f"on the machine disturbs less, the ratio is {measure.spread(costs)}")

    one = measure.in_turn(bench.pairs, scan_of(bench, large), openssl_of(large))
    all_cores = measure.in_turn(bench.pairs, scan_of(bench, *several), openssl_of(*several))
    shutil.rmtree(folder)
    return [
        compared("hashing one large file, warm cache", HASHED_BYTES / 1e9, *one, "`openssl dgst -sha256`"),
        compared(f"hashing {cores} files at once, one a processor", cores * size / 1e9, *all_cores,
                 f"{cores} `openssl dgst -sha256` side by side"),
    ]


def weights(bench):
    """Of a file with tensors: its digest and that of its weights, by one reading on two threads."""
    folder = bench.in_memory("weights")
    path = os.path.join(folder, "model.gguf")
    files.write_gguf(path, HASHED_BYTES, 0, WEIGHTS_TENSORS)
    mine, theirs = measure.in_turn(bench.pairs, scan_of(bench, path), openssl_of(path))
    shutil.rmtree(folder)
    note = f"{SCAN_AS_A_WHOLE}; {WEIGHTS_TENSORS} tensors"
    reference = "one pass of `openssl dgst -sha256`"
    return [
        measure.compared("both digests of one large file, wall time", [my.seconds for my in mine],
                         [his.seconds for his in theirs], reference, "s", at_most=1.6, note=note),
        measure.compared("both digests of one large file, processor time",
                         [my.processor_seconds for my in mine], [his.processor_seconds for his in theirs],
                         reference, "s", at_most=2.1, note=note),
    ]


def walk(bench):
    tree = bench.on_disk("walk")
    files.write_tree(tree, TREE_FILES, TREE_MODELS)
    os.sync()  # nothing is to be written back while it is walked
    time.sleep(3)  # younger files are looked at twice
    lines = processes.all_lines([bench.program, "walk", tree,
                                 os.path.join(bench.bin, "weighmaster-cage"), str(bench.pairs)])
    shutil.rmtree(tree)
    return [measure.compared(
        "walking a tree with nothing new in it", [line["walk"] for line in lines[1:]],
        [line["find"] for line in lines[1:]], "`find TREE -printf '%s %T@\\n'`", "s", at_most=1.5,
        note=f"{lines[0]['files']:,} files on a disk, all cached, {TREE_MODELS} models among them; the sensor, "
             "the known sightings and the inventory of an agent, without a budget")]


class SettledEndpoint:
    """A server and an agent that has seen everything and has a policy of so many digests in force."""

    def __init__(self, bench, name, more_roots=(), digests=LIST_DIGESTS):
        folder = bench.on_disk(name)
        self.published = 0
        self.server = processes.Server(bench.bin, folder)
        models = os.path.join(folder, "models")
        files.write_models(models, TREE_MODELS)
        self.server.start()
        self.agent = processes.Agent(self.server, os.path.join(folder, "agent"),
                                     [models, *more_roots])
        try:
            self._settle(digests)
        except measure.CouldNotRun:
            self.stop()
            raise

    def _settle(self, digests):
        measure.wait_until(self._all_hashed, 300, processes.INVENTORY, every=0.5)
        self.bring_into_force(digests)
        time.sleep(5)

    def bring_into_force(self, digests):
        """A policy whose list denies so many digests, none of them in a policy before."""
        bundle = self.server.sign(self._policy(digests))
        self.server.publish(bundle)
        self.published += 1
        measure.wait_until(lambda: self.server.ask_store(
            "SELECT 1 FROM endpoints WHERE policy_version = ?", self.published), 60,
            "the policy coming into force")

    def _all_hashed(self):
        sql = "SELECT count(*) FROM sightings WHERE gone_us IS NULL AND artifact IS NOT NULL"
        return self.server.ask_store(sql)[0] >= TREE_MODELS

    def _policy(self, digests):
        with open(f"{self.server.folder}/denied.txt", "w", encoding="utf-8") as file:
            for number in range(digests):
                text = f"{self.published} {number}"
                file.write(hashlib.sha256(text.encode()).hexdigest() + "\n")
        path = f"{self.server.folder}/policy.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write("policy: long-list\nlists: {denied: [{file: denied.txt}]}\n"
                       "default: {then: allow}\n")
        return path

    def stop(self):
        self.agent.stop()
        self.server.stop()


def idle(bench):
    endpoint = SettledEndpoint(bench, "idle")
    try:
        agent = endpoint.agent.process.pid
        pids = endpoint.agent.pids()
        resident, shares = [], []
        for _ in range(bench.pairs):
            before = sum(map(processes.processor_seconds, pids))
            time.sleep(IDLE_WINDOW_SECONDS)
            spent = sum(map(processes.processor_seconds, pids)) - before
            shares.append(100 * spent / IDLE_WINDOW_SECONDS)
            resident.append((processes.resident_bytes(agent) + sum(
                processes.resident_bytes(pid, "Pss") for pid in pids if pid != agent)) / 1e6)
        alone = processes.resident_bytes(agent) / 1e6
        summed = sum(map(processes.resident_bytes, pids)) / 1e6
    finally:
        endpoint.stop()
    what = f"agent, idle, {TREE_MODELS} known artifacts, a {LIST_DIGESTS:,}-digest policy in force"
    note = (f"the resident set of the agent ({alone:.1f} MB) and the proportional share (PSS) of its "
            f"cage, {len(pids)} processes in all; with what they share counted in each, "
            f"{summed:.1f} MB")
    return [measure.absolute(f"{what}: resident", resident, "MB", 40, note),
            measure.absolute(f"{what}: processor", shares, "% of one core", 0.5,
                             f"windows of {IDLE_WINDOW_SECONDS} s, no walk in them")]


def asking_command(bench, agent):
    return [os.path.join(bench.bin, "weighmaster"), "status", "--socket", agent.socket]


class Asking:
    """Asks an agent for its status, again and again, on a thread of its own."""

    def __init__(self, bench, agent):
        self._command = asking_command(bench, agent)
        self._done = threading.Event()
        self.seconds = []
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self):
        while not self._done.is_set():
            self.seconds.append(measure.seconds_of(self._command))

    def stop(self):
        self._done.set()
        self._thread.join()


def long_list(bench):
    """What a long list costs an agent that had a short one, and whether the agent stalls meanwhile."""
    endpoint = SettledEndpoint(bench, "long-list", digests=1)
    growth, slowest, quiet = [], [], []
    try:
        agent = endpoint.agent
        for _ in range(bench.pairs):
            quiet.append(max(measure.seconds_of(asking_command(bench, agent)) for _ in range(100)))
        before = processes.resident_bytes(agent.process.pid)
        for _ in range(bench.pairs):
            asking = Asking(bench, agent)
            try:
                endpoint.bring_into_force(LIST_DIGESTS)
            finally:
                asking.stop()
            slowest.append(max(asking.seconds))
            growth.append((processes.resident_bytes(agent.process.pid) - before) / 1e6)
    finally:
        endpoint.stop()
    what = f"a list of {LIST_DIGESTS:,} digests pushed to an agent that had a list of one"
    return [measure.absolute(f"{what}: growth of the resident set", growth, "MB", 10,
                             f"{TREE_MODELS} known artifacts are judged by it; each is another list than the one "
                             "before"),
            measure.absolute(f"{what}: the slowest answer meanwhile", slowest, "s", 0.2,
                             "`weighmaster status`, started and answered, one after another, from before the "
                             "publication until the server knows that the policy is in force; the slowest of a "
                             f"hundred without a publication: {measure.spread(quiet, 's')}")]


class Work:
    """A checkout of 50,000 files and a small C++ build with ninja."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        self._make_repository()
        with open(f"{folder}/build.ninja", "w", encoding="utf-8") as file:
            file.write("rule cc\n  command = g++ -O1 -c $in -o $out\n")
            for step in range(BUILD_STEPS):
                with open(f"{folder}/unit{step}.cc", "w", encoding="utf-8") as unit:
                    unit.write("#include <map>\n#include <regex>\n#include <string>\n"
                               f"std::map<std::string, int> Count{step}(const std::string& t) {{\n"
                               "  std::map<std::string, int> n;\n  std::regex word(\"[a-z]+\");\n"
                               "  for (std::sregex_iterator i(t.begin(), t.end(), word), e; i != e;"
                               " ++i) ++n[i->str()];\n  return n;\n}\n")
                file.write(f"build unit{step}.o: cc unit{step}.cc\n")

    def _git(self, *words, **options):
        subprocess.run(["git", "-C", self.folder, *words], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, **options)

    def _make_repository(self):
        self._git("init", "--quiet")
        blob = os.urandom(2048).hex()
        commit = ["commit refs/heads/main\ncommitter B <b@example.org> 0 +0000\ndata 1\n.\n"]
        for number in range(CHECKOUT_FILES):
            text = f"{number} {blob[:500 + number % 3000]}\n"
            commit.append(f"M 644 inline {number // 500}/{number}.txt\ndata {len(text)}\n{text}\n")
        self._git("fast-import", "--quiet", input="".join(commit).encode())
        self._git("read-tree", "refs/heads/main")

    def took(self):
        out = f"{self.folder}/out"
        shutil.rmtree(out, ignore_errors=True)
        for step in range(BUILD_STEPS):
            if os.path.exists(f"{self.folder}/unit{step}.o"):
                os.remove(f"{self.folder}/unit{step}.o")
        checkout = measure.time_of(["git", "-C", self.folder, "checkout-index", "-a", "--prefix=out/"])
        build = measure.time_of(["ninja", "-C", self.folder, "--quiet"])
        return measure.Took(checkout.seconds + build.seconds,
                            checkout.processor_seconds + build.processor_seconds)


def beside(bench):
    work = Work(os.path.join(bench.in_memory("work"), "tree"))
    endpoint = SettledEndpoint(bench, "beside", [work.folder])
    try:
        work.took()

        def alone():
            endpoint.agent.signal(signal.SIGSTOP)
            try:
                return work.took()
            finally:
                endpoint.agent.signal(signal.SIGCONT)

        ours, reference = measure.in_turn(BESIDE_PAIRS * bench.pairs, work.took, alone)
    finally:
        endpoint.stop()
    costs = [my.processor_seconds / his.processor_seconds
             for my, his in zip(ours, reference, strict=True)]
    return [measure.compared(
        "a `ninja` build and a checkout of 50,000 files beside a settled agent",
        [took.seconds for took in ours], [took.seconds for took in reference],
        "with the agent stopped (SIGSTOP)", "s", at_most=1.01,
        note="below one of the agent's roots; told by the processor time of the work, which other work on "
             f"the machine disturbs less, the ratio is {measure.spread(costs)}")]
