"""The JSON Schema that editors use, by a schema engine, against what lint says of the same documents.

The schema may let pass what only lint can know. It never refuses what lint takes, and refuses what has the wrong shape.
WEIGHMASTER_PROGRAMS names the folder of the build's programs.
"""

import glob
import json
import os
import re
import subprocess
import tempfile
import unittest

import jsonschema
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
WEIGHCTL = os.path.join(os.environ["WEIGHMASTER_PROGRAMS"], "weighctl")
HEX = "ab" * 32


class Loader(yaml.SafeLoader):
    """YAML 1.2, as weighctl reads it and editors do: `no` is a text, and so is a date."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


def rule(text):
    return "policy: p\nrules:\n- {id: a, then: allow, " + text + "}\n"


def when(text):
    return rule("when: {" + text + "}")


GOOD = {
    "only a name": "policy: p\n",
    "a whole one": "policy: p\nrules:\n"
                   "- {id: a.b_c-1, then: deny, message: No., always: true, when_unknown: fire, when: {format: gguf}}\n"
                   "- {id: b, then: warn, message: Ask.}\n"
                   "default: {then: deny, message: On no list.}\n",
    "lists": f"policy: p\nlists:\n  blocked: ['{HEX}']\n  denied: ['sha256:{'CD' * 32}']\n"
             f"  approved: [{{sha256: {'ef' * 32}, name: m, reason: tested}}]\n",
    "lists of weights": f"policy: p\nlists: {{denied: [{{weights: {HEX}, name: m}}], approved: ['weights:{'cd' * 32}']}}\n",
    "what follows": "policy: p\nmode: enforce\ndefault: {then: deny, severity: low, link: 'https://m.example/a?b=c#d'}\n"
                    "rules:\n- {id: a, then: deny, message: m, link: 'https://m.example', severity: critical, "
                    "mode: warn, expires: 2999-01-01, audit: true}\n"
                    "- {id: b, then: warn, message: m, expires: '2999-01-01T00:00:00.5+02:00'}\n",
    "settings": "policy: p\nmin_size: 64 KiB\nbudget: {read_per_second: 20MB, cpu_percent: 10, pause_on_battery: true, "
                "pause_above_load: '4'}\ncollect: {owner: false, license: true}\n",
    "settings at their bounds": "policy: p\nmin_size: 1073741824\nbudget: {read_per_second: 1048576, cpu_percent: 100, "
                                "pause_above_load: 1000}\n",
    "a flag and digests": when(f"weights_approved: {{is: true}}, sha256: [{HEX}], weights: {{is: {HEX}, known: true}}"),
    "nested": when("all: [{format: gguf}, {any: [{name: x}, {not: {architecture: llama}}]}]"),
    "several values": when("format: [gguf, onnx]"),
    "operators": when("license: {contains: [a, b], glob: 'x*', is: [mit]}"),
    "known": when("license: {known: false}"),
    "a size with a unit": when("size: {at_least: 1.5 GiB, at_most: 20 GB}"),
    "a size in bytes": when("size: {at_least: 1024}"),
    "a count": when("parameters: {at_least: 7B}"),
    "severity": when("risk_severity: {at_least: high}"),
    "digest state": when("digest_state: [pending, claimed]"),
    "owner by number": when("owner: 1000"),
}
WRONG_SHAPE = {
    "a list": "- a\n",
    "a text": "policy\n",
    "no name": "rules: []\n",
    "an empty name": "policy: ''\n",
    "a name that is a list": "policy: [p]\n",
    "a long name": "policy: " + "p" * 129 + "\n",
    "an unknown key": "policy: p\nrulse: []\n",
    "a version": "policy: p\nversion: 3\n",
    "rules that are a map": "policy: p\nrules: {}\n",
    "a rule that is a text": "policy: p\nrules: [x]\n",
    "a rule without an id": "policy: p\nrules:\n- {then: allow}\n",
    "a rule without an outcome": "policy: p\nrules:\n- {id: a}\n",
    "a rule with an unknown key": rule("mesage: x"),
    "an unknown outcome": "policy: p\nrules:\n- {id: a, then: alow}\n",
    "an id with blanks": "policy: p\nrules:\n- {id: No Spaces, then: allow}\n",
    "a reserved id": "policy: p\nrules:\n- {id: approved, then: allow}\n",
    "always as a text": rule("always: 'true'"),
    "an unknown when_unknown": rule("when_unknown: fires"),
    "an unknown severity of a rule": rule("severity: grave"),
    "an unknown mode": "policy: p\nmode: block\n",
    "a size with an unknown unit to begin at": "policy: p\nmin_size: 3 GiBi\n",
    "a size past its bound": "policy: p\nmin_size: 1073741825\n",
    "a reading that is too slow": "policy: p\nbudget: {read_per_second: 1048575}\n",
    "more than a processor": "policy: p\nbudget: {cpu_percent: 101}\n",
    "a budget of what endpoints alone say": "policy: p\nbudget: {hash_threads: 2}\n",
    "a pause as a text": "policy: p\nbudget: {pause_on_battery: 'true'}\n",
    "what is always sent": "policy: p\ncollect: {path: false}\n",
    "a collected field as a text": "policy: p\ncollect: {owner: 'false'}\n",
    "a list of what is collected": "policy: p\ncollect: [owner]\n",
    "a link that is none": rule("link: 'http://m.example'"),
    "a link that breaks out": rule("link: 'https://m.example/\"x'"),
    "an expiry in words": rule("expires: tomorrow"),
    "an audit that is a text": rule("audit: 'true'"),
    "a flag as a text": when("weights_approved: 'true'"),
    "a digest by pattern": when("sha256: {glob: '*'}"),
    "a short digest in a condition": when("weights: abcd"),
    "an entry of two digests": f"policy: p\nlists: {{denied: [{{sha256: {HEX}, weights: {HEX}}}]}}\n",
    "a message that is too long": rule("message: " + "a" * 1025),
    "too many rules": "policy: p\nrules:\n" + "".join(
        f"- {{id: r{i}, then: allow, when: {{name: x}}}}\n" for i in range(1001)),
    "a default that is a text": "policy: p\ndefault: allow\n",
    "a default without an outcome": "policy: p\ndefault: {message: x}\n",
    "an empty condition": rule("when: {}"),
    "a condition that is a list": rule("when: [{format: gguf}]"),
    "an unknown field": when("licence: mit"),
    "an unknown operator": when("license: {equals: mit}"),
    "an operator of another type": when("name: {at_least: 3}"),
    "an unknown value": when("format: gguff"),
    "an empty all": when("all: []"),
    "not with a list": when("not: [{format: gguf}]"),
    "a size with an unknown unit": when("size: {at_least: 3 GiBi}"),
    "a negative size": when("size: {at_least: -1}"),
    "an unknown severity": when("risk_severity: {at_least: bad}"),
    "known as a text": when("license: {known: 'yes'}"),
    "an unknown list": f"policy: p\nlists: {{allowed: ['{HEX}']}}\n",
    "a list that is a text": f"policy: p\nlists: {{denied: '{HEX}'}}\n",
    "a short digest": "policy: p\nlists: {denied: [abcd]}\n",
    "an entry without a digest": "policy: p\nlists: {denied: [{name: x}]}\n",
    "an entry with an unknown key": f"policy: p\nlists: {{denied: [{{sha256: {HEX}, nmae: x}}]}}\n",
}
# What a schema can't know.
LINT_ALONE = {
    "two rules of one id": "policy: p\nrules:\n- {id: a, then: allow, when: {name: x}}\n- {id: a, then: allow}\n",
    "a list file that is not there": "policy: p\nlists: {denied: [{file: nowhere.txt}]}\n",
    "weights that are blocked": f"policy: p\nlists: {{blocked: ['weights:{HEX}']}}\n",
    "a day that is none": rule("expires: 2999-02-30"),
    "a key that is there twice": "policy: p\npolicy: q\n",
}


class Schema(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(CHECKOUT, "policy", "starter", "policy.schema.json"), encoding="utf-8") as file:
            schema = json.load(file)
        jsonschema.Draft202012Validator.check_schema(schema)
        self.validator = jsonschema.Draft202012Validator(schema)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.document = os.path.join(folder.name, "policy.yaml")

    def schema_takes(self, text):
        return self.validator.is_valid(yaml.load(text, Loader))

    def lint_takes(self, path):
        done = subprocess.run([WEIGHCTL, "policy", "lint", path], capture_output=True, check=False, timeout=60)
        self.assertIn(done.returncode, (0, 1), done)
        return done.returncode == 0

    def expect(self, documents, schema, lint):
        for name, text in documents.items():
            with self.subTest(name):
                with open(self.document, "w", encoding="utf-8") as out:
                    out.write(text)
                self.assertEqual(schema, self.schema_takes(text), "the schema")
                self.assertEqual(lint, self.lint_takes(self.document), "lint")

    def test_takes_what_lint_takes(self):
        self.expect(GOOD, schema=True, lint=True)

    def test_refuses_what_has_the_wrong_shape(self):
        self.expect(WRONG_SHAPE, schema=False, lint=False)

    def test_leaves_to_lint_what_it_cannot_know(self):
        self.expect(LINT_ALONE, schema=True, lint=False)

    def test_takes_every_document_in_the_tree_that_lint_takes(self):
        paths = (glob.glob(os.path.join(CHECKOUT, "policy", "starter", "*.yaml"))
                 + glob.glob(os.path.join(CHECKOUT, "tests", "fuzz", "corpus", "policy_document", "*.yaml")))
        taken = [path for path in paths if self.lint_takes(path)]
        self.assertGreaterEqual(len(taken), 2, paths)
        for path in taken:
            with self.subTest(path), open(path, encoding="utf-8") as file:
                self.assertTrue(self.schema_takes(file.read()))


if __name__ == "__main__":
    unittest.main()
