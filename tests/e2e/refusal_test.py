"""Two of what there may be one of, and servers that are none."""

import os
import random
import socket
import socketserver
import threading
import unittest

import fleet


class Garbage(socketserver.BaseRequestHandler):
    """Answers whatever comes with bytes of chance, then hangs up."""

    def handle(self):
        self.server.answered += 1
        try:
            self.request.recv(4096)
            self.request.sendall(random.Random(self.server.answered).randbytes(20_000))
        except OSError:
            pass  # hung up first


class GarbageServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    answered = 0


class Refusals(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet()
        self.models = self.make_folder("models")
        fleet.write_file(os.path.join(self.models, "one.gguf"), fleet.gguf("One"))

    def test_a_second_server_on_the_port_is_refused_with_its_reason(self):
        other = fleet.Fleet(self.make_folder("other"))
        second = fleet.run(["weighmaster-server", "serve", "--data", other.data,
                            "--listen", self.fleet.address])
        self.assertEqual(1, second.returncode)
        self.assert_one_line(second.stderr.decode(), "weighmaster-server: ", self.fleet.address,
                             "the port is in use")
        self.fleet.ask("endpoints")

    def test_a_second_server_on_the_data_is_refused_with_its_reason(self):
        second = fleet.run(["weighmaster-server", "serve", "--data", self.fleet.data,
                            "--listen", fleet.own_address()])
        self.assertEqual(1, second.returncode)
        self.assert_one_line(second.stderr.decode(), "weighmaster-server: ", self.fleet.data)

    def test_a_second_fleet_in_a_folder_is_refused(self):
        again = fleet.run(["weighmaster-server", "init", "--data", self.fleet.data,
                           "--address", self.fleet.address])
        self.assertEqual(1, again.returncode)
        self.assert_one_line(again.stderr.decode(), self.fleet.data)
        self.fleet.ask("endpoints")

    def test_a_second_agent_on_the_state_is_refused_with_its_reason(self):
        agent = self.fleet.add_agent([self.models])
        fleet.wait_for(lambda: agent.server_line.startswith("connected"), "the enrolment")
        second = fleet.run(["weighmaster-agent", "--settings", agent.settings_file])
        self.assertEqual(1, second.returncode)
        self.assert_one_line(second.stderr.decode(), "another agent works on " + agent.state)
        self.assertTrue(agent.server_line.startswith("connected"))

    def test_wrong_settings_are_told_with_their_place(self):
        path = self.path("agent.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write("rescan_evry: 1s\nroots: [relative]\n")
        for words in (["--settings", path], ["--settings", path, "--check-settings"]):
            done = fleet.run(["weighmaster-agent", *words])
            self.assertEqual(1, done.returncode)
            self.assertRegex(done.stderr.decode(), rf"(?s){path}:1:1: error: .*rescan_every")
            self.assertRegex(done.stderr.decode(), rf"{path}:2:9: error: .*must be a full path")
        self.assertEqual(2, fleet.run(["weighmaster-agent", "--wrong"]).returncode)
        self.assertEqual(2, fleet.run(["weighmaster-server", "serve"]).returncode)

    def test_servers_that_are_none_change_nothing_on_the_agent(self):
        agent = self.fleet.add_agent([self.models])
        fleet.wait_for(lambda: "one.gguf" in self.fleet.by_name(), "the first delivery")
        self.fleet.publish("policy: p\ndefault: {then: warn}\n")
        fleet.wait_for(lambda: agent.status()["policy"] == "version 1", "the policy")
        agent.wait_until_delivered()
        endpoint = self.fleet.endpoint_line().split()[0]

        self.fleet.server.stop()
        host, _, port = self.fleet.address.rpartition(":")
        with GarbageServer((host, int(port)), Garbage) as garbage:
            threading.Thread(target=garbage.serve_forever, daemon=True).start()
            fleet.wait_for(lambda: "TLS" in agent.server_line, "the garbage being told")
            self.assertTrue(agent.server_line.startswith(f"not connected to {self.fleet.address} as {endpoint}"))
            garbage.shutdown()
        # A server that speaks the protocol well, but is another's.
        other = fleet.Fleet(self.make_folder("other"))
        impostor = fleet.Process(["weighmaster-server", "serve", "--data", other.data,
                                  "--listen", self.fleet.address], self.path("impostor.log"))
        self.addCleanup(impostor.kill)
        impostor.start()
        fleet.wait_for(lambda: "is not trusted: " in agent.server_line, "the impostor being told")
        impostor.stop()
        log = agent.log()
        self.assertEqual(1, log.count("is not trusted: "), log)
        self.assertRegex(log, f" warning sync: the server at {self.fleet.address} is not trusted: ")
        self.assertEqual("version 1", agent.status()["policy"])

        fleet.write_file(os.path.join(self.models, "two.gguf"), fleet.gguf("Two"))
        self.fleet.start()
        fleet.wait_for(lambda: "two.gguf" in self.fleet.by_name(), "the agent's return", fleet.RETURN_PATIENCE_S)
        self.assertEqual(2, agent.log().count(" info sync: connected to the server\n"), agent.log())
        self.assertEqual(endpoint, self.fleet.endpoint_line().split()[0])
        self.assertIn("1 endpoints.", self.fleet.ask("endpoints"))

    def test_a_server_survives_garbage(self):
        host, _, port = self.fleet.address.rpartition(":")
        for seed in range(20):
            with socket.create_connection((host, int(port))) as peer:
                peer.sendall(random.Random(seed).randbytes(5000))
        self.fleet.ask("endpoints")
        log = self.fleet.server.log()
        self.assertLess(len(log.splitlines()), 20, log)


if __name__ == "__main__":
    unittest.main()
