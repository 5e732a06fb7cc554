"""A client and a server host in network namespaces, joined by a direct wire and by one through
`wirepatch run`.

Holds:     namespaces and processes that it made itself; `Lab` is a context manager that ends every
           one of them by pid.
Promises:  nothing leaves the namespaces; nothing it did not start is touched; names are private to
           this process's own mount namespace (see `isolate`), so two labs never meet and a killed
           lab leaves nothing behind.

    client 198.18.1.1 --- port "lan" [wirepatch run] port "srv" --- 198.18.1.2 server     (2001:db8:1::1 and ::2)
    client 198.18.2.1 ---------------- direct ---------------- 198.18.2.2 server
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
# The data of the tests, and more of the same where it is beside the repository.
DATA = os.path.join(ROOT, "crates/wirepatch/tests/data")
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
CLIENT, SERVER = "198.18.1.1", "198.18.1.2"
CLIENT6, SERVER6 = "2001:db8:1::1", "2001:db8:1::2"
DIRECT_CLIENT, DIRECT_SERVER = "198.18.2.1", "198.18.2.2"
METRICS_PORT = 9433


class NotHere(Exception):
    """This machine lacks something; the text says what."""


class Elsewhere(NotHere):
    """It lies outside this repository and its packages (captures beside it, a registry's server),
    and can't be had here."""


class OnRequest(Exception):
    """Takes long, so it is done only when asked for; the text says how to ask."""


def isolate():
    """Runs this program again inside namespaces of its own (a user namespace too, unless we are
    root)."""
    if os.environ.get("WIREPATCH_LAB") == "inside":
        # `ip netns` keeps its names in /run/netns, which a user namespace may not create in the
        # host's /run.
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.makedirs("/run/netns")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    flags = "-nm" if os.geteuid() == 0 else "-Urnm"
    probe = subprocess.run(["unshare", flags, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        raise NotHere(f"no network namespaces: unshare {flags}: {probe.stderr.strip()}")
    os.environ["WIREPATCH_LAB"] = "inside"
    sys.stdout.flush()
    os.execvp("unshare", ["unshare", flags, sys.executable, *sys.argv])


def binary():
    """The release build unless WIREPATCH names another."""
    path = os.environ.get("WIREPATCH") or os.path.join(
        os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target"), "release", "wirepatch")
    if not os.path.exists(path):
        raise NotHere(f"{path} is not built: cargo build --release")
    return path


def wait_for(what, ready, seconds=120.0, step=0.05):
    """Polls `ready` until it gives something true; the bound is there for a machine under load, not
    as a measure."""
    end = time.monotonic() + seconds
    while True:
        got = ready()
        if got:
            return got
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(step)


def end(process, seconds=60):
    """Ends a process that leads a session of its own, and that session."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


class Lab:
    """`driver`: tap, af_packet or af_xdp. `layout`: run_to_completion or rings."""

    def __init__(self, driver="tap", layout="run_to_completion", extra_veth_off=True):
        self.driver, self.layout = driver, layout
        self.folder = tempfile.mkdtemp(prefix="wirepatch-lab-")
        self.processes = []
        self.box = None
        self.offloads_off = extra_veth_off

    def __enter__(self):
        try:
            self._namespaces()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        self.stop_box()
        for process in reversed(self.processes):
            self.end(process)
        # The kernel takes down what is in a namespace when it has time; the next lab's links have
        # the same names.
        for link in ("lan", "srv") if self.driver != "tap" else ():
            subprocess.run(["ip", "link", "del", link], capture_output=True)
        for name in ("client", "server"):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    # Namespaces and wires -------------------------------------------------------------------------

    def _namespaces(self):
        for name in ("client", "server"):
            self.ip("netns", "add", name)
            self.ip("-n", name, "link", "set", "lo", "up")
        self.ip("link", "add", "direct0", "netns", "client", "type", "veth", "peer", "name", "direct1", "netns", "server")
        self.address("client", "direct0", DIRECT_CLIENT + "/24")
        self.address("server", "direct1", DIRECT_SERVER + "/24")
        if self.driver != "tap":
            for host, inner, outer in (("client", "lan0", "lan"), ("server", "srv0", "srv")):
                self.ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", host)
                if self.offloads_off:
                    for where, link in ((host, inner), (None, outer)):
                        command = ["ethtool", "-K", link, "tx", "off", "tso", "off", "gso", "off", "gro", "off"]
                        self.run(where, command, check=False)
                self.ip("link", "set", outer, "promisc", "on", "up")
            self._addresses("lan0", "srv0")

    def _addresses(self, client_link, server_link):
        self.address("client", client_link, CLIENT + "/24", CLIENT6 + "/64")
        self.address("server", server_link, SERVER + "/24", SERVER6 + "/64")

    def address(self, host, link, *addresses):
        for address in addresses:
            words = ["-n", host, "addr", "add", address, "dev", link]
            # Duplicate address detection would keep an IPv6 address unusable for a second.
            self.ip(*words, *(["nodad"] if ":" in address else []))
        self.ip("-n", host, "link", "set", link, "up")

    def ip(self, *words):
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise NotHere(f"ip {' '.join(words)}: {done.stderr.strip()}")

    # Processes ------------------------------------------------------------------------------------

    def inside(self, host, command):
        return command if host is None else ["ip", "netns", "exec", host, *command]

    def run(self, host, command, check=True, timeout=900, **options):
        """Runs to its end; text output captured."""
        options.setdefault("capture_output", True)
        options.setdefault("text", True)
        done = subprocess.run(self.inside(host, command), timeout=timeout, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, host, command, log=None, **options):
        """Starts in the background; output goes to `log` in the lab's folder."""
        out = open(self.path(log or f"{os.path.basename(command[0])}-{len(self.processes)}.log"), "wb")
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(self.inside(host, command), stdout=out, stderr=out, start_new_session=True, **options)
        out.close()
        self.processes.append(process)
        return process

    def end(self, process, seconds=60):
        """Ends a process that `start` started, and the session it leads."""
        end(process, seconds)
        if process in self.processes:
            self.processes.remove(process)
        return process.returncode

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def listening(self, host, address, port, seconds=120):
        """Waits until something accepts TCP connections there."""
        probe = ("import socket,sys\n"
                 f"s=socket.create_connection(({address!r},{port}),10)\n")
        wait_for(f"{address}:{port} in {host}",
                 lambda: self.run(host, [sys.executable, "-c", probe], check=False).returncode == 0, seconds)

    # The box --------------------------------------------------------------------------------------

    def config(self, groups, **more):
        """A configuration for this lab's ports. `groups` is the list under `server_groups`."""
        devices = {
            "tap": ("net_tap0,iface=lan", "net_tap1,iface=srv"),
            "af_packet": ("net_af_packet0,iface=lan", "net_af_packet1,iface=srv"),
            "af_xdp": ("net_af_xdp0,iface=lan", "net_af_xdp1,iface=srv"),
        }[self.driver]
        trust = self.driver != "tap"
        config = {
            "eal": {"hugepages": False, "memory_mib": 512, "file_prefix": f"lab{os.getpid()}"},
            "ports": [{"name": "lan", "device": devices[0], "trust_checksums": trust},
                      {"name": "srv", "device": devices[1], "trust_checksums": trust}],
            "bridges": [["lan", "srv"]],
            "workers": {"layout": self.layout},
            "server_groups": groups,
            "metrics": {"listen": f"127.0.0.1:{METRICS_PORT}"},
            "control": {"socket": self.path("control.sock")},
            "limits": {"mbufs": 16384, "flows": 16384},
        }
        for key, value in more.items():
            config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
        # JSON is YAML.
        return self.write("wirepatch.yaml", json.dumps(config, indent=1))

    def start_box(self, config):
        """`wirepatch run`; returns when both links are joined and the data plane forwards."""
        environment = {**os.environ, "XDG_RUNTIME_DIR": self.folder}
        self.box = self.start(None, [binary(), "run", "--config", config], log="wirepatch.log", env=environment)

        def up():
            if self.box.poll() is not None:
                raise RuntimeError(f"wirepatch run ended with {self.box.returncode}:\n{self.read('wirepatch.log')}")
            return os.path.exists(self.path("control.sock"))

        wait_for("wirepatch run", up)
        if self.driver == "tap":
            for host, link in (("client", "lan"), ("server", "srv")):
                self.ip("link", "set", link, "netns", host)
            self._addresses("lan", "srv")
        wait_for("a ping through the box", lambda: self.run(
            "client", ["ping", "-c", "1", "-W", "1", SERVER], check=False).returncode == 0)

    def stop_box(self):
        """SIGTERM, and its exit code; the log stays."""
        if self.box is None:
            return None
        box, self.box = self.box, None
        return self.end(box)

    def metrics(self):
        """The text of /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=120) as answer:
            return answer.read().decode()

    def metric(self, name, **labels):
        """Sum of the samples of `name` whose labels include `labels`."""
        total, seen = 0.0, False
        for line in self.metrics().splitlines():
            if line.startswith("#") or not line.startswith(name):
                continue
            head, value = line.rsplit(" ", 1)
            if head.split("{", 1)[0] != name:
                continue
            if all(f'{key}="{wanted}"' in head for key, wanted in labels.items()):
                total, seen = total + float(value), True
        if not seen:
            raise KeyError(f"{name}{labels} is not on /metrics")
        return total

    def ctl(self, *words, check=True):
        """`wirepatch ctl`, as JSON."""
        done = self.run(None, [binary(), "ctl", "--socket", self.path("control.sock"), "--json", *words], check=check)
        return json.loads(done.stdout)["ok"] if done.returncode == 0 else done


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
