"""The servers that tests put behind the box: started in the lab's server host, each telling
afterwards what it was asked.

Holds:     nothing; the lab ends them.
Never:     listens where no test can reach, or writes outside the lab's folder.
"""

import os

import origin
from lab import NotHere

MAILDROP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "maildrop.py")
# Debian's interpreter: its package of aiosmtpd is not there for others.
PYTHON = "/usr/bin/python3"
PASSIVE = (40000, 40099)


def installed(*programs):
    """Says what is missing, where a test needs clients and servers of Debian's."""
    folders = [*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"]
    missing = [name for name in programs if not any(os.access(os.path.join(folder, name), os.X_OK) for folder in folders)]
    if missing:
        raise NotHere(f"{', '.join(missing)} (deploy/install-packages.sh brings them)")


def vsftpd(lab):
    """Anonymous, with a folder `pub` that may be written to; its log has every command as it was
    received."""
    installed("vsftpd")
    os.makedirs(lab.path("ftp/pub"))
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
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
pasv_min_port={PASSIVE[0]}
pasv_max_port={PASSIVE[1]}
log_ftp_protocol=YES
xferlog_enable=YES
vsftpd_log_file={lab.path('vsftpd-protocol.log')}
seccomp_sandbox=NO
one_process_model=YES
""")
    os.chmod(config, 0o644)
    lab.start("server", ["/usr/sbin/vsftpd", config], log="vsftpd.log")
    lab.listening("server", "127.0.0.1", 21)


def maildrop(lab):
    """aiosmtpd; `mail/WORD` is the mail whose subject begins with WORD, `maildrop.log` has every
    command."""
    if lab.run(None, [PYTHON, "-c", "import aiosmtpd"], check=False).returncode != 0:
        raise NotHere("aiosmtpd (Debian package python3-aiosmtpd)")
    os.makedirs(lab.path("mail"))
    lab.start("server", [PYTHON, MAILDROP, "25", lab.path("mail")], log="maildrop.log")
    lab.listening("server", "127.0.0.1", 25)


def nginx(lab, root):
    """Serves `root`; says in its answers' headers which X-Trace and User-Agent it was sent."""
    installed("nginx")
    config = lab.write("nginx.conf", f"""
user root; daemon off; pid {lab.path('nginx.pid')}; error_log {lab.path('nginx-error.log')};
events {{ worker_connections 256; }}
http {{
  log_format received '$request|$http_x_trace';
  access_log {lab.path('nginx-access.log')} received;
  client_body_temp_path {lab.path('t1')}; proxy_temp_path {lab.path('t2')}; fastcgi_temp_path {lab.path('t3')};
  uwsgi_temp_path {lab.path('t4')}; scgi_temp_path {lab.path('t5')};
  keepalive_requests 100000;
  add_header X-Seen "seen: $http_user_agent $http_x_trace" always;
  server {{ listen 80; root {root}; }}
}}
""")
    lab.start("server", ["nginx", "-c", config], log="nginx.log")
    lab.listening("server", "127.0.0.1", 80)


def digests(lab):
    """Answers a PUT with the SHA-256 of what came, on port 8080; `origin.log` has them, too."""
    lab.start("server", [PYTHON, origin.__file__, "8080"], log="origin.log")
    lab.listening("server", "127.0.0.1", 8080)
