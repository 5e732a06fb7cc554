#!/usr/bin/env python3
"""An SMTP server (aiosmtpd) that keeps each mail, for tests: run inside the lab's server host.

usage: maildrop.py PORT FOLDER      on all addresses

Every line that it takes for a command goes to standard error, each mail, as it was sent but for its
dots, to a file in FOLDER that is named by the first word of its subject.
"""

import asyncio
import logging
import os
import sys

from aiosmtpd.smtp import SMTP


class Keep:
    def __init__(self, folder):
        self.folder = folder

    async def handle_DATA(self, server, session, envelope):
        subject = next(line for line in envelope.original_content.split(b"\r\n") if line.lower().startswith(b"subject:"))
        path = os.path.join(self.folder, subject.split()[1].decode())
        with open(path + ".part", "wb") as out:
            out.write("".join(f"To: {one}\r\n" for one in envelope.rcpt_tos).encode())
            out.write(envelope.original_content)
        os.rename(path + ".part", path)
        return "250 Kept"


async def main(port, folder):
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep = Keep(folder)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(keep, hostname="mail.example", ident="maildrop"), host="0.0.0.0", port=int(port), backlog=256)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
