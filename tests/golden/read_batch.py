#!/usr/bin/env python3
"""Reads and verifies one sealed batch, from docs/formats/sealed-batch.md alone.

usage: read_batch.py BATCH SPKI

Prints the header and the events; exits 1 with a reason when anything does not hold.
"""
import hashlib
import sys

SPKI_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
# P-256, FIPS 186-5 / SP 800-186 section 3.2.1.3.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)


class Bad(Exception):
    pass


def need(condition, reason):
    if not condition:
        raise Bad(reason)


def varint(data, at):
    value = 0
    for shift in range(0, 64, 7):
        need(at < len(data), "a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
    raise Bad("a number is too long")


def fields(data):
    """The protobuf fields of a message as (number, value); only varints and bytes occur."""
    at, found = 0, []
    while at < len(data):
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        need(kind in (0, 2) and number > 0, "a field has an unexpected wire type")
        if kind == 0:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at)
            need(at + size <= len(data), "a field is cut off")
            value, at = data[at:at + size], at + size
        found.append((number, value))
    return found


def one(message, number, default):
    values = [value for field, value in message if field == number]
    if not values:
        return default
    need(type(values[-1]) is type(default), "field %d has another type" % number)
    return values[-1]


def signed(value):
    return value - 2**64 if value >= 2**63 else value


def add(p, q):
    if p is None or q is None:
        return q if p is None else p
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    if p == q:
        slope = (3 * p[0] * p[0] - 3) * pow(2 * p[1], -1, P)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def times(k, p):
    result = None
    while k:
        if k & 1:
            result = add(result, p)
        p, k = add(p, p), k >> 1
    return result


def verify(spki, digest, signature):
    need(len(spki) == 91 and spki.startswith(SPKI_PREFIX), "the key is no P-256 key")
    key = int.from_bytes(spki[27:59], "big"), int.from_bytes(spki[59:], "big")
    need((key[1]**2 - key[0]**3 + 3 * key[0] - B) % P == 0, "the key is not on the curve")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < N and 0 < s < N):
        return False
    z, w = int.from_bytes(digest, "big"), pow(s, -1, N)
    point = add(times(z * w % N, G), times(r * w % N, key))
    return point is not None and point[0] % N == r


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def merkle(leaves):
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01", merkle(leaves[:split]), merkle(leaves[split:]))


def leaf_of(event):
    need({number for number, _ in event} <= {1, 2, 3}, "an event has a field it should not have")
    salt, body, leaf = one(event, 1, b""), one(event, 2, b""), one(event, 3, b"")
    if leaf:
        need(len(leaf) == 32 and not salt and not body, "a leaf stands beside a salt or body")
        return leaf, None
    need(len(salt) == 16, "a salt does not have 16 bytes")
    need(0 < len(body) <= 65536, "a body is empty or too long")
    return sha256(b"\x00", salt, body), body


def check_header(header):
    for number, size in ((1, 16), (2, 32), (9, 32), (11, 16)):
        need(len(one(header, number, b"")) == size, "header field %d has another length" % number)
    number, first, count = (one(header, field, 0) for field in (4, 5, 6))
    need(one(header, 3, 0) == 1, "the algorithm is not ECDSA P-256")
    need(number >= 1 and 1 <= count <= 256, "number or event_count is out of range")
    need(first >= number and (number > 1 or first == 1), "first_event does not fit the number")
    need(1 <= one(header, 7, 0) <= 4, "the priority is no class")
    need(len(one(header, 8, b"")) == (0 if number == 1 else 32), "the previous digest is wrong")
    drops = [fields(value) for field, value in header if field == 10]
    classes = [one(drop, 1, 0) for drop in drops]
    need(classes == sorted(set(classes)) and all(1 <= c <= 4 for c in classes) and
         all(one(drop, 2, 0) > 0 for drop in drops), "the drop counts are out of order")
    return drops


def read(data, spki):
    need(len(data) <= 2 * 1024 * 1024 + 16384, "the batch is too long")
    batch = fields(data)
    need({number for number, _ in batch} <= {1, 2, 3}, "the batch has a field it should not have")
    header_bytes, signature = one(batch, 1, b""), one(batch, 2, b"")
    header = fields(header_bytes)
    drops = check_header(header)
    digest = sha256(b"weighmaster batch header v1\n", header_bytes)
    need(one(header, 2, b"") == sha256(spki), "the batch names another key")
    leaves = [leaf_of(fields(value)) for number, value in batch if number == 3]
    if leaves:
        need(len(leaves) == one(header, 6, 0), "the count of events is not the header's")
        need(merkle([leaf for leaf, _ in leaves]) == one(header, 9, b""),
             "the Merkle root is not the header's")
    need(len(signature) == 64 and verify(spki, digest, signature), "the signature does not hold")
    return header, drops, digest, leaves


def show(header, drops, digest, leaves):
    print("chain", one(header, 1, b"").hex())
    print("key", one(header, 2, b"").hex())
    print("number", one(header, 4, 0))
    print("events", one(header, 5, 0), "to", one(header, 5, 0) + one(header, 6, 0) - 1)
    print("priority", one(header, 7, 0))
    print("previous", one(header, 8, b"").hex() or "none")
    print("merkle_root", one(header, 9, b"").hex())
    for drop in drops:
        print("dropped", one(drop, 1, 0), one(drop, 2, 0))
    print("boot", one(header, 11, b"").hex(), signed(one(header, 13, 0)))
    print("wall", signed(one(header, 12, 0)), "clock", one(header, 14, 0))
    print("header_digest", digest.hex())
    for leaf, body in leaves:
        print("leaf", leaf.hex(), "dropped" if body is None else "body %d" % len(body))
    if not leaves:
        print("all bodies dropped")
    print("verified")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as batch, open(sys.argv[2], "rb") as key:
        data, spki = batch.read(), key.read()
    try:
        show(*read(data, spki))
    except Bad as problem:
        sys.exit("refused: %s" % problem)


if __name__ == "__main__":
    main()
