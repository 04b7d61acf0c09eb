"""What an endpoint said, taken away from a real server in one file, and checked when that server is gone: whole, changed in
one byte, lacking a number, by a wrong key."""

import hashlib
import json
import os
import unittest

import fleet
import signed_events
from signed_events import field, read_batch

POLICY = "policy: none\n"
# Fields of EvidenceRecord, docs/formats/evidence.md.
STATEMENT, BATCH, QUARANTINED, PART, TRAILER = 3, 7, 8, 9, 15


def records(data):
    """(kind, the record's bytes with what stands before them) of each record."""
    at, found = 0, []
    while at < len(data):
        size, begin = read_batch.varint(data, at + 1)
        (kind, _), = read_batch.fields(data[begin:begin + size])
        found.append((kind, data[at:begin + size]))
        at = begin + size
    return found


def content_of(record):
    _, begin = read_batch.varint(record, 1)
    (_, content), = read_batch.fields(record[begin:])
    return content


def file_of(parts):
    """With a trailer that fits, as whoever changes a file would make it."""
    parts = [part for part in parts if part[0] != TRAILER]
    batches = [content_of(record) for kind, record in parts if kind in (BATCH, QUARANTINED)]
    bodies = 0
    for batch in batches:
        sealed = read_batch.fields(read_batch.one(read_batch.fields(batch), 1, b""))
        bodies += sum(1 for number, event in sealed
                      if number == 3 and read_batch.one(read_batch.fields(event), 2, b""))
    counts = b"".join(signed_events.varint(number << 3) + signed_events.varint(count)
                      for number, count in ((1, len(parts)), (2, len(batches)), (3, bodies)))
    data = b"".join(record for _, record in parts)
    return data + field(1, field(TRAILER, counts + field(4, hashlib.sha256(data).digest())))


