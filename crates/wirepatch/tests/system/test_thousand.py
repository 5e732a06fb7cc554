"""Ordinary clients and servers, on wires that lose, repeat and reorder frames, through a box that
edits, holds and refuses: every byte is what it has to be.

    client --- impair.py --- [wirepatch run] --- impair.py --- server

Each client plays its rounds beside the others, each round on fresh connections.
WIREPATCH_THOUSAND=N asks for N rounds of each client instead of a few, WIREPATCH_SEED for the same
choices once more, WIREPATCH_PCAP=FOLDER for captures of both hosts' wires: the last gigabyte of
each, so that what differs first is in it, the rounds end with that.
"""

import collections
import concurrent.futures
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time

import servers
from lab import SERVER, Lab

ROUNDS = 4
# Shares of the frames, on each of the two wires, each way.
LOSS, TWICE, LATE = "0.02", "0.01", "0.03"
# No client waits as long for anything that is still going on: Linux resends after 0.2, 0.4, 0.8 ...
# seconds.
PATIENCE = 600
TOKEN, SHORTER, LONGER = b"PATCHME", b"", b"something that is much longer than what was there"
SIZES = [0, 1, 100, 1447, 1448, 1449, 2896, 5000, 20000, 65536, 150000, 300000]

WEB = """
patch: thousand-web
title: edits both ways, of heads and bodies; a refusal
protocol: http
rules:
  - truncate: http.header["x-trace"]
    to: 8
  - replace: http.user_agent
    pattern: "PATCHME"
    with: "something that is much longer than what was there"
  - remove: http.server
  - replace: http.header["x-seen"]
    pattern: "seen"
    with: "what the server has been told"
  - mask: http.file_data
    pattern: "PATCHME"
    with: "*"
  - when: http.request.uri.path contains "refused"
    refuse: message
    with: forbidden
"""
FTP = """
patch: thousand-ftp
title: edits both ways; a refusal
protocol: ftp
rules:
  - replace: ftp.response.arg
    pattern: "vsFTPd"
    with: "a server of files that does not say its name"
  # The size that it announces is that of the file before it is edited; lftp discards a download
  # that is shorter.
  - when: ftp.response.code == 150
    cut_at: ftp.response.arg
    pattern: " ("
  - when: ftp.request.command == "RETR"
    replace: ftp.request.arg
    pattern: "a-file-called-"
    with: "f"
  - when: ftp.request.command == "SITE"
    refuse: message
    with: not_implemented
"""
FILES = """
patch: thousand-files
title: what FTP carries is edited wherever it stands
protocol: data
scope: { transport: tcp, ports: PORTS }
rules:
  - replace: data.data
    pattern: "PATCHME"
    with: "something that is much longer than what was there"
  - replace: data.data
    pattern: "REMOVEME"
    with: ""
"""
MAIL = """
patch: thousand-mail
title: edits of mails and answers; a refusal
protocol: smtp
rules:
  - replace: smtp.data.line
    pattern: "PATCHME"
    with: "something that is much longer than what was there"
  - replace: smtp.data.line
    pattern: "REMOVEME"
    with: ""
  - replace: smtp.rsp.parameter
    pattern: "Kept"
    with: "The mail has been kept"
  - when: len(smtp.rcpt_to) > 64
    refuse: message
    with: rejected
"""
# Every patch brings a case; what these do is seen below.
CASE = """
tests:
  - name: nothing
    request: "{}"
    unchanged: true
"""


def grown(data):
    return data.replace(b"PATCHME", LONGER).replace(b"REMOVEME", SHORTER)


def masked(data):
    return data.replace(b"PATCHME", b"*" * 7)


