#!/usr/bin/env python3
"""Writes the seeds of the formats that are FlatBuffers: tflite, ort, executorch, litert_lm, mnn.

A FlatBuffer (https://flatbuffers.dev/internals/) begins with the offset of its root table and, in most
formats, an identifier. A table begins with the distance back to its vtable, which holds its own
length, the table's, and for each field its place in the table, or 0. Texts, vectors and tables lie
elsewhere, ahead of the offset that leads to them. The numbers of fields are those of the schemas that
the readers name (agent/formats/graphs/*.h).
"""

import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus"


def u8(value):
    return struct.pack("<B", value)


def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value)


class Piece:
    """What lies elsewhere in one piece: a text, or a vector of numbers."""

    def __init__(self, data):
        self.data = data


def text(value):
    data = value.encode()
    return Piece(u32(len(data)) + data + b"\0")


def vector_of_bytes(data):
    return Piece(u32(len(data)) + data)


def u32s(*values):
    return Piece(u32(len(values)) + b"".join(u32(value) for value in values))


def u64s(*values):
    return Piece(u32(len(values)) + b"".join(u64(value) for value in values))


class FlatBuffer:
    """A table is a dict from field numbers, a vector of tables or texts a list."""

    def __init__(self, root, identifier=b"", between=b""):
        self.out = bytearray(4) + identifier + between
        self._point(0, self._put(root))

    def _point(self, place, target):
        self.out[place:place + 4] = u32(target - place)

    def _align(self, before):
        while (len(self.out) + before) % 4:
            self.out += b"\0"

    def _put(self, value):
        if isinstance(value, dict):
            return self._put_table(value)
        self._align(0)
        at = len(self.out)
        if isinstance(value, Piece):
            self.out += value.data
            return at
        self.out += u32(len(value)) + bytes(4 * len(value))
        for i in reversed(range(len(value))):
            self._point(at + 4 + 4 * i, self._put(value[i]))
        return at

    def _put_table(self, table):
        entries = [0] * (max(table, default=-1) + 1)
        size = 4
        for field, value in table.items():
            width = len(value) if isinstance(value, bytes) else 4
            step = min(width, 4)
            size = (size + step - 1) // step * step
            entries[field] = size
            size += width
        vtable_bytes = 4 + 2 * len(entries)
        self._align(vtable_bytes)
        self.out += struct.pack("<HH", vtable_bytes, size)
        self.out += b"".join(struct.pack("<H", entry) for entry in entries)
        at = len(self.out)
        self.out += u32(vtable_bytes) + bytes(size - 4)
        for field, value in table.items():
            place = at + entries[field]
            if isinstance(value, bytes):
                self.out[place:place + len(value)] = value
            else:
                self._point(place, self._put(value))
        return at


def flat(root, identifier=b"", between=b""):
    return bytes(FlatBuffer(root, identifier, between).out)


def tflite_model(operators=None, metadata=None, tail=b""):
    buffers = [{}, {0: vector_of_bytes(bytes(24))}, {0: vector_of_bytes(b"abc")}]
    entries = []
    if metadata is not None:
        entries.append({0: text("TFLITE_METADATA"), 1: u32(len(buffers))})
        buffers.append({0: vector_of_bytes(metadata)})
    tensors = [
        {0: u32s(1, 3), 2: u32(0), 3: text("input")},
        {0: u32s(2, 3), 1: u8(0), 2: u32(1), 3: text("weights")},
        {0: u32s(3), 1: u8(9), 2: u32(2), 3: text("bias"), 4: {2: u32s(0x3f800000), 3: u64s(0)}},
    ]
    subgraph = {0: tensors, 1: u32s(0), 2: u32s(0), 3: [{0: u32(0), 1: u32s(0, 1, 2), 2: u32s(0)}]}
    return flat({0: u32(3), 1: operators or [{0: u8(9), 3: u32(9)}], 2: [subgraph],
                 3: text("MLIR Converted."), 4: buffers, 6: entries}, b"TFL3") + tail


def tflite():
    about = flat({0: text("Finder"), 1: text("finds"), 4: text("A. Uthor"), 5: text("Apache-2.0")},
                 b"M001")
    custom = [{0: u8(32), 1: text("FlexErf"), 3: u32(32)}]
    sparse = {0: u32s(4, 4), 2: u32(1), 6: {0: u32s(0, 1)}}
    outside = {0: u32s(4), 1: u8(9), 10: u32(1)}
    return {
        "plain": tflite_model(),
        "metadata": tflite_model(metadata=about, tail=b"PK\3\4labels"),
        "custom": tflite_model(operators=custom),
        "sparse": flat({0: u32(3), 2: [{0: [sparse]}], 4: [{}, {0: vector_of_bytes(bytes(9))}]},
                       b"TFL3"),
        "outside": flat({0: u32(3), 2: [{0: [outside]}], 4: [{}], 8: [{0: text("../w.bin")}],
                         9: [{0: u32(1), 3: u64(4)}]}, b"TFL3"),
        "large": flat({0: u32(3), 2: [{0: [{0: u32s(4), 1: u8(3), 2: u32(1)}]}],
                       4: [{}, {1: u64(16), 2: u64(4)}]}, b"TFL3"),
    }


