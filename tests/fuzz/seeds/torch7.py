#!/usr/bin/env python3
"""Seeds for torch7_fuzzer: objects as torch7's File.lua writes them in its binary form.

Each begins with its type (32 bits): 1 number, 2 text, 3 table, 4 object of a class, 5 boolean,
8 function. Tables, objects and functions have a number; one that came before is not written again.
A tensor has its extents, strides, offset and storage; a storage its length and elements.
"""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus" / "torch7"


class Writer:
    def __init__(self, long_format="q"):
        self.index = 0
        self.long = long_format

    def number(self):
        self.index += 1
        return struct.pack("<i", self.index)

    @staticmethod
    def chars(text):
        return struct.pack("<i", len(text)) + text

    def text(self, text):
        return struct.pack("<i", 2) + self.chars(text)

    def table(self, *members):
        head = struct.pack("<i", 3) + self.number() + struct.pack("<i", len(members))
        return head + b"".join(self.text(key) + value() for key, value in members)

    def object(self, name, version=True):
        head = struct.pack("<i", 4) + self.number()
        return head + (self.chars(b"V 1") if version else b"") + self.chars(name)

    def function(self):
        return struct.pack("<i", 8) + self.number() + self.chars(b"\x1bLJ\x01\x00") + self.table()

    def tensor(self, element, width, *shape):
        count = 1
        for extent in shape:
            count *= extent
        longs = lambda *values: struct.pack("<%d%s" % (len(values), self.long), *values)
        return (self.object(b"torch." + element + b"Tensor") + struct.pack("<i", len(shape)) +
                longs(*shape) + longs(*([1] * len(shape))) + longs(1) +
                self.object(b"torch." + element + b"Storage") + longs(count) + bytes(count * width))


def network(writer, function=False):
    members = [(b"weight", lambda: writer.tensor(b"Float", 4, 4, 3)),
               (b"bias", lambda: writer.tensor(b"Float", 4, 4))]
    if function:
        members.append((b"hook", writer.function))
    return writer.object(b"nn.Linear") + writer.table(*members)


def main():
    table, old = Writer(), Writer()
    files = {
        "linear": network(Writer()),
        "short_longs": network(Writer("i")),
        "function": network(Writer(), True),
        "table": table.table((b"mean", lambda: table.tensor(b"CudaHalf", 2, 3)),
                             (b"std", lambda: table.tensor(b"Double", 8, 3))),
        "without_version": old.object(b"nn.Identity", False) + old.table(),
    }
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (CORPUS / name).write_bytes(content)


main()
