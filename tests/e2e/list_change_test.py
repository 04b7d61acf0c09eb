"""What a change of one digest among 100,000 costs on the wire, and that it comes into force."""

import hashlib
import json
import os
import socket
import threading
import unittest

import fleet

DIGESTS = 100_000
MOST_BYTES = 64 * 1024


class Relay:
    """Carries connections from one address to another and counts the bytes of both directions."""

    def __init__(self, address, to):
        self.to = split(to)
        self.bytes = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(split(address))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.to)
            except OSError:
                return
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source, sink):
        try:
            while data := source.recv(65536):
                with self.lock:
                    self.bytes += len(data)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            sink.close()


def split(address):
    host, _, port = address.rpartition(":")
    return host, int(port)


class ListChange(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = fleet.Fleet(self.make_folder("fleet"))
        self.addCleanup(self.fleet.end)
        # Agents come over the relay, to the address of their token; administrators do not.
        listen = f"{split(self.fleet.address)[0]}:{split(fleet.own_address())[1]}"
        self.relay = Relay(self.fleet.address, listen)
        self.addCleanup(self.relay.close)
        self.fleet.address = listen
        self.fleet.server.words += ["--listen", listen]
        self.fleet.start()

    def publish(self, version, digests):
        """The bytes that it took until the agent had it in force and the server knew."""
        with open(self.fleet_path("approved.txt"), "w", encoding="utf-8") as out:
            out.writelines(digest + "\n" for digest in digests)
        before = self.relay.bytes
        self.fleet.publish("policy: many\nlists:\n  approved:\n    - file: approved.txt\n"
                           "default: {then: warn, message: it is not approved}\n")
        fleet.wait_for(lambda: self.agent.status().get("policy") == f"version {version}"
                       and self.agent.is_delivered(), f"version {version} in force")
        return self.relay.bytes - before

    def fleet_path(self, name):
        return os.path.join(self.fleet.folder, name)

    def test_one_digest_costs_less_than_64_kib_and_all_of_them_their_size(self):
        models = self.make_folder("models")
        model = fleet.gguf("late")
        fleet.write_file(os.path.join(models, "late.gguf"), model)
        self.agent = self.fleet.add_agent([models])
        self.agent.wait_until_delivered()
        digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(DIGESTS)]
        self.assertGreater(self.publish(1, digests), 32 * DIGESTS)
        self.assertEqual("warn", self.fleet.by_name()["late.gguf"]["verdict"])
        digests[DIGESTS // 2] = hashlib.sha256(model).hexdigest()
        changed = self.publish(2, digests)
        print(json.dumps({"digests": DIGESTS, "one_changed_bytes": changed}))  # the bench reads it
        self.assertLess(changed, MOST_BYTES)
        self.assertEqual("allow", self.fleet.by_name()["late.gguf"]["verdict"])


if __name__ == "__main__":
    unittest.main()
