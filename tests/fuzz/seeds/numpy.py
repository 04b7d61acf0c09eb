"""Writes tests/fuzz/corpus/numpy: arrays as numpy.save lays them out.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html: a magic of six bytes, a
version of two, the header's length (16 bits in version 1, 32 since), the header as the text of a
Python dict, padded so that the elements begin at a multiple of 64, and the elements.
"""

import pathlib
import pickle
import struct

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus" / "numpy"


def array(descr, shape, data, fortran=False, version=1):
    header = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, shape)
    prefix = 10 if version == 1 else 12
    header += " " * (-(prefix + len(header) + 1) % 64) + "\n"
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + data


class Hostile:
    def __reduce__(self):
        import os

        return os.system, ("true",)


SEEDS = {
    "floats": array("'<f4'", "(2, 3)", struct.pack("<6f", *range(6))),
    "fortran_big_endian": array("'>f8'", "(2, 2)", struct.pack(">4d", 1, 2, 3, 4), fortran=True),
    "version_2": array("'|b1'", "(4,)", b"\0\1\1\0", version=2),
    "record_version_3": array("[('x', '<f4'), ('é', '<i2', (2,))]", "(1,)", bytes(8), version=3),
    "objects": array("'|O'", "(2,)", pickle.dumps([1, "two"], 4)),
    "objects_hostile": array("'|O'", "(1,)", pickle.dumps(Hostile(), 4)),
    "cut_off": array("'<f4'", "(1000,)", bytes(16)),
}

CORPUS.mkdir(parents=True, exist_ok=True)
for name, content in SEEDS.items():
    (CORPUS / name).write_bytes(content)