class Evidence(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet()
        agent = self.fleet.add_agent([self.make_samples()])
        agent.wait_until_delivered()
        self.fleet.publish(POLICY)
        fleet.wait_for(lambda: signed_events.applied_versions(self.fleet.data) == [1], "policy 1 in force")
        agent.wait_until_delivered()
        self.endpoint = self.fleet.inventory()[0]["endpoint_id"]
        self.file = self.path("evidence")
        self.root = os.path.join(self.fleet.data, "root.signed")

    def export(self, *words):
        return self.fleet.weighctl("evidence", "export", "--endpoint", self.endpoint, "--out", self.file, *words)

    def verify(self, data=None, *words):
        """By a command that knows no server."""
        path = self.file
        if data is not None:
            path = self.path("changed")
            with open(path, "wb") as out:
                out.write(data)
        return fleet.run(["weighctl", "evidence", "verify", path, *words],
                         {"WEIGHCTL_PROFILE": self.path("no-profile")})

    def problems_of(self, parts):
        done = self.verify(file_of(parts), "--root", self.root)
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertIn(b"This is not what was signed.", done.stdout)
        return done.stderr.decode().splitlines()

    def report(self, *words):
        return json.loads(self.verify(None, "--json", *words).stdout)

    def test_proves_what_an_endpoint_said_with_no_server(self):
        done = self.export()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(0o600, os.stat(self.file).st_mode & 0o777)
        self.fleet.agents[0].stop()
        self.fleet.server.stop()

        done = self.verify(None, "--root", self.root)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn(b"Everything holds.", done.stdout)
        self.assertIn(b"Policies that were in force: 1, with 2 parts.", done.stdout)
        self.assertNotIn(b"Nothing of this endpoint", done.stdout)
        self.assertIn(b"The pinned root is ", done.stdout)
        report = self.report()
        self.assertTrue(report["verified"])
        self.assertFalse(report["root_pinned"])
        self.assertEqual(self.endpoint, report["endpoint_id"])
        (chain,) = report["chains"]
        self.assertEqual("0", chain["holes"])
        self.assertEqual(0, self.verify(None, "--root-sha256", report["root_sha256"]).returncode)
        done = self.verify(None, "--root-sha256", "0" * 64)
        self.assertEqual(1, done.returncode)
        self.assertIn(b"the pinned root " + b"0" * 64 + b" is none of the file", done.stderr)

        with open(self.file, "rb") as file:
            data = file.read()
        self.assertEqual(1, self.verify(data[:len(data) // 2]).returncode)
        self.assertEqual(1, self.verify(data[:-1]).returncode)
        self.name_what_is_wrong(records(data), chain)

    def name_what_is_wrong(self, parts, chain):
        self.assertEqual(0, self.verify(file_of(parts)).returncode, "the trailer is made right here")
        of = f"weighctl: chain {chain['chain_id']}"
        batches = [at for at, (kind, _) in enumerate(parts) if kind == BATCH]
        self.assertEqual(chain["batches"], str(len(batches)))

        def with_record(at, record):
            return parts[:at] + [(parts[at][0], record)] + parts[at + 1:]

        def flipped(at, inner):
            record = parts[at][1]
            place = record.index(inner) + len(inner) - 1
            return with_record(at, record[:place] + bytes([record[place] ^ 1]) + record[place + 1:])

        second = read_batch.fields(read_batch.one(read_batch.fields(content_of(parts[batches[1]][1])), 1, b""))
        header = read_batch.fields(read_batch.one(second, 1, b""))
        (line,) = self.problems_of(flipped(batches[1], read_batch.one(header, 9, b"")))
        self.assertIn(f"{of}, batch 2: the header or its signature was changed", line)
        first_event = read_batch.fields(read_batch.one(second[:3], 3, b""))
        (line,) = self.problems_of(flipped(batches[1], read_batch.one(first_event, 2, b"")))
        self.assertEqual(f"{of}, batch 2: the salt or the body of event {read_batch.one(header, 5, 0)} was changed", line)

        (line,) = self.problems_of(parts[:batches[1]] + parts[batches[1] + 1:])
        self.assertEqual(f"{of}: batch 2 is missing", line)
        last = chain["last_number"]
        (line,) = self.problems_of(parts[:batches[-1]] + parts[batches[-1] + 1:])
        self.assertEqual(f"{of}: batch {last} is missing", line)

        part = next(at for at, (kind, _) in enumerate(parts) if kind == PART)
        piece = read_batch.fields(content_of(parts[part][1]))
        (line,) = self.problems_of(flipped(part, read_batch.one(piece, 3, b"")))
        self.assertEqual(f"weighctl: part {read_batch.one(piece, 1, b'').hex()} of policy 1 was changed", line)

        statement = next(at for at, (kind, _) in enumerate(parts) if kind == STATEMENT)
        key = read_batch.one(header, 2, b"")
        lines = self.problems_of(flipped(batches[1], key))
        self.assertEqual(1, len(lines), lines)
        self.assertIn(", batch 2: the header names the key ", lines[0])
        self.assertIn("which is none of this endpoint's", lines[0])
        self.assertIn("the server's statement, or its signature, was changed",
                      self.problems_of(flipped(statement, bytes.fromhex(self.endpoint)))[0])

    def test_takes_a_range_and_leaves_no_half_file(self):
        self.assertEqual(0, self.export("--from", "2", "--to", "3").returncode)
        (chain,) = self.report("--root", self.root)["chains"]
        self.assertEqual(("2", "3", "2"), (chain["first_number"], chain["last_number"], chain["batches"]))
        done = self.export("--from", "2001-01-01", "--to", "2001-01-02")
        self.assertEqual(0, done.returncode)
        self.assertIn(b"Nothing of this endpoint is in this file.", done.stdout)
        self.assertIn(b"Nothing of this endpoint is in this file.", self.verify().stdout)
        done = self.export("--from", "9", "--to", "3")
        self.assertEqual(1, done.returncode)
        self.assertIn(b"ends before it begins", done.stderr)
        report = self.report()
        self.assertTrue(report["verified"])
        self.assertEqual([], report["chains"])

        with open(self.file, "rb") as file:
            before = file.read()
        self.fleet.server.stop()
        self.assertEqual(1, self.export().returncode)
        with open(self.file, "rb") as file:
            self.assertEqual(before, file.read())
        self.assertEqual([], [name for name in os.listdir(self.folder) if name.endswith(".new")])
        done = self.verify(b"no evidence")
        self.assertEqual(1, done.returncode)
        self.assertIn(b"this is no file of evidence", done.stderr)

    def test_is_for_responders_and_written_down(self):
        self.export()
        log = self.fleet.ask("audit", "list")
        self.assertIn("GetEvidence", log)
        self.assertIn("ListBatches", log)
        token = self.fleet.ask("admin-tokens", "create", "--name", "eve", "--role", "viewer")
        with open(self.path("viewer.token"), "w", encoding="utf-8") as out:
            out.write(token)
        self.fleet.ask("login", "--server", self.fleet.address, "--ca-file", self.fleet.ca_file,
                       "--token-file", self.path("viewer.token"))
        os.remove(self.file)
        done = self.export()
        self.assertEqual(1, done.returncode)
        self.assertIn(b"export_evidence", done.stderr)
        self.assertFalse(os.path.exists(self.file))


if __name__ == "__main__":
    unittest.main()
