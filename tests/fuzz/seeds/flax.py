#!/usr/bin/env python3
"""Seeds for flax_fuzzer: MessagePack maps with texts for keys, and arrays as extensions.

An array is extension 1 (a scalar 3): itself MessagePack, of its shape, the name of its element type,
and its bytes. One of more than 1 GiB is a map of chunks.
"""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus" / "flax"


class Array:
    def __init__(self, shape, dtype, size, kind=1):
        self.content = (b"\x93" + pack(list(shape)) + pack(dtype) + b"\xc4" + bytes([size]) +
                        bytes(size))
        self.kind = kind


def pack(value):
    if isinstance(value, dict):
        return bytes([0x80 + len(value)]) + b"".join(pack(k) + pack(v) for k, v in value.items())
    if isinstance(value, list):
        return bytes([0x90 + len(value)]) + b"".join(map(pack, value))
    if isinstance(value, Array):
        return b"\xc8" + struct.pack(">HB", len(value.content), value.kind) + value.content
    if isinstance(value, str):
        return bytes([0xA0 + len(value)]) + value.encode()
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    return b"\xc0" if value is None else bytes([value])


def main():
    dense = {"kernel": Array((4, 4), "float32", 64), "bias": Array((4,), "float32", 16)}
    chunks = {"__msgpack_chunked_array__": True, "shape": {"0": 4, "1": 2},
              "chunks": {"0": Array((6,), "float16", 12), "1": Array((2,), "float16", 4)}}
    files = {
        "params": {"params": {"dense": dense}},
        "state": {"step": 3, "none": None, "params": dense, "opt_state": {"0": {}, "1": dense}},
        "chunked": {"table": chunks, "scale": Array((), "bfloat16", 2, 3)},
        "new_type": {"a": Array((2,), "int8", 2), "b": Array((4,), "float2_new", 1)},
    }
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, tree in files.items():
        (CORPUS / name).write_bytes(pack(tree))


main()