def ort():
    def session(graph, version="6"):
        entries = [{0: text("license"), 1: text("mit")}, {0: text("model_name"), 1: text("Finder")}]
        return flat({0: text(version), 1: {0: u64(9), 2: text("pytorch"), 7: graph, 9: entries}},
                    b"ORTM")

    weight = {0: text("w"), 2: u64s(2, 3), 3: u32(1), 4: vector_of_bytes(bytes(24))}
    node = {0: text("n"), 2: text(""), 5: text("MatMul"), 8: [text("x"), text("w")]}
    foreign = {2: text("com.example"), 5: text("Evil")}
    inner = {2: [foreign]}
    return {
        "plain": session({0: [weight], 2: [node]}),
        "custom": session({2: [foreign]}),
        "nested": session({2: [{5: text("If"), 10: [{2: u32(5), 7: inner}, {12: [inner]}]}]}),
        "sparse": session({7: [{0: weight, 1: weight, 2: u64s(9, 9)}]}),
        "newer": session({0: [weight]}, "7"),
    }


def executorch():
    constant = {0: u8(5), 1: {0: u8(6), 2: u32s(2, 3), 5: u32(1)}}
    number = {0: u8(2), 1: {0: u64(7)}}

    def program(header=b"", identifier=b"ET12", operators=("aten::add",), **more):
        plan = {0: text("forward"), 2: [constant, number],
                6: [{0: text(name), 1: text("out")} for name in operators]}
        plan.update(more.get("plan", {}))
        root = {0: u32(0), 1: [plan], 5: {0: u32(0), 1: u64s(0, 0)}}
        root.update(more.get("root", {}))
        return flat(root, identifier, header)

    def with_segments(data, identifier=b"ET12", **more):
        more["root"] = {4: [{0: u64(0), 1: u64(len(data))}]}
        header = b"eh00" + u32(32) + bytes(24)
        size = len(program(header, identifier, **more))
        begin = (size + 15) // 16 * 16
        header = b"eh00" + u32(32) + u64(size) + u64(begin) + u64(len(data))
        return program(header, identifier, **more).ljust(begin, b"\0") + data

    delegate = {7: [{0: text("XnnpackBackend"), 1: {0: u8(1), 1: u32(0)}}]}
    return {
        "plain": program(),
        "segments": with_segments(bytes(24)),
        "delegate": with_segments(b"blob", plan=delegate),
        "library": with_segments(b"\x7fELF" + bytes(12), plan=delegate),
        "custom": program(operators=("my_ops::mul3", "aten::mul")),
        "newer": with_segments(bytes(24), identifier=b"ET13"),
    }


def litert_lm():
    def bundle(sections, data, version=1):
        entries = [{0: text("author"), 1: u8(9), 2: {0: text("The Authors")}},
                   {0: text("model_name"), 1: u8(9), 2: {0: text("Gemma")}},
                   {0: text("number"), 1: u8(5), 2: {0: u32(7)}}]
        objects = [{1: u64(begin), 2: u64(end), 3: u8(kind)} for kind, begin, end in sections]
        header = flat({0: {0: entries}, 1: {0: objects}})
        return (b"LITERTLM" + u32(version) + u32(4) + bytes(8) + u64(32 + len(header)) + header
                ).ljust(1024, b"\0") + data

    model = tflite_model()
    custom = tflite_model(operators=[{1: text("evil"), 3: u32(32)}])
    # Sections begin at multiples of 16 KiB in real files, which readers do not ask for.
    return {
        "plain": bundle([(3, 1024, 1024 + len(model))], model),
        "custom": bundle([(3, 1024, 1024 + len(custom)),
                          (4, 1024 + len(custom), 1028 + len(custom))], custom + b"toks"),
        "empty": bundle([], b""),
        "overlap": bundle([(4, 1024, 1034), (1, 1030, 1040)], bytes(16)),
        "newer": bundle([], b"", version=2),
    }


def mnn():
    def op(kind, parameter_type=0, parameter=None, output=0):
        fields = {0: u32s(0), 1: u8(parameter_type), 3: text("op"), 4: u32s(output), 5: u32(kind),
                  6: u8(1)}
        if parameter is not None:
            fields[2] = parameter
        return fields

    def net(*ops, **more):
        return flat({7: [text("data"), text("prob")], 6: u8(3), 8: u32(2), 3: [op(34), *ops],
                     0: text("MNN"), **more.get("root", {})})

    blob = {0: u32s(2, 5), 2: u32(1), 7: u32s(*([0] * 10))}
    common = {2: u32(3), 3: u32(3), 10: u32(4), 11: u32(2)}
    plugin = op(256, 30, {0: text("evil")}, 1)
    outside = op(12, 9, {0: common, 6: u64s(0, 288, 16)}, 1)
    outside[7] = text("/net.mnn.weight")
    return {
        "plain": net(op(11, 7, blob, 1), op(12, 9, {0: common, 1: u32s(*([0] * 72))}, 1)),
        "packed": net(op(12, 9, {0: common, 3: {0: vector_of_bytes(b"x"), 2: u32(1), 7: u32(4)}}, 1)),
        "plugin": net(plugin, root={10: [{0: text("body"), 4: [plugin]}]}),
        "outside": net(outside, op(603, 88, {5: u64s(0, 8, 8)}, 1)),
        "cut": net(op(12, 9, {1: Piece(u32(1 << 20))}, 1)),
    }


def main():
    for word, make in (("tflite", tflite), ("ort", ort), ("executorch", executorch),
                       ("litert_lm", litert_lm), ("mnn", mnn)):
        folder = CORPUS / word
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in make().items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
