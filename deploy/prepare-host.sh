#!/usr/bin/env bash
# Reserves hugepages and hands NICs to a user-space driver, for `wirepatch run` on real hardware.
# Says what it does; undoes nothing that it did not do. Run as root before wirepatch starts (a
# systemd drop-in's ExecStartPre, or by hand).
#
#   prepare-host.sh --hugepages 1024                      2 MiB pages
#   prepare-host.sh --bind 0000:3b:00.0 [--driver vfio-pci]
#   prepare-host.sh --unbind 0000:3b:00.0                 gives the NIC back to the kernel's driver
#   prepare-host.sh --status
#   add --dry-run to see what would be written
set -euo pipefail

dry=no
root=${SYSFS_ROOT:-/sys}
say() { printf '%s\n' "$*"; }
fail() { printf 'prepare-host: %s\n' "$*" >&2; exit 1; }
write() { # VALUE FILE
  if [ "$dry" = yes ]; then say "would write '$1' to $2"; return; fi
  [ -w "$2" ] || fail "cannot write $2: not root, or this kernel does not have it"
  printf '%s' "$1" > "$2"
}

hugepages() {
  case "$1" in ''|*[!0-9]*) fail "--hugepages takes a number of 2 MiB pages, not '$1'";; esac
  local file=$root/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
  [ -e "$file" ] || fail "no 2 MiB hugepages on this kernel: set 'hugepages: false' in wirepatch.yaml"
  write "$1" "$file"
  [ "$dry" = yes ] && return
  local got; got=$(cat "$file")
  [ "$got" -ge "$1" ] || fail "asked for $1 hugepages, the kernel gave $got: reserve them at boot (hugepages=$1 on the kernel command line)"
  say "$got hugepages of 2 MiB"
}

device() { # PCI
  case "$1" in [0-9a-f][0-9a-f][0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f].[0-7]) ;; *) fail "'$1' is no PCI address like 0000:3b:00.0";; esac
  [ -d "$root/bus/pci/devices/$1" ] || fail "no PCI device $1 (lspci -D shows them)"
  printf '%s' "$root/bus/pci/devices/$1"
}

bind() { # PCI DRIVER
  local path; path=$(device "$1")
  if ls "$path"/net/*/ >/dev/null 2>&1; then
    for link in "$path"/net/*; do
      link=$(basename "$link")
      if ip route show default 2>/dev/null | grep -qw "$link"; then fail "$1 ($link) carries the default route: not taking it away"; fi
    done
  fi
  [ -d "$root/bus/pci/drivers/$2" ] || [ "$dry" = yes ] || modprobe "$2" || fail "driver $2 is not to be had; vfio-pci needs an IOMMU (intel_iommu=on)"
  write "$2" "$path/driver_override"
  [ -e "$path/driver" ] && write "$1" "$path/driver/unbind"
  write "$1" "$root/bus/pci/drivers_probe"
  say "$1 -> $2"
}

unbind() { # PCI
  local path; path=$(device "$1")
  write "" "$path/driver_override"
  [ -e "$path/driver" ] && write "$1" "$path/driver/unbind"
  write "$1" "$root/bus/pci/drivers_probe"
  say "$1 -> the kernel's own driver"
}

status() {
  say "hugepages of 2 MiB: $(cat "$root/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages" 2>/dev/null || echo none) ($(cat "$root/kernel/mm/hugepages/hugepages-2048kB/free_hugepages" 2>/dev/null || echo 0) free)"
  for path in "$root"/bus/pci/devices/*; do
    [ -e "$path/class" ] || continue
    case "$(cat "$path/class")" in 0x02*) say "$(basename "$path")  $( [ -e "$path/driver" ] && basename "$(readlink -f "$path/driver")" || echo 'no driver')";; esac
  done
}

[ $# -gt 0 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2; }
driver=vfio-pci
todo=()
while [ $# -gt 0 ]; do
  case "$1" in
    --dry-run) dry=yes;;
    --driver) driver=${2:?--driver takes a name}; shift;;
    --hugepages|--bind|--unbind) todo+=("$1" "${2:?$1 takes a value}"); shift;;
    --status) todo+=("$1" -);;
    *) fail "unknown word '$1'; run without any to see what there is";;
  esac
  shift
done
set -- "${todo[@]}"
while [ $# -gt 0 ]; do
  case "$1" in
    --hugepages) hugepages "$2";;
    --bind) bind "$2" "$driver";;
    --unbind) unbind "$2";;
    --status) status;;
  esac
  shift 2
done
