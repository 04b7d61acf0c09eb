"""The files that the rows look at."""

import os
import struct

MIB = 1024 * 1024
NOISE_BYTES = 8 * MIB


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def write_gguf(path, data_bytes, seed, tensors=1):
    """A model with so many tensors (or none) over so many bytes (a multiple of 32 for each of them), none of them
    sparse. GGUF version 3: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"""
    texts = {"general.architecture": "llama", "general.name": f"model {seed}",
             "general.license": "apache-2.0"}
    head = struct.pack("<4sIQQ", b"GGUF", 3, tensors, len(texts))
    for key, value in texts.items():
        head += string(key) + struct.pack("<I", 8) + string(value)
    for number in range(tensors):
        each = data_bytes // tensors
        head += string(f"blk.{number}.weight") + struct.pack("<IQIQ", 1, each // 4, 0, number * each)
    head += bytes(-len(head) % 32)
    block = os.urandom(min(NOISE_BYTES, data_bytes))
    with open(path, "wb") as file:
        file.write(head)
        left = data_bytes
        while left > 0:
            left -= file.write(block[:left])


def write_tree(top, files, models):
    """Files of one to four KiB, one in twenty of 70 KiB (a first walk begins with those from 64 KiB),
    in folders of 100, and some models."""
    small, large = os.urandom(4096), os.urandom(70 * 1024)
    for number in range(files):
        folder = os.path.join(top, str(number // 10_000), str(number // 100 % 100))
        if number % 100 == 0:
            os.makedirs(folder)
        path = os.path.join(folder, f"file-{number}.txt")
        with open(path, "wb") as file:
            file.write(b"text " + (large if number % 20 == 0 else small[:1024 + number % 3072]))
    write_models(os.path.join(top, "models"), models)


def write_models(folder, count):
    os.makedirs(folder)
    for number in range(count):
        write_gguf(os.path.join(folder, f"model-{number}.gguf"), 128 * 1024, number)
