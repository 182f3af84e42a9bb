#!/usr/bin/env bash
# `make bench-scale`: what a change of the configuration costs with many ports.  Everything runs in
# namespaces that end with this script.  benches/README.md says what the figures mean.
#   benches/scale.sh [OPTION of scale.py]...
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
exec "$root/tests/isolated.sh" python3 "$here/scale.py" --json "$root/target/bench-scale.json" "$@"
