"""Published ways around inline boxes, played at a real Linux server: what its application gets is
what it gets without the box, patched.

The cases are in `tests/data/evasion`. The player (`../shared/tools/live.sh`) lies beside the
repository: it sends a case's client packets, whatever they are, and an ordinary TCP server answers.
Each case is played on a bare wire first. docs/evasion.md lists the outcomes.
"""

import glob
import json
import os
import shutil
import subprocess
import tempfile

from lab import DATA, SHARED, OnRequest, binary, free_port
from variants import other, variant

# Cases that end otherwise, each for a reason that docs/evasion.md gives. None of them brings a
# whole match to the server.
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


def config(folder, find, with_):
    """A box that replaces one pattern in every connection of the test networks."""
    patch, path = os.path.join(folder, "patch.yaml"), os.path.join(folder, "wirepatch.yaml")
    with open(patch, "w", encoding="utf-8") as out:
        out.write(PATCH.format(find=find, with_=with_))
    with open(path, "w", encoding="utf-8") as out:
        json.dump({
            "eal": {"hugepages": False, "memory_mib": 256, "file_prefix": f"evasion{os.getpid()}"},
            "ports": [{"name": "l", "device": "net_pcap0,iface=m0"}, {"name": "r", "device": "net_pcap1,iface=m1"}],
            "bridges": [["l", "r"]],
            "server_groups": [{"name": "all", "addresses": ["198.19.0.0/16", "2001:db8:2::/64"], "patches": [patch]}],
            "limits": {"mbufs": 8192},
            "metrics": {"listen": f"127.0.0.1:{free_port()}"},
            "control": {"socket": os.path.join(folder, "control.sock")},
        }, out)
    return path


def ended(folder, cases, tokens, with_, base):
    """How every case ends behind the box. The player sends nothing twice: a frame that a busy
    machine's kernel drops is missing for good, so cases that end otherwise than they should are
    played again."""
    told = ["--find", tokens[0], "--decoy", tokens[1], "--repl", with_, "--base", base]
    environment = {"PP": f"{binary()} run --config {config(folder, tokens[0], with_)}", "LOG": os.path.join(folder, "box.log")}
    found, files = {}, cases
    for again in range(3):
        path, box = play(folder, files, f"box{again}", environment, *told)
        said = box.communicate(timeout=900)[0]
        assert "APPLIANCE-DIED" not in said, said[-1000:]
        found.update(outcomes(path))
        wrong = [case for case, one in found.items() if one.get("verdict") not in (None, "PASS") and case not in OTHERWISE]
        files = [file for file in cases if os.path.basename(file)[:-5] in wrong]
        if not files:
            break
        print(f"    again: {' '.join(wrong)}")
        # The bare wire may have lost a frame as well.
        measured = {**outcomes(base), **outcomes(bare(folder, files, "again", tokens))}
        with open(base, "w", encoding="utf-8") as out:
            out.writelines(json.dumps(one) + "\n" for one in measured.values())
    return found


def bare(folder, cases, name, tokens):
    base, wire = play(folder, cases, name, {"LOG": os.path.join(folder, "bare.log")}, "--find", tokens[0], "--decoy", tokens[1])
    told = wire.communicate(timeout=900)[0]
    assert wire.returncode == 0, told[-1000:]
    return base


def test_no_published_evasion_brings_a_match_to_the_server():
    asked = os.environ.get("WIREPATCH_EVASION")
    player = os.path.join(SHARED, "tools/live.sh")
    if not asked or not os.path.exists(player):
        raise OnRequest(f"ten minutes, and {player}: set WIREPATCH_EVASION=1 (or to a folder that is to have the outcomes)")
    cases = sorted(glob.glob(os.path.join(DATA, "evasion/*.pcap")))
    tokens = ["PATCHME-0123456789", "DECOYXX-9876543210"]
    folder = tempfile.mkdtemp(prefix="wirepatch-evasion-")
    try:
        varied = os.path.join(folder, "variants")
        os.mkdir(varied)
        others = [os.path.join(varied, os.path.basename(case)) for case in cases]
        others = [target for source, target in zip(cases, others) if variant(source, target)]
        assert len(others) >= 50
        sets = [
            ("as published", cases, tokens, ["gone", "", "THE-SAME-LENGTH-18", "A REPLACEMENT THAT IS MUCH LONGER THAN WHAT IT REPLACES"]),
            ("varied", others, [other(token) for token in tokens], ["gone", "", "QUITE A BIT LONGER THAN IT WAS"]),
        ]
        all_of_them = []
        for number, (kind, files, tokens, replacements) in enumerate(sets):
            base = bare(folder, files, f"bare{number}", tokens)
            for with_ in replacements:
                for case, one in ended(folder, files, tokens, with_, base).items():
                    all_of_them.append({"kind": kind, "with": with_, **one})
        if os.path.isdir(asked):
            with open(os.path.join(asked, "outcomes.jsonl"), "w", encoding="utf-8") as out:
                out.writelines(json.dumps(one) + "\n" for one in all_of_them)
        for one in all_of_them:
            assert one.get("tok", 0) == 0, f"{one['id']}: a whole match reached the server"
            assert one.get("verdict") in (None, "PASS") or one["id"] in OTHERWISE, one
        judged = [one for one in all_of_them if one.get("verdict")]
        print(f"    {len(judged)} outcomes, {sum(one['verdict'] != 'PASS' for one in judged)} of them otherwise")
        assert len(judged) >= 350
    finally:
        shutil.rmtree(folder)
