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
DATA = (V1 / "evidence.bin").read_bytes()
# A prime, so that every kind of record is hit; each check is a dozen signatures in plain Python.
STEP = 131


def check(data, pin=None):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        read_evidence.check(data, pin)
    return out.getvalue()


class ReadEvidence(unittest.TestCase):
    def test_prints_what_is_committed(self):
        self.assertEqual(check(DATA), (V1 / "evidence.txt").read_text())

    def test_refuses_flipped_bytes(self):
        for at in range(0, len(DATA), STEP):
            with self.subTest(at=at), self.assertRaises((read_evidence.Bad, ValueError)):
                check(DATA[:at] + bytes([DATA[at] ^ 1]) + DATA[at + 1:])

    def test_refuses_a_file_that_lacks_a_record(self):
        starts = [at for _, _, at in read_evidence.split(DATA)] + [len(DATA)]
        for begin, end in zip(starts, starts[1:]):
            with self.subTest(at=begin), self.assertRaises((read_evidence.Bad, ValueError)):
                check(DATA[:begin] + DATA[end:])

    def test_takes_the_pinned_root_and_no_other(self):
        root, = (record for kind, record, _ in read_evidence.split(DATA) if kind == read_evidence.ROOT)
        pin = read_evidence.sha256(read_evidence.one(root, 1, b""))
        self.assertEqual(check(DATA, pin), check(DATA))
        with self.assertRaises(read_evidence.Bad):
            check(DATA, bytes(32))


if __name__ == "__main__":
    unittest.main()
