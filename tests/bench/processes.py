"""The product's own processes, started and asked through their public commands."""

import json
import os
import queue
import resource
import signal
import socket
import sqlite3
import subprocess
import threading

import measure

# An agent rests while its machine is busy (the budget's max_load_per_cpu), and this machine may be.
INVENTORY = "an inventory (an agent rests while the load average is above 2 a processor)"


class Lines:
    """A process of which each line of output is a JSON object."""

    def __init__(self, command):
        raise_file_limit()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def next(self, seconds):
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise measure.CouldNotRun(f"it said nothing for {seconds} seconds") from None
        if line is None:
            raise measure.CouldNotRun(f"it ended with {self.process.wait()}; its reason is above")
        return line

    def stop(self):
        end(self.process)


def all_lines(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise measure.CouldNotRun(f"{command[1]} ended with {done.returncode}; its reason is above")
    return [json.loads(line) for line in done.stdout.splitlines()]


def raise_file_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """weighmaster-server with a fleet of its own, and weighctl logged in to it."""

    def __init__(self, bin_folder, folder):
        self.bin, self.folder, self.process = bin_folder, folder, None
        self.fleet = os.path.join(folder, "fleet")
        self.address = f"127.0.0.1:{free_port()}"
        os.makedirs(folder, mode=0o700)
        self.environment = dict(os.environ, WEIGHCTL_PROFILE=os.path.join(folder, "weighctl.json"))
        self._run("weighmaster-server", "init", "--data", self.fleet, "--address", self.address)

    def _run(self, program, *words):
        done = subprocess.run([os.path.join(self.bin, program), *words], env=self.environment,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise measure.CouldNotRun(f"{program} {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def weighctl(self, *words):
        return self._run("weighctl", *words)

    def start(self):
        raise_file_limit()
        with open(os.path.join(self.folder, "server.log"), "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.bin, "weighmaster-server"), "serve", "--data", self.fleet],
                stdout=log, stderr=log)
        measure.wait_until(self._listens, 20, "the server's start")
        self.weighctl("login", "--server", self.address, "--ca-file", f"{self.fleet}/ca.pem",
                      "--token-file", f"{self.fleet}/admin.token")

    def _listens(self):
        host, port = self.address.split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def stop(self):
        if self.process is not None:
            end(self.process)
            self.process = None

    def write_token(self):
        path = os.path.join(self.folder, "enrolment.token")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as file:
            file.write(self.weighctl("tokens", "create", "--uses", "1", "--valid-for", "1h"))
        return path

    def sign(self, document):
        """The bundle of a policy document, for the next version."""
        path = document + ".bundle"
        self.weighctl("policy", "sign", document, "--key",
                      f"{self.fleet}/offline-keys/policy.key", "--out", path)
        return path

    def publish(self, bundle):
        self.weighctl("policy", "publish", bundle)

    def ask_store(self, sql, *values):
        """The first row of an answer of the store, or None. It is read beside the server, so that
        asking costs the server nothing."""
        store = sqlite3.connect(f"file:{self.fleet}/store.db?mode=ro", uri=True)
        try:
            return store.execute(sql, values).fetchone()
        finally:
            store.close()


class Agent:
    """weighmaster-agent with the settings that it has on a laptop, but for its folders."""

    def __init__(self, server, folder, roots, rescan_every=None):
        os.makedirs(folder, mode=0o700)
        self.socket = f"{folder}/agent.sock"
        settings = {
            "state_folder": f"{folder}/state",
            "control_socket": self.socket,
            "enrolment_token_file": server.write_token(),
            "roots": roots,
        }
        if rescan_every is not None:
            settings["rescan_every"] = rescan_every
        path = os.path.join(folder, "agent.yaml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(settings, file)
        with open(os.path.join(folder, "agent.log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [os.path.join(server.bin, "weighmaster-agent"), "--settings", path],
                stdout=log, stderr=log)

    def pids(self):
        """The agent and the programs below it."""
        found, parents = [self.process.pid], {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            parents[int(name)] = parent_of(name)
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def signal(self, number):
        for pid in self.pids():
            os.kill(pid, number)

    def stop(self):
        end(self.process)


def read_proc(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def parent_of(pid):
    fields = read_proc(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def resident_bytes(pid, kind="Rss"):
    for line in read_proc(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(kind + ":"):
            return int(line.split()[1]) * 1024
    raise measure.CouldNotRun(f"process {pid} has gone")


def processor_seconds(pid):
    """Of all its threads that live, exact to the nanosecond, which stat(5) is not."""
    tasks = os.listdir(f"/proc/{pid}/task")
    times = (read_proc(f"/proc/{pid}/task/{task}/schedstat").split() for task in tasks)
    return sum(int(fields[0]) for fields in times if fields) / 1e9
