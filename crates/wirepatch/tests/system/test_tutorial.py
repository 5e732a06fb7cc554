"""The commands of docs/tutorial.md, in order, in an empty folder: each prints what the page shows.

A block of ```console has commands (`$ `, continued by `> `) and below each its output. In the
output `...` is any text, and a line of it alone any number of lines.
"""

import os
import re
import shutil
import subprocess
import tempfile
import threading

from lab import ROOT, binary, end

PAGE = os.path.join(ROOT, "docs/tutorial.md")
# It ends a test that would hang, and measures nothing.
DEADLINE_SECONDS = 600


def steps(text):
    """`(line, command, output)` of every command on a page."""
    found, inside = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            found.append((number, [line[2:]], []))
        elif inside and found and line.startswith(">") and not found[-1][2]:
            found[-1][1].append(line[2:])
        elif inside:
            assert found, f"line {number}: output without a command"
            found[-1][2].append(line)
    return [(number, "\n".join(command), output) for number, command, output in found]


def matches(shown, printed):
    pattern = ""
    for line in shown:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(map(re.escape, line.rstrip().split("..."))) + r" *\n"
    return re.fullmatch(pattern, printed) is not None


class Shell:
    """One shell for the whole page, as a reader has."""

    MARK = "@@ done @@"

    def __init__(self, folder, environment):
        self.folder = folder
        self.process = subprocess.Popen(
            ["bash", "--norc"], cwd=folder, env=environment, stdin=subprocess.PIPE, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def run(self, command):
        """What it prints; a shell that does not come back is ended, and says nothing more."""
        watch = threading.Timer(DEADLINE_SECONDS, self.process.kill)
        watch.start()
        print(f"{command}\necho '{self.MARK}'", file=self.process.stdin, flush=True)
        printed = ""
        for line in self.process.stdout:
            if line.endswith(f"{self.MARK}\n"):
                printed += line.removesuffix(f"{self.MARK}\n")
                break
            printed += line
        else:
            printed += f"(not done after {DEADLINE_SECONDS} s)\n"
        watch.cancel()
        return printed


def run_page(text):
    """Every command; what differs from the page."""
    found = steps(text)
    assert found, "the page has no command"
    folder = tempfile.mkdtemp(prefix="wirepatch-tutorial-")
    programs, home = os.path.join(folder, "bin"), os.path.join(folder, "home")
    os.mkdir(programs)
    os.mkdir(home)
    os.symlink(binary(), os.path.join(programs, "wirepatch"))
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": home, "LC_ALL": "C.UTF-8",
                   "XDG_RUNTIME_DIR": folder}
    shell = Shell(home, environment)
    try:
        for number, command, output in found:
            printed = shell.run(command)
            shown = "".join(line + "\n" for line in output)
            assert matches(output, printed), (
                f"docs/tutorial.md:{number}: $ {command}\nthe page shows\n{shown}it printed\n{printed}")
    finally:
        end(shell.process)
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)


def test_the_tutorial_prints_what_it_shows():
    with open(PAGE, encoding="utf-8") as file:
        count = run_page(file.read())
    print(f"    {count} commands")


def test_a_page_that_shows_something_else_is_found():
    def differs(text):
        try:
            run_page(text)
        except AssertionError:
            return True
        return False

    assert differs("no command\n```\n$ true\n```\n")
    assert differs("```console\n$ echo one\ntwo\n```\n")
    assert differs("```console\n$ echo one\n```\n")
    assert differs("```console\n$ true\none\n```\n")
    good = "```console\n$ cat << 'END'\n> one\n> two\n> END\no...\n...\n$ x=1\n$ echo a$x; echo b\na1\n...\n```\n"
    assert run_page(good) == 3
