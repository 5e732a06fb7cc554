"""Ordinary traffic of real stacks through the box while a patch changes its length."""

import hashlib
import json
import os
import statistics
import sys
import time

import origin
from lab import SERVER, SERVER6, Lab, OnRequest, wait_for

PATCH = """\
patch: shorten-trace
title: a test patch that cuts a header of every request
protocol: http
rules:
  - truncate: http.header["x-trace"]
    to: 8
tests:
  - name: cut
    request: "GET / HTTP/1.1\\r\\nX-Trace: 0123456789\\r\\n\\r\\n"
    becomes: "GET / HTTP/1.1\\r\\nX-Trace: 01234567\\r\\n\\r\\n"
  - name: kept
    request: "GET / HTTP/1.1\\r\\nX-Trace: 0123\\r\\n\\r\\n"
    unchanged: true
"""
MEGABYTES = 100
TRACE = "X-Trace: " + "t" * 300


def loss(lab, percent=1):
    """Each host loses this share of what reaches it through the box."""
    for host, link in (("client", "lan"), ("server", "srv")):
        for words in (["add", "table", "inet", "loss"],
                      ["add", "chain", "inet", "loss", "input", "{ type filter hook input priority 0; }"],
                      ["add", "rule", "inet", "loss", "input", "iifname", link, "numgen", "random", "mod", "1000",
                       "<", str(percent * 10), "counter", "drop"]):
            lab.run(host, ["nft", *words])


def web(lab):
    lab.start("server", [sys.executable, origin.__file__, "80"], log="origin.log")
    lab.listening("server", "127.0.0.1", 80)
    return [{"name": "web", "addresses": [SERVER, SERVER6], "patches": [lab.write("shorten.yaml", PATCH)]}]


