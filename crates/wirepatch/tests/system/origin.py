"""An HTTP/1.1 server that says what it received, for tests: run inside the lab's server host.

GET /bytes/N      N bytes of a fixed pseudo-random sequence PUT /anything     answers with the
SHA-256 of the body and how long the header X-Trace was; prints it behind the target GET /seen
JSON: for each request so far, its target and the value length of X-Trace
"""

import hashlib
import http.server
import json
import sys

BLOCK = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(2048))  # 64 KiB
SEEN = []


def pieces(count):
    while count > 0:
        piece = BLOCK[:count]
        count -= len(piece)
        yield piece


def digest(count):
    sha = hashlib.sha256()
    for piece in pieces(count):
        sha.update(piece)
    return sha.hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self):
        SEEN.append([self.command, self.path[:80], len(self.headers.get("X-Trace", "")), self.headers.get("X-Trace", "")[:40]])

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/seen":
            return self.answer(json.dumps(SEEN).encode())
        self.note()
        if not self.path.startswith("/bytes/"):
            return self.answer(b"ok\n")
        count = int(self.path.rsplit("/", 1)[1])
        self.send_response(200)
        self.send_header("Content-Length", str(count))
        self.end_headers()
        for piece in pieces(count):
            self.wfile.write(piece)

    def do_PUT(self):
        self.note()
        left, sha = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 1 << 16))
            sha.update(piece)
            left -= len(piece)
        told = f"{sha.hexdigest()} {len(self.headers.get('X-Trace', ''))}\n"
        # One string, one write: threads do not mix their lines.
        print(f"{self.path} {told}", end="", flush=True)
        self.answer(told.encode())


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    address_family = __import__("socket").AF_INET6  # dual stack


if __name__ == "__main__":
    Server(("::", int(sys.argv[1])), Handler).serve_forever()
