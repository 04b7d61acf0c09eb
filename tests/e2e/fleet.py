"""A server and its agents as real processes, in a folder of their own.

The programs are those of the build: WEIGHMASTER_PROGRAMS names their folder. Everything waits for a condition
with a deadline. Each fleet listens on a loopback address of its own, so that fleets of tests that run beside
each other can't meet, also when a server comes back to its port.
"""

import base64
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

PROGRAMS = os.environ["WEIGHMASTER_PROGRAMS"]
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A machine that builds and tests at once is slow, and none of these tests measures time.
PATIENCE_S = 40
# An agent whose server was away for some seconds may wait a minute before it tries again.
RETURN_PATIENCE_S = 150
COMMAND_TIMEOUT_S = 60


def program(name):
    return os.path.join(PROGRAMS, name)


def wait_for(condition, what, seconds=PATIENCE_S, every=0.1):
    """What `condition` returns once that is true. It is asked `every` so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(every)


def run(words, environment=None, prefix=(), stdin=b""):
    """A finished process with its output as bytes."""
    return subprocess.run(
        [*prefix, program(words[0]), *words[1:]], env={**os.environ, **(environment or {})},
        input=stdin, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False)


def free_port(host):
    """As far as the kernel can tell."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        return listener.getsockname()[1]


def own_address():
    """An address of the loopback network with a free port."""
    host = ".".join(["127", *(str(random.SystemRandom().randint(2, 250)) for _ in range(3))])
    return f"{host}:{free_port(host)}"


class Process:
    """A program that runs until it is ended. Its output goes into a file."""

    def __init__(self, words, log, prefix=()):
        self.words = [*prefix, program(words[0]), *words[1:]]
        self.log_file = log
        self.child = None

    def start(self, prefix=(), stdin=b""):
        """Under the program of `prefix`, if one is given, this time only."""
        with open(self.log_file, "ab") as log:
            self.child = subprocess.Popen(
                [*prefix, *self.words], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
        # One that has ended already says in its log why.
        with contextlib.suppress(BrokenPipeError), self.child.stdin as pipe:
            pipe.write(stdin)

    @property
    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self):
        """As an init system would; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how):
        if self.child is None:
            return None
        if self.child.poll() is None:
            self.child.send_signal(how)
        try:
            code = self.child.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"{self.words[0]} did not end") from None
        self.child = None
        return code

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as log:
            return log.read()


class Agent(Process):
    def __init__(self, folder, roots, token, prefix=(), **settings):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.state = os.path.join(folder, "state")
        self.socket = os.path.join(folder, "agent.sock")
        self.token_file = os.path.join(folder, "token")
        self.settings_file = os.path.join(folder, "agent.yaml")
        self.give_token(token)
        # JSON is YAML; impatient, because a test waits for it.
        values = {
            "state_folder": self.state, "control_socket": self.socket,
            "enrolment_token_file": self.token_file, "roots": roots, "min_size": "1",
            "rescan_every": "1s",
            "budget": {"cpu_percent": "100", "pause_on_battery": False, "pause_above_load": "0",
                       "background": False}, **settings}
        values = {name: value for name, value in values.items() if value is not None}
        with open(self.settings_file, "w", encoding="utf-8") as out:
            json.dump(values, out)
        super().__init__(["weighmaster-agent", "--settings", self.settings_file],
                         os.path.join(folder, "agent.log"), prefix)

    def give_token(self, token):
        """Puts it there whole, as an administrator's tool would."""
        with open(self.token_file + ".new", "w", encoding="utf-8") as out:
            out.write(token + "\n")
        os.replace(self.token_file + ".new", self.token_file)

    def weighmaster(self, *words):
        return run(["weighmaster", *words], {"WEIGHMASTER_SOCKET": self.socket})

    def status(self):
        """The lines of `weighmaster status` by their first word; {} while the agent does not answer."""
        done = self.weighmaster("status")
        if done.returncode != 0:
            return {}
        lines = (line.partition(" ") for line in done.stdout.decode().splitlines())
        return {name: rest.strip() for name, _, rest in lines}

    @property
    def server_line(self):
        return self.status().get("server", "")

    def is_delivered(self):
        """Nothing is left to hash, to seal or to send."""
        status = self.status()
        return (status.get("journal", "").startswith(
                    "0 batches wait for the server, 0 events for the next,")
                and "0 not hashed yet" in status["models"]
                and status["server"].startswith("connected"))

    def wait_until_delivered(self):
        wait_for(self.is_delivered, "everything of the agent being stored")


