"""Captures through the running box, frame by frame: a frame that no patch concerns is not changed.

Holds:     a box between two links of this process's own namespace, and raw sockets at their far
           ends.
Promises:  each frame is sent once the one before it has come out, so order is kept and no queue
           overflows; nothing is decided by how long a machine takes.
"""

import csv
import errno
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from capture import ETHERNET, records
from lab import DATA, ROOT, SHARED, binary, end, free_port, wait_for

# An EtherType for experiments (IEEE 802): frames that tell where in the stream we are.
MARK = 0x88B5
# Generous: it ends a test that would hang, and measures nothing.
DEADLINE_SECONDS = 60.0
# Linux: packet(7).
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING, ETH_P_ALL = 263, 8, 4, 3
VLAN_VALID, VLAN_TPID_VALID = 1 << 4, 1 << 6


def captures():
    """Those of the repository; with WIREPATCH_ALL_CAPTURES=1 those beside it too (ten minutes)."""
    roots = [(DATA, "captures/INDEX.tsv")]
    if os.environ.get("WIREPATCH_ALL_CAPTURES"):
        roots.append((os.path.join(SHARED, "corpora"), "INDEX.tsv"))
    for root, index in roots:
        with open(os.path.join(root, index), encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                if int(row["replayable_eth"] or 0) > 0:
                    yield os.path.join(root, row["path"])


def frames(path):
    """The Ethernet frames that a link can carry."""
    with open(path, "rb") as file:
        parts = records(file.read())
    return [part.data for part in parts
            if part.link == ETHERNET and len(part.data) >= 14 and not part.cut]


def ends_of(frame):
    """Source and destination: IP addresses where there are any, else those of the link."""
    at, kind = 14, struct.unpack_from(">H", frame, 12)[0]
    while kind in (0x8100, 0x88A8, 0x9100) and len(frame) >= at + 4:
        kind = struct.unpack_from(">H", frame, at + 2)[0]
        at += 4
    if kind == 0x0800 and len(frame) >= at + 20:
        return frame[at + 12:at + 16], frame[at + 16:at + 20]
    if kind == 0x86DD and len(frame) >= at + 40:
        return frame[at + 8:at + 24], frame[at + 24:at + 40]
    return frame[6:12], frame[:6]


class Port:
    """A raw socket on one link."""

    def __init__(self, link):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((link, 0))
        self.socket.setblocking(False)
        # The kernel takes VLAN tags out of frames, and hands them over beside them.
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)

    def send(self, frame):
        """Whether the link takes it: one that is too long for it does not count."""
        until = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                self.socket.send(frame)
                return True
            except BlockingIOError:
                select.select([], [self.socket], [], 0.1)
            except OSError as why:
                if why.errno != errno.ENOBUFS:
                    return False
            assert time.monotonic() < until, "the link takes no frames"

    def receive(self):
        """The next frame that the box sends; None when there is none for a very long time."""
        until = time.monotonic() + DEADLINE_SECONDS
        while (left := until - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                break
            frame, beside, _, address = self.socket.recvmsg(1 << 18, 256)
            if address[2] != PACKET_OUTGOING:
                return tagged(frame, beside)
        return None


def tagged(frame, beside):
    for level, kind, data in beside:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA) and len(data) >= 20:
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", data[:20])
            if status & VLAN_VALID:
                tpid = tpid if status & VLAN_TPID_VALID else 0x8100
                return frame[:12] + struct.pack(">HH", tpid, tci) + frame[12:]
    return frame


