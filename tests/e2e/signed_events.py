"""The events that a server keeps, each proved by the signature of the endpoint that sealed it.

Made of the store's rows and docs/formats/sealed-batch.md alone, by none of the product's code.
"""

import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden"))
import read_batch  # noqa: E402


def field(number, value):
    """A protobuf field of bytes."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def sealed_batches(store):
    """(endpoint's key, serialised SealedBatch) of every batch in the store."""
    batches = store.execute("SELECT b.chain, b.first_event, b.event_count, b.header, b.signature, k.spki FROM batches b "
                            "JOIN keys k ON k.id = b.key ORDER BY b.chain, b.number").fetchall()
    for chain, first, count, header, signature, spki in batches:
        sealed = field(1, header) + field(2, signature)
        for salt, body, leaf in store.execute(
                "SELECT salt, body, leaf FROM events WHERE chain = ? AND number >= ? AND number < ? ORDER BY number",
                (chain, first, first + count)):
            event = field(3, leaf) if leaf else field(1, salt) + field(2, body)
            sealed += field(3, event)
        yield spki, sealed


def bodies(data_folder, kind):
    """The fields of every event of a kind (its number in the oneof of Event), in order; read_batch.Bad where a
    signature, a digest or a proof does not hold."""
    path = os.path.join(data_folder, "store.db")
    store = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        found = []
        for spki, sealed in sealed_batches(store):
            _, _, _, leaves = read_batch.read(sealed, spki)
            for _, body in leaves:
                inner = read_batch.one(read_batch.fields(body), kind, b"") if body else b""
                if inner:
                    found.append(read_batch.fields(inner))
        return found
    finally:
        store.close()


POLICY_APPLIED = 21


def applied_versions(data_folder):
    """The versions of policies that endpoints have signed to be in force, in order."""
    return [read_batch.one(applied, 1, 0) for applied in bodies(data_folder, POLICY_APPLIED)]