class Fleet:
    """A server in `folder`, made by `init`, and its administrator. With `rest` it has a REST port as well; `serve`
    are more of its options."""

    def __init__(self, folder, data=None, prefix=(), rest=False, serve=()):
        self.folder = folder
        self.data = data or os.path.join(folder, "server")
        self.address = own_address()
        self.profile = os.path.join(folder, "weighctl.json")
        self.bundle = os.path.join(folder, "policy.bundle")  # what was published last
        made = run(["weighmaster-server", "init", "--data", self.data, "--address", self.address],
                   prefix=prefix)
        if made.returncode != 0:
            raise AssertionError(made.stderr.decode())
        host = self.address.rpartition(":")[0]
        self.rest_address = f"{host}:{free_port(host)}" if rest else None
        self.server = Process(["weighmaster-server", "serve", "--data", self.data,
                               *(["--rest", self.rest_address] if rest else []), *serve],
                              os.path.join(folder, "server.log"), prefix)
        self.agents = []

    def start(self):
        self.server.start()
        self.wait_until_up()

    def wait_until_up(self):
        wait_for(self._log_in, "the server's start")

    def _log_in(self):
        if not self.server.is_running:
            raise AssertionError("the server ended: " + self.server.log())
        return self.weighctl("login", "--server", self.address,
                             "--ca-file", os.path.join(self.data, "ca.pem"),
                             "--token-file", os.path.join(self.data, "admin.token")).returncode == 0

    def end(self):
        for process in [*self.agents, self.server]:
            process.kill()

    def weighctl(self, *words, stdin=b""):
        return run(["weighctl", *words], {"WEIGHCTL_PROFILE": self.profile}, stdin=stdin)

    def ask(self, *words):
        """The standard output of a command that has to work."""
        done = self.weighctl(*words)
        if done.returncode != 0:
            raise AssertionError(f"weighctl {' '.join(words)}: {done.stderr.decode()}")
        return done.stdout.decode()

    @property
    def ca_file(self):
        return os.path.join(self.data, "ca.pem")

    @property
    def admin_token(self):
        with open(os.path.join(self.data, "admin.token"), encoding="utf-8") as file:
            return file.read().strip()

    def rest(self, path, method="GET", body=None, token=None):
        """The status of a REST call and what it answered."""
        request = urllib.request.Request(
            f"https://{self.rest_address}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token or self.admin_token}",
                     "Content-Type": "application/json"})
        context = ssl.create_default_context(cafile=self.ca_file)
        try:
            with urllib.request.urlopen(request, context=context, timeout=COMMAND_TIMEOUT_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def token(self, uses=1, valid_for="1h"):
        return self.ask("tokens", "create", "--uses", str(uses), "--valid-for", valid_for).strip()

    def add_agent(self, roots, token=None, name="agent", prefix=(), **settings):
        agent = Agent(os.path.join(self.folder, name), roots, token or self.token(), prefix,
                      **settings)
        self.agents.append(agent)
        agent.start()
        return agent

    def inventory(self, *words):
        return json_lines(self.ask("inventory", "--json", *words))

    def by_name(self):
        """The present sightings by the name of their file."""
        return {os.path.basename(row["path"]): row for row in self.inventory()}

    def endpoint_line(self):
        """The row of the only endpoint."""
        return self.ask("endpoints").splitlines()[1]

    def sign(self, text, *options):
        """Into `bundle`."""
        document = os.path.join(self.folder, "policy.yaml")
        with open(document, "w", encoding="utf-8") as out:
            out.write(text)
        self.ask("policy", "sign", document, "--out", self.bundle, "--key",
                 os.path.join(self.data, "offline-keys", "policy.key"), *options)

    def publish(self, text, *sign_options):
        self.sign(text, *sign_options)
        return self.ask("policy", "publish", self.bundle)


class EndToEnd(unittest.TestCase):
    """A test with a folder that goes away, and fleets that end."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        problem = cls.why_not()
        if problem:
            raise unittest.SkipTest(problem)

    @classmethod
    def why_not(cls):
        """Why these tests can't run here, or nothing."""
        return ""

    def setUp(self):
        # Not below TMPDIR: a socket's path has at most 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="wm-e2e-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def make_folder(self, *names):
        os.makedirs(self.path(*names))
        return self.path(*names)

    def make_fleet(self, name="fleet", **options):
        fleet = Fleet(self.make_folder(name), **options)
        self.addCleanup(fleet.end)
        fleet.start()
        return fleet

    def make_samples(self, name="models"):
        folder = self.path(name)
        subprocess.run([sys.executable, os.path.join(CHECKOUT, "packaging", "make-sample-models"), folder],
                       check=True, stdout=subprocess.DEVNULL)
        return folder

    def assert_one_line(self, text, *words):
        """An explanation for a person: one line that holds all of these."""
        self.assertEqual(1, len(text.strip().splitlines()), text)
        for word in words:
            self.assertIn(word, text)


def gguf(name, size=4096, seed=0, tensors=0):
    """A GGUF file of `size` bytes without tensors: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"""
    def string(text):
        return len(text).to_bytes(8, "little") + text.encode()

    def text_value(key, text):
        return string(key) + (8).to_bytes(4, "little") + string(text)

    values = [text_value("general.architecture", "llama"), text_value("general.name", name)]
    head = (b"GGUF" + (3).to_bytes(4, "little") + tensors.to_bytes(8, "little")
            + len(values).to_bytes(8, "little") + b"".join(values))
    return head + random.Random(seed).randbytes(max(0, size - len(head)))


def write_file(path, content):
    """Whole when it appears below a root: made beside the root, then moved."""
    path = os.fsencode(path)
    hidden = os.path.join(os.path.dirname(os.path.dirname(path)), b".being-written")
    with open(hidden, "wb") as out:
        out.write(content)
    os.replace(hidden, path)


def json_lines(output):
    return [json.loads(line) for line in output.splitlines()]


def hex_of(text):
    """Of bytes as REST has them."""
    return base64.b64decode(text).hex()


def decode_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encode_base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