class Box:
    """`wirepatch run` between two links, and the sockets at their far ends."""

    LINKS = (("il-c", "il-m0"), ("il-s", "il-m1"))

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="wirepatch-inline-")
        self.process = None
        self.marks = 0

    def __enter__(self):
        try:
            for pair in self.LINKS:
                self.ip("link", "add", pair[0], "type", "veth", "peer", "name", pair[1])
                for link in pair:
                    self.quiet(link)
            self.ports = [Port(far) for far, _ in self.LINKS]
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None:
            end(self.process)
        for far, _ in self.LINKS:
            subprocess.run(["ip", "link", "del", far], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def quiet(self, link):
        """Carries any frame, long ones too, and says nothing by itself."""
        with open(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6", "w", encoding="ascii") as file:
            file.write("1")
        off = [word for name in ("tx", "rx", "gso", "gro", "tso", "rxvlan", "txvlan")
               for word in (name, "off")]
        subprocess.run(["ethtool", "-K", link, *off], capture_output=True)
        self.ip("link", "set", link, "arp", "off", "multicast", "off", "mtu", "16000", "up",
                "promisc", "on")

    def start(self):
        config = os.path.join(self.folder, "wirepatch.yaml")
        # The whole library is loaded, for an address that no capture has.
        group = {"name": "nobody", "addresses": ["198.51.100.254"],
                 "patches": [os.path.join(ROOT, "patches")]}
        with open(config, "w", encoding="utf-8") as out:
            json.dump({
                "eal": {"hugepages": False, "memory_mib": 512, "file_prefix": f"in{os.getpid()}"},
                "ports": [{"name": name, "device": f"net_pcap{at},iface={link}", "mtu": 16000}
                          for at, (name, (_, link)) in enumerate(zip("lr", self.LINKS))],
                "bridges": [["l", "r"]],
                "server_groups": [group],
                "limits": {"mbufs": 8192},
                "metrics": {"listen": f"127.0.0.1:{free_port()}"},
                "control": {"socket": os.path.join(self.folder, "control.sock")},
            }, out)
        self.log = os.path.join(self.folder, "wirepatch.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [binary(), "run", "--config", config], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
                env={**os.environ, "XDG_RUNTIME_DIR": self.folder})
        for at in (0, 1):
            wait_for("a frame through the box", lambda: self.mark(at, seconds=0.2), 120)
        self.settle()

    def mark(self, at, seconds=DEADLINE_SECONDS):
        """Sends a numbered frame in at one end; whether it came out, and what came before it."""
        assert self.process.poll() is None, f"wirepatch run ended:\n{self.told()}"
        self.marks += 1
        frame = struct.pack(">6s6sHI", b"\2" + bytes(5), b"\2\1" + bytes(4), MARK, self.marks)
        self.ports[at].send(frame + bytes(46))
        before, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self.ports[1 - at].socket], [], [], 0.05)[0]:
                came = self.ports[1 - at].receive()
                if came == frame + bytes(46):
                    return [came, *before]
                before.append(came)
        return None

    def settle(self):
        """What came out at either end without being asked for, marks left out."""
        extra = []
        for at in (0, 1):
            came = self.mark(at)
            assert came, f"the box is silent:\n{self.told()}"
            extra += [one for one in came[1:] if struct.unpack_from(">H", one, 12)[0] != MARK]
        return extra

    def told(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]


def play(box, path):
    """Sends a capture in its order, each frame from its own side; the number sent, and a fault."""
    sides, sent = {}, 0
    for number, frame in enumerate(frames(path), 1):
        source, destination = ends_of(frame)
        side = sides.setdefault(source, 1 - sides[destination] if destination in sides else 0)
        sides.setdefault(destination, 1 - side)
        if not box.ports[side].send(frame):
            continue
        sent += 1
        came = box.ports[1 - side].receive()
        if came != frame:
            shown = came.hex() if came else "nothing"
            return sent, f"frame {number} went in as\n{frame.hex()}\nand came out as\n{shown}"
    extra = box.settle()
    return sent, f"{len(extra)} frames more than went in: {extra[0].hex()}" if extra else None


def test_captures_pass_untouched():
    total, faults, played = 0, [], 0
    with Box() as box:
        for path in captures():
            sent, fault = play(box, path)
            total, played = total + sent, played + 1
            if fault:
                faults.append(f"{path}: {fault}")
                # Frames of this capture may still come.
                box.settle()
            assert len(faults) < 5, "\n".join(faults)
    assert not faults, "\n".join(faults)
    assert total > 5000, f"only {total} frames"
    print(f"    {total} frames of {played} captures")
