#!/usr/bin/env bash
# `make bench-veth`: frames per second through Weft, a raw AF_XDP forwarder, the kernel bridge and OVS
# with AF_XDP ports: the same veth pairs, generator and sink for all.  Everything runs in namespaces that
# end with this script.  benches/README.md says what the figures mean.
#   benches/veth.sh [OPTION of veth.py]...
#   WEFTD, PEER   the programs, instead of building them
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(dirname "$here")
target=${CARGO_TARGET_DIR:-$root/target}

# What xsk-rs needs to build, and the stock switch to compare with.
packages=(m4 clang llvm libclang-dev libelf-dev zlib1g-dev make pkg-config gcc libc6-dev
    openvswitch-switch iproute2 ethtool python3 util-linux)
if [ "${WEFT_SKIP_DEPS:-}" != 1 ] && command -v dpkg-query >/dev/null; then
    missing=()
    for package in "${packages[@]}"; do
        # shellcheck disable=SC2016 # ${Status} is dpkg's.
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "Missing Debian packages; install them first: apt-get install ${missing[*]}" >&2
        exit 1
    fi
fi

cd "$root"
[ -n "${WEFTD:-}" ] || cargo build --quiet --release --locked -p weft-vswitchd
[ -n "${PEER:-}" ] || cargo build --quiet --release --locked -p weft-xskpeer
WEFTD=$(readlink -f "${WEFTD:-$target/release/weftd}")
PEER=$(readlink -f "${PEER:-$target/release/weft-xskpeer}")
export WEFTD PEER

mkdir -p "$root/target"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Ctrl-C reaches what runs inside too; this script waits for it and cleans up.
trap : HUP INT TERM
"$root/tests/isolated.sh" python3 "$here/veth.py" --work "$work" \
    --json "$root/target/bench-veth.json" "$@"
