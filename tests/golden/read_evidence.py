#!/usr/bin/env python3
"""Reads and verifies a file of evidence, from docs/formats/evidence.md, sealed-batch.md and trust.md alone.

usage: read_evidence.py FILE [SHA-256 OF THE PINNED ROOT]

Prints a line for each record; exits 1 with the first reason why anything does not hold.
"""
import hashlib
import sys

from read_batch import Bad, fields, need, one, read, sha256, varint, verify

HEADER, ROOT, STATEMENT, EXCEPTIONS, POLICY, ACKNOWLEDGEMENT, BATCH, QUARANTINED, PART, TRAILER = 1, 2, 3, 4, 5, 6, 7, 8, 9, 15


def many(message, number):
    return [value for field, value in message if field == number]


def split(data):
    """(kind, content, where the record begins) of each record."""
    at, kinds = 0, [0]
    while at < len(data):
        need(data[at] == 0x0A, "no record begins at %d" % at)
        size, begin = varint(data, at + 1)
        need(size <= 4194304 and begin + size <= len(data), "a record is cut off or too long")
        (kind, content), = fields(data[begin:begin + size]) or [(0, b"")]
        need(kind in (*range(1, 10), 15), "a record is of no kind")
        need(kind > kinds[-1] or (kind == kinds[-1] and kind not in (HEADER, STATEMENT, TRAILER)), "records out of order")
        kinds.append(kind)
        yield kind, fields(content), at
        at = begin + size
    need(kinds[1:2] == [HEADER] and kinds[-1] == TRAILER, "the header or the trailer is missing")


class Root:
    def __init__(self, document):
        self.bytes = document
        self.fields = fields(document)
        self.version = one(self.fields, 2, 0)
        self.fleet = one(self.fields, 1, b"")
        self.keys = {sha256(spki): spki for spki in (one(fields(key), 2, b"") for key in many(self.fields, 5))}

    def trusts(self, role, domain, document, signatures):
        for candidate in map(fields, many(self.fields, 6)):
            if one(candidate, 1, b"") != role:
                continue
            digest = sha256(domain, b"\n", document)
            signers = {key for key, signature in signatures
                       if key in many(candidate, 2) and key in self.keys and verify(self.keys[key], digest, signature)}
            return len(signers) >= one(candidate, 3, 0) > 0
        return False


def signed(record):
    """The document and its signatures."""
    signatures = [(one(fields(value), 1, b""), one(fields(value), 2, b"")) for value in many(record, 2)]
    return one(record, 1, b""), signatures


def check_roots(records, pin):
    roots, last = [], None
    for record in records:
        document, signatures = signed(record)
        root = Root(document)
        need(root.trusts(b"root", b"weighmaster root v1", document, signatures), "a root did not sign itself")
        if last is not None:
            need(last.trusts(b"root", b"weighmaster root v1", document, signatures) and
                 root.version == last.version + 1 and root.fleet == last.fleet, "a root does not follow")
        if sha256(document) == pin:
            roots = []
        last = root
        roots.append(root)
    need(roots and pin in (None, sha256(roots[0].bytes)), "the pinned root is not there")
    return roots


def check_leaves(record):
    sealed = fields(one(record, 1, b""))
    leaves = []
    for event in map(fields, many(sealed, 3)):
        leaves.append(one(event, 3, b"") or sha256(b"\x00", one(event, 1, b""), one(event, 2, b"")))
    need(leaves == many(record, 2), "the digests of leaves are not those of the batch")
    return sum(1 for event in many(sealed, 3) if one(fields(event), 2, b""))


class Chain:
    def __init__(self, said):
        self.said = fields(said)
        self.number = one(self.said, 2, 0)
        self.previous = self.event = None
        self.bodies = 0
        self.drops = {}

    def add(self, header, drops, digest, bodies):
        need(one(header, 4, 0) == self.number, "batch %d is missing" % self.number)
        need(self.previous in (None, one(header, 8, b"")), "batch %d does not follow" % self.number)
        need(self.event in (None, one(header, 5, 0)), "the events of batch %d do not follow" % self.number)
        now = {one(drop, 1, 0): one(drop, 2, 0) for drop in drops}
        need(all(now.get(kind, 0) >= count for kind, count in self.drops.items()), "a count of drops falls")
        self.number, self.previous, self.drops = self.number + 1, digest, now
        self.event = one(header, 5, 0) + one(header, 6, 0)
        self.bodies += bodies

    def end(self, acknowledged):
        need(self.number == one(self.said, 3, 0) + 1, "batch %d is missing" % self.number)
        need(self.bodies == one(self.said, 4, 0), "bodies are missing")
        need(acknowledged == self.previous, "the last batch is not the one that is acknowledged")


