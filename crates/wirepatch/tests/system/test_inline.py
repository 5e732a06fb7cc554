"""Captures through the running box, frame by frame: what no patch concerns comes out as it went in, in order."""

import json
import os
import random
import subprocess

from lab import ROOT, Elsewhere, binary, free_port

SHARED = os.path.join(os.path.dirname(ROOT), "shared")


def replayable():
    index = os.path.join(SHARED, "corpora/INDEX.tsv")
    if not os.path.exists(index):
        raise Elsewhere("../shared/corpora")
    with open(index, encoding="utf-8") as file:
        head, *rows = (line.rstrip("\n").split("\t") for line in file)
    path, frames = head.index("path"), head.index("replayable_eth")
    return [(os.path.join(SHARED, "corpora", row[path]), int(row[frames])) for row in rows if int(row[frames] or 0) > 0]


def test_captures_pass_untouched():
    captures = replayable()
    if not os.environ.get("WIREPATCH_ALL_CAPTURES"):
        # All of them take ten minutes: some at random each time, and which is printed.
        seed = os.environ.get("WIREPATCH_SEED") or str(random.randrange(1 << 32))
        random.Random(seed).shuffle(captures)
        captures = [path for path, frames in captures if frames <= 200][:40]
        print(f"    40 captures of seed {seed}; WIREPATCH_ALL_CAPTURES=1 takes all")
    else:
        captures = [path for path, _ in captures]
    folder = os.path.join("/tmp", f"wirepatch-inline-{os.getpid()}")
    os.makedirs(folder)
    config = os.path.join(folder, "wirepatch.yaml")
    # The whole library is loaded, for an address no capture has: out of scope, but not absent.
    with open(config, "w", encoding="utf-8") as out:
        json.dump({
            "eal": {"memory_mib": 512, "file_prefix": f"inline{os.getpid()}"},
            # The kernel's links of the tool have an MTU of 16000, and captures have frames that long.
            "ports": [{"name": "l", "device": "net_pcap0,iface=m0", "mtu": 16000},
                      {"name": "r", "device": "net_pcap1,iface=m1", "mtu": 16000}],
            "bridges": [["l", "r"]],
            "server_groups": [{"name": "nobody", "addresses": ["198.51.100.254"], "patches": [os.path.join(ROOT, "patches")]}],
            "limits": {"mbufs": 8192},
            "metrics": {"listen": f"127.0.0.1:{free_port()}"},
            "control": {"socket": os.path.join(folder, "control.sock")},
        }, out)
    environment = {**os.environ, "PP": f"{binary()} run --config {config}", "OUT": os.path.join(folder, "out"),
                   "WAIT": "60", "READY": "3"}
    done = subprocess.run(["bash", os.path.join(SHARED, "tools/inline.sh"), *captures],
                          env=environment, capture_output=True, text=True, timeout=3000)
    failed = [line for line in done.stdout.splitlines() if not line.startswith("PASS")]
    assert done.returncode == 0 and not failed, "\n".join(failed)[:4000] + done.stderr[-500:]
    assert done.stdout.count("PASS\t") == len(captures), done.stdout[-1000:]
    subprocess.run(["rm", "-rf", folder], check=True)
