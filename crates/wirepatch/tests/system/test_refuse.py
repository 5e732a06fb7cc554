"""`refuse` before a real FTP server and a real SMTP server: the client is answered among the
server's own answers, the server never hears of it, and the connection goes on.
"""

import os
import sys

import servers
from lab import SERVER, Lab, wait_for

DIALOGUE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dialogue.py")

FTP = """\
patch: ftp-refusals
title: no SITE, and no folder names over 64 bytes
protocol: ftp
rules:
  - when: ftp.request.command == "SITE"
    refuse: message
    with: not_implemented
  - when: ftp.request.command == "MKD" and len(ftp.request.arg) > 64
    refuse: message
    with: parameters
tests:
  - name: refused
    conversation:
      - response: "220 t\\r\\n"
      - request: "SITE CHMOD 777 a\\r\\n"
        reply: "502 Command not implemented.\\r\\n"
      - request: ["MKD ", { repeat: a, times: 65 }, "\\r\\n"]
        reply: "501 Syntax error in parameters or arguments.\\r\\n"
  - name: not refused
    request: ["MKD ", { repeat: a, times: 64 }, "\\r\\n"]
    unchanged: true
"""

SMTP = """\
patch: smtp-refusals
title: no VRFY, and no recipients over 64 bytes
protocol: smtp
rules:
  - when: smtp.req.command == "VRFY"
    refuse: message
    with: not_implemented
  - when: len(smtp.rcpt_to) > 64
    refuse: message
    reply: "553 5.1.3 Recipient too long\\r\\n"
tests:
  - name: refused
    conversation:
      - response: "220 t\\r\\n"
      - request: "VRFY root\\r\\n"
        reply: "502 5.5.1 Command not implemented\\r\\n"
      - request: ["RCPT TO:<", { repeat: a, times: 63 }, "@b>\\r\\n"]
        reply: "553 5.1.3 Recipient too long\\r\\n"
  - name: not refused
    request: ["RCPT TO:<", { repeat: a, times: 62 }, "@b>\\r\\n"]
    unchanged: true
"""

NOT_IMPLEMENTED, PARAMETERS = "502 Command not implemented.", "501 Syntax error in parameters or arguments."
NO_VRFY, TOO_LONG = "502 5.5.1 Command not implemented", "553 5.1.3 Recipient too long"
LONG = "l" * 100


def behind(lab, server, name, patch):
    server(lab)
    lab.start_box(lab.config([{"name": name, "addresses": [SERVER], "patches": [lab.write("patch.yaml", patch)]}]))