def check_batches(by_kind, statement, root):
    keys = [fields(key) for key in many(statement, 7)]
    spkis = {sha256(one(fields(one(key, 1, b"")), 2, b"")): key for key in keys}
    acknowledged = {}
    for record in by_kind[ACKNOWLEDGEMENT]:
        document = one(record, 1, b"")
        signature = (one(record, 2, b""), one(record, 3, b""))
        need(root.trusts(b"server", b"weighmaster acknowledgement v1", document, [signature]), "an acknowledgement is not signed")
        word = fields(document)
        need(one(word, 4, b"") == one(statement, 4, b""), "an acknowledgement is of another store")
        acknowledged[one(word, 1, b""), one(word, 2, 0)] = one(word, 3, b"")

    def open_batch(record):
        sealed = one(record, 1, b"")
        key_id = one(fields(one(fields(sealed), 1, b"")), 2, b"")
        need(key_id in spkis, "a batch is signed by another endpoint's key")
        key = spkis[key_id]
        return key, read(sealed, one(fields(one(key, 1, b"")), 2, b""))

    chains = [Chain(said) for said in many(statement, 8)]
    names = [one(chain.said, 1, b"") for chain in chains]
    place = 0
    for record in by_kind[BATCH]:
        key, (header, drops, digest, _) = open_batch(record)
        name, number = one(header, 1, b""), one(header, 4, 0)
        need(one(key, 2, 0) <= number <= (one(key, 3, 0) or number), "a key is not for its batch")
        need(name in names and names.index(name) >= place, "a batch is of no chain, or out of order")
        place = names.index(name)
        chains[place].add(header, drops, digest, check_leaves(record))
        print("batch", name.hex(), number, digest.hex())
    for name, chain in zip(names, chains):
        chain.end(acknowledged.get((name, one(chain.said, 3, 0))))
    wanted = [one(fields(said), 1, b"") for said in many(statement, 9)]
    found = []
    for record in by_kind[QUARANTINED]:
        _, (header, _, digest, _) = open_batch(record)
        check_leaves(record)
        found.append(digest)
        print("quarantined", one(header, 1, b"").hex(), one(header, 4, 0), digest.hex())
    need(sorted(found) == sorted(wanted), "the quarantined batches are not those of the statement")


def check_signed(by_kind, statement, roots):
    def trusted(role, domain, document, signatures):
        need(any(root.trusts(role, domain, document, signatures) for root in roots), "%s: not signed" % role.decode())

    policies = []
    for record in by_kind[POLICY]:
        manifest, signatures = signed(fields(one(record, 1, b"")))
        trusted(b"policy", b"weighmaster bundle v1", manifest, signatures)
        need(one(fields(manifest), 8, b"") == sha256(one(record, 2, b"")), "a policy's text was changed")
        policies.append((one(fields(manifest), 4, 0), sha256(manifest)))
        print("policy", policies[-1][0])
    wanted = [(one(fields(said), 1, 0), one(fields(said), 2, b"")) for said in many(statement, 10)]
    need(sorted(policies) == sorted(wanted), "the policies are not those of the statement")
    versions = {b"": 0, one(statement, 2, b""): 0}
    for record in by_kind[EXCEPTIONS]:
        document, signatures = signed(record)
        trusted(b"exceptions", b"weighmaster exceptions v1", document, signatures)
        scope = one(fields(document), 2, b"")
        need(scope in versions, "exceptions are of another endpoint")
        versions[scope] = one(fields(document), 3, 0)
        print("exceptions", scope.hex() or "fleet", versions[scope])
    need(list(versions.values()) == [one(statement, 11, 0), one(statement, 12, 0)], "exceptions are missing")


def check_parts(by_kind, version):
    wanted = {}
    for record in by_kind[POLICY]:
        for reference in map(fields, many(fields(one(fields(one(record, 1, b"")), 1, b"")), 10)):
            wanted.setdefault(one(reference, 2, b""), one(reference, 3, 0))
    parts, last = {}, None
    for record in by_kind[PART]:
        name, offset, data = one(record, 1, b""), one(record, 2, 0), one(record, 3, b"")
        need(name == last or name not in parts, "a part stands there twice")
        need(offset == len(parts.setdefault(name, b"")), "a piece of a part is missing")
        parts[name] += data
        last = name
    need(set(parts) == (set(wanted) if version > 1 else set()), "the parts are not those of the policies")
    for name, data in parts.items():
        need(len(data) == wanted[name] and sha256(data) == name, "a part was changed")
        print("part", name.hex(), len(data))


def check(data, pin=None):
    by_kind = {kind: [] for kind in (*range(1, 10), 15)}
    end = 0
    for kind, record, at in split(data):
        by_kind[kind].append(record)
        end = at
    header, trailer = by_kind[HEADER][0], by_kind[TRAILER][0]
    need(one(header, 1, b"") == b"weighmaster evidence" and one(header, 2, 0) in (1, 2), "this is no evidence of version 1 or 2")
    need(len(by_kind[STATEMENT]) == 1, "there is no statement")
    roots = check_roots(by_kind[ROOT], pin)
    document, signatures = signed(by_kind[STATEMENT][0])
    need(roots[-1].trusts(b"server", b"weighmaster evidence v1", document, signatures), "the statement is not signed")
    statement = fields(document)
    need(one(statement, 6, 0) == roots[-1].version and one(statement, 1, b"") == roots[-1].fleet, "the newest root is missing")
    print("endpoint", one(statement, 2, b"").hex())
    check_signed(by_kind, statement, roots)
    check_batches(by_kind, statement, roots[-1])
    check_parts(by_kind, one(header, 2, 0))
    batches = by_kind[BATCH] + by_kind[QUARANTINED]
    counts = [sum(map(len, by_kind.values())) - 1, len(batches), sum(map(check_leaves, batches))]
    need(counts == [one(trailer, number, 0) for number in (1, 2, 3)], "the trailer counts otherwise")
    need(hashlib.sha256(data[:end]).digest() == one(trailer, 4, b""), "the trailer's SHA-256 is another")
    print("verified")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    try:
        check(data, bytes.fromhex(sys.argv[2]) if len(sys.argv) == 3 else None)
    except (Bad, ValueError) as problem:
        sys.exit("refused: %s" % problem)


if __name__ == "__main__":
    main()
