#!/usr/bin/env python3
"""Seeds for ggml_fuzzer: small files of the containers and families before GGUF.

A mark, its letters turned around; a version but in `ggml`; 32-bit numbers of the family; words, each
behind its length, with a score but in `ggml`; then tensors: how many extents, the length of the name,
the type, the extents (the innermost first), the name, in `ggjt` and `ggla` padding to 32, the data.
"""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus" / "ggml"


def numbers(*values):
    return struct.pack("<%di" % len(values), *values)


def words(count, scores):
    score = struct.pack("<f", -1.0) if scores else b""
    return b"".join(numbers(i % 5) + b"w" * (i % 5) + score for i in range(count))


def tensor(before, extents, kind, size, align=False, name=b"layers.0.weight"):
    head = numbers(len(extents), len(name), kind, *extents) + name
    padding = -(len(before) + len(head)) % 32 if align else 0
    return before + head + bytes(padding) + bytes(size)


def main():
    llama = numbers(20, 64, 32, 4, 2, 16, 2)
    files = {
        "ggml": tensor(b"lmgg" + llama + words(20, False), (64, 2), 2, 4 * 20),
        "ggmf": tensor(b"fmgg" + numbers(1) + llama + words(20, True), (64, 2), 0, 512),
        "ggjt_v1": tensor(b"tjgg" + numbers(1) + llama + words(20, True), (64, 2), 2, 80, True),
        "ggjt_v3": tensor(b"tjgg" + numbers(3) + llama + words(20, True), (64, 2), 2, 72, True),
        "lora": tensor(b"algg" + numbers(1, 8, 16), (16, 4), 0, 256, True),
        "kind": b"lmgg" + numbers(10) + b"silero-16k" + numbers(5, 1, 2) + bytes(32),
        "whisper": tensor(b"lmgg" + numbers(51864, 1500, 384, 6, 4, 448, 384, 6, 4, 4, 1, 4, 8) +
                          bytes(4 * 32) + numbers(12) + words(12, False), (8, 4), 1, 64),
        "gpt2": tensor(b"lmgg" + numbers(20, 1024, 64, 4, 2, 1, 20) + words(20, False), (64, 2), 1, 256),
    }
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (CORPUS / name).write_bytes(content)


main()
