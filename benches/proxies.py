#!/usr/bin/env python3
"""Measures the CPU time of a request in reverse proxies that edit it as the bench's HTTP rows do.

    apt-get install nginx haproxy wrk libnginx-mod-http-modsecurity
    python3 benches/proxies.py > benches/record/proxies.json

It makes three network namespaces in a row, joined by veth. That needs root, and leaves nothing:

    wrk 198.18.1.1 --- 198.18.1.2 proxy 198.18.2.1 --- 198.18.2.2 nginx

Each has one worker, with keep-alive on both sides. wrk sends the bench's request (500 bytes, ten
headers), nginx answers 200 bytes from memory, and the proxy between them shortens User-Agent to 48
bytes. The proxy has the last CPU to itself; wrk and nginx share the first. CPU time is that of the
proxy's processes as the kernel accounts it, system calls included. A busy machine changes the rate,
and hardly the CPU time. The kernel does some of a veth's work on the CPU that has just sent, and
accounts it to the process there: on the proxy's CPU that is the proxy. The proxies are measured in
turns, and the best round of each counts. A proxy that is not installed is listed as absent.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CONNECTIONS = 16
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
KEPT = 48

CLIENT, FRONT, BACK, SERVER = "198.18.1.1", "198.18.1.2", "198.18.2.1", "198.18.2.2"
ORIGIN_PORT, FIRST_PORT = 8080, 8081

# What listens in a namespace is asked from within it: the program, and what it prints.
ASK_LISTENING = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"
ASK_SEEN = (
    "import http.client, sys;"
    " c = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=5);"
    " c.request('GET', '/seen', headers={'User-Agent': sys.argv[3]});"
    " print(c.getresponse().read().decode(), end='')"
)

# offline::load's request, as wrk wants it.
HEADERS = {
    "Host": "www.example.com",
    "User-Agent": AGENT,
    "Accept": "text/html,application/xhtml+xml;q=0.9",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Referer": "http://www.example.com/",
    "Connection": "keep-alive",
    "Cache-Control": "max-age=0",
    "DNT": "1",
}
TARGET = "/articles/2026/07/a-page-of-ordinary-length.html?from=index&page=2"
REQUEST_BYTES = 500

NGINX = """
{load}
worker_processes 1;
pid {folder}/{name}.pid;
error_log {folder}/{name}.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/{name}-body;
    proxy_temp_path {folder}/{name}-proxy;
    fastcgi_temp_path {folder}/{name}-fastcgi;
    uwsgi_temp_path {folder}/{name}-uwsgi;
    scgi_temp_path {folder}/{name}-scgi;
    {body}
}}
"""

ORIGIN = """
    server {{
        listen {server}:{port};
        location = /seen {{ return 200 $http_user_agent; }}
        location / {{ return 200 "{answer}"; }}
    }}
"""

PROXY = """
    map $http_user_agent $agent {{ "~^(?<head>.{{{kept}}})" $head; default $http_user_agent; }}
    upstream origin {{ server {server}:{origin}; keepalive 64; keepalive_requests 100000000; }}
    server {{
        listen {front}:{port};
        {modsecurity}
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header User-Agent $agent;
        }}
    }}
"""

# It can refuse, and not shorten: that is left to nginx around it.
MODSECURITY = """
SecRuleEngine On
SecRequestBodyAccess Off
SecResponseBodyAccess Off
SecAuditEngine Off
SecRule REQUEST_URI "@gt 2048" "id:1,phase:1,t:length,deny,status:414"
SecRule REQUEST_HEADERS:Range "@rx (?:,.*){200}" "id:2,phase:1,deny,status:416"
SecRule REQUEST_HEADERS "@contains ${" "id:3,phase:1,deny,status:403"
SecRule REQUEST_HEADERS:User-Agent "@gt 2048" "id:4,phase:1,t:length,deny,status:400"
"""

HAPROXY = """
global
    nbthread 1
    maxconn 512
    log stderr local0 emerg
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
    http-reuse always
frontend in
    bind {front}:{port}
    http-request set-header User-Agent %[req.fhdr(User-Agent),bytes(0,{kept})]
    default_backend origin
backend origin
    server origin {server}:{origin} pool-max-conn 64