def content(dice, size):
    """Lines of small letters with what patches look for here and there."""
    data = bytearray(dice.choices(b"abcdefghijklmnopqrstuvwxyz", k=size))
    data[71::72] = b"\n" * len(data[71::72])
    for _ in range(size // 500):
        word = dice.choice([b"PATCHME", b"REMOVEME"])
        at = dice.randrange(size - len(word) + 1)
        data[at:at + len(word)] = word
    return bytes(data)


class Bench:
    """Two hosts on bad wires, the box between them, and what the clients fetch and send."""

    def __init__(self, lab, seed):
        self.lab, self.seed = lab, seed
        self.refused = collections.Counter()
        self.guard, self.over, self.captures = threading.Lock(), threading.Event(), os.environ.get("WIREPATCH_PCAP")
        dice = random.Random(seed)
        self.files = {f"f{size}": content(dice, size) for size in SIZES}
        os.makedirs(lab.path("www"))
        servers.vsftpd(lab)
        for name, data in self.files.items():
            for path in ("www", "ftp/pub"):
                with open(lab.path(f"{path}/{name}"), "wb") as out:
                    out.write(data)
        servers.nginx(lab, lab.path("www"))
        servers.digests(lab)
        servers.maildrop(lab)
        self.wires = lab.start(None, [sys.executable, os.path.join(os.path.dirname(servers.MAILDROP), "impair.py"), str(seed), LOSS,
                                      TWICE, LATE, "lan", "box0", "srv", "box1"], log="impair.log")
        ports = json.dumps(list(range(servers.PASSIVE[0], servers.PASSIVE[1] + 1)))
        patches = {"web": WEB + CASE.format("GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"), "ftp": FTP + CASE.format("NOOP\\r\\n"),
                   "files": FILES.replace("PORTS", ports) + CASE.format("abc"), "mail": MAIL + CASE.format("NOOP\\r\\n")}
        lab.start_box(lab.config(
            [{"name": "all", "addresses": [SERVER], "patches": [lab.write(f"{name}.yaml", text) for name, text in patches.items()]}],
            ports=[{"name": "lan", "device": "net_tap0,iface=box0"}, {"name": "srv", "device": "net_tap1,iface=box1"}],
            # What may begin a pattern is let go after a while, and is then not the bytes below: a
            # wait that no wire here needs.
            limits={"pattern_hold_ms": 60000}))

    def run(self, folder, *command):
        """What a client said, in the order it said it."""
        done = self.lab.run("client", list(command), check=False, timeout=PATIENCE, cwd=folder, text=False,
                            capture_output=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode(errors="replace")

    def refuses(self, patch, count=1):
        with self.guard:
            self.refused["thousand-" + patch] += count

    # One round of each client ---------------------------------------------------------------------

    def curl(self, dice, folder, number):
        """Down, refused, down on one connection; up on another."""
        one, two, up = dice.choices(list(self.files), k=3)
        self.refuses("web")
        sent = os.path.join(folder, "sent")
        with open(sent, "wb") as out:
            out.write(self.files[up])
        head = ["-H", "X-Trace: 01234567" + "t" * dice.randrange(400), "-A", "curl PATCHME"]
        web = f"http://{SERVER}"
        code, said = self.run(folder, "curl", "-sS", "-m", "600", *head, "-w", "%{http_code} %{num_connects}\n", "-D", "heads",
                              "-o", "one", f"{web}/{one}", "-o", "no", f"{web}/refused?{number}", "-o", "two", f"{web}/{two}",
                              "--next", "-sS", "-m", "600", *head, "-H", "Expect:", "-T", sent, f"{web}:8080/up{number}")
        yield "exit", code, 0
        yield "codes", said.splitlines()[:3], ["200 1", "403 0", "200 0"]
        yield "digest", said.splitlines()[3:], [hashlib.sha256(masked(self.files[up])).hexdigest() + " 8"]
        yield one, self.got(folder, "one"), masked(self.files[one])
        yield two, self.got(folder, "two"), masked(self.files[two])
        heads = self.got(folder, "heads").decode()
        yield "X-Seen", re.findall("X-Seen: (.*)\r\n", heads), [f"what the server has been told: curl {LONGER.decode()} 01234567"] * 2
        yield "Server", "Server:" in heads, False

    def wget(self, dice, folder, number):
        """Two files, one behind the other on one connection, with a refusal between them."""
        one, two = dice.choices(list(self.files), k=2)
        self.refuses("web")
        code, said = self.run(folder, "wget", "-nv", "-T", "60", "-t", "1", "--no-proxy", "-U", "wget PATCHME", "--header",
                              "X-Trace: " + "t" * 100, "-O", "both", *(f"http://{SERVER}/{name}"
                                                                       for name in (one, f"refused?{number}", two)))
        yield "exit", code, 8
        yield "refusal", "ERROR 403: Forbidden" in said, True
        yield f"{one} and {two}", self.got(folder, "both"), masked(self.files[one]) + masked(self.files[two])

    def lftp(self, dice, folder, number):
        """Down by another name, refused, up."""
        down, up = dice.choices(list(self.files), k=2)
        self.refuses("ftp")
        with open(os.path.join(folder, "sent"), "wb") as out:
            out.write(self.files[up])
        code, said = self.run(folder, "lftp", "-c", (
            "set net:timeout 300; set net:max-retries 1; set net:persist-retries 0; set ftp:use-site-idle no; set ftp:use-site-utime no; "
            "set ftp:use-site-utime2 no; set ftp:use-size no; set ftp:use-feat no; set cmd:fail-exit no; "
            f"open ftp://{SERVER}/pub; cd .; quote SITE CHMOD {number}; get a-file-called-{down[1:]} -o down; put sent -o up{number}"))
        yield "exit", code, 0
        got = self.got(folder, "down")
        yield "said", said if got != grown(self.files[down]) else "502 Command not implemented." in said, True
        yield down, got, grown(self.files[down])
        yield up, self.got(self.lab.path("ftp/pub"), f"up{number}", remove=True), grown(self.files[up])

    def swaks(self, dice, folder, number):
        """A mail for two, of whom one is refused."""
        body = self.files[dice.choice([name for name in self.files if int(name[1:]) <= 65536])].replace(b"\n", b"\r\n")
        mail = b"Subject: mail%d\r\n\r\n" % number + body + b"\r\n"
        self.refuses("mail")
        with open(os.path.join(folder, "sent"), "wb") as out:
            out.write(mail + b".\r\n")
        code, said = self.run(folder, "swaks", "--server", SERVER, "--timeout", "600", "--from", "a@b.example", "--to",
                              "l" * 60 + "@c.example,d@e.example", "--no-data-fixup", "--data", "@sent", "--hide-all")
        yield "exit", (code, said), (0, "")
        yield "mail", self.got(self.lab.path("mail"), f"mail{number}", remove=True), b"To: d@e.example\r\n" + grown(mail)

    def ab(self, dice, folder, number):
        """Ten downloads on three connections at a time, then six uploads, whose digests the server
        notes."""
        down, up = dice.choices([name for name in self.files if 0 < int(name[1:]) <= 65536], k=2)
        with open(os.path.join(folder, "sent"), "wb") as out:
            out.write(self.files[up])
        head = ["-H", "X-Trace: 01234567" + "t" * dice.randrange(400), "-H", "User-Agent: ab PATCHME", "-s", "60"]
        code, said = self.run(folder, "ab", "-k", "-n", "10", "-c", "3", *head, f"http://{SERVER}/{down}")
        yield "exit", (code, said if code else ""), (0, "")
        yield "counts", self.counts(said), {"Complete requests": 10, "Failed requests": 0, "Keep-Alive requests": 10,
                                            "HTML transferred": 10 * len(self.files[down])}
        code, said = self.run(folder, "ab", "-n", "6", "-c", "3", "-u", "sent", *head, f"http://{SERVER}:8080/ab{number}")
        yield "exit", (code, said if code else ""), (0, "")
        digest = hashlib.sha256(masked(self.files[up])).hexdigest() + " 8"
        seen = [line.split(" ", 1)[1] for line in self.lab.read("origin.log").splitlines() if line.startswith(f"/ab{number} ")]
        yield "digests", seen, [digest] * 6
        yield "counts", self.counts(said), {"Complete requests": 6, "Failed requests": 0, "HTML transferred": 6 * (len(digest) + 1)}

    @staticmethod
    def counts(said):
        wanted = "Complete requests|Failed requests|Keep-Alive requests|Non-2xx responses|HTML transferred"
        return {name: int(value) for name, value in re.findall(rf"^({wanted}): +(\d+)", said, re.M)}

    @staticmethod
    def got(folder, name, remove=False):
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return b"(no file)"
        if remove:
            os.remove(path)
        return data

    # All of them ----------------------------------------------------------------------------------

    def play(self, client, rounds):
        """The client's rounds; what differed, in words, and how long each took."""
        differed, took = [], []
        for number in range(rounds):
            if self.over.is_set():
                break
            folder = self.lab.path(f"{client}-{number}")
            os.makedirs(folder)
            start = time.monotonic()
            try:
                round_ = getattr(self, client)(random.Random(f"{self.seed}/{client}/{number}"), folder, number)
                bad = [f"{what}: {brief(got, want)}" for what, got, want in round_ if got != want]
            except subprocess.TimeoutExpired:
                bad = [f"not done after {PATIENCE} s"]
            took.append(time.monotonic() - start)
            if bad:
                differed.append(f"{client} {number} at {time.strftime('%H:%M:%S')} after {took[-1]:.1f} s: {'; '.join(bad)}")
                print("    " + differed[-1], flush=True)
                if self.captures:
                    self.over.set()
            shutil.rmtree(folder)
        return differed, took


def brief(got, want):
    if not isinstance(got, bytes):
        return f"{got!r} where {want!r} was to be"
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(got, want)))
    return f"{len(got)} bytes where {len(want)} were to be, alike up to {same}: {got[max(same - 20, 0):same + 60]!r}"


