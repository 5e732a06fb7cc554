#!/usr/bin/env python3
"""CPU time a request costs in reverse proxies that do the same header work as the bench's edited HTTP rows.

    apt-get install nginx haproxy wrk libnginx-mod-http-modsecurity
    python3 benches/proxies.py > benches/record/proxies.json

One worker each, keep-alive on both sides, on the loopback interface: wrk sends the bench's request (500 bytes, ten headers),
nginx answers 200 bytes from memory, the proxy between them shortens User-Agent to 48 bytes. CPU time is that of the proxy's
processes, their system calls included, as the kernel accounts it; a machine that is busy with other things changes the rate, and
hardly the CPU time. Each proxy is measured in turns, and its best round counts. What is not installed is said to be absent.
"""

import contextlib
import datetime
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
SECONDS = 4
CONNECTIONS = 16
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
KEPT = 48

# sim::load's request, as wrk wants it.
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
        listen 127.0.0.1:{port};
        location = /seen {{ return 200 $http_user_agent; }}
        location / {{ return 200 "{answer}"; }}
    }}
"""

PROXY = """
    map $http_user_agent $agent {{ "~^(?<head>.{{{kept}}})" $head; default $http_user_agent; }}
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port};
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
    bind 127.0.0.1:{port}
    http-request set-header User-Agent %[req.fhdr(User-Agent),bytes(0,{kept})]
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin} pool-max-conn 64
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_until_listening(port, process, log):
    for _ in range(200):
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended: {log.read_text() if log.exists() else ''}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    sys.exit(f"{process.args[0]} does not listen")


def cpu_ns(pid):
    """Of a process, its threads and its children that are still there: on a CPU so far, and in the kernel's own part of that."""
    every, system, ticks = 0, 0, os.sysconf("SC_CLK_TCK")
    pids = [pid]
    while pids:
        pid = pids.pop()
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            every += int((task / "schedstat").read_text().split()[0])
            system += int((task / "stat").read_text().rsplit(")", 1)[1].split()[12]) * 1_000_000_000 // ticks
            pids += [int(child) for child in (task / "children").read_text().split()]
    return every, system


class Proxy:
    def __init__(self, name, command, port, version, log):
        self.name, self.port, self.version = name, port, version
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log.open("w"))
        self.rounds = []
        wait_until_listening(port, self.process, log)

    def seen_agent(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/seen", headers={"User-Agent": AGENT})
        return connection.getresponse().read().decode()

    def end(self):
        self.process.terminate()
        self.process.wait(10)


def version_of(words):
    done = subprocess.run(words, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[0].strip()


def load(proxy, script, seconds):
    before, started = cpu_ns(proxy.process.pid), time.monotonic()
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{proxy.port}{TARGET}"],
        capture_output=True, text=True, check=True,
    )
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

    def front(port, modsecurity=""):
        return PROXY.format(port=port, origin=origin, kept=KEPT, modsecurity=modsecurity)

    def start_haproxy(port):
        haproxy.write_text(HAPROXY.format(port=port, origin=origin, kept=KEPT))
        return ["haproxy", "-f", str(haproxy), "-db"]

    yield "nginx", "nginx", shutil.which("nginx"), ["nginx", "-v"], lambda port: nginx(folder, "front", front(port))
    yield "haproxy", "haproxy", shutil.which("haproxy"), ["haproxy", "-v"], start_haproxy
    yield (
        "nginx+ModSecurity", "libnginx-mod-http-modsecurity", shutil.which("nginx") and module.exists(), ["nginx", "-v"],
        lambda port: nginx(
            folder, "modsecurity", front(port, f"modsecurity on; modsecurity_rules_file {rules};"), f"load_module {module};"
        ),
    )


def machine():
    cpus = pathlib.Path("/proc/cpuinfo").read_text()
    return {
        "cpu": next(line.split(":")[1].strip() for line in cpus.splitlines() if line.startswith("model name")),
        "cpus": os.cpu_count(),
        "kernel": os.uname().release,
        "load_average": " ".join(pathlib.Path("/proc/loadavg").read_text().split()[:3]),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }


def request_script(folder):
    lines = f"GET {TARGET} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    cookie = "session=".ljust(REQUEST_BYTES - len(lines) - len("Cookie: \r\n\r\n"), "0")
    script = folder / "request.lua"
    headers = "".join(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n" for name, value in {**HEADERS, "Cookie": cookie}.items())
    script.write_text(
        headers + "done = function(summary)\n  local e = summary.errors\n"
        "  print('counted ' .. summary.requests .. ' ' .. (e.connect + e.read + e.write + e.status + e.timeout))\nend\n"
    )
    return script


def main():
    if not shutil.which("wrk") or not shutil.which("nginx"):
        sys.exit("this needs wrk and nginx; see the first lines of this file")
    here, running, absent = machine(), [], []
    with tempfile.TemporaryDirectory(prefix="wirepatch-proxies-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        script = request_script(folder)
        port = free_port()
        body = ORIGIN.format(port=port, answer="x" * 200)
        origin = Proxy("origin", nginx(folder, "origin", body), port, "", folder / "origin.err")
        stack.callback(origin.end)
        for proxy, package, is_here, version, start in proxies(folder, port):
            if not is_here:
                absent.append(f"{proxy} (package {package})")
                continue
            own = free_port()
            running.append(Proxy(proxy, start(own), own, version_of(version), folder / f"{proxy}.err"))
            stack.callback(running[-1].end)
        for proxy in running:
            if proxy.seen_agent() != AGENT[:KEPT]:
                sys.exit(f"{proxy.name} does not shorten User-Agent: {proxy.seen_agent()!r}")
            load(proxy, script, 1)
        for _ in range(ROUNDS):
            for proxy in running:
                proxy.rounds.append(load(proxy, script, SECONDS))
                print(f"proxies.py: {proxy.name}: {proxy.rounds[-1]}", file=sys.stderr)
        rows = [
            {"proxy": proxy.name, "version": proxy.version, **min(proxy.rounds, key=lambda found: found["cpu_us"])}
            for proxy in running
        ]
    print(json.dumps({"machine": here, "request_bytes": REQUEST_BYTES, "rows": rows, "absent": absent}, indent=2))


if __name__ == "__main__":
    main()