"""


class Wires:
    """Three namespaces and the two wires between them; `with` takes them down whatever happens."""

    def __init__(self):
        own = os.getpid()
        names = ("client", "proxy", "server")
        self.client, self.proxy, self.server = (f"wp-{name}-{own}" for name in names)
        # A link's name has fifteen bytes.
        self.links = [(f"wpa{own}", f"wpb{own}"), (f"wpc{own}", f"wpd{own}")]

    def __enter__(self):
        try:
            for name in (self.client, self.proxy, self.server):
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            ends = [
                ((self.client, CLIENT), (self.proxy, FRONT)),
                ((self.proxy, BACK), (self.server, SERVER)),
            ]
            for links, wire in zip(self.links, ends):
                one = ["link", "add", links[0], "netns", wire[0][0], "type", "veth"]
                ip(*one, "peer", "name", links[1], "netns", wire[1][0])
                for link, (name, address) in zip(links, wire):
                    ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
                    ip("-n", name, "link", "set", link, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # The kernel empties a namespace when it has time. A link goes at once, with its other end.
        for name, links in zip((self.client, self.server), self.links):
            link = links[name == self.server]
            subprocess.run(["ip", "-n", name, "link", "del", link], capture_output=True)
        for name in (self.client, self.proxy, self.server):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"ip {' '.join(words)}: {done.stderr.strip()}")


def inside(name, cpu, command):
    return ["ip", "netns", "exec", name, "taskset", "-c", str(cpu), *command]


def wait_until_listening(where, address, port, process, log):
    for _ in range(100):
        if process.poll() is not None:
            sys.exit(f"{process.args}: ended: {log.read_text() if log.exists() else ''}")
        asked = [sys.executable, "-c", ASK_LISTENING, address, str(port)]
        command = ["ip", "netns", "exec", where, *asked]
        if subprocess.run(command, capture_output=True).returncode == 0:
            return
        time.sleep(0.05)
    sys.exit(f"{process.args} does not listen")


def cpu_ns(pid):
    """CPU time of a process, its threads and its living children, and the kernel's part of it."""
    every, system, ticks = 0, 0, os.sysconf("SC_CLK_TCK")
    pids = [pid]
    while pids:
        pid = pids.pop()
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            every += int((task / "schedstat").read_text().split()[0])
            spent = int((task / "stat").read_text().rsplit(")", 1)[1].split()[12])
            system += spent * 1_000_000_000 // ticks
            pids += [int(child) for child in (task / "children").read_text().split()]
    return every, system


class Proxy:
    """Something that listens, in a namespace and on a CPU of its own."""

    def __init__(self, name, command, place, port, version, log):
        self.name, self.port, self.version = name, port, version
        namespace, self.cpu, self.address = place
        # `ip netns exec` and `taskset` become the program: its process is this one.
        words = inside(namespace, self.cpu, command)
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=log.open("w"))
        self.rounds = []
        try:
            wait_until_listening(namespace, self.address, port, self.process, log)
        except BaseException:
            self.end()
            raise

    def seen_agent(self, client):
        words = [sys.executable, "-c", ASK_SEEN, self.address, str(self.port), AGENT]
        command = ["ip", "netns", "exec", client, *words]
        return subprocess.run(command, capture_output=True, text=True).stdout

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def version_of(words):
    done = subprocess.run(words, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[0].strip()


def load(proxy, client, script, seconds):
    before, started = cpu_ns(proxy.process.pid), time.monotonic()
    address = f"http://{proxy.address}:{proxy.port}{TARGET}"
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), address]
    done = subprocess.run(inside(*client, words), capture_output=True, text=True, check=True)
    after, wall = cpu_ns(proxy.process.pid), time.monotonic() - started
    requests, errors = (int(number) for number in done.stdout.rsplit("counted", 1)[1].split()[:2])
    if errors or not requests:
        sys.exit(f"{proxy.name}: {errors} errors in {requests} requests\n{done.stdout}")
    return {
        "requests": requests,
        "requests_per_s": round(requests / wall),
        "cpu_us": round((after[0] - before[0]) / requests / 1000, 2),
        "system_us": round((after[1] - before[1]) / requests / 1000, 2),
    }


def nginx(folder, name, body, load_module=""):
    config = folder / f"{name}.conf"
    config.write_text(NGINX.format(folder=folder, name=name, body=body, load=load_module))
    return ["nginx", "-p", str(folder), "-c", str(config), "-g", "daemon off;"]


