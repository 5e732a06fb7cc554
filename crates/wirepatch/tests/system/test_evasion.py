"""Published ways around inline boxes, played at a real Linux server: what its application gets is what it gets without the box, patched.

The cases lie beside the repository (`../shared/corpora/evasion`), as does the player (`../shared/tools/live.sh`): it sends a case's client
packets, whatever they are, and an ordinary TCP server answers. Each case is played on a bare wire first. docs/evasion.md lists the outcomes.
"""

import glob
import json
import os
import shutil
import subprocess
import tempfile

from lab import ROOT, Elsewhere, OnRequest, binary, free_port

SHARED = os.path.join(os.path.dirname(ROOT), "shared")

# Cases that end otherwise, each for a reason that docs/evasion.md gives. None of them brings a whole match to the server.
OTHERWISE = {
    "A24": "urgent data is delivered in line (RFC 6093), where the server alone would have taken it out of the stream",
    "A25": "urgent data is delivered in line (RFC 6093), where the server alone would have taken it out of the stream",
    "H18": "frames longer than the MTU of the ports are dropped",
}

PATCH = """
patch: evasion
title: find and replace
protocol: data
scope: {{ ports: [80], transport: tcp }}
rules:
  - replace: data.data
    pattern: "{find}"
    with: "{with_}"
"""


def play(folder, cases, name, environment, *options):
    out = os.path.join(folder, name + ".jsonl")
    command = ["bash", os.path.join(SHARED, "tools/live.sh"), out, *options, "--", *cases]
    return out, subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)


def outcomes(path):
    with open(path, encoding="utf-8") as lines:
        return {one["id"]: one for one in map(json.loads, lines)}


def test_no_published_evasion_brings_a_match_to_the_server():
    cases = sorted(glob.glob(os.path.join(SHARED, "corpora/evasion/*.pcap")))
    if not cases:
        raise Elsewhere("../shared/corpora/evasion")
    if not os.environ.get("WIREPATCH_EVASION"):
        raise OnRequest("three minutes: set WIREPATCH_EVASION=1")
    folder = tempfile.mkdtemp(prefix="wirepatch-evasion-")
    try:
        base, bare = play(folder, cases, "bare", {"LOG": os.path.join(folder, "bare.log")})
        told = bare.communicate(timeout=900)[0]
        assert bare.returncode == 0, told[-1000:]
        patch, config = os.path.join(folder, "patch.yaml"), os.path.join(folder, "wirepatch.yaml")
        seen = 0
        for with_ in ("gone", "", "A REPLACEMENT THAT IS MUCH LONGER THAN WHAT IT REPLACES"):
            with open(patch, "w", encoding="utf-8") as out:
                out.write(PATCH.format(find="PATCHME-0123456789", with_=with_))
            with open(config, "w", encoding="utf-8") as out:
                json.dump({
                    "eal": {"hugepages": False, "memory_mib": 256, "file_prefix": f"evasion{os.getpid()}"},
                    "ports": [{"name": "l", "device": "net_pcap0,iface=m0"}, {"name": "r", "device": "net_pcap1,iface=m1"}],
                    "bridges": [["l", "r"]],
                    "server_groups": [{"name": "all", "addresses": ["198.19.0.0/16", "2001:db8:2::/64"], "patches": [patch]}],
                    "limits": {"mbufs": 8192},
                    "metrics": {"listen": f"127.0.0.1:{free_port()}"},
                    "control": {"socket": os.path.join(folder, "control.sock")},
                }, out)
            environment = {"PP": f"{binary()} run --config {config}", "LOG": os.path.join(folder, "box.log")}
            path, box = play(folder, cases, "box" + str(seen), environment, "--repl", with_, "--base", base)
            told = box.communicate(timeout=900)[0]
            assert "APPLIANCE-DIED" not in told, told[-1000:]
            ended = outcomes(path)
            # The player sends nothing twice: a frame that a busy machine's kernel drops is missing for good, so those go again.
            again = [case for case, one in ended.items() if one.get("verdict") not in (None, "PASS") and case not in OTHERWISE]
            if again:
                print(f"    again: {' '.join(again)}")
                files = [file for file in cases if os.path.basename(file)[:-5] in again]
                path, box = play(folder, files, f"again{seen}", environment, "--repl", with_, "--base", base)
                box.communicate(timeout=900)
                ended.update(outcomes(path))
            for case, one in ended.items():
                verdict = one.get("verdict")
                seen += verdict is not None
                assert one.get("tok", 0) == 0, f"{case}: a whole match reached the server"
                assert verdict in (None, "PASS") or case in OTHERWISE, f"{case}: {verdict} with {with_!r}: {one}"
        print(f"    {seen} outcomes")
        assert seen >= 150
    finally:
        shutil.rmtree(folder)
