"""GET /metrics as a client of Prometheus' own makers reads it, over a fleet that has something to tell."""

import ssl
import unittest
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

import fleet

TIMEOUT_S = 60
DENY_ALL = "policy: none\ndefault: {then: deny}\n"


class Metrics(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet(rest=True)
        self.viewer = self.fleet.ask("admin-tokens", "create", "--name", "prometheus", "--role", "viewer").strip()

    def get(self, headers):
        request = urllib.request.Request(f"https://{self.fleet.rest_address}/metrics", headers=headers)
        context = ssl.create_default_context(cafile=self.fleet.ca_file)
        return urllib.request.urlopen(request, context=context, timeout=TIMEOUT_S)

    def scrape(self):
        with self.get({"Authorization": f"Bearer {self.viewer}"}) as answer:
            self.assertEqual("text/plain; version=0.0.4; charset=utf-8", answer.headers["content-type"])
            text = answer.read().decode()
        samples = {}
        for family in text_string_to_metric_families(text):
            self.assertIn(family.type, ("counter", "gauge"), family.name)
            self.assertTrue(family.documentation.endswith("."), family.name)
            for sample in family.samples:
                samples[(sample.name, *sorted(sample.labels.values()))] = sample.value
        return samples

    def test_a_viewer_sees_a_fleet_grow(self):
        before = self.scrape()
        self.assertEqual(1, before["weighmaster_store_writable",])
        self.assertEqual(0, before["weighmaster_ingest_events_total",])
        self.assertEqual(0, before["weighmaster_policy_newest_version",])
        self.assertNotIn(("weighmaster_endpoints", "active"), before)

        agent = self.fleet.add_agent([self.make_samples()])
        agent.wait_until_delivered()
        self.fleet.publish(DENY_ALL)
        fleet.wait_for(lambda: self.scrape()["weighmaster_policy_endpoints_in_force",] == 1, "the policy in force")
        agent.wait_until_delivered()

        after = self.scrape()
        models = len(self.fleet.inventory())
        self.assertEqual(1, after["weighmaster_endpoints", "active"])
        self.assertEqual(1, after["weighmaster_endpoints_connected",])
        self.assertEqual(models, after["weighmaster_sightings", "deny"])
        self.assertEqual(1, after["weighmaster_policy_newest_version",])
        self.assertEqual(1, after["weighmaster_policy_offers_total",])
        self.assertEqual(1, after["weighmaster_admin_calls_total", "OK", "PublishPolicy"])
        self.assertEqual(0, after["weighmaster_ingest_batches_total", "refused"])
        batches = after["weighmaster_ingest_batches_total", "stored"]
        self.assertGreaterEqual(after["weighmaster_ingest_events_total",], max(batches, models))
        listed = self.fleet.rest("/v1/findings?include_resolved=true")[1]["total"]
        self.assertGreaterEqual(int(listed), models)
        self.assertEqual(int(listed), sum(value for key, value in after.items() if key[0] == "weighmaster_findings"))

    def test_who_has_no_token_sees_nothing(self):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.get({})
        with refused.exception as answer:
            self.assertEqual(401, answer.code)
            self.assertNotIn(b"weighmaster_", answer.read())


if __name__ == "__main__":
    unittest.main()