CLIENTS = ("curl", "wget", "lftp", "swaks", "ab")


def test_clients_finish_with_the_right_bytes_on_bad_wires():
    servers.installed("curl", "wget", "lftp", "swaks", "ab")
    rounds = int(os.environ.get("WIREPATCH_THOUSAND", ROUNDS))
    seed = os.environ.get("WIREPATCH_SEED") or str(random.randrange(1 << 32))
    print(f"    seed {seed}, {rounds} rounds of each client", flush=True)
    # The veth pairs of the other drivers, with impair.py where the box would stand.
    with Lab("af_packet") as lab:
        bench = Bench(lab, seed)
        for host, link in (("client", "lan0"), ("server", "srv0")) if bench.captures else ():
            path = os.path.join(bench.captures, host + ".pcap")
            lab.start(host, ["tcpdump", "-Z", "root", "-i", link, "-U", "-C", "100", "-W", "10", "-w", path], log=f"tcpdump-{host}.log")
        with concurrent.futures.ThreadPoolExecutor(len(CLIENTS)) as pool:
            played = dict(zip(CLIENTS, pool.map(lambda client: bench.play(client, rounds), CLIENTS)))
        for client, (_, took) in played.items():
            took.sort()
            print(f"    {client}: {len(took)} rounds, {took[len(took) // 2]:.2f} s in the middle, {took[-1]:.1f} s the longest")
        resent = lab.run("server", ["nstat", "-az", "TcpRetransSegs", "TcpExtTCPSackRecovery", "TcpExtTCPTimeouts", "TcpExtTCPSACKReorder"],
                         check=False).stdout
        print("    server:", ", ".join(" ".join(line.split()[:2]) for line in resent.splitlines()[1:]))
        lab.end(bench.wires)
        wires = lab.read("impair.log")
        print("    " + wires.strip().replace("\n", "\n    "))
        assert not (differed := [line for one, _ in played.values() for line in one]), "\n".join(differed) + "\n" + lab.metrics()
        for patch in ("web", "ftp", "files", "mail"):
            edits, verdicts = (int(lab.metric(f"wirepatch_patch_{what}_total", patch="thousand-" + patch))
                               for what in ("edits", "verdicts"))
            print(f"    thousand-{patch}: {edits} edits, {verdicts} refusals")
            assert edits > 0 and verdicts == bench.refused["thousand-" + patch], bench.refused
        assert len(re.findall(r"[1-9]\d* lost, .* [1-9]\d* overtaken", wires)) == 4, "a wire did no harm: the test tested nothing"
        assert lab.metric("wirepatch_undecided_messages_total") == 0
        code = lab.stop_box()
        assert code == 0, f"exit {code}\n{lab.read('wirepatch.log')}"
