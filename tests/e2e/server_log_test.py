"""What a server's log says: one JSON object a line, of what was changed and who was turned away, and no secret."""

import json
import re
import unittest

import fleet
from strangers_test import DATA, ENROL, Stranger, frame

POLICY = "policy: none\n"
# A gRPC message with a text that is none: no EnrolRequest.
MALFORMED = b"\x00\x00\x00\x00\x04\x0a\x05xy"


class ServerLog(fleet.EndToEnd):
    def lines(self):
        return [json.loads(line) for line in self.fleet.server.log().splitlines()]

    def has(self, component, pattern):
        return any(line["component"] == component and re.search(pattern, line["message"]) for line in self.lines())

    def test_tells_what_was_changed_and_who_was_turned_away(self):
        self.fleet = self.make_fleet(rest=True, serve=("--log-form", "json"))
        agent = self.fleet.add_agent([self.make_samples()])
        agent.wait_until_delivered()
        endpoint = self.fleet.rest("/v1/endpoints")[1]["endpoints"][0]["endpoint_id"]
        self.fleet.publish(POLICY)
        made = self.fleet.ask("admin-tokens", "create", "--name", "eve", "--role", "viewer")
        self.fleet.ask("revoke", endpoint, "--reason", "a\ntest")
        self.assertEqual(401, self.fleet.rest("/v1/fleet", token="wma1.AAAA")[0])
        stranger = Stranger(self.fleet.address)
        stranger.call(ENROL, 1)
        stranger.socket.sendall(frame(DATA, 1, 1, MALFORMED))
        stranger.left[1] = 0
        stranger.wait_for_answers()
        stranger.socket.close()
        self.assertEqual(0, self.fleet.server.stop())

        for component, pattern in (
                ("server", "serves fleet"), ("server", "REST on port"), ("identity", f"endpoint {endpoint} enrolled"),
                ("audit", "CreateToken done"), ("audit", "PublishPolicy done.*version=1"),
                ("audit", "CreateAdminToken begun.*eve"), ("audit", f"RevokeEndpoint begun.*{endpoint}"),
                ("rest", r"127\.\S* was refused: the administrator's token is malformed"), ("server", "stopping")):
            self.assertTrue(self.has(component, pattern), (pattern, self.fleet.server.log()))
        for line in self.lines():
            self.assertEqual({"time", "level", "component", "message"}, set(line))
        for secret in (self.fleet.admin_token, made.split()[-1], "wma1.", "wm1."):
            self.assertNotIn(secret, self.fleet.server.log())

    def test_says_only_what_is_asked_for(self):
        self.fleet = self.make_fleet(serve=("--log-level", "error"))
        self.fleet.token()
        self.assertEqual(0, self.fleet.server.stop())
        self.assertEqual("", self.fleet.server.log())


if __name__ == "__main__":
    unittest.main()
