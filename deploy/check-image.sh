#!/usr/bin/env bash
# Runs the steps of the Dockerfile where there is no Docker: in Debian 12 trees that debootstrap
# makes, one a stage.
#
# The Dockerfile's lines are read, not repeated; what is COPYed comes from the last commit, as in a
# fresh clone. The one step that differs is rustup's: the toolchain and the crates are copied from
# this machine, so that no more than Debian's packages is fetched. Every mount is made in a mount
# namespace of its own and is gone with it, however this ends. Needs root and debootstrap.
#
#   DEBIAN_MIRROR   where packages come from     (http://deb.debian.org/debian)
#   RUST_SYSROOT    the toolchain to copy        (rustc --print sysroot)
#   CARGO_HOME      whose registry/ is copied    (~/.cargo)
#   IMAGE_DIR       where the trees are made     (a new folder under $TMPDIR, removed at the end)
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
sysroot=${RUST_SYSROOT:-$(rustc --print sysroot)}
cargo_home=${CARGO_HOME:-$HOME/.cargo}

if [ "${1:-}" != --inside ]; then
  [ "$(id -u)" -eq 0 ] || { echo "check-image.sh: needs root (chroot and debootstrap)" >&2; exit 2; }
  command -v debootstrap >/dev/null || { echo "check-image.sh: debootstrap is missing: apt-get install debootstrap" >&2; exit 2; }
  work=${IMAGE_DIR:-$(mktemp -d)}
  # The namespaces, and with them every process and mount, have ended before the folder goes.
  cleanup() { [ -n "${IMAGE_DIR:-}" ] || rm -rf --one-file-system "$work"; }
  trap cleanup EXIT
  export DEBIAN_MIRROR=$mirror RUST_SYSROOT=$sysroot CARGO_HOME=$cargo_home
  unshare --mount --pid --fork --kill-child --propagation private "$0" --inside "$work"
  exit
fi

work=$2
mkdir -p "$work/context"
git -C "$root" archive HEAD | tar -x -C "$work/context"
if [ ! -d "$work/base" ]; then
  echo "== debian:12"
  debootstrap --variant=minbase bookworm "$work/base.part" "$mirror" >"$work/debootstrap.log" || { tail "$work/debootstrap.log" >&2; exit 1; }
  mv "$work/base.part" "$work/base"
fi

tree="" workdir=/
declare -A stages=()

# Begins a stage: a tree of its own.
from() {
  case $1 in debian:12 | debian:12-slim) ;; *) echo "check-image.sh: FROM $1: only debian:12 is at hand" >&2; exit 2 ;; esac
  local name=stage${#stages[@]}
  [ "${2:-}" != AS ] || name=$3
  tree=$work/$name workdir=/
  stages[$name]=$tree
  [ ! -e "$tree" ] || rm -rf --one-file-system "$tree"
  cp -a "$work/base" "$tree"
  cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
  mount -t proc proc "$tree/proc"
  mount --rbind /dev "$tree/dev"
  mkdir -p "$tree$workdir"
}

run() {
  if [[ $1 == *sh.rustup.rs* ]]; then
    mkdir -p "$tree/root/.cargo/bin" "$tree/root/toolchain"
    cp -a "$sysroot/." "$tree/root/toolchain/"
    [ ! -d "$cargo_home/registry" ] || cp -a "$cargo_home/registry" "$tree/root/.cargo/"
    echo 'export PATH=/root/toolchain/bin:$PATH' >"$tree/root/.cargo/env"
    return
  fi
  chroot "$tree" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    DEBIAN_FRONTEND=noninteractive /bin/sh -c "cd '$workdir' && $1"
}

copy() {
  local from=$work/context
  if [[ $1 == --from=* ]]; then
    from=${stages[${1#--from=}]}
    shift
  fi
  local target=${*: -1}
  [[ $target == /* ]] || target=$workdir/$target
  local source
  for source in "${@:1:$#-1}"; do
    # As Docker does: of a folder its contents, of a file the file.
    if [ -d "$from/$source" ]; then
      mkdir -p "$tree$target"
      cp -a "$from/$source/." "$tree$target/"
    else
      mkdir -p "$tree$(dirname "$target")"
      cp -a "$from/$source" "$tree$target"
    fi
  done
}

while read -r word rest; do
  echo "== $word $rest"
  start=$SECONDS
  read -ra words <<<"$rest"
  case $word in
    FROM) from "${words[@]}" ;;
    WORKDIR) workdir=$rest && mkdir -p "$tree$workdir" ;;
    COPY) copy "${words[@]}" ;;
    RUN) run "$rest" >"$work/step.log" 2>&1 </dev/null || { tail -n 40 "$work/step.log" >&2; echo "check-image.sh: this step failed: RUN $rest" >&2; exit 1; }
         tail -n 2 "$work/step.log" ;;
    ENTRYPOINT) entrypoint=$(tr -d '[],"' <<<"$rest") ;;
    CMD) ;;
    *) echo "check-image.sh: $word is not understood" >&2; exit 2 ;;
  esac
  [ $((SECONDS - start)) -lt 5 ] || echo "   $((SECONDS - start)) s"
  # A line that ends in a backslash goes on; a comment is none.
done < <(sed -e '/^#/d' "$work/context/Dockerfile" | sed -e ':join' -e '/\\$/{N;s/\\\n[ ]*//;b join' -e '}' -e '/^$/d')

# The image's own program answers, with what is linked into the image, and finds the configuration
# it brings.
echo "== the image"
run "$entrypoint --version"
run "ldd $entrypoint" | { ! grep 'not found'; }
run "test -s /etc/wirepatch/wirepatch.yaml && $entrypoint schema config >/dev/null"
run "$entrypoint test /usr/share/wirepatch/patches" | tail -n 1
du -sh --one-file-system "$tree" | cut -f1
echo "every step of the Dockerfile passed"
