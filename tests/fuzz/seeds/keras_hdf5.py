"""Writes tests/fuzz/corpus/keras_hdf5: models and weights as Keras keeps them in HDF5.

https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t4.html. Old files: superblock 0, objects
whose headers have version 1, groups as B-trees of symbol nodes with their names in a local heap.
New ones: superblock 2, headers that begin with OHDR, links as messages. Objects are written before
what links to them; an address is an offset from the superblock.
"""

import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus" / "keras_hdf5"
NOWHERE = (1 << 64) - 1
CONFIG = b'{"class_name": "Sequential", "config": {"name": "m", "layers": [%s]}}'
DENSE = b'{"class_name": "Dense", "config": {"name": "dense", "units": 1}}'
LAMBDA = (b'{"class_name": "Lambda", "config": {"name": "l", "function": ["4wEAAAAAAAAAAAAAAAAAAAAAAA==",'
          b' null, null], "function_type": "lambda"}}')
FOREIGN = b'{"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}'

FLOAT = bytes([0x11, 0x20, 31, 0]) + struct.pack("<IHHBBBBI", 4, 0, 32, 23, 8, 0, 23, 127)
OPAQUE = bytes([0x15, 0, 0, 0]) + struct.pack("<I", 2)


def pad(data):
    return data + bytes(-len(data) % 8)


def text_type(size):
    return bytes([0x13, 0, 0, 0]) + struct.pack("<I", size)


def space(dims):
    return bytes([1, len(dims)]) + bytes(6) + b"".join(struct.pack("<Q", d) for d in dims)


class File:
    def __init__(self, newer=False, before=0):
        self.newer, self.before = newer, before
        self.data = bytearray(48 if newer else 96)

    def put(self, data):
        self.data += bytes(-len(self.data) % 8)
        address = len(self.data)
        self.data += data
        return address

    def object(self, messages):
        if self.newer:
            body = b"".join(struct.pack("<BHB", kind, len(m), 0) + m for kind, m in messages)
            return self.put(b"OHDR" + bytes([2, 2]) + struct.pack("<I", len(body)) + body + bytes(4))
        body = b"".join(struct.pack("<HHB3x", kind, len(pad(m)), 0) + pad(m) for kind, m in messages)
        return self.put(struct.pack("<BxHII4x", 1, len(messages), 1, len(body)) + body)

    def dataset(self, dims, data, kind=FLOAT, more=()):
        layout = bytes([3, 1]) + struct.pack("<QQ", self.put(data), len(data))
        return self.object([(1, space(dims)), (3, kind), (8, layout), *more])

    def chunked(self, dims):
        layout = bytes([3, 2, len(dims) + 1]) + struct.pack("<Q", NOWHERE)
        layout += b"".join(struct.pack("<I", d) for d in (*dims, 4))
        deflate = bytes([1, 1]) + bytes(6) + struct.pack("<HHHHII", 1, 0, 1, 1, 4, 0)
        return self.object([(1, space(dims)), (3, FLOAT), (8, layout), (11, deflate)])

    def group(self, links):
        if self.newer:
            return [(6, bytes([1, 0, len(n)]) + n + struct.pack("<Q", a)) for n, a in links]
        names, symbols = bytes(8), b""
        for name, address in links:
            symbols += struct.pack("<QQ", len(names), address) + bytes(24)
            names += pad(name + b"\0")
        heap = self.put(b"HEAP" + bytes(4) + struct.pack("<QQQ", len(names), 1, self.put(names)))
        node = self.put(b"SNOD" + struct.pack("<BxH", 1, len(links)) + symbols)
        tree = self.put(b"TREE" + struct.pack("<BBHQQQQQ", 0, 0, 1, NOWHERE, NOWHERE, 0, node, 8))
        return [(0x11, struct.pack("<QQ", tree, heap))]

    def attribute(self, name, kind, value):
        name += b"\0"
        head = struct.pack("<BxHHH", 1, len(name), len(kind), len(space([])))
        return (12, head + pad(name) + pad(kind) + pad(space([])) + value)

    def text(self, name, value):
        return self.attribute(name, text_type(len(value)), value)

    def heap_text(self, name, value):
        objects = struct.pack("<HH4xQ", 1, 1, len(value)) + pad(value) + bytes(16)
        heap = self.put(b"GCOL" + struct.pack("<B3xQ", 1, 16 + len(objects)) + objects)
        kind = bytes([0x19, 1, 0, 0]) + struct.pack("<I", 16) + text_type(1)
        return self.attribute(name, kind, struct.pack("<IQI", len(value), heap, 1))

    def external_values(self, file):
        names = bytes(8) + pad(file + b"\0")
        heap = self.put(b"HEAP" + bytes(4) + struct.pack("<QQQ", len(names), 1, self.put(names)))
        files = struct.pack("<B3xHHQQQQ", 1, 1, 1, heap, 8, 0, 4)
        layout = bytes([3, 1]) + struct.pack("<QQ", NOWHERE, 4)
        return self.object([(1, space([1])), (3, FLOAT), (8, layout), (7, files)])

    def build(self, root):
        start = b"\x89HDF\r\n\x1a\n"
        end = self.before + len(self.data)
        if self.newer:
            start += bytes([2, 8, 8, 0]) + struct.pack("<QQQQI", self.before, NOWHERE, end, root, 0)
        else:
            start += bytes([0, 0, 0, 0, 0, 8, 8, 0]) + struct.pack(
                "<HHIQQQQQQ24x", 4, 16, 0, self.before, NOWHERE, end, NOWHERE, 0, root)
        return b"#" * self.before + start + bytes(self.data[len(start):])


def model(layer, newer=False, before=0):
    out = File(newer, before)
    kernel = out.dataset([2, 1], struct.pack("<2f", 1, 2))
    weights = out.object(out.group([(b"dense", out.object(out.group([(b"kernel:0", kernel)])))]))
    root = out.group([(b"model_weights", weights)])
    root.append(out.heap_text(b"model_config", CONFIG % layer))
    root.append(out.text(b"keras_version", b"2.13.1"))
    return out.build(out.object(root))


def weights(value, newer=False, root=()):
    out = File(newer)
    variables = out.object(out.group([(b"0", value(out))]))
    layer = out.object(out.group([(b"vars", variables)]))
    groups = out.group([(b"layers", out.object(out.group([(b"dense", layer)])))])
    return out.build(out.object([*groups, *root]))


def bfloat16(out):
    return out.dataset([2], bytes(4), OPAQUE, [out.text(b"dtype", b"bfloat16")])


SEEDS = {
    "model": model(DENSE),
    "model_newer": model(DENSE, newer=True),
    "model_behind_other_bytes": model(DENSE, before=512),
    "lambda": model(LAMBDA),
    "foreign_module": model(FOREIGN, newer=True),
    "weights_bfloat16": weights(bfloat16),
    "weights_packed": weights(lambda out: out.chunked([4])),
    "weights_elsewhere": weights(lambda out: out.external_values(b"/etc/passwd"), newer=True),
}

CORPUS.mkdir(parents=True, exist_ok=True)
for name, content in SEEDS.items():
    (CORPUS / name).write_bytes(content)
