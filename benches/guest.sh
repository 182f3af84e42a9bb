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

# Debian's kernel for virtual machines, and an initramfs with busybox and iperf3 of this machine.
make_image() {
    local files=$work/files modules version library
    mkdir -p "$work/kernel" "$files"/{bin,dev,lib,lib64,modules,proc,sys,tmp} "$image"
    modules=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
    (cd "$work/kernel" && apt-get -qq -o APT::Sandbox::User=root download "$modules" && dpkg -x ./*.deb .)
    version=$(basename "$work"/kernel/lib/modules/*)
    depmod -b "$work/kernel" "$version"
    local number=100
    modprobe -d "$work/kernel" -S "$version" -a -D virtio_pci virtio_net | awk '!seen[$2]++ {print $2}' |
        while read -r module; do
            cp "$module" "$files/modules/$number-$(basename "$module")"
            number=$((number + 1))
        done
    cp "$(command -v busybox)" "$files/bin/busybox"
    cp "$(command -v iperf3)" "$files/bin/iperf3"
    for library in $(ldd "$(command -v iperf3)" | grep -o '/[^ ]*'); do
        cp "$library" "$files/lib/"
    done
    cp "$files"/lib/ld-linux-*.so.* "$files/lib64/"
    cat >"$files/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin LD_LIBRARY_PATH=/lib
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done
ip link set lo up
ip link set eth0 up
ip addr add "$(sed -n 's/.*address=\([^ ]*\).*/\1/p' /proc/cmdline)" dev eth0
echo GUEST-READY
while :; do iperf3 --server --one-off >/dev/null 2>&1; done
INIT
    chmod +x "$files/init"
    (cd "$files" && find . | cpio -o -H newc --quiet) | gzip -1 >"$image/initramfs"
    cp "$work"/kernel/boot/vmlinuz-* "$image/kernel"
}
[ -s "$image/kernel" ] || make_image

"$root/tests/isolated.sh" python3 "$here/guest.py" --work "$work" --image "$image" \
    --json "$root/target/bench-guest.json" "$@"
