"""What weighctl tells of a moment before the policy changed, an exception ended and a finding was dismissed."""

import datetime
import json
import unittest

import fleet

DENY_ALL = "policy: none\nrules:\n  - {id: nothing, when: {size: {at_least: 1}}, then: deny, message: No.}\ndefault: {then: allow}\n"
ALLOW_ALL = "policy: all\ndefault: {then: allow}\n"


class AsOf(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet(rest=True)
        self.agent = self.fleet.add_agent([self.make_samples()])
        self.agent.wait_until_delivered()

    def rows(self, *words):
        return [json.loads(line) for line in self.fleet.ask(*words, "--json").splitlines()]

    def put_in_force(self, text):
        self.fleet.publish(text)
        fleet.wait_for(lambda: self.fleet.rest("/v1/policies/0")[1]["endpoints_in_force"] == "1", "in force")
        self.agent.wait_until_delivered()

    def moment(self):
        """Now, as an argument, after all that the agent has said until now and before what it says next."""
        now = datetime.datetime.now(datetime.timezone.utc)
        told = lambda: datetime.datetime.now(datetime.timezone.utc) > now + datetime.timedelta(milliseconds=50)
        fleet.wait_for(told, "the clock to go on")
        return (now + datetime.timedelta(milliseconds=25)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def told(self, *as_of):
        """What the lists say, but for what is only known of now."""
        endpoint = self.rows("endpoints", *as_of)[0]
        shown = json.loads(self.fleet.ask("endpoint", "show", endpoint["endpoint_id"], "--json", *as_of))
        of_then = ("state", "policy_version", "policy_since_time", "sightings", "denied", "warned", "coverage",
                   "roots_looked", "key_sha256")
        counts = self.rows("verdicts", *as_of)[0]
        self.assertEqual(endpoint["denied"], counts["deny"])
        self.assertEqual(str(endpoint["policy_version"]), shown["policy_version"])
        return ({name: endpoint[name] for name in of_then}, counts,
                [(row["finding_id"], row["state"]) for row in self.rows("findings", *as_of)],
                [(row["version"], row["endpoints_in_force"]) for row in self.rows("policy", "list", *as_of)],
                [(row["sha256"], row["places"]) for row in self.rows("artifacts", *as_of)],
                sorted((row["path"], row["verdict"]) for row in self.rows("inventory", *as_of)))

    def test_it_is_what_was_told_then(self):
        moments = []
        for text in (DENY_ALL, ALLOW_ALL):
            self.put_in_force(text)
            moments.append((self.moment(), self.told()))
        self.put_in_force(DENY_ALL)
        finding = self.rows("findings")[0]["finding_id"]
        self.fleet.ask("finding", "dismiss", str(finding))
        now = self.told()
        for moment, told in moments:
            self.assertNotEqual(now, told)
            self.assertEqual(told, self.told("--as-of", moment))
        self.assertEqual("1 endpoints.", self.fleet.ask("endpoints", "--as-of", moments[0][0]).splitlines()[-1])
        self.assertEqual("0 endpoints.", self.fleet.ask("endpoints", "--as-of", "2020-01-01").splitlines()[-1])
        self.assertIn("1 endpoints enrolled then", self.fleet.ask("inventory", "--as-of", moments[1][0]))

    def test_filters_go_by_what_was_so_then(self):
        self.put_in_force(DENY_ALL)
        then = self.moment()
        self.put_in_force(ALLOW_ALL)
        for filter_text, of_then, of_now in (("denied > 0", 1, 0), ("policy_version = 1", 1, 0),
                                             ("connected", 0, 1), ("coverage = looked", 1, 1)):
            with self.subTest(filter_text):
                self.assertEqual(of_then, len(self.rows("endpoints", "--filter", filter_text, "--as-of", then)))
                self.assertEqual(of_now, len(self.rows("endpoints", "--filter", filter_text)))
        denied = self.rows("inventory", "--filter", "rule = nothing AND policy_version = 1", "--as-of", then)
        self.assertEqual(len(self.rows("inventory")), len(denied))
        self.assertEqual([], self.rows("inventory", "--filter", "rule = nothing"))


if __name__ == "__main__":
    unittest.main()
