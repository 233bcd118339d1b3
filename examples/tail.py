#!/usr/bin/env python3
"""Follows the event log of a Belfry and prints one line per event.

    python3 examples/tail.py [URL] [KEY_FILE] [FILTER]

It needs nothing but Python 3.8: the WebSocket client below is enough for a server that one trusts.
It remembers the cursor of the last batch, so that after a lost connection it goes on without a gap
and without repeating itself. For a program of your own take any client of graphql-transport-ws.
"""

import base64
import json
import os
import socket
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
KEY_FILE = sys.argv[2] if len(sys.argv) > 2 else "belfry.db.admin-key"
FILTER = sys.argv[3] if len(sys.argv) > 3 else None

HEAD = "{ events(first: 1) { headCursor } }"
TAIL = """
subscription Tail($after: String!, $q: String) {
  events(after: $after, q: $q) {
    cursor
    gap { missed }
    events { createdAt type triggerName message }
  }
}
"""
# Bytes of one message from the server: 1,000 events of the largest size fit many times over.
MESSAGE_BYTES_MAX = 256 * 1024 * 1024


class Closed(Exception):
    """The server closed the socket: the code says whether to come back."""

    def __init__(self, code, reason):
        super().__init__(f"closed by the server: {code} {reason}")
        # 44xx is the client's own fault; everything else passes.
        self.is_final = 4400 <= code < 4500


class Socket:
    """A WebSocket (RFC 6455) that sends and receives JSON."""

    def __init__(self, url, subprotocol):
        parts = urllib.parse.urlsplit(url)
        port = parts.port or 80
        self.raw = socket.create_connection((parts.hostname, port), timeout=60)
        self.file = self.raw.makefile("rb")
        nonce = base64.b64encode(os.urandom(16)).decode()
        self.raw.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.hostname}:{port}\r\n"
            f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n".encode()
        )
        status = self.file.readline().decode().strip()
        while self.file.readline() not in (b"\r\n", b""):
            pass
        if " 101 " not in status:
            raise OSError(f"no WebSocket at {url}: {status or 'no answer'}")

    def send(self, message, opcode=1):
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        mask = os.urandom(4)
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self.raw.sendall(head + mask + masked)

    def receive(self):
        whole = b""
        while True:
            first, size = self._read("!BB")
            if size == 126:
                (size,) = self._read("!H")
            elif size == 127:
                (size,) = self._read("!Q")
            if size > MESSAGE_BYTES_MAX:
                raise OSError(f"a message of {size} bytes")
            data = self._exactly(size)
            opcode = first & 0x0F
            if opcode == 8:
                code = struct.unpack("!H", data[:2])[0] if size > 1 else 1005
                raise Closed(code, data[2:].decode())
            if opcode == 9:
                self.send(data, opcode=10)
            elif opcode < 3:
                whole += data
                if first & 0x80:
                    return json.loads(whole)

    def close(self):
        self.file.close()
        self.raw.close()

    def _read(self, layout):
        return struct.unpack(layout, self._exactly(struct.calcsize(layout)))

    def _exactly(self, size):
        data = self.file.read(size)
        if len(data) < size:
            raise OSError("the connection broke")
        return data


def head(key):
    """The cursor after the newest event there is now."""
    request = urllib.request.Request(
        f"{URL}/graphql",
        json.dumps({"query": HEAD}).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]["events"]["headCursor"]


def batches(key, after):
    """The batches of the live log after a cursor, until the connection ends."""
    url = f"{URL}/graphql"
    connection = Socket(url, "graphql-transport-ws")
    try:
        connection.send(
            {"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}}
        )
        while True:
            message = connection.receive()
            if message["type"] == "connection_ack":
                payload = {"query": TAIL, "variables": {"after": after, "q": FILTER}}
                connection.send({"type": "subscribe", "id": "1", "payload": payload})
            elif message["type"] == "ping":
                connection.send({"type": "pong"})
            elif message["type"] == "next":
                if "errors" in message["payload"]:
                    sys.exit(message["payload"]["errors"][0]["message"])
                yield message["payload"]["data"]["events"]
            elif message["type"] == "error":
                sys.exit(message["payload"][0]["message"])
            elif message["type"] == "complete":
                return
    finally:
        connection.close()


def main():
    with open(KEY_FILE, encoding="utf-8") as file:
        key = file.read().strip()
    try:
        cursor = head(key)
    except urllib.error.HTTPError as error:
        sys.exit(f"{URL}: {error}")
    print(f"following the event log of {URL}", flush=True)
    while True:
        try:
            for batch in batches(key, cursor):
                cursor = batch["cursor"]
                if batch["gap"]:
                    print(f"... missed up to {batch['gap']['missed']} events", flush=True)
                for event in batch["events"]:
                    words = [event["createdAt"], event["type"], event["triggerName"], event["message"]]
                    print("  ".join(word for word in words if word), flush=True)
        except Closed as closed:
            if closed.is_final:
                sys.exit(str(closed))
        except OSError as error:
            print(f"... {error}; trying again", file=sys.stderr, flush=True)
        time.sleep(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
