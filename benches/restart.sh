#!/usr/bin/env bash
# `make bench-restart`: how long no frame passes while a switch with many NIC ports is restarted, and what adding
# them all in one ovs-vsctl costs; beside stock Open vSwitch.  Everything runs in namespaces that end with this script.
#   benches/restart.sh [OPTION of restart.py]...
#   WEFTD   the program, instead of building it
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(dirname "$here")
target=${CARGO_TARGET_DIR:-$root/target}
cd "$root"
[ -n "${WEFTD:-}" ] || cargo build --quiet --release --locked -p weft-vswitchd
WEFTD=$(readlink -f "${WEFTD:-$target/release/weftd}")
export WEFTD
mkdir -p "$root/target"
exec "$root/tests/isolated.sh" python3 "$here/restart.py" --json "$root/target/bench-restart.json" "$@"
