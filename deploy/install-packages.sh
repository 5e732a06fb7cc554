#!/usr/bin/env bash
# Installs the Debian packages that building, testing and the demo need, when they are not there
# yet.
set -euo pipefail

build=(build-essential pkg-config libdpdk-dev libclang-dev)
run=(python3 iproute2 iputils-ping ethtool procps util-linux nftables)
demo=(nginx-light vsftpd dnsmasq-base curl bind9-dnsutils lftp)
# testpmd, promtool and Prometheus, tshark, systemd-analyze, iperf3 and valgrind are what the tests
# measure and compare with; the last four are a mail server and clients whose downloads and mails go
# through the box.
test=(dpdk-dev prometheus tshark systemd iperf3 valgrind socat python3-venv python3-aiosmtpd swaks wget apache2-utils)
# Proofs run real servers. A Node.js from elsewhere brings its own npm, and would clash with
# Debian's.
command -v npm >/dev/null || test+=(nodejs npm)

missing=()
for package in "${build[@]}" "${run[@]}" "${demo[@]}" "${test[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "these Debian packages are missing, and neither root nor sudo is at hand:" >&2
    echo "  apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
# The services of some packages (nginx, prometheus) would start on their default ports: keep them
# from it while installing.
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
  made_policy=yes
fi
cleanup() { [ "$made_policy" = no ] || "${as_root[@]}" rm -f "$policy"; }
trap cleanup EXIT
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
