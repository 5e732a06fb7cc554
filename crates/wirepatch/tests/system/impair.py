#!/usr/bin/env python3
"""Joins links in pairs as bad wires do: frames are lost, come twice, and come late, so that others
overtake them.

usage: impair.py SEED LOSS TWICE LATE A B [A B]...      shares of frames, of each way; ends at
SIGTERM

Links that are not there yet are waited for. In the end a line for each way says what became of its
frames: how many came, were lost, went twice, and were overtaken by a later one. (The kernel's own
netem is a module that not every machine has.)
"""

import heapq
import random
import select
import signal
import socket
import subprocess
import sys
import time

# Longer than a round trip here, and than a burst.
LATE_SECONDS = (0.0005, 0.02)
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
ETH_P_ALL = 3


def opened(link):
    while subprocess.run(["ip", "link", "set", link, "promisc", "on", "up"], capture_output=True).returncode != 0:
        time.sleep(0.05)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
    wire.bind((link, ETH_P_ALL))
    wire.setblocking(False)
    return wire


class Way:
    def __init__(self, name, out):
        self.name, self.out = name, out
        self.came = self.lost = self.twice = self.overtaken = self.newest = 0

    def send(self, number, frame):
        self.overtaken += number < self.newest
        self.newest = max(number, self.newest)
        try:
            self.out.send(frame)
        except OSError:
            # Its queue is full, or the box is gone: one more frame is lost.
            self.lost += 1


def main(seed, loss, twice, late, *links):
    dice = random.Random(seed)
    loss, twice, late = float(loss), float(twice), float(late)
    poll, ways, waiting, running = select.epoll(), {}, [], True

    def stop(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    for a, b in zip(links[::2], links[1::2]):
        wires = opened(a), opened(b)
        for (inner, outer), name in ((wires, f"{a} to {b}"), (wires[::-1], f"{b} to {a}")):
            ways[inner.fileno()] = inner, Way(name, outer)
            poll.register(inner, select.EPOLLIN)
    while running:
        left = min(max(waiting[0][0] - time.monotonic(), 0), 1) if waiting else 1
        for number, _ in poll.poll(left):
            wire, way = ways[number]
            # A bounded turn, so that no wire waits for another.
            for _ in range(64):
                try:
                    frame = wire.recv(65536)
                except BlockingIOError:
                    break
                way.came += 1
                chance = dice.random()
                if chance < loss:
                    way.lost += 1
                elif chance < loss + late:
                    heapq.heappush(waiting, (time.monotonic() + dice.uniform(*LATE_SECONDS), way.came, way.name, way, frame))
                else:
                    way.send(way.came, frame)
                    if chance > 1 - twice:
                        way.twice += 1
                        way.send(way.came, frame)
        while waiting and waiting[0][0] <= time.monotonic():
            _, number, _, way, frame = heapq.heappop(waiting)
            way.send(number, frame)
    for _, way in ways.values():
        print(f"{way.name}: {way.came} came, {way.lost} lost, {way.twice} twice, {way.overtaken} overtaken", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
