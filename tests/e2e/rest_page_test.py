"""What the OpenAPI page says is so: schemathesis asks a server whatever the page allows, and what it does not.

WEIGHMASTER_EXAMPLES is how many requests it thinks of for each method, besides the corner cases. It asks no more often than an
address may open connections, because most of what it asks is wrong and ends its own.
"""

import os
import subprocess
import sys
import unittest

import fleet

EXAMPLES = os.environ.get("WEIGHMASTER_EXAMPLES", "15")
POLICY = "policy: none\n"
# Real ids half of the time, so that not every answer is 404. Page tokens are made by the server. What
# these methods refuse beside the limits of single fields has no form in a page: 400 is fine there.
SETTINGS = """
[auth.openapi.token]
bearer = "${{TOKEN}}"

[dictionaries.endpoints]
values = ["{endpoint}"]
[dictionaries.digests]
values = ["{sha256}"]
[dictionaries.versions]
values = ["0", "1"]

[parameters]
"query.page_token" = ""
"query.filter" = ""
"query.order_by" = ""
"query.as_of_time_us" = "0"
"query.sha256" = {{ dictionary = "digests", probability = 0.5 }}
"path.version" = {{ dictionary = "versions", probability = 0.5 }}

[[operations]]
include-operation-id = "GetEndpoint"
[operations.parameters]
"path.endpoint_id" = {{ dictionary = "endpoints", probability = 0.5 }}

[[operations]]
include-operation-id = ["GetEvidence", "ListBatches", "SetEndpointLabels"]
[operations.parameters]
"path.endpoint_id" = {{ dictionary = "endpoints", probability = 0.5 }}
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "429"]

[[operations]]
include-operation-id = ["CreateToken", "CreateAdminToken", "ListChanges", "PublishExceptions",
                        "PublishPolicy", "RevokeAdminToken", "SimulatePolicy", "UpdateFinding", "Where"]
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "429"]
"""


class RestPage(fleet.EndToEnd):
    def test_no_answer_surprises_a_strict_reader(self):
        the_fleet = self.make_fleet(rest=True)
        agent = the_fleet.add_agent([self.make_samples()])
        agent.wait_until_delivered()
        the_fleet.publish(POLICY)
        row = the_fleet.rest("/v1/sightings")[1]["sightings"][0]
        settings = self.path("schemathesis.toml")
        with open(settings, "w", encoding="utf-8") as out:
            out.write(SETTINGS.format(
                endpoint=row["endpoint_id"], sha256=fleet.hex_of(row["sighting"]["digest"]["sha256"])))
        done = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", settings,
             "--no-color", "run", f"https://{the_fleet.rest_address}/v1/openapi.json",
             "--tls-verify", the_fleet.ca_file, "--max-examples", EXAMPLES, "--seed", "1",
             "--rate-limit", "50/s", "--generation-database", "none", "--phases", "examples,coverage,fuzzing,stateful"],
            cwd=self.folder, env={**os.environ, "TOKEN": the_fleet.admin_token}, capture_output=True,
            text=True, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertTrue(the_fleet.server.is_running)


if __name__ == "__main__":
    unittest.main()
