#!/usr/bin/env bash
# Makes a guest for qemu, unless it is there: Debian's kernel for virtual machines, and an initramfs with busybox and
# iperf3 of this machine.  It takes the address of its NIC from the kernel's command line (address=10.0.0.1/24), says
# GUEST-READY on its console, and serves iperf3 for ever.  Needs the network, for the kernel.
#   tests/guest_image.sh DIRECTORY      makes DIRECTORY/kernel and DIRECTORY/initramfs
set -euo pipefail
image=$1
[ ! -s "$image/initramfs" ] || exit 0
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-guest.XXXXXX")
trap 'rm -rf "$work"' EXIT
files=$work/files
mkdir -p "$image" "$work/kernel" "$files"/{bin,dev,lib,lib64,modules,proc,sys,tmp}

fetch_kernel() {
    local package
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1) &&
        cd "$work/kernel" && apt-get -qq -o APT::Sandbox::User=root download "$package" && dpkg -x ./*.deb .
}
# The lists of packages may be old, or not be there at all.
(fetch_kernel) || { apt-get -qq update && (fetch_kernel); }
version=$(basename "$work"/kernel/lib/modules/*)
depmod -b "$work/kernel" "$version"
number=100
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
cp "$work"/kernel/boot/vmlinuz-* "$image/kernel"
(cd "$files" && find . | cpio -o -H newc --quiet) | gzip -1 >"$work/initramfs"
# The last: when it is there, all is.
mv "$work/initramfs" "$image/initramfs"
