#!/usr/bin/env python3
"""The second reader's output for every golden batch is the committed text, and it refuses each batch
with any byte flipped."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import read_batch

GOLDEN = pathlib.Path(__file__).resolve().parent
V1 = GOLDEN / "v1"
SPKI = V1 / "endpoint_key.spki"
BATCHES = ["batch", "batch_one_body_dropped", "batch_header_only", "batch_control", "batch_changed",
           "batch_judged"]


def run(batch):
    return subprocess.run([sys.executable, str(GOLDEN / "read_batch.py"), str(batch), str(SPKI)],
                          capture_output=True, text=True, check=False)


class ReadBatch(unittest.TestCase):
    def test_prints_what_is_committed(self):
        for name in BATCHES:
            with self.subTest(name):
                done = run(V1 / (name + ".bin"))
                self.assertEqual(done.stderr, "")
                self.assertEqual(done.returncode, 0)
                self.assertEqual(done.stdout, (V1 / (name + ".txt")).read_text())

    def test_refuses_every_flipped_byte(self):
        spki, data = SPKI.read_bytes(), (V1 / "batch_one_body_dropped.bin").read_bytes()
        for at in range(len(data)):
            with self.subTest(at=at), self.assertRaises(read_batch.Bad):
                read_batch.read(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:], spki)

    def test_program_fails_on_a_flipped_byte(self):
        data = bytearray((V1 / "batch.bin").read_bytes())
        data[-1] ^= 1
        with tempfile.NamedTemporaryFile() as batch:
            batch.write(data)
            batch.flush()
            done = run(batch.name)
        self.assertEqual(done.returncode, 1)
        self.assertIn("refused: the Merkle root", done.stderr)

    def test_refuses_another_key(self):
        spki = bytearray(SPKI.read_bytes())
        spki[-1] ^= 1
        with self.assertRaises(read_batch.Bad):
            read_batch.read((V1 / "batch.bin").read_bytes(), bytes(spki))


if __name__ == "__main__":
    unittest.main()
