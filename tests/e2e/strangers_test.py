"""What callers without a certificate can make a server hold: little, nothing for calls that are over, no place of
those who are known, and it lives on."""

import contextlib
import os
import re
import socket
import ssl
import struct
import time
import unittest

import fleet

CONNECTIONS = 20
CALLS = 16  # of one connection at a time: limits::kMaxStreamsPerConnection
MESSAGE_BYTES = 4_000_000  # just under the longest that is read
# What each may send (limits::kMaxStrangerBytes), four times over, and what the server is without it, thrice over.
MOST_MIB = CONNECTIONS * 1 + 80
CALLS_OF_STRANGER = 512  # in less than it may send
DATA, HEADERS, RST, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 3, 4, 6, 8


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request(path):
    return b"".join(literal(name, value) for name, value in (
        (b":method", b"POST"), (b":scheme", b"https"), (b":path", path),
        (b":authority", b"server"), (b"content-type", b"application/grpc"), (b"te", b"trailers")))


ENROL = request(b"/weighmaster.v1.AgentService/Enrol")
PUBLISH = request(b"/weighmaster.v1.AdminService/PublishPolicy")
REFUSED_CALLS = 16_384
DESCRIPTORS = 100  # more than the server needs for itself

# A gRPC message that lacks its last byte.
UNFINISHED = struct.pack(">BI", 0, MESSAGE_BYTES) + b"x" * (MESSAGE_BYTES - 1)


class Stranger:
    """A connection to the server without a certificate (RFC 9113)."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection((host, int(port)), timeout=10))
        self.window, self.first_window, self.received = 65535, 65535, b""
        self.windows, self.left = {}, {}
        self.sent = 0
        self.next_stream = 1
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))

    def call(self, head, to_send):
        """A call whose request ends with its head, or goes on for so many bytes."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        self.windows[stream], self.left[stream] = 0, to_send
        self.socket.sendall(frame(HEADERS, 4 if to_send else 5, stream, head))

    def wait_for_answers(self):
        while self.left:
            self._receive(patience=2, all_there_is=False)

    def go_on(self):
        """Sends what the windows allow; False when the server has hung up."""
        try:
            self._receive()
            self._send()
            return True
        except OSError:
            return False

    def _receive(self, patience=0.01, all_there_is=True):
        self.socket.settimeout(patience)
        try:
            more = True
            while more:
                more = all_there_is
                data = self.socket.recv(65536)
                if not data:
                    raise ConnectionResetError
                self.received += data
        except (TimeoutError, ssl.SSLWantReadError):
            pass
        self.socket.settimeout(2)
        while len(self.received) >= 9:
            size = int.from_bytes(self.received[:3], "big")
            if len(self.received) < 9 + size:
                return
            kind, flags = self.received[3], self.received[4]
            stream = int.from_bytes(self.received[5:9], "big")
            payload, self.received = self.received[9:9 + size], self.received[9 + size:]
            self._take(kind, flags, stream, payload)

    def _take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & 1:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == 4:
                    self.first_window = value
            self.socket.sendall(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            self.socket.sendall(frame(PING, 1, 0, payload))
        elif kind == WINDOW_UPDATE and stream == 0:
            self.window += int.from_bytes(payload, "big")
        elif kind == WINDOW_UPDATE and stream in self.windows:
            self.windows[stream] += int.from_bytes(payload, "big")
        elif kind == RST or (kind == HEADERS and flags & 1):
            self.left.pop(stream, None)
            self.windows.pop(stream, None)

    def _send(self):
        for stream, left in self.left.items():
            while left:
                size = min(16384, left, self.window, self.windows[stream] + self.first_window)
                if size <= 0:
                    break
                at = len(UNFINISHED) - left
                self.socket.sendall(frame(DATA, 0, stream, UNFINISHED[at:at + size]))
                left -= size
                self.window -= size
                self.windows[stream] -= size
                self.sent += size
            self.left[stream] = left


class Strangers(fleet.EndToEnd):
    def memory_mib(self):
        with open(f"/proc/{self.fleet.server.child.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024

    def test_hold_no_more_than_a_stranger_may_send(self):
        self.fleet = self.make_fleet()
        strangers = [Stranger(self.fleet.address) for _ in range(CONNECTIONS)]
        for stranger in strangers:  # every call sends all but the last byte of a long request
            for _ in range(CALLS):
                stranger.call(ENROL, len(UNFINISHED))
        connected = list(strangers)
        most = 0
        deadline = time.monotonic() + fleet.PATIENCE_S
        while connected and time.monotonic() < deadline:
            connected = [stranger for stranger in connected if stranger.go_on()]
            most = max(most, self.memory_mib())
        self.assertEqual([], connected, "all were cut off")
        self.assertLess(most, MOST_MIB)
        for stranger in strangers:
            stranger.socket.close()
        self.assertEqual(0, self.fleet.weighctl("endpoints").returncode)
        self.assertIn("was cut off: it sent too much without showing who it is", self.fleet.server.log())

    def test_leave_nothing_behind(self):
        self.fleet = self.make_fleet()
        before = 0
        for number in range(0, REFUSED_CALLS, CALLS_OF_STRANGER):
            if number >= REFUSED_CALLS // 4 and not before:
                before = self.memory_mib()
            stranger = Stranger(self.fleet.address)
            for _ in range(CALLS_OF_STRANGER // CALLS):
                for _ in range(CALLS):
                    stranger.call(PUBLISH, 0)
                stranger.wait_for_answers()
            stranger.socket.close()
        # A quarter of a kilobyte for each would be more.
        self.assertLess(self.memory_mib() - before, REFUSED_CALLS * 3 / 4 / 4096)

    def test_take_no_descriptor_that_others_need(self):
        self.fleet = self.make_fleet()
        self.fleet.server.stop()
        # gRPC's own listener would never take a connection again after it had none left.
        self.fleet.server.start(prefix=["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"])
        self.fleet.wait_until_up()
        host, _, port = self.fleet.address.rpartition(":")
        with contextlib.ExitStack() as open_sockets:
            for _ in range(DESCRIPTORS):
                open_sockets.enter_context(socket.create_connection(
                    (host, int(port)), timeout=10, source_address=("127.0.0.9", 0)))
            self.assertEqual(0, self.fleet.weighctl("endpoints").returncode)
            fleet.wait_for(lambda: "too many connections of its address" in self.fleet.server.log(), "a line in the log")


if __name__ == "__main__":
    unittest.main()
