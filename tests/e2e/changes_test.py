"""What changed, as it changes: a reader of server-sent events misses nothing, whatever happens to its connection."""

import http.client
import json
import ssl
import unittest

import fleet

TIMEOUT_S = 60
STREAMS_OF_A_TOKEN = 8


class Reader:
    """A connection that follows /v1/changes, and the position that it has come to."""

    def __init__(self, the_fleet, last_event_id=None, token=None):
        host, port = the_fleet.rest_address.rsplit(":", 1)
        context = ssl.create_default_context(cafile=the_fleet.ca_file)
        self.connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=TIMEOUT_S)
        headers = {"Authorization": f"Bearer {token or the_fleet.admin_token}", "Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self.connection.request("GET", "/v1/changes", headers=headers)
        self.answer = self.connection.getresponse()
        self.position = last_event_id

    def next(self):
        """The next event as (name, data); None at the end. Comments and ids alone are none."""
        name, data = None, None
        while True:
            line = self.answer.readline().decode()
            if not line:
                return None
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "id":
                self.position = value
            elif field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
            elif not line.strip() and data is not None:
                return name, data

    def until(self, wanted):
        while True:
            event = self.next()
            if event is None or event[0] == wanted:
                return event

    def wait_for_position(self):
        while self.position is None:
            line = self.answer.readline().decode()
            if line.startswith("id: "):
                self.position = line[len("id: "):].strip()

    def close(self):
        self.answer.close()  # it has taken the connection over
        self.connection.close()


class Changes(fleet.EndToEnd):
    def test_a_reader_misses_nothing(self):
        the_fleet = self.make_fleet(rest=True)
        reader = Reader(the_fleet)
        self.assertEqual(200, reader.answer.status)
        self.assertEqual("text/event-stream", reader.answer.getheader("content-type"))
        reader.wait_for_position()
        agent = the_fleet.add_agent([self.make_samples()])
        name, data = reader.next()
        self.assertEqual(("endpoint", "CHANGE_TOPIC_ENDPOINT"), (name, data["topic"]))
        endpoint = data["endpoint_id"]
        _, data = reader.until("events")
        self.assertEqual((endpoint, "1", "1"), (data["endpoint_id"], data["number"], data["count"]))
        agent.wait_until_delivered()
        reader.close()

        # What happens while nobody listens, and while there is no server.
        position = reader.position
        the_fleet.publish("policy: none\n")
        the_fleet.server.stop()
        the_fleet.start()
        reader = Reader(the_fleet, position)
        _, data = reader.until("policy")
        self.assertEqual("1", data["number"])
        self.assertGreater(int(data["position"]), int(position))

        # A server that goes leaves no half event behind, and a position of another store is refused.
        position = reader.position
        the_fleet.server.stop()
        while reader.next() is not None:
            pass
        reader.close()
        the_fleet.start()
        far = Reader(the_fleet, "999999999")
        self.assertEqual(400, far.answer.status)
        self.assertEqual(11, json.load(far.answer)["code"])
        far.close()
        status, page = the_fleet.rest(f"/v1/changes?position={position}")
        self.assertEqual(200, status)
        self.assertGreaterEqual(int(page["position"]), int(position))

    def test_one_token_leaves_streams_for_others_and_has_its_own_again(self):
        the_fleet = self.make_fleet(rest=True)
        other = the_fleet.ask("admin-tokens", "create", "--name", "screen", "--role", "viewer").strip()
        readers = [Reader(the_fleet) for _ in range(STREAMS_OF_A_TOKEN)]
        self.assertEqual([200] * STREAMS_OF_A_TOKEN, [reader.answer.status for reader in readers])
        refused = Reader(the_fleet)
        self.assertEqual(429, refused.answer.status)
        self.assertIn("this token has 8 streams", json.load(refused.answer)["message"])
        refused.close()
        readers.append(Reader(the_fleet, token=other))
        self.assertEqual(200, readers[-1].answer.status)

        # The server finds out that a reader has gone when it has something for it.
        readers.pop(0).close()
        the_fleet.publish("policy: none\n")

        def is_served():
            reader = Reader(the_fleet)
            try:
                return reader.answer.status == 200
            finally:
                reader.close()

        fleet.wait_for(is_served, "a stream for the token that ended one")
        for reader in readers:
            reader.close()


if __name__ == "__main__":
    unittest.main()
