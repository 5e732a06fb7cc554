"""Captures read by hand, for tests that must not trust wirepatch's own reading of them.

Holds:     `records` of pcap and pcapng files, and `checks`: which lengths and checksums of a packet
           are right.
Promises:  the parts that `records` yields, put end to end, are the file.
Never:     looks above TCP and UDP.
"""

import struct
from dataclasses import dataclass

PCAP = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}
ETHERNET, COOKED, COOKED2 = 1, 113, 276
RAW, NULL = (12, 101, 228, 229), (0, 108)
TAGS = (0x8100, 0x88A8, 0x9100)
TCP, UDP = 6, 17


@dataclass(frozen=True)
class Part:
    """A packet's record, or (with no link type) what stands between them."""

    raw: bytes
    link: int | None = None
    time: bytes = b""
    data: bytes = b""
    cut: bool = False


def records(file):
    """The parts of a capture, in order; a file that is none is one part."""
    if file[:4] in PCAP:
        return list(_pcap(file, PCAP[file[:4]]))
    if file[:4] == b"\x0a\x0d\x0d\x0a":
        return list(_pcapng(file))
    return [Part(file)]


def _pcap(file, order):
    link = struct.unpack(order + "I", file[20:24])[0] & 0xFFFF
    yield Part(file[:24])
    at = 24
    while at + 16 <= len(file):
        captured, original = struct.unpack(order + "II", file[at + 8:at + 16])
        end = at + 16 + captured
        if end > len(file):
            break
        yield Part(file[at:end], link, file[at:at + 8], file[at + 16:end], captured < original)
        at = end
    if at < len(file):
        yield Part(file[at:])


def _pcapng(file):
    at, order, links = 0, "<", []
    while at + 12 <= len(file):
        if file[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if file[at + 8:at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        kind, length = struct.unpack(order + "II", file[at:at + 8])
        raw = file[at:at + length]
        if length < 12 or len(raw) < length:
            break
        if kind == 0x0A0D0D0A:
            # Its length may be unset when what follows has grown or shrunk: it is compared without.
            raw = raw[:16] + b"\xff" * 8 + raw[24:]
        if kind == 1:
            links.append(struct.unpack(order + "H", raw[8:10])[0])
        if kind == 6:
            interface, captured, original = struct.unpack(order + "I8xII", raw[8:28])
            yield Part(raw, links[interface], raw[8:20], raw[28:28 + captured], captured < original)
        elif kind == 3:
            original = struct.unpack(order + "I", raw[8:12])[0]
            captured = min(original, length - 16)
            yield Part(raw, links[0], b"", raw[12:12 + captured], captured < original)
        elif kind == 2:
            interface, captured, original = struct.unpack(order + "H10xII", raw[8:28])
            yield Part(raw, links[interface], raw[12:20], raw[28:28 + captured], captured < original)
        else:
            yield Part(raw)
        at += length
    if at < len(file):
        yield Part(file[at:])


def _sum_is_right(*pieces):
    """Whether the sum over the pieces, checksum included, is all ones (RFC 1071)."""
    data = b"".join(pieces)
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def _network(link, data):
    """The bytes from the IP header on; none where this is not IP."""
    if link == ETHERNET:
        at = 12
        while int.from_bytes(data[at:at + 2]) in TAGS:
            at += 4
        return data[at + 2:] if int.from_bytes(data[at:at + 2]) in (0x0800, 0x86DD) else b""
    if link == COOKED:
        return data[16:] if data[14:16] in (b"\x08\x00", b"\x86\xdd") else b""
    if link == COOKED2:
        return data[20:] if data[:2] in (b"\x08\x00", b"\x86\xdd") else b""
    return data if link in RAW else data[4:] if link in NULL else b""


def checks(link, data):
    """Name of a length or checksum -> whether it is right. What a packet does not have is not among
    them."""
    ip = _network(link, data)
    right = {}
    if len(ip) >= 20 and ip[0] >> 4 == 4:
        header, total = (ip[0] & 15) * 4, int.from_bytes(ip[2:4])
        right["ip.len"] = header <= total <= len(ip)
        right["ip.len exact"] = total == len(ip) or (link == ETHERNET and len(data) <= 60)
        right["ip.checksum"] = header >= 20 and _sum_is_right(ip[:header])
        whole = int.from_bytes(ip[6:8]) & 0x3FFF == 0
        protocol, addresses, payload = ip[9], ip[12:20], ip[header:total]
    elif len(ip) >= 40 and ip[0] >> 4 == 6:
        total = 40 + int.from_bytes(ip[4:6])
        right["ipv6.plen"] = total <= len(ip)
        right["ipv6.plen exact"] = total == len(ip) or (link == ETHERNET and len(data) <= 60)
        protocol, addresses, at, whole = ip[6], ip[8:40], 40, True
        while protocol in (0, 43, 60, 44) and at + 8 <= min(total, len(ip)):
            whole = whole and protocol != 44 and not (protocol == 43 and ip[at + 3])
            protocol, at = ip[at], at + (8 if protocol == 44 else (ip[at + 1] + 1) * 8)
        payload = ip[at:total]
    else:
        return right
    pseudo = addresses + struct.pack(">IHH", len(payload), 0, protocol)
    if not whole or not all(right.values()):
        return right
    if protocol == UDP and len(payload) >= 8:
        right["udp.length"] = int.from_bytes(payload[4:6]) == len(payload)
        if payload[6:8] != b"\0\0":
            right["udp.checksum"] = _sum_is_right(pseudo, payload)
    if protocol == TCP and len(payload) >= 20:
        right["tcp.hdr_len"] = 20 <= payload[12] >> 4 << 2 <= len(payload)
        right["tcp.checksum"] = _sum_is_right(pseudo, payload)
    return right