def proxies(folder, origin):
    """Name, package, program, and what starts it."""
    module = pathlib.Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so")
    rules = folder / "rules.conf"
    rules.write_text(MODSECURITY)
    haproxy = folder / "haproxy.cfg"
    addresses = {"front": FRONT, "server": SERVER, "origin": origin, "kept": KEPT}

    def front(port, modsecurity=""):
        return PROXY.format(port=port, modsecurity=modsecurity, **addresses)

    def start_haproxy(port):
        haproxy.write_text(HAPROXY.format(port=port, **addresses))
        return ["haproxy", "-f", str(haproxy), "-db"]

    def start_modsecurity(port):
        rule = f"modsecurity on; modsecurity_rules_file {rules};"
        return nginx(folder, "modsecurity", front(port, rule), f"load_module {module};")

    nginx_there = shutil.which("nginx")
    version = ["nginx", "-v"]
    yield "nginx", "nginx", nginx_there, version, lambda port: nginx(folder, "front", front(port))
    yield "haproxy", "haproxy", shutil.which("haproxy"), ["haproxy", "-v"], start_haproxy
    package = "libnginx-mod-http-modsecurity"
    there = nginx_there and module.exists()
    yield "nginx+ModSecurity", package, there, version, start_modsecurity


def machine():
    cpus = pathlib.Path("/proc/cpuinfo").read_text()
    return {
        "cpu": next(
            line.split(":")[1].strip()
            for line in cpus.splitlines()
            if line.startswith("model name")
        ),
        "cpus": os.cpu_count(),
        "kernel": os.uname().release,
        "load_average": " ".join(pathlib.Path("/proc/loadavg").read_text().split()[:3]),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }


def request_script(folder):
    headers = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    lines = f"GET {TARGET} HTTP/1.1\r\n" + headers
    cookie = "session=".ljust(REQUEST_BYTES - len(lines) - len("Cookie: \r\n\r\n"), "0")
    script = folder / "request.lua"
    settings = "".join(
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n"
        for name, value in {**HEADERS, "Cookie": cookie}.items()
    )
    script.write_text(
        settings + "done = function(summary)\n  local e = summary.errors\n"
        "  local errors = e.connect + e.read + e.write + e.status + e.timeout\n"
        "  print('counted ' .. summary.requests .. ' ' .. errors)\nend\n"
    )
    return script


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="times each proxy is measured")
    parser.add_argument("--seconds", type=int, default=4, help="how long each time")
    arguments = parser.parse_args()
    rounds, seconds = arguments.rounds, arguments.seconds
    if not shutil.which("wrk") or not shutil.which("nginx"):
        sys.exit("this needs wrk and nginx; see the first lines of this file")
    if os.geteuid() or not shutil.which("ip") or not shutil.which("taskset"):
        sys.exit("network namespaces need root, ip (iproute2) and taskset (util-linux)")
    # What ends us otherwise would leave the namespaces.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    cpus = sorted(os.sched_getaffinity(0))
    around, middle = cpus[0], cpus[-1]
    here, running, absent = machine(), [], []
    with contextlib.ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="wirepatch-proxies-")
        folder = pathlib.Path(stack.enter_context(temporary))
        folder.chmod(0o755)
        wires = stack.enter_context(Wires())
        script, client = request_script(folder), (wires.client, around)
        body = ORIGIN.format(server=SERVER, port=ORIGIN_PORT, answer="x" * 200)
        place = (wires.server, around, SERVER)
        started = nginx(folder, "origin", body)
        origin = Proxy("origin", started, place, ORIGIN_PORT, "", folder / "origin.err")
        stack.callback(origin.end)
        place = (wires.proxy, middle, FRONT)
        for proxy, package, is_here, version, start in proxies(folder, ORIGIN_PORT):
            if not is_here:
                absent.append(f"{proxy} (package {package})")
                continue
            own = FIRST_PORT + len(running)
            errors = folder / f"{proxy}.err"
            running.append(Proxy(proxy, start(own), place, own, version_of(version), errors))
            stack.callback(running[-1].end)
        for proxy in running:
            seen = proxy.seen_agent(wires.client)
            if seen != AGENT[:KEPT]:
                sys.exit(f"{proxy.name} does not shorten User-Agent: {seen!r}")
            load(proxy, client, script, 1)
        for _ in range(rounds):
            for proxy in running:
                proxy.rounds.append(load(proxy, client, script, seconds))
                print(f"proxies.py: {proxy.name}: {proxy.rounds[-1]}", file=sys.stderr)
        rows = [
            {
                "proxy": proxy.name,
                "version": proxy.version,
                **min(proxy.rounds, key=lambda found: found["cpu_us"]),
            }
            for proxy in running
        ]
    found = {
        "machine": here, "wires": "veth", "proxy_cpus": [middle], "other_cpus": [around],
        "request_bytes": REQUEST_BYTES, "rows": rows, "absent": absent,
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
