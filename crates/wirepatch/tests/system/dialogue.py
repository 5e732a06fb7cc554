#!/usr/bin/env python3
"""One TCP connection on which bytes are sent and exactly these are to come back, turn by turn.

usage: dialogue.py HOST PORT (SENT EXPECTED)...      in hexadecimal; exit code 1 and a line that
says where it went wrong

All of a turn's bytes are sent at once, and only the expected ones are read: an answer may go on
behind those of the last turn.
"""

import socket
import sys


def receive(connection, count):
    got = b""
    while len(got) < count:
        try:
            piece = connection.recv(count - len(got))
        except OSError as why:
            return got, repr(why)
        if not piece:
            return got, "the connection ended"
        got += piece
    return got, ""


def main(host, port, *turns):
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        for number, (sent, want) in enumerate(zip(turns[::2], turns[1::2]), 1):
            want = bytes.fromhex(want)
            connection.sendall(bytes.fromhex(sent))
            got, why = receive(connection, len(want))
            if got != want:
                print(f"turn {number}: {want!r} was to come, and there came {got!r} {why}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
