#!/usr/bin/env python3
"""The weights digest wd1 of model files, made from docs/formats/weights-digest.md alone.

    weights_digest.py FILE...

Prints one digest over the tensors of all files, which are the shards of one model: safetensors, GGUF,
and PyTorch archives. Shares nothing with the agent but that page, and trusts its files.
"""
import hashlib
import io
import json
import math
import pickle
import struct
import sys
import zipfile

# Bytes of one element, and of the words that a byte order turns around.
PLAIN = {"BOOL": (1, 1), "U8": (1, 1), "I8": (1, 1), "F8_E4M3": (1, 1), "F8_E5M2": (1, 1), "F8_E8M0": (1, 1),
         "U16": (2, 2), "I16": (2, 2), "F16": (2, 2), "BF16": (2, 2), "U32": (4, 4), "I32": (4, 4), "F32": (4, 4),
         "U64": (8, 8), "I64": (8, 8), "F64": (8, 8), "C64": (8, 4), "C128": (16, 8)}
# Elements and bytes of a block.
BLOCKS = {"Q4_0": (32, 18), "Q8_0": (32, 34), "Q4_K": (256, 144), "Q6_K": (256, 210)}
GGUF_TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 8: "Q8_0", 12: "Q4_K", 14: "Q6_K", 24: "I8", 25: "I16", 26: "I32",
              27: "I64", 28: "F64", 30: "BF16"}
TORCH_TYPES = {"FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16", "DoubleStorage": "F64",
               "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
               "ByteStorage": "U8", "BoolStorage": "BOOL", "ComplexFloatStorage": "C64",
               "ComplexDoubleStorage": "C128", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}


def tensor_digest(kind, dims, data):
    dims = list(dims)
    while dims and dims[0] == 1:
        dims.pop(0)
    name = kind.encode()
    head = b"weighmaster wd1 tensor\n" + bytes([len(name)]) + name + struct.pack("<I", len(dims))
    head += b"".join(struct.pack("<Q", extent) for extent in dims) + struct.pack("<Q", len(data))
    return hashlib.sha256(head + data).digest()


def model_digest(digests):
    if not digests:
        return None
    text = b"weighmaster wd1 model\n" + struct.pack("<Q", len(digests)) + b"".join(sorted(digests))
    return hashlib.sha256(text).hexdigest()


def turned(kind, data, big):
    word = PLAIN[kind][1] if kind in PLAIN else 1
    if not big or word == 1:
        return data
    return b"".join(data[at:at + word][::-1] for at in range(0, len(data), word))


def digests_of(views):
    """Views are (file, kind, dims, strides or None, begin, element bytes, data reader); the same ones count once."""
    found = {}
    for kind, dims, strides, begin, stored, big in views:
        if 0 in dims:
            continue
        plain = [1] * len(dims)
        for axis in range(len(dims) - 2, -1, -1):
            plain[axis] = plain[axis + 1] * dims[axis + 1]
        strides = plain if strides is None else list(strides)
        same = all(extent == 1 or a == b for extent, a, b in zip(dims, strides, plain))
        size = PLAIN[kind][0] if kind in PLAIN else None
        if same:
            elements = math.prod(dims)
            length = (elements * size if size else elements // BLOCKS[kind][0] * BLOCKS[kind][1])
            data = stored[begin:begin + length]
        else:
            data = b"".join(stored[begin + place * size:begin + (place + 1) * size]
                            for place in places(dims, strides))
        ones = next((i for i, extent in enumerate(dims) if extent != 1), len(dims))
        key = (id(stored), begin, kind, tuple(dims[ones:]),
               None if same else tuple(0 if d == 1 else s for d, s in zip(dims[ones:], strides[ones:])))
        found[key] = tensor_digest(kind, dims, turned(kind, data, big))
    return list(found.values())


def places(dims, strides):
    if not dims:
        yield 0
        return
    for index in range(dims[0]):
        for place in places(dims[1:], strides[1:]):
            yield index * strides[0] + place


def safetensors_views(data):
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + length])
    for name, entry in header.items():
        if name != "__metadata__":
            yield (entry["dtype"], entry["shape"], None, 8 + length + entry["data_offsets"][0], data, False)


