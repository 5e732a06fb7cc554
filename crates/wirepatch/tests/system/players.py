"""A client's recorded frames at a real TCP server: every case at once, each from its own port.

The frames were made for a server whose first sequence number and clock are known (`sim
--evasions`); what they say of either is moved to what the server at hand chose, and checksums by as
much, so that what is wrong stays wrong. The server's application tells what every connection
brought it.
"""

import heapq
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time

from variants import changed

SERVER_ISN, SERVER_STAMP = 0x50000000, 20_000_000
SERVER, PORT = "198.19.1.2", 80
SERVER_MAC, CLIENT_MAC = "02:00:00:00:00:02", "02:00:00:00:00:01"
# Between the beginnings of two cases, and after the last frame.
STAGGER, QUIET = 0.02, 2.5
# A busy machine is later with everything: whoever plays again says how many times slower.
SLOWER = float(os.environ.get("WIREPATCH_SLOWER", "1"))

# Accepts connections until its input ends, then says by client's port what each brought.
APPLICATION = """
import base64, json, selectors, socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=512)
listener.setblocking(False)
chosen, heard = selectors.DefaultSelector(), []
chosen.register(listener, selectors.EVENT_READ)
chosen.register(sys.stdin, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in chosen.select():
        if key.fileobj is sys.stdin:
            print(json.dumps([[port, base64.b64encode(bytes).decode(), end] for port, bytes, end in heard]), flush=True)
            sys.exit()
        if key.fileobj is listener:
            connection, peer = listener.accept()
            connection.setblocking(False)
            heard.append([peer[1], b"", "open"])
            chosen.register(connection, selectors.EVENT_READ, heard[-1])
            continue
        try:
            got = key.fileobj.recv(65536)
            key.data[1] += got
            end = "end"
        except OSError as why:
            got, end = b"", str(why)
        if not got:
            key.data[2] = end
            chosen.unregister(key.fileobj)
"""


def read_capture(path):
    """`(seconds, frame)` of a pcap file."""
    with open(path, "rb") as file:
        capture = file.read()
    order = "<" if capture[0] == 0xd4 else ">"
    frames, at = [], 24
    while at + 16 <= len(capture):
        seconds, micros, size = struct.unpack_from(order + "III", capture, at)
        frames.append((seconds + micros / 1e6, capture[at + 16:at + 16 + size]))
        at += 16 + size
    return frames


