"""Proofs: real unpatched servers behind the box behave as their fixed versions do.

Each case of `tests/data/proofs` brings a vulnerable server, `trigger.sh` (0: the server misbehaved,
1: it behaved as the fixed version) and `legit.sh` (0: ordinary clients are content). A test shows
that the trigger works on the direct wire, that ordinary traffic passes the box without an edit, and
that behind the box the trigger finds the server as if it were fixed, with the status codes that the
fixed one gave (`result.json`).

`prepare` runs before the namespaces are made, since it fetches the servers from their registries
(npm, PyPI, crates.io).
"""

import concurrent.futures
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

from lab import DATA, DIRECT_SERVER, ROOT, SERVER, Elsewhere, Lab, NotHere, wait_for

PROOFS = os.path.join(DATA, "proofs")
# The servers are third-party packages with known holes: they stay in the build's own folder.
CACHE = os.path.join(os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target"), "proofs")
DIALOGUE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dialogue.py")
PORT = 8080
# One for all cases: bringing pip along costs more than installing a case.
PIP = os.path.join(CACHE, "pip/bin/pip")
# What a case leaves beside its files once it has been installed or run.
LEFT_BEHIND = shutil.ignore_patterns("fixed", "node_modules", "bin", "target", "*.log", "result.json", "__pycache__")


# Installing ---------------------------------------------------------------------------------------


def npm(case, optional="--omit=optional"):
    """What the case's lock file pins."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Elsewhere("node and npm (Debian packages nodejs and npm)")
    fetch(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", optional, "--loglevel=error"],
          os.path.join(case, "vulnerable"))


def npm_with_optional(case):
    """And the packages that it can do without, but the flaw cannot."""
    npm(case, "--include=optional")


def pip(case, python=sys.executable):
    """What the case's freeze file pins, in a virtual environment of its own."""
    fetch([python, "-m", "venv", "--without-pip", "vulnerable"], case)
    fetch([PIP, "--python", "vulnerable/bin/python", "install", "-q", "--disable-pip-version-check", "--no-compile",
           "-r", "vulnerable.freeze.txt"], case)


def pip38(case):
    """The same for packages that can't be had together for a later Python."""
    pip(case, interpreter("3.8"))


def pip27(case):
    """What the case's install script names, for Python 2.7, which has no virtual environments of
    its own."""
    with open(os.path.join(case, "install.sh"), encoding="utf-8") as file:
        line = next(line for line in file if line.startswith("inst vulnerable "))
    fetch([interpreter("2.7"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", "vulnerable",
           *line.split()[2:]], case)


def interpreter(version):
    """A Python of that version: pyenv's, where the cases' own scripts look, or the system's."""
    own = sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python")))
    python = own[-1] if own else shutil.which(f"python{version}")
    if not python:
        raise Elsewhere(f"Python {version}")
    return python


def cargo(case):
    """A small server on the vulnerable crate."""
    if not shutil.which("cargo"):
        raise Elsewhere("cargo")
    source = os.path.join(case, "vulnerable")
    built = os.path.join(source, "target")
    fetch(["cargo", "build", "--release", "--locked", "-q", "--target-dir", built], source)
    os.makedirs(os.path.join(source, "bin"), exist_ok=True)
    shutil.move(os.path.join(built, "release/srv"), os.path.join(source, "bin/srv"))
    shutil.rmtree(built)


def fetch(command, folder):
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as why:
        raise Elsewhere(f"{command[0]}: {why}") from why
    if done.returncode != 0:
        raise Elsewhere(f"{' '.join(command)}: {(done.stderr.strip() or done.stdout.strip())[-300:]}")


def stamp(case):
    """Changes when the case or the interpreter does."""
    told = hashlib.sha256(sys.version.encode())
    for folder, folders, files in sorted(os.walk(os.path.join(PROOFS, case))):
        folders[:] = [name for name in folders if name not in ("fixed", "node_modules", "bin", "lib", "lib64", "target")]
        for name in sorted(files):
            if name.endswith((".txt", ".json", ".toml", ".lock", ".rs", ".sh", ".py", ".js")) and name != "result.json":
                with open(os.path.join(folder, name), "rb") as file:
                    told.update(name.encode() + b"\0" + file.read())
    return told.hexdigest()


def install(case, how):
    """Copies the case and installs its vulnerable server; what is there already from an earlier run
    stays."""
    home = os.path.join(CACHE, case)
    done = os.path.join(home, "installed")
    want = stamp(case)
    try:
        with open(done, encoding="ascii") as file:
            if file.read() == want:
                return
    except FileNotFoundError:
        pass
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(os.path.join(PROOFS, case), home, ignore=LEFT_BEHIND)
    how(home)
    with open(done, "w", encoding="ascii") as file:
        file.write(want)


def prepare(names):
    """Installs the cases of the tests in `names`. What can't be had is written down, for the test
    to say so."""
    if not os.path.isdir(PROOFS):
        return
    os.makedirs(CACHE, exist_ok=True)
    shutil.copytree(os.path.join(PROOFS, "lib"), os.path.join(CACHE, "lib"), dirs_exist_ok=True, ignore=LEFT_BEHIND)

    def one(proof):
        missing = os.path.join(CACHE, proof.case + ".not-here")
        if os.path.exists(missing):
            os.remove(missing)
        try:
            install(proof.case, proof.how)
        except NotHere as why:
            with open(missing, "w", encoding="utf-8") as file:
                file.write(str(why))

    if not os.path.exists(PIP):
        try:
            fetch([sys.executable, "-m", "venv", os.path.join(CACHE, "pip")], CACHE)
        except NotHere as why:
            print(f"no virtual environments (Debian package python3-venv): {why}")
    # Registries are waited for more than the processor is.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(one, (globals()[name] for name in names)))


# Running ------------------------------------------------------------------------------------------


def open_to_the_wire(lab, transport):
    """The servers listen on loopback only: what comes to the port over either wire is led there."""
    lab.run("server", ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet"])
    for words in (["add", "table", "ip", "proofs"],
                  ["add", "chain", "ip", "proofs", "in", "{ type nat hook prerouting priority -100; }"],
                  ["add", "rule", "ip", "proofs", "in", "ip", "daddr", f"{{ {SERVER}, {DIRECT_SERVER} }}",
                   transport, "dport", str(PORT), "dnat", "to", f"127.0.0.1:{PORT}"]):
        lab.run("server", ["nft", *words])


class Server:
    """The case's vulnerable server, started afresh: a trigger may have ended or blocked the last
    one."""

    def __init__(self, lab, home, transport):
        self.lab, self.home, self.transport = lab, home, transport

    def __enter__(self):
        self.process = self.lab.start("server", ["bash", os.path.join(self.home, "serve-vulnerable.sh"), str(PORT)],
                                      log="vulnerable.log")
        table = f"/proc/net/{self.transport}"

        def bound():
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.lab.read('vulnerable.log')}")
            # Not by connecting: some of the servers take one connection at a time.
            lines = self.lab.run("server", ["cat", table]).stdout.splitlines()[1:]
            local = f"0100007F:{PORT:04X}"
            state = {"tcp": "0A", "udp": "07"}[self.transport]
            return any(line.split()[1] == local and line.split()[3] == state for line in lines)

        wait_for("the vulnerable server", bound)
        return self

    def __exit__(self, *_):
        self.lab.end(self.process)


# What a patch does is an edit, or a verdict on a whole message: drop, refuse, close.
DEEDS = ("wirepatch_patch_edits_total{", "wirepatch_patch_verdicts_total{")


def deeds(lab, patch):
    return sum(float(line.rsplit(" ", 1)[1]) for line in lab.metrics().splitlines()
               if line.startswith(DEEDS) and f'patch="{patch}"' in line)


def statuses(said):
    """The status codes in what a trigger says it was answered."""
    return re.findall(r"(?:Resp\(|answer |\[\()(\d{3})\b", said)


def statuses_of_fixed(case):
    """Those of the fixed version, which the case brings with it."""
    with open(os.path.join(PROOFS, case, "result.json"), encoding="utf-8") as file:
        return statuses(json.load(file)["fixed/trigger"]["out"])


class Proof:
    """One case with the patch that is to stand in for its fix."""

    def __init__(self, case, how, protocol, patch, transport="tcp", limits=None, clients=None, dialogue=()):
        self.case, self.how, self.protocol, self.patch = case, how, protocol, patch
        # `clients`: the Python that clients need, inside the case. `dialogue`: what is sent on one
        # connection through the box, and what comes back, in turns: refusals among the server's own
        # answers.
        self.transport, self.limits, self.clients, self.dialogue = transport, limits or {}, clients, dialogue

    def __call__(self):
        home = os.path.join(CACHE, self.case)
        if os.path.exists(home + ".not-here"):
            with open(home + ".not-here", encoding="utf-8") as file:
                raise Elsewhere(file.read())
        with Lab() as lab:
            self.prove(lab, home)

    def prove(self, lab, home):
        server = Server(lab, home, self.transport)

        def client(script, address):
            python = ["env", "CLIENTPY=" + os.path.join(home, self.clients)] if self.clients else []
            done = lab.run("client", [*python, "bash", os.path.join(home, script + ".sh"), address, str(PORT)], check=False)
            return done.returncode, done.stdout.strip()

        open_to_the_wire(lab, self.transport)
        with server:
            code, said = client("trigger", DIRECT_SERVER)
            assert code == 0, f"on the direct wire the server did not misbehave (exit {code}): {said}"
        print(f"    direct:  {said[:150]}")

        lab.start_box(lab.config([{
            "name": "proof", "addresses": [SERVER], "ports": {self.protocol: [PORT]},
            "patches": [os.path.join(ROOT, "patches", self.protocol, self.patch + ".yaml")]}],
            limits=self.limits))
        with server:
            code, said = client("legit", SERVER)
            assert code == 0, f"ordinary traffic did not pass (exit {code}): {said}"
            assert deeds(lab, self.patch) == 0, "ordinary traffic was edited"
        with server:
            code, said = client("trigger", SERVER)
            assert code == 1, f"through wirepatch the server was not as fixed (exit {code}): {said}"
            assert deeds(lab, self.patch) > 0, f"the patch did nothing, and yet: {said}"
            want = statuses_of_fixed(self.case)
            assert statuses(said) == want, f"the fixed server answers {want}: {said}"
        print(f"    through: {said[:150]}")
        if self.dialogue:
            with server:
                turns = [word.hex() for turn in self.dialogue for word in turn]
                done = lab.run("client", [sys.executable, DIALOGUE, SERVER, str(PORT), *turns], check=False)
                assert done.returncode == 0, f"answers out of order: {done.stdout}{done.stderr}"
        code = lab.stop_box()
        assert code == 0, f"wirepatch run ended with {code}\n{lab.read('wirepatch.log')}"


test_st_serves_nothing_outside_its_folder = Proof("cve-2014-3744-st", npm, "http", "cve-2014-3744")
test_fresh_is_not_kept_busy_by_blanks = Proof("cve-2017-16119-fresh", npm, "http", "cve-2017-16119")
test_qs_keeps_its_prototypes = Proof("cve-2022-24999-qs", npm, "http", "cve-2022-24999")
# The server takes heads of 64 KiB, so the box has to hold as much.
test_ws_outlives_two_thousand_headers = Proof(
    "cve-2024-37890-ws", npm, "http", "cve-2024-37890", limits={"hold_bytes": 65536})
test_aiohttp_serves_nothing_outside_its_folder = Proof("cve-2024-23334-aiohttp", pip, "http", "cve-2024-23334")
# Its server ends a connection behind each answer of its own; ours leaves it open.
test_django_orders_rows_by_names_only = Proof("cve-2021-35042-django", pip, "http", "cve-2021-35042", dialogue=[
    (b"GET /?order=x.)y HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    (b"GET /?order=model HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.0 200 OK\r\n")])
test_supervisor_knows_no_method_of_its_insides = Proof("cve-2017-11610-supervisor", pip27, "http", "cve-2017-11610")
test_starlette_is_not_kept_busy_by_digits = Proof("cve-2025-62727-starlette", pip, "http", "cve-2025-62727")
test_waitress_is_not_kept_busy_by_control_characters = Proof("cve-2020-5236-waitress", pip, "http", "cve-2020-5236")
test_waitress_reads_lengths_strictly = Proof("cve-2022-24761-waitress", pip, "http", "cve-2022-24761")
test_gunicorn_is_not_smuggled_to = Proof("cve-2024-1135-gunicorn", pip, "http", "cve-2024-1135")
test_h11_wants_a_line_end_after_a_chunk = Proof("cve-2025-43859-h11", pip, "http", "cve-2025-43859")
test_hyper_does_not_wrap_chunk_sizes = Proof("cve-2021-32714-hyper", cargo, "http", "cve-2021-32714")
test_aiosmtpd_is_not_smuggled_to = Proof("cve-2024-27305-aiosmtpd", pip, "smtp", "cve-2024-27305")
test_tftpy_outlives_a_truncated_datagram = Proof("cve-2023-46566-tftpy", pip, "tftp", "cve-2023-46566", transport="udp")
test_trust_dns_outlives_a_pointer_into_its_own_name = Proof(
    "rustsec-2018-0007-trust-dns", cargo, "dns", "rustsec-2018-0007", transport="udp")
# A refused filter is answered with 0x80, never before the broker's own CONNACK, and what is said
# behind it is answered by the broker.
test_mosca_outlives_a_bracket_in_a_filter = Proof(
    "cve-2018-11615-mosca", npm_with_optional, "mqtt", "cve-2018-11615", dialogue=[
        (b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02id\x82\x08\0\x01\0\x03a(b\0\xc0\0",
         b"\x20\x02\0\0\x90\x03\0\x01\x80\xd0\0"),
        (b"\x82\x09\0\x02\0\x04a[/#\1", b"\x90\x03\0\x02\x80"),
        (b"\x82\x08\0\x03\0\x03a/#\0", b"\x90\x03\0\x03\0"),
        (b"\x30\x07\0\x03a/bhi", b"\x30\x07\0\x03a/bhi")])
test_conch_keeps_no_endless_identification = Proof("cve-2022-21716-twisted-conch", pip, "ssh", "cve-2022-21716")
test_asyncua_gets_past_an_empty_chunk = Proof(
    "cve-2023-26151-asyncua", pip38, "opcua", "cve-2023-26151", clients="vulnerable/bin/python")
test_thrift_outlives_a_map_of_nothing = Proof("cve-2019-0205-thrift", pip, "thrift", "cve-2019-0205")