class Gguf:
    SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def __init__(self, data):
        self.data, self.at = data, 8
        self.order = ">" if struct.unpack_from("<I", data, 4)[0] & 0xFFFF == 0 else "<"

    def number(self, form):
        value = struct.unpack_from(self.order + form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def text(self):
        length = self.number("Q")
        self.at += length
        return self.data[self.at - length:self.at]

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            kind, count = self.number("I"), self.number("Q")
            return [self.value(kind) for _ in range(count)]
        if kind == 4:
            return self.number("I")
        self.at += self.SIZES[kind]
        return None

    def views(self):
        tensors, entries = self.number("Q"), self.number("Q")
        alignment = 32
        for _ in range(entries):
            key = self.text()
            value = self.value(self.number("I"))
            if key == b"general.alignment":
                alignment = value
        table = []
        for _ in range(tensors):
            self.text()
            dims = [self.number("Q") for _ in range(self.number("I"))][::-1]
            table.append((GGUF_TYPES[self.number("I")], dims, self.number("Q")))
        begin = -(-self.at // alignment) * alignment
        for kind, dims, offset in table:
            yield kind, dims, None, begin + offset, self.data, self.order == ">"


class TorchUnpickler(pickle.Unpickler):
    """Gathers what the rebuilding functions are called with, and makes nothing."""

    def __init__(self, file, tensors):
        super().__init__(file)
        self.tensors = tensors

    def find_class(self, module, name):
        if module == "torch._utils" and name.startswith("_rebuild_tensor"):
            return lambda *arguments: self.tensors.append((name, arguments))
        if module == "torch._tensor" and name == "_rebuild_from_type_v2":
            return lambda function, kind, arguments, state: function(*arguments)
        if module == "torch._utils" and name.startswith("_rebuild_parameter"):
            return lambda *arguments: None
        if module in ("torch", "torch.storage"):
            return name
        if module == "collections" and name == "OrderedDict":
            return dict
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid):
        return pid[1:5]  # type, key, location, elements


def torch_view(name, arguments, storages, big):
    kind, key, _, _ = arguments[0]
    if name == "_rebuild_tensor_v3":
        kind = arguments[6]
    kind = TORCH_TYPES[kind]
    begin = arguments[1] * PLAIN[kind][0]
    return kind, list(arguments[2]), list(arguments[3]), begin, storages(key), big


def torch_zip_views(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    big = any(name.endswith("/byteorder") and text == b"big" for name, text in members.items())
    for name, text in members.items():
        if not name.endswith(".pkl"):
            continue
        tensors = []
        TorchUnpickler(io.BytesIO(text), tensors).load()
        folder = name[:-len(".pkl")]
        for function, arguments in tensors:
            yield torch_view(function, arguments, lambda key, folder=folder: members[f"{folder}/{key}"], big)


def legacy_torch_views(data):
    file, tensors = io.BytesIO(data), []
    for _ in range(5):
        TorchUnpickler(file, tensors).load()
    storages = {}
    for key in sorted({arguments[0][1] for _, arguments in tensors}):
        kind = next(a[0][0] for _, a in tensors if a[0][1] == key)
        count = struct.unpack("<q", file.read(8))[0]
        storages[key] = file.read(count * PLAIN[TORCH_TYPES[kind]][0])
    for function, arguments in tensors:
        yield torch_view(function, arguments, storages.get, False)


def views_of(data):
    if data[:4] == b"GGUF":
        return Gguf(data).views()
    if data[:4] == b"PK\x03\x04":
        return torch_zip_views(data)
    if data[:2] == b"\x80\x02":
        return legacy_torch_views(data)
    return safetensors_views(data)


def digest_of_files(paths):
    digests = []
    for path in paths:
        with open(path, "rb") as file:
            digests += digests_of(views_of(file.read()))
    return model_digest(digests)


if __name__ == "__main__":
    print(digest_of_files(sys.argv[1:]))