def bulk(driver, layout, percent):
    size = MEGABYTES * 1_000_000
    with Lab(driver, layout) as lab:
        lab.start_box(lab.config(web(lab)))
        if percent:
            loss(lab, percent)
        upload = lab.path("upload.bin")
        with open(upload, "wb") as out:
            for piece in origin.pieces(size):
                out.write(piece)
        want = origin.digest(size)
        # One curl, one kept-alive connection: small, down, up, small.
        got = lab.run("client", [
            "curl", "-sS", "-m", "600", "-H", TRACE, "-o", "/dev/null", f"http://{SERVER}/a",
            "-o", lab.path("download.bin"), f"http://{SERVER}/bytes/{size}",
            "-w", "%{num_connects} ",
            "--next", "-sS", "-m", "600", "-H", TRACE, "-H", "Expect:", "-T", upload, f"http://{SERVER}/up",
            "--next", "-sS", "-m", "600", "-H", TRACE, f"http://{SERVER}/seen"], timeout=900)
        with open(lab.path("download.bin"), "rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == want, "the download differs"
        uploaded, rest = got.stdout.split("\n", 1)
        assert uploaded.split()[-2:] == [want, "8"], f"the upload differs: {uploaded[-200:]}"
        seen = json.loads(rest)
        assert [request[2] for request in seen] == [8, 8, 8], f"the server saw uncut headers: {seen}"
        if percent:
            dropped = lab.run("server", ["nft", "list", "ruleset"]).stdout
            assert "packets 0 " not in dropped, "nothing was lost: the test tested nothing"
        # `num_connects` of the second transfer: 0 says that the connection was kept.
        assert got.stdout.split()[1] == "0", f"the connection was not kept: {got.stdout[:40]}"
        code = lab.stop_box()
        assert code == 0, f"exit {code}\n{lab.read('wirepatch.log')}"


def test_100_mb_each_way_with_loss_run_to_completion():
    bulk("tap", "run_to_completion", 1)


def test_100_mb_each_way_with_loss_rings():
    bulk("tap", "rings", 1)


def test_ipv6_is_patched_too():
    with Lab() as lab:
        lab.start_box(lab.config(web(lab)))
        lab.run("client", ["curl", "-sS", "-m", "600", "-H", TRACE, f"http://[{SERVER6}]/a"])
        seen = json.loads(lab.run("client", ["curl", "-sS", "-m", "600", f"http://[{SERVER6}]/seen"]).stdout)
        assert seen[0][2] == 8, seen


def test_observe_counts_and_changes_nothing():
    with Lab() as lab:
        groups = web(lab)
        groups[0]["mode"] = "observe"
        lab.start_box(lab.config(groups))
        lab.run("client", ["curl", "-sS", "-m", "600", "-H", TRACE, f"http://{SERVER}/a"])
        seen = json.loads(lab.run("client", ["curl", "-sS", "-m", "600", f"http://{SERVER}/seen"]).stdout)
        assert seen[0][2] == 300, seen
        assert lab.metric("wirepatch_patch_would_edit_total", patch="shorten-trace") == 1
        assert lab.metric("wirepatch_patch_edits_total", patch="shorten-trace") == 0


ONCE = """\
patch: once-{name}
title: a test patch that edits a response once, in front of its body
protocol: http
rules:
  - replace: http.server
    pattern: "{pattern}"
    with: ""
tests:
  - name: edited
    response: "HTTP/1.1 200 OK\\r\\nServer: a{pattern}b\\r\\nContent-Length: 0\\r\\n\\r\\n"
    becomes: "HTTP/1.1 200 OK\\r\\nServer: ab\\r\\nContent-Length: 0\\r\\n\\r\\n"
  - name: not edited
    response: "HTTP/1.1 200 OK\\r\\nServer: ab\\r\\nContent-Length: 0\\r\\n\\r\\n"
    unchanged: true
  - name: nor here
    response: "HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"
    unchanged: true
"""


def test_a_bulk_download_edited_once_against_one_that_is_not():
    pairs = int(os.environ.get("WIREPATCH_BULK_PAIRS", "0"))
    if not pairs:
        raise OnRequest("it measures: set WIREPATCH_BULK_PAIRS to a number of downloads")
    size = 400_000_000
    with Lab() as lab:
        groups = []
        for name, port, pattern in (("edited", 80, "HTTP"), ("unedited", 81, "nowhere to be found")):
            lab.start("server", [sys.executable, origin.__file__, str(port)], log=f"origin{port}.log")
            lab.listening("server", "127.0.0.1", port)
            patch = lab.write(f"{name}.yaml", ONCE.format(name=name, pattern=pattern))
            groups.append({"name": name, "addresses": [SERVER], "ports": {"http": [port]}, "patches": [patch]})
        lab.start_box(lab.config(groups))
        rates = {80: [], 81: []}
        for _ in range(pairs):
            for port, found in rates.items():
                told = lab.run("client", ["curl", "-sS", "-m", "600", "-o", "/dev/null", "-w", "%{speed_download}",
                                          f"http://{SERVER}:{port}/bytes/{size}"], timeout=900)
                found.append(float(told.stdout))
        assert lab.metric("wirepatch_patch_edits_total", patch="once-edited") == pairs
        assert lab.metric("wirepatch_patch_edits_total", patch="once-unedited") == 0
        shares = sorted(edited / unedited for edited, unedited in zip(rates[80], rates[81]))
        print(f"    {pairs} pairs of {size // 1_000_000} MB: the edited one has {statistics.median(shares):.1%} of the unedited one's rate"
              f" (from {shares[0]:.1%} to {shares[-1]:.1%}; {statistics.median(rates[81]) / 1e6:.0f} MB/s unedited)")


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_a_minute_of_load_leaks_nothing():
    seconds = int(os.environ.get("WIREPATCH_SOAK_SECONDS", "60"))
    with Lab() as lab:
        lab.start_box(lab.config(web(lab)))
        free = lab.metric("wirepatch_mempool_available_mbufs")
        lab.start("server", ["iperf3", "-s"], log="iperf3.log")
        lab.listening("server", "127.0.0.1", 5201)
        lab.run("client", ["curl", "-sS", "-m", "600", "-H", TRACE, f"http://{SERVER}/bytes/5000000", "-o", "/dev/null"])
        before = resident_kib(lab.box.pid)
        load = lab.start("client", ["iperf3", "-c", SERVER, "-t", str(seconds), "-P", "2"], log="iperf3-client.log")
        end, done = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            lab.run("client", ["curl", "-sS", "-m", "600", "--fail", "-Z", "--parallel-max", "8", "-H", TRACE,
                               *(word for n in range(16) for word in ("-o", "/dev/null", f"http://{SERVER}/bytes/{n * 20011}"))])
            done += 16
        assert load.wait(600) == 0, lab.read("iperf3-client.log")[-500:]
        grown = resident_kib(lab.box.pid) - before
        assert grown < 4096, f"grew by {grown} KiB"
        assert lab.metric("wirepatch_patch_edits_total", patch="shorten-trace") == done + 1
        wait_for("the mbufs", lambda: lab.metric("wirepatch_mempool_available_mbufs") >= free - 64)
        code = lab.stop_box()
        log = lab.read("wirepatch.log")
        assert code == 0 and "mbufs missing" not in log, f"exit {code}\n{log[-2000:]}"
