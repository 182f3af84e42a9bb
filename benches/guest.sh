#!/usr/bin/env bash
# `make bench-guest`: TCP (iperf3) of a real guest through Weft and through the kernel's bridge.  The guest is a
# Linux of Debian in qemu, all offloads on, its NIC a TAP as libvirt plugs it; its processor is emulated.
# Everything runs in namespaces that end with this script.
#   benches/guest.sh [OPTION of guest.py]...
#   WEFTD        the program, instead of building it
#   GUEST_IMAGE  where the guest's kernel and initramfs are kept; made there when they are not
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(dirname "$here")
target=${CARGO_TARGET_DIR:-$root/target}
image=${GUEST_IMAGE:-$target/guest}

missing=()
for program in qemu-system-x86_64 busybox cpio depmod dpkg apt-get iperf3 ovs-vsctl ip python3; do
    command -v "$program" >/dev/null || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "Missing programs: ${missing[*]}; apt-get install qemu-system-x86 busybox-static cpio kmod iperf3" \
        "openvswitch-switch iproute2 python3" >&2
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

"$root/tests/guest_image.sh" "$image"
"$root/tests/isolated.sh" python3 "$here/guest.py" --work "$work" --image "$image" \
    --json "$root/target/bench-guest.json" "$@"
