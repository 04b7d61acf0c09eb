"""The weights digest of files that the formats' own producers packed (tests/fixtures/make_weights.py), against a
second implementation that shares nothing with the agent but docs/formats/weights-digest.md."""

import os
import sys
import unittest

import fleet

sys.path.insert(0, os.path.join(fleet.CHECKOUT, "tests", "golden"))
import weights_digest

FIXTURES = os.path.join(fleet.CHECKOUT, "tests", "fixtures", "weights")
# The same tensors.
ONE_MODEL = ["one.safetensors", "renamed.safetensors", "one.gguf", "renamed.gguf", "big_endian.gguf", "state_dict.pt",
             "legacy.pth", "views.pt", "views_legacy.pth"]
ANOTHER = ["types.pt", "types.safetensors"]
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
NONE = {"conjugate.pt": "incomplete", "storage.pt": "incomplete", "expanded.pt": "repeats", "sparse.pt": "sparse", "quantised.pt": "scales"}


class Weights(fleet.EndToEnd):
    def scan(self, folder):
        done = fleet.run(["weighmaster", "scan", "--json", folder])
        self.assertEqual(b"", done.stderr)
        return {os.path.basename(row["path"]): row for row in fleet.json_lines(done.stdout)}

    def test_every_packing_of_the_same_tensors_has_one_digest(self):
        rows = self.scan(FIXTURES)
        for names in (ONE_MODEL, ANOTHER, *([shard] for shard in SHARDS)):
            for name in names:
                with self.subTest(name):
                    self.assertEqual(weights_digest.digest_of_files([os.path.join(FIXTURES, name)]),
                                     rows[name]["weights_digest"])
                    self.assertNotIn("weights_reason", rows[name])
            self.assertEqual(1, len({rows[name]["weights_digest"] for name in names}), names)
        self.assertEqual(len(ONE_MODEL), len({rows[name]["sha256"] for name in ONE_MODEL}))
        self.assertEqual(2 + len(SHARDS), len({row["weights_digest"] for row in rows.values()} - {None}))

    def test_what_has_none_says_why(self):
        rows = self.scan(FIXTURES)
        self.assertEqual(NONE, {name: row["weights_reason"] for name, row in rows.items() if "weights_reason" in row})
        self.assertEqual({None}, {rows[name]["weights_digest"] for name in NONE})

    def test_a_changed_weight_changes_it_and_a_changed_name_does_not(self):
        folder = self.make_folder("models")
        with open(os.path.join(FIXTURES, "one.safetensors"), "rb") as file:
            whole = file.read()
        files = {"same": whole, "renamed": whole.replace(b"layer.1.weight", b"layer.7.weight"),
                 "other": whole[:-1] + bytes([whole[-1] ^ 1]), "cut": whole[:-1]}
        for name, content in files.items():
            fleet.write_file(os.path.join(folder, name), content)
        rows = self.scan(folder)
        self.assertEqual(rows["same"]["weights_digest"], rows["renamed"]["weights_digest"])
        self.assertNotEqual(rows["same"]["weights_digest"], rows["other"]["weights_digest"])
        self.assertEqual(("incomplete", None), (rows["cut"]["weights_reason"], rows["cut"]["weights_digest"]))


if __name__ == "__main__":
    unittest.main()
