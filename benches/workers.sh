#!/usr/bin/env bash
# `make bench-workers`: TCP (iperf3) between two pairs of containers, with one worker and with two in turn.
# Everything runs in namespaces that end with this script.
#   benches/workers.sh [OPTION of workers.py]...
#   WEFTD   the program, instead of building it
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(dirname "$here")
target=${CARGO_TARGET_DIR:-$root/target}

missing=()
for program in iperf3 ovs-vsctl ovs-appctl ip python3; do
    command -v "$program" >/dev/null || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "Missing programs: ${missing[*]}; apt-get install iperf3 openvswitch-switch iproute2 python3" >&2
    exit 1
fi

cd "$root"
[ -n "${WEFTD:-}" ] || cargo build --quiet --release --locked -p weft-vswitchd
WEFTD=$(readlink -f "${WEFTD:-$target/release/weftd}")
export WEFTD

mkdir -p "$root/target"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Ctrl-C reaches what runs inside too; this script waits for it and cleans up.
trap : HUP INT TERM
"$root/tests/isolated.sh" python3 "$here/workers.py" --work "$work" \
    --json "$root/target/bench-workers.json" "$@"