def says(lab, port, *turns):
    """Turns of a connection: lines sent at once, and the lines that are to come back."""
    words = ["".join(line + "\r\n" for line in lines).encode().hex() for turn in turns for lines in turn]
    done = lab.run("client", [sys.executable, DIALOGUE, SERVER, str(port), *words], check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def ends_well(lab, patch, refused):
    counted = lab.metric("wirepatch_patch_verdicts_total", patch=patch)
    assert counted == refused, f"{counted} refusals counted of {refused}"
    code = lab.stop_box()
    assert code == 0, f"exit {code}\n{lab.read('wirepatch.log')}"


GREETING = ["220 (vsFTPd 3.0.3)"]
LOGIN = (["USER anonymous", "PASS a@b"], ["230 Login successful.", "230 Already logged in."])


def test_an_ftp_server_never_hears_of_what_is_refused():
    servers.installed("curl", "lftp")
    with Lab() as lab:
        behind(lab, servers.vsftpd, "ftp", FTP)
        # One by one, before the greeting even; then all in one segment: each answer in its place
        # among the server's.
        says(lab, 21, (["SITE HELP"], [*GREETING, NOT_IMPLEMENTED]), LOGIN,
             (["MKD " + LONG], [PARAMETERS]),
             (["CWD pub"], ["250 Directory successfully changed."]),
             (["SITE CHMOD 777 hello.txt", "TYPE I", "MKD " + LONG, "site chmod 700 hello.txt", "NOOP", "SIZE hello.txt", "SITE X"],
              [NOT_IMPLEMENTED, "200 Switching to Binary mode.", PARAMETERS, NOT_IMPLEMENTED, "200 NOOP ok.", "213 15",
               NOT_IMPLEMENTED]),
             (["QUIT"], ["221 Goodbye."]))
        # curl goes on where a command with a star is refused, and downloads over the same
        # connection.
        got = lab.run("client", ["curl", "-sSv", "-m", "600", "-Q", "*SITE CHMOD 777 pub", "-Q", "*MKD " + LONG,
                                 "-Q", "*MKD made", f"ftp://{SERVER}/pub/hello.txt"])
        assert got.stdout == "hello over ftp\n" and "< " + NOT_IMPLEMENTED in got.stderr, got
        assert "< " + PARAMETERS in got.stderr and "< 257 " in got.stderr, got
        got = lab.run("client", ["lftp", "-c", "set net:timeout 60; set net:max-retries 1; set cmd:fail-exit no; "
                                 f"open ftp://{SERVER}; cd pub; mkdir {LONG}; quote SITE UMASK; mkdir short; cat hello.txt; cls"])
        assert "hello over ftp" in got.stdout and "short" in got.stdout and LONG not in got.stdout, got
        log = lab.read("vsftpd-protocol.log")
        assert "SITE" not in log.upper() and LONG not in log, log
        assert "MKD made" in log and "MKD short" in log and "RETR" in log, log
        assert sorted(os.listdir(lab.path("ftp/pub"))) == ["hello.txt", "short"]
        ends_well(lab, "ftp-refusals", 10)


def test_an_smtp_server_never_hears_of_what_is_refused():
    servers.installed("swaks")
    far = LONG + "@far.example"
    with Lab() as lab:
        behind(lab, servers.maildrop, "mail", SMTP)
        says(lab, 25, (["VRFY root"], ["220 mail.example maildrop", NO_VRFY]),
             (["HELO me"], ["250 mail.example"]),
             # A whole mail in one segment but for its text: two of its recipients are refused, the
             # other two get it.
             (["MAIL FROM:<a@b.example>", f"RCPT TO:<{far}>", "RCPT TO:<one@c.example>", "VRFY one", f"RCPT TO:<2{far}>",
               "RCPT TO:<two@c.example>", "DATA"],
              ["250 OK", TOO_LONG, "250 OK", NO_VRFY, TOO_LONG, "250 OK", "354 End data with <CR><LF>.<CR><LF>"]),
             # The lines of a mail are no commands.
             (["Subject: pipelined", "", "VRFY root", f"RCPT TO:<{far}>", ".", "VRFY two", "NOOP"],
              ["250 Kept", NO_VRFY, "250 OK"]),
             (["QUIT"], ["221 Bye"]))
        kept = lab.read("mail/pipelined")
        want = f"To: one@c.example\nTo: two@c.example\nSubject: pipelined\n\nVRFY root\nRCPT TO:<{far}>\n"
        assert kept == want, kept
        got = lab.run("client", ["swaks", "--server", SERVER, "--from", "a@b.example", "--to", f"{far},kept@c.example",
                                 "--header", "Subject: swaks", "--body", "a mail\n"], check=False)
        assert "<** " + TOO_LONG in got.stdout and "250 Kept" in got.stdout, got
        wait_for("the mail", lambda: os.path.exists(lab.path("mail/swaks")))
        assert lab.read("mail/swaks").startswith("To: kept@c.example\nDate:"), lab.read("mail/swaks")
        # Python's client goes on with the recipients that were taken, and uses the connection for
        # another mail.
        got = lab.run("client", [sys.executable, "-c", f"""
import smtplib
mail = smtplib.SMTP({SERVER!r}, timeout=120)
print(mail.sendmail('a@b.example', [{far!r}, 'kept@c.example'], 'Subject: first\\r\\n\\r\\n1'))
print(mail.verify('root'))
print(mail.sendmail('a@b.example', ['kept@c.example'], 'Subject: second\\r\\n\\r\\n2'))
mail.quit()"""])
        assert got.stdout == f"{{{far!r}: (553, b'5.1.3 Recipient too long')}}\n(502, b'5.5.1 Command not implemented')\n{{}}\n", got
        assert lab.read("mail/first").startswith("To: kept") and lab.read("mail/second").startswith("To: kept")
        commands = [line for line in lab.read("maildrop.log").splitlines() if " >> " in line]
        assert not [line for line in commands if LONG in line or "VRFY" in line.upper()], commands
        assert len([line for line in commands if "RCPT" in line.upper()]) == 5, commands
        ends_well(lab, "smtp-refusals", 8)
