#!/usr/bin/env bash
# Shows wirepatch at work between real clients and real servers, in network namespaces of its own.
#   deploy/demo.sh [--driver tap|af_packet|af_xdp] [--layout run_to_completion|rings]
# tap and af_packet need no root where user namespaces are allowed; af_xdp needs root.
set -euo pipefail
exec python3 "$(dirname "$0")/lab/demo.py" "$@"
