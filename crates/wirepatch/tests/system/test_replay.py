"""Every capture through `wirepatch replay` with the whole library.

A change is in the report, is right, and makes nothing worse. The captures are those of the
repository, and those of `../shared/corpora` where they are there.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from capture import checks, records
from lab import DATA, ROOT, SHARED, NotHere, binary

CORPORA = [DATA, os.path.join(SHARED, "corpora")]
PATCHES = os.path.join(ROOT, "patches")


def captures():
    """Each once: what is in the repository is beside it too."""
    found = {}
    for root in CORPORA:
        for folder, _, names in sorted(os.walk(root)):
            for name in sorted(names):
                if name.endswith((".pcap", ".pcapng", ".cap")):
                    path = os.path.join(folder, name)
                    with open(path, "rb") as file:
                        found.setdefault(hashlib.sha256(file.read()).digest(), path)
    return list(found.values())


def replayed(path, folder, *options):
    """The capture's parts before and after, and the report."""
    out = tempfile.mktemp(dir=folder, suffix=os.path.splitext(path)[1])
    report = out + ".json"
    done = subprocess.run([binary(), "replay", path, "-o", out, "--report", report, *options],
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{path}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    with open(path, "rb") as before, open(out, "rb") as after, open(report, encoding="utf-8") as told:
        return out, before.read(), after.read(), json.load(told)


def compare(before, after, report):
    """Walks both captures; yields what contradicts the report, or is no longer right."""
    told = {entry["packet"]: entry for entry in report["edits"]}
    left = iter(after)
    number = 0
    for part in before:
        if part.link is None:
            if next(left, None) != part:
                yield f"what stands behind packet {number} differs"
            continue
        number += 1
        entry = told.get(number)
        fate = entry["fate"] if entry else "unchanged"
        came = []
        size = entry["after_bytes"] if entry else len(part.data)
        # A packet may have no bytes at all, and is a record nevertheless.
        while (size > 0 or (fate != "left_out" and not came)) and (one := next(left, None)) is not None:
            came.append(one)
            size -= len(one.data)
        if size:
            yield f"packet {number}: what came of it is not {entry and entry['after_bytes']} bytes long"
        if entry and len(part.data) != entry["before_bytes"]:
            yield f"packet {number}: {len(part.data)} bytes long, the report says {entry['before_bytes']}"
        if any((one.link, one.time) != (part.link, part.time) for one in came):
            yield f"packet {number}: another time or link type"
        if fate == "unchanged" and part not in came:
            yield f"packet {number}: the report does not say that it changed, and it is not as it was"
        if fate != "unchanged" and any(one.data == part.data for one in came):
            yield f"packet {number}: in the report as {fate}, and as it was"
        was = checks(part.link, part.data)
        for one in came:
            wrong = [name for name, right in checks(one.link, one.data).items() if not right and was.get(name, True)]
            if wrong and one != part:
                yield f"packet {number}: no longer right: {wrong}"
    if next(left, None) is not None:
        yield "more comes out than the report tells"


NOTE, WARNING, ERROR = 4194304, 6291456, 8388608
TCP_TOUCHED = {"edited", "refused_by_patch", "tcp_moved", "tcp_held", "tcp_ahead", "tcp_released", "tcp_rebuilt", "tcp_syn_data",
               "tcp_closed", "tcp_after_reset", "tcp_hold_ended", "tcp_hold_reset", "tcp_resent", "tcp_idle_reset"}
# What Wireshark may find fault with in what came out and not in what went in: how the message
# begins, the reasons and events of which one must be in the report, and why it is nobody's fault.
#
# A replay writes what left on both sides into one file: a sender's bytes as the receiver gets them,
# and the receiver's acknowledgements as the sender gets them. Where the length of a stream changed,
# no single reading of such a file adds up. And the ends of a capture did not know of us: they
# acknowledge what we hold as yet, and resend nothing of what is missing.
EXPLAINED = [
    ("ACKed segment that wasn't captured", TCP_TOUCHED, "both sides in one file"),
    ("Previous segment(s) not captured", TCP_TOUCHED, "an acknowledgement of what we had not sent yet"),
    ("This frame is a (suspected)", TCP_TOUCHED, "both sides in one file, so what comes late looks resent"),
    ("Duplicate ACK", TCP_TOUCHED, "several acknowledgements of what is held are one to Wireshark"),
    ("D-SACK Sequence", TCP_TOUCHED, "both sides in one file"),
    ("Connection reset (RST)", {"tcp_closed", "tcp_after_reset"}, "a patch ends the connection"),
    ("This frame initiates the connection closing", TCP_TOUCHED, "a patch ends the connection behind an answer of its own"),
    ("This frame undergoes the connection closing", TCP_TOUCHED, "the same, and then the sender of the refused message ends it as well"),
    ("Connection reset (RST)", {"tcp_idle_reset", "tcp_hold_reset"}, "the capture ends a connection in the middle of a unit, and time passes"),
    ("Connection reset (RST)", {"tcp_moved"}, "a reset that its receiver may expect at a later number is sent at that one as well"),
    ("Source MAC must not be a group address", {"tcp_held"}, "an answer to a frame sent to a group address"),
    ("Illegal characters found in header name", {"tcp_moved", "tcp_released"}, "a message begins inside a segment, as its sender cut it"),
    ("Ignored Unknown Record", {"tcp_released"}, "both sides in one file, so Wireshark loses its place in the records"),
    ("This session reuses previously negotiated keys", {"tcp_released"}, "the same: it has missed the certificate"),
]


def expert_items(path):
    """What Wireshark finds fault with in a capture, from notes upwards, with how often; numbers
    within are left out."""
    done = subprocess.run(
        ["tshark", "-n", "-r", path, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
         "-o", "udp.check_checksum:TRUE", "-Y", "_ws.expert", "-T", "fields", "-E", "aggregator=|",
         "-e", "_ws.expert.severity", "-e", "_ws.expert.message"],
        capture_output=True, text=True, errors="replace", timeout=600)
    items = Counter()
    for line in done.stdout.splitlines():
        severities, _, messages = line.partition("\t")
        severities, messages = severities.split("|"), messages.split("|")
        if len(severities) != len(messages):
            # A message that quotes a packet with the separator in it: kept whole, at its gravest.
            severities, messages = [max(severities, key=int)], ["|".join(messages)]
        for severity, message in zip(severities, messages):
            if int(severity) >= NOTE:
                items[int(severity), re.sub(r"0x[0-9a-f]+|[0-9]+", "N", message)] += 1
    return items


def new_expert_items(before, after, report):
    """What Wireshark finds fault with in the output alone, and EXPLAINED does not name."""
    reasons = set(report["reasons"]) | set(report.get("events", ()))
    for (severity, message), count in (expert_items(after) - expert_items(before)).items():
        explained = any(message.startswith(begin) and reasons & causes for begin, causes, _ in EXPLAINED)
        if not explained or severity >= ERROR:
            yield f"Wireshark finds {count} more of: {message} (severity {severity})"


def one_capture(path, folder):
    """The faults found in what the library makes of a capture, and whether it changed."""
    name = os.path.relpath(path, ROOT)
    faults, changed = [], False
    runs = [()]
    while runs:
        options = runs.pop()
        out, before, after, report = replayed(path, folder, "--patches", PATCHES, *options)
        found = list(compare(records(before), records(after), report))
        if before != after:
            found += new_expert_items(path, out, report)
        elif report["changed"] + report["left_out"] + report["inserted"]:
            found.append("the report tells of changes, and there are none")
        os.remove(out)
        faults += [f"{name} {' '.join(options)}: {fault}" for fault in found]
        changed |= before != after
        if not options and report["reasons"].keys() & {"bad_checksum", "bad_ip_checksum"}:
            runs.append(("--trust-checksums",))
    return faults, changed


def test_the_whole_library_over_every_capture():
    if shutil.which("tshark") is None:
        raise NotHere("tshark is not installed: deploy/install-packages.sh")
    folder = tempfile.mkdtemp(prefix="wirepatch-replay-")
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(lambda path: one_capture(path, folder), captures()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    faults = [fault for found, _ in results for fault in found]
    changed = sum(changed for _, changed in results)
    assert changed > 50, f"only {changed} captures changed: the test tested nothing"
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults[:200])
    print(f"    {len(results)} captures, {changed} of them changed")
