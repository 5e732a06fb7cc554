#!/usr/bin/env python3
"""Runs the system tests: every `test_*` function of every `test_*.py` beside this file, or those
named on the command line.

A test that raises `NotHere` is counted as skipped with its reason; where CI is set that fails, but
for `Elsewhere`. One that raises `OnRequest` takes long: it is counted apart, and does not fail
anywhere. A file's `prepare(names)`, if it has one, is called once before the namespaces are made:
inside there is no network.
"""

import importlib
import itertools
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../../../deploy/lab")]
from lab import Elsewhere, NotHere, OnRequest, isolate  # noqa: E402


def tests(wanted):
    for file in sorted(os.listdir(HERE)):
        if file.startswith("test_") and file.endswith(".py"):
            module = importlib.import_module(file[:-3])
            for name in dir(module):
                test, full = getattr(module, name), f"{module.__name__}.{name}"
                # A test file may have imported another, whose name begins alike.
                if name.startswith("test_") and callable(test) and (not wanted or any(word in full for word in wanted)):
                    yield full, test


def prepare(wanted):
    """What the wanted tests need from outside the namespaces."""
    for file, names in itertools.groupby(tests(wanted), key=lambda test: test[0].split(".")[0]):
        module = importlib.import_module(file)
        if hasattr(module, "prepare"):
            module.prepare([name.split(".")[1] for name, _ in names])


def main():
    if os.environ.get("WIREPATCH_LAB") != "inside":
        prepare(sys.argv[1:])
    try:
        isolate()
    except NotHere as why:
        print(f"SKIP  every system test: {why}")
        print("0 passed, 0 failed, 1 skipped")
        return 1 if os.environ.get("CI") else 0
    counts = {"passed": 0, "failed": 0, "skipped": 0, "on request": 0}
    for name, test in tests(sys.argv[1:]):
        start = time.monotonic()
        try:
            test()
            outcome, why = "passed", ""
        except Elsewhere as reason:
            outcome, why = "skipped", f": elsewhere: {reason}"
        except NotHere as reason:
            outcome, why = ("failed" if os.environ.get("CI") else "skipped"), f": not here: {reason}"
        except OnRequest as how:
            outcome, why = "on request", f": {how}"
        except Exception:
            outcome, why = "failed", "\n" + traceback.format_exc()
        counts[outcome] += 1
        print(f"{outcome:10} {name} ({time.monotonic() - start:.1f} s){why}", flush=True)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
