"""What callers without a certificate can make a server hold: no more than its quota, and it lives on."""

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
# limits::kTransportBytes, and what the server is without it, twice over.
MOST_MIB = 256 + 150
DATA, HEADERS, RST, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 3, 4, 6, 8


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


REQUEST = b"".join(literal(name, value) for name, value in (
    (b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/weighmaster.v1.AgentService/Enrol"),
    (b":authority", b"server"), (b"content-type", b"application/grpc"), (b"te", b"trailers")))


# A gRPC message that lacks its last byte.
UNFINISHED = struct.pack(">BI", 0, MESSAGE_BYTES) + b"x" * (MESSAGE_BYTES - 1)


class Stranger:
    """A connection whose every call sends all but the last byte of a long request (RFC 9113)."""

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
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        for stream in range(1, 2 * CALLS, 2):
            self.socket.sendall(frame(HEADERS, 4, stream, REQUEST))
            self.windows[stream], self.left[stream] = 0, len(UNFINISHED)

    def go_on(self):
        """Sends what the windows allow; False when the server has hung up."""
        try:
            self._receive()
            self._send()
            return True
        except OSError:
            return False

    def _receive(self):
        self.socket.settimeout(0.01)
        try:
            while True:
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

    def test_hold_no_more_than_the_quota(self):
        self.fleet = self.make_fleet()
        strangers = [Stranger(self.fleet.address) for _ in range(CONNECTIONS)]
        connected = list(strangers)
        most = quiet_rounds = 0
        deadline = time.monotonic() + fleet.PATIENCE_S
        while connected and quiet_rounds < 5 and time.monotonic() < deadline:
            before = sum(stranger.sent for stranger in strangers)
            connected = [stranger for stranger in connected if stranger.go_on()]
            most = max(most, self.memory_mib())
            sent = sum(stranger.sent for stranger in strangers)
            quiet_rounds = quiet_rounds + 1 if sent == before else 0
        self.assertGreater(sent / 2**20, MOST_MIB, "they tried")
        self.assertLess(most, MOST_MIB)
        for stranger in strangers:
            stranger.socket.close()
        fleet.wait_for(lambda: self.fleet.weighctl("endpoints").returncode == 0, "an answer")


if __name__ == "__main__":
    unittest.main()
