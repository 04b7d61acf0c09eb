#!/usr/bin/env python3
"""The second reader's output for the golden file of evidence is the committed text, and it refuses the file with bytes flipped,
records missing, or another root pinned."""
import contextlib
import io
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True

import read_evidence

V1 = pathlib.Path(__file__).resolve().parent / "v1"
# By version.
NAMES = {1: "evidence", 2: "evidence_2"}
DATA = {version: (V1 / (name + ".bin")).read_bytes() for version, name in NAMES.items()}
NEWEST = DATA[2]
# A prime, so that every kind of record is hit; each check is a dozen signatures in plain Python.
STEP = 131


def check(data, pin=None):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        read_evidence.check(data, pin)
    return out.getvalue()


class ReadEvidence(unittest.TestCase):
    def test_prints_what_is_committed(self):
        for version, name in NAMES.items():
            self.assertEqual(check(DATA[version]), (V1 / (name + ".txt")).read_text())

    def test_refuses_flipped_bytes(self):
        for at in range(0, len(NEWEST), STEP):
            with self.subTest(at=at), self.assertRaises((read_evidence.Bad, ValueError)):
                check(NEWEST[:at] + bytes([NEWEST[at] ^ 1]) + NEWEST[at + 1:])

    def test_refuses_a_file_that_lacks_a_record(self):
        starts = [at for _, _, at in read_evidence.split(NEWEST)] + [len(NEWEST)]
        for begin, end in zip(starts, starts[1:]):
            with self.subTest(at=begin), self.assertRaises((read_evidence.Bad, ValueError)):
                check(NEWEST[:begin] + NEWEST[end:])

    def test_takes_the_pinned_root_and_no_other(self):
        root, = (record for kind, record, _ in read_evidence.split(NEWEST) if kind == read_evidence.ROOT)
        pin = read_evidence.sha256(read_evidence.one(root, 1, b""))
        self.assertEqual(check(NEWEST, pin), check(NEWEST))
        with self.assertRaises(read_evidence.Bad):
            check(NEWEST, bytes(32))


if __name__ == "__main__":
    unittest.main()
