"""Other forms of the evasion cases: another token, address, port and initial sequence number, every
odd checksum as odd as it was.

A case is a conversation recorded once; a box that had learnt it by heart would pass it. Letters and
digits of all TCP payload are exchanged one for one, so a token that is cut, repeated or
contradicted at any byte is so at the same byte of another token; the client's sequence numbers are
moved so that they wrap inside it. Checksums are changed by what the bytes changed (RFC 1624).
Fragments stay as they are: their checksum covers bytes that other fragments contradict.
"""

import struct

LETTERS, DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789"
OTHER = bytes.maketrans(LETTERS + DIGITS, LETTERS[5:] + LETTERS[:5] + DIGITS[3:] + DIGITS[:3])
CLIENT_MAC = b"\2\0\0\0\0\1"
# The client's new initial sequence number: the circle closes within the first dozen bytes it says.
ISN = 0xffff_fff4


def other(token):
    """What a token becomes."""
    return token.encode().translate(OTHER).decode()


def words(data):
    data = data + b"\0" * (len(data) % 2)
    return struct.unpack(f">{len(data) // 2}H", data)


def changed(checksum, before, after):
    """RFC 1624, equation 3."""
    total = (~checksum & 0xffff) + sum((~word & 0xffff) for word in words(before)) + sum(words(after))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def tcp_at(frame):
    """Where IP and TCP begin, and where TCP ends, in an Ethernet frame that is not a fragment."""
    kind = struct.unpack_from(">H", frame, 12)[0]
    if kind == 0x0800 and len(frame) >= 34 and frame[14] >> 4 == 4 and frame[23] == 6:
        if struct.unpack_from(">H", frame, 20)[0] & 0x3fff:
            return None
        at, end = 14 + (frame[14] & 15) * 4, 14 + struct.unpack_from(">H", frame, 16)[0]
    elif kind == 0x86dd and len(frame) >= 54 and frame[20] == 6:
        at, end = 54, 54 + struct.unpack_from(">H", frame, 18)[0]
    else:
        return None
    end = min(end, len(frame))
    return (14, at, end) if at + 20 <= end else None


def put(frame, at, new, checksums):
    """Writes `new` at `at`; `checksums` are places whose checksum covers it, each with the place it
    is counted from."""
    old = bytes(frame[at:at + len(new)])
    frame[at:at + len(new)] = new
    for place, base in checksums:
        odd = (at - base) % 2
        pad = b"\0" * odd
        value = struct.unpack_from(">H", frame, place)[0]
        struct.pack_into(">H", frame, place, changed(value, pad + old, pad + new))


def vary(frame, shift):
    """The frame in its other form; `shift` is added to what counts the client's bytes."""
    where = tcp_at(frame)
    if where is None:
        return frame
    ip, tcp, end = where
    frame = bytearray(frame)
    from_client = frame[6:12] == CLIENT_MAC
    covered = [(tcp + 16, tcp)]
    if frame[ip] >> 4 == 4:
        last = ip + (15 if from_client else 19)
        put(frame, last, bytes([frame[last] ^ 0x55]), [*covered, (ip + 10, ip)])
    else:
        last = ip + (23 if from_client else 39)
        put(frame, last, bytes([frame[last] ^ 0x55]), covered)
    port = tcp if from_client else tcp + 2
    put(frame, port, struct.pack(">H", struct.unpack_from(">H", frame, port)[0] ^ 0x0b5), covered)
    number = tcp + 4 if from_client else tcp + 8
    if from_client or frame[tcp + 13] & 16:
        value = struct.unpack_from(">I", frame, number)[0]
        put(frame, number, struct.pack(">I", (value + shift) & 0xffff_ffff), covered)
    data = tcp + (frame[tcp + 12] >> 4) * 4
    if tcp + 20 <= data < end:
        put(frame, data, bytes(frame[data:end]).translate(OTHER), covered)
    return bytes(frame)


def variant(source, target):
    """Writes the other form of the capture `source` to `target`. False: it has no TCP over plain
    Ethernet that could be varied."""
    with open(source, "rb") as file:
        capture = file.read()
    order = "<" if capture[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    if struct.unpack_from(order + "I", capture, 20)[0] != 1:
        return False
    frames, at = [], 24
    while at + 16 <= len(capture):
        size = struct.unpack_from(order + "I", capture, at + 8)[0]
        frames.append((capture[at:at + 16], capture[at + 16:at + 16 + size]))
        at += 16 + size
    first = next((frame for _, frame in frames if frame[6:12] == CLIENT_MAC and tcp_at(frame)), None)
    if first is None or any(is_fragment(frame) for _, frame in frames):
        return False
    shift = ISN - struct.unpack_from(">I", first, tcp_at(first)[1] + 4)[0]
    with open(target, "wb") as file:
        file.write(capture[:24])
        for head, frame in frames:
            file.write(head + vary(frame, shift))
    return True


def is_fragment(frame):
    kind = struct.unpack_from(">H", frame, 12)[0]
    if kind == 0x0800 and len(frame) >= 34:
        return bool(struct.unpack_from(">H", frame, 20)[0] & 0x3fff)
    return kind == 0x86dd and len(frame) > 20 and frame[20] == 44
