"""Published evasions that `sim --evasions` writes, played at a real Linux server: what its
application gets is what it gets without the box, patched; or, where stacks differ, what the case
says that the one truth is. docs/evasion.md has a row for each.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

from lab import NotHere, binary, wait_for
from players import CLIENT_MAC, SERVER, SERVER_MAC, Case
from test_evasion import config
from variants import other, variant

TOKEN = "PATCHME-0123456789"
# Of the token, where cases cut it.
HALF = 9
PLAYER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "players.py")
NAMES = ("client", "box", "server", "bare")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise NotHere(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def wires():
    """client c0 -- m0 [box] m1 -- s0 server, and client c1 -- s1 bare: two servers with one
    address, neither seen by the other."""
    for name in NAMES:
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        if name in ("client", "box"):
            # Nothing but what is played is to be on the wires.
            run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
    for one, here, another, there in (("c0", "client", "m0", "box"), ("s0", "server", "m1", "box"), ("c1", "client", "s1", "bare")):
        run("ip", "link", "add", one, "netns", here, "type", "veth", "peer", "name", another, "netns", there)
        for name, link in ((here, one), (there, another)):
            command = ["ethtool", "-K", link, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off"]
            subprocess.run(["ip", "netns", "exec", name, *command], capture_output=True)
    for name, link in (("server", "s0"), ("bare", "s1")):
        run("ip", "-n", name, "link", "set", link, "address", SERVER_MAC)
        run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.tcp_syncookies=0")
    for name, link in (("client", "c0"), ("client", "c1"), ("box", "m0"), ("box", "m1"), ("server", "s0"), ("bare", "s1")):
        run("ip", "-n", name, "link", "set", link, "up")
    for name, link in (("server", "s0"), ("bare", "s1")):
        run("ip", "-n", name, "addr", "add", SERVER + "/24", "dev", link)
        run("ip", "-n", name, "route", "add", "198.18.0.0/16", "dev", link)


def know(client):
    """Whoever plays the client answers no ARP."""
    for name, link in (("server", "s0"), ("bare", "s1")):
        run("ip", "-n", name, "neigh", "replace", client, "lladdr", CLIENT_MAC, "dev", link, "nud", "permanent")


def play(link, server, paths):
    out = run("ip", "netns", "exec", "client", sys.executable, PLAYER, link, server, *paths)
    played = {one["name"]: one for one in map(json.loads, out.splitlines())}
    for one in played.values():
        one["streams"] = [base64.b64decode(stream) for stream in one["streams"]]
    return played


def behind_the_box(folder, paths, token, with_):
    log = open(os.path.join(folder, "box.log"), "wb")
    command = ["ip", "netns", "exec", "box", binary(), "run", "--config", config(folder, token, with_)]
    box = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for("wirepatch run", lambda: box.poll() is not None or os.path.exists(os.path.join(folder, "control.sock")))
        played = play("c0", "server", paths)
        assert box.poll() is None, "the box died"
        return played
    finally:
        box.terminate()
        box.wait()
        log.close()


def replaced(streams, token, with_):
    """Of a token whose first half a deadline has let go, the rest is taken away, or keeps its
    length where the replacement does."""
    rest = with_[HALF:] if len(with_) == len(token) else b""
    half = token[:HALF]
    return [stream.replace(token, with_).replace(half + b" ", half + rest + b" ") for stream in streams]


def wrong(path, bare, boxed, reads, token, with_):
    """What is wrong with how a case ended, or None."""
    patched = [replaced(streams, token, with_) for streams in (bare["streams"], reads)]
    if any(token in stream for stream in boxed["streams"]):
        return "a token reached the server"
    case = Case(path)
    unsent = [ack for ack in boxed["acknowledged"] if not case.was_sent(ack)]
    if unsent:
        return f"{unsent} acknowledged, which was not sent"
    if boxed["streams"] not in [[stream for stream in streams if stream] for streams in patched]:
        return f"the server got {boxed['streams']}, without the box {bare['streams']}"
    return None


def play_both(folder, paths, token, with_):
    """On the bare wire and behind the box, both servers fresh: what they remember of ports would
    tell in the next play."""
    try:
        wires()
        know(Case(paths[0]).address)
        return play("c1", "bare", paths), behind_the_box(folder, paths, token, with_)
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def compare(folder, kind, paths, cases, token, with_):
    """Plays all; what ended wrong is played again, since a busy kernel drops frames and the player
    sends nothing twice."""
    failed, as_the_case_says = {}, []
    for again in range(5):
        os.environ["WIREPATCH_SLOWER"] = str(2 ** again)
        bare, boxed = play_both(folder, paths, token, with_)
        failed, by_path = {}, {os.path.basename(path)[:-5]: path for path in paths}
        for name, one in boxed.items():
            what = wrong(by_path[name], bare[name], one, cases[name], token.encode(), with_.encode())
            if what:
                failed[name] = what
            elif one["streams"] != replaced(bare[name]["streams"], token.encode(), with_.encode()):
                as_the_case_says.append(name)
        if not failed:
            break
        paths = [by_path[name] for name in failed]
        print(f"    again: {' '.join(failed)}")
    assert not failed, f"{kind}, {with_!r}: {failed}"
    return sorted(as_the_case_says)


def test_no_published_strategy_brings_a_match_to_the_server():
    writer = os.path.join(os.path.dirname(binary()), "sim")
    if not os.path.exists(writer):
        raise NotHere(f"{writer} is not built: cargo build --release -p sim")
    folder = tempfile.mkdtemp(prefix="wirepatch-strategies-")
    try:
        os.mkdir(os.path.join(folder, "varied"))
        run(writer, "--evasions", folder)
        with open(os.path.join(folder, "cases.tsv"), encoding="utf-8") as table:
            rows = [line.rstrip("\n").split("\t") for line in table][1:]
        cases = {name: [bytes.fromhex(stream) for stream in reads.split()] for name, _, _, reads in rows}
        paths = [os.path.join(folder, name + ".pcap") for name in cases]
        varied = [os.path.join(folder, "varied", name + ".pcap") for name in cases]
        varied = [target for source, target in zip(paths, varied) if variant(source, target)]
        assert len(varied) >= 100
        others = {name: [other(stream.decode("latin-1")).encode("latin-1") for stream in reads] for name, reads in cases.items()}
        for kind, files, reads, token, replacements in (
                ("as published", paths, cases, TOKEN, ["gone", "", "THE-SAME-LENGTH-18", "MUCH LONGER THAN WHAT IT TAKES THE PLACE OF"]),
                ("varied", varied, others, other(TOKEN), ["gone", "", "QUITE A BIT LONGER THAN IT WAS"])):
            for with_ in replacements if os.environ.get("WIREPATCH_EVASION") else replacements[:1]:
                apart = compare(folder, kind, files, reads, token, with_)
            print(f"    {kind}: {len(files)} cases; read otherwise than by the server alone: {' '.join(apart)}")
    finally:
        shutil.rmtree(folder)
