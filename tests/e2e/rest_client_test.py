"""A client that somebody else's generator makes of the OpenAPI page does an administrator's work."""

import base64
import importlib
import os
import ssl
import subprocess
import sys
import unittest

import fleet

sys.path.insert(0, os.path.join(fleet.CHECKOUT, "tests", "golden"))
import read_batch  # noqa: E402

POLICY = """
policy: none
default:
  then: deny
  message: No model is allowed here.
"""


def base64_of(data):
    return base64.b64encode(data).decode()


class RestClient(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet(rest=True)
        self.generate()
        self.admin = self.client(self.fleet.admin_token)

    def generate(self):
        page = self.path("openapi.json")
        context = ssl.create_default_context(cafile=self.fleet.ca_file)
        url = f"https://{self.fleet.rest_address}/v1/openapi.json"
        with fleet.urllib.request.urlopen(url, context=context) as answer, open(page, "wb") as out:
            out.write(answer.read())
        tools = os.path.dirname(sys.executable)
        done = subprocess.run(
            [os.path.join(tools, "openapi-python-client"), "generate", "--path", page, "--meta", "none",
             "--output-path", self.path("weighmaster_client"), "--fail-on-warning"],
            env={**os.environ, "PATH": tools + ":" + os.environ["PATH"]}, capture_output=True, text=True,
            check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        sys.path.insert(0, self.folder)
        self.addCleanup(self.forget)
        self.models = importlib.import_module("weighmaster_client.models")

    def forget(self):
        sys.path.remove(self.folder)
        for name in [name for name in sys.modules if name.startswith("weighmaster_client")]:
            del sys.modules[name]

    def client(self, token):
        module = importlib.import_module("weighmaster_client")
        context = ssl.create_default_context(cafile=self.fleet.ca_file)
        client = module.AuthenticatedClient(
            base_url=f"https://{self.fleet.rest_address}", token=token, verify_ssl=context,
            raise_on_unexpected_status=True)
        self.addCleanup(client.get_httpx_client().close)
        return client

    def ask(self, method, *arguments, client=None, **fields):
        module = importlib.import_module(f"weighmaster_client.api.default.{method}")
        return module.sync(*arguments, client=client or self.admin, **fields)

    def publication(self):
        """What `weighctl policy sign` wrote, as the client's model."""
        self.fleet.sign(POLICY)
        with open(self.fleet.bundle, "rb") as file:
            bundle = read_batch.fields(file.read())
        signed = read_batch.fields(read_batch.one(bundle, 1, b""))
        signatures = [read_batch.fields(value) for number, value in signed if number == 2]
        parts = [read_batch.fields(value) for number, value in bundle if number == 2]
        return self.models.Publication.from_dict({
            "bundle": {"manifest": base64_of(read_batch.one(signed, 1, b"")),
                       "signatures": [{"key_id": base64_of(read_batch.one(signature, 1, b"")),
                                       "signature": base64_of(read_batch.one(signature, 2, b""))}
                                      for signature in signatures]},
            "parts": [{"reference": {"sha256": base64_of(read_batch.one(reference, 2, b"")),
                                     "kind": ("PART_KIND_UNSPECIFIED", "PART_KIND_LISTS", "PART_KIND_RULES",
                                              "PART_KIND_CONTENT")[read_batch.one(reference, 1, 0)]},
                       "content": base64_of(read_batch.one(part, 2, b""))}
                      for part in parts for reference in [read_batch.fields(read_batch.one(part, 1, b""))]],
            "document": read_batch.one(bundle, 3, b"").decode()})

    def test_an_administrator_needs_no_other_client(self):
        token = self.ask("create_token",
                         body=self.models.CreateTokenRequest(uses=1, valid_for_ms="3600000"))
        agent = self.fleet.add_agent([self.make_samples()], token=token.token)
        agent.wait_until_delivered()

        endpoints = self.ask("list_endpoints", page_size=10)
        self.assertEqual("1", endpoints.total)
        endpoint = endpoints.endpoints[0]
        self.assertTrue(endpoint.connected)
        first = self.ask("list_sightings", page_size=2, endpoint_id=endpoint.endpoint_id)
        rest = self.ask("list_sightings", page_token=first.next_page_token, endpoint_id=endpoint.endpoint_id)
        paths = {row.path.text for row in [*first.sightings, *rest.sightings]}
        self.assertEqual({row["path"] for row in self.fleet.inventory()}, paths)
        digest = fleet.hex_of(first.sightings[0].sighting.digest.sha256)
        self.assertEqual("1", self.ask("where", sha256=digest).endpoints)

        published = self.ask("publish_policy", body=self.publication())
        self.assertEqual("1", published.version)
        self.assertEqual("1", published.endpoints_offered)
        fleet.wait_for(lambda: self.ask("get_policy", "1").endpoints_in_force == "1", "the policy in force")
        self.assertEqual(POLICY, self.ask("get_policy", "0").document)
        fleet.wait_for(lambda: int(self.ask("list_findings").total) >= len(paths), "a finding for each model")

        self.ask("revoke_endpoint", endpoint.endpoint_id,
                 body=self.models.RevokeEndpointBody(reason="a test"))
        state = self.ask("get_endpoint", endpoint.endpoint_id).state
        self.assertEqual(self.models.EndpointState.ENDPOINT_STATE_REVOKED, state)
        methods = [row.method for row in self.ask("list_audit_entries").entries]
        for method in ("CreateToken", "PublishPolicy", "RevokeEndpoint"):
            self.assertEqual(2, methods.count(method), "begun and done")

    def test_a_refusal_is_a_status_of_its_own_type(self):
        made = self.ask("create_admin_token", body=self.models.CreateAdminTokenRequest(
            name="eve", role=self.models.AdminRole.ADMIN_ROLE_VIEWER, valid_for_ms="60000"))
        eve = self.client(made.token)
        self.assertEqual("eve", self.ask("who_am_i", client=eve).admin_token.name)
        for code, client, method, arguments in (
                (7, eve, "list_admin_tokens", []), (5, eve, "get_policy", ["7"]),
                (3, eve, "get_endpoint", ["x"]), (16, self.client("wma1.AAAA"), "get_fleet", [])):
            refused = self.ask(method, *arguments, client=client)
            self.assertIsInstance(refused, self.models.Status)
            self.assertEqual(code, refused.code, refused.message)


if __name__ == "__main__":
    unittest.main()