class Case:
    """One client: its frames, and what it hears of its server."""

    def __init__(self, path):
        self.name = os.path.basename(path)[:-5]
        self.frames = read_capture(path)
        whole = self.frames[0][1]
        self.port = struct.unpack_from(">H", whole, 34)[0]
        self.address = socket.inet_ntoa(whole[26:30])
        self.isn = self.stamp = None
        self.reset, self.acknowledged = False, []

    def was_sent(self, number):
        """A segment of the client's ends there, or has bytes on both sides of it."""
        for _, frame in self.frames:
            at = 14 + (frame[14] & 15) * 4
            if frame[12:14] != b"\x08\x00" or struct.unpack_from(">H", frame, 20)[0] & 0x1fff or len(frame) < at + 20:
                continue
            fragmented = struct.unpack_from(">H", frame, 20)[0] & 0x2000
            seq, offset, flags = struct.unpack_from(">I4xBB", frame, at + 4)
            size = 1460 if fragmented else max(len(frame) - at - (offset >> 4) * 4, 0)
            if (number - seq) & 0xffffffff <= size + bool(flags & 3):
                return True
        return False

    def adapted(self, frame):
        """The frame for the server as it is."""
        at = 14 + (frame[14] & 15) * 4
        fragment = struct.unpack_from(">H", frame, 20)[0]
        if frame[12:14] != b"\x08\x00" or fragment & 0x1fff or len(frame) < at + 20 or self.isn is None:
            return frame
        frame = bytearray(frame)
        ack = struct.unpack_from(">I", frame, at + 8)[0]
        if frame[at + 13] & 16 or ack:
            self.put(frame, at, at + 8, ack + self.isn - SERVER_ISN)
        option, end = at + 20, min(at + (frame[at + 12] >> 4) * 4, len(frame))
        while option + 1 < end and frame[option] and self.stamp is not None:
            if frame[option] == 8 and option + 10 <= end:
                echo = struct.unpack_from(">I", frame, option + 6)[0]
                if echo:
                    self.put(frame, at, option + 6, echo + self.stamp - SERVER_STAMP)
                break
            option += 1 if frame[option] == 1 else max(frame[option + 1], 2)
        return bytes(frame)

    @staticmethod
    def put(frame, tcp, at, number):
        odd = (at - tcp) % 2
        before = b"\0" * odd + bytes(frame[at:at + 4])
        struct.pack_into(">I", frame, at, number & 0xffffffff)
        after = b"\0" * odd + bytes(frame[at:at + 4])
        checksum = struct.unpack_from(">H", frame, tcp + 16)[0]
        struct.pack_into(">H", frame, tcp + 16, changed(checksum, before, after))

    def hears(self, frame, at):
        seq, ack, offset, flags = struct.unpack_from(">IIBB", frame, at + 4)
        if flags & 4:
            self.reset = True
            return
        if flags & 2:
            self.isn = seq
            option, end = at + 20, at + (offset >> 4) * 4
            while option + 1 < end and frame[option]:
                if frame[option] == 8:
                    self.stamp = struct.unpack_from(">I", frame, option + 2)[0]
                option += 1 if frame[option] == 1 else max(frame[option + 1], 2)
        if flags & 16:
            self.acknowledged.append(ack)


def play(paths, link):
    """Plays all cases through `link` of this namespace, at once."""
    cases = [Case(path) for path in paths]
    by_port = {case.port: case for case in cases}
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.bind((link, 0))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    wire.setblocking(False)
    due = [(number * STAGGER * SLOWER + at, order, case, frame)
           for number, case in enumerate(cases) for order, (at, frame) in enumerate(case.frames)]
    due.sort(key=lambda one: one[:2])
    heap = [(at, number, order, case, frame) for number, (at, order, case, frame) in enumerate(due)]
    heapq.heapify(heap)
    start, end = time.monotonic(), due[-1][0] + QUIET * SLOWER
    while heap or time.monotonic() - start < end:
        now = time.monotonic() - start
        while heap and heap[0][0] <= now:
            _, _, _, case, frame = heapq.heappop(heap)
            wire.send(case.adapted(frame))
        until = min(heap[0][0] if heap else end, end) - (time.monotonic() - start)
        if not select.select([wire], [], [], max(until, 0))[0]:
            continue
        frame, origin = wire.recvfrom(70_000)
        if origin[2] == socket.PACKET_OUTGOING or frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        at = 14 + (frame[14] & 15) * 4
        to = struct.unpack_from(">H", frame, at + 2)[0]
        if to in by_port and len(frame) >= at + 20:
            by_port[to].hears(frame, at)
    return cases


def main():
    """`players.py LINK SERVER_NAMESPACE CAPTURE…`: prints an object a case."""
    link, namespace, *paths = sys.argv[1:]
    application = subprocess.Popen(
        ["ip", "netns", "exec", namespace, sys.executable, "-c", APPLICATION, SERVER, str(PORT)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    application.stdout.readline()
    cases = play(paths, link)
    told, _ = application.communicate("", timeout=30)
    heard = {}
    for port, data, end in json.loads(told):
        heard.setdefault(port, []).append([data, end])
    for case in cases:
        streams = [data for data, _ in heard.get(case.port, []) if data]
        ends = [end for _, end in heard.get(case.port, [])]
        print(json.dumps({"name": case.name, "streams": streams, "ends": ends, "reset": case.reset,
                          "acknowledged": sorted(set(case.acknowledged))}))


if __name__ == "__main__":
    main()
