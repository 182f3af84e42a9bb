#!/usr/bin/env bash
# Makes sure that the Debian packages are there which building and testing Weft need.  Says what it
# installs, installs nothing when nothing is missing, and starts no service of what it installs.
#   tests/deps.sh demo    what `make demo` needs
#   tests/deps.sh test    and what the tests need besides
set -euo pipefail

build=(gcc libc6-dev make)
demo=(openvswitch-switch openvswitch-common iproute2 iputils-ping procps tcpdump socat ethtool
    python3-minimal util-linux)
# scapy builds the odd frames that no kernel sends; ifupdown has stanzas of Open vSwitch; systemd runs the
# package's unit; the last four run a guest.
test=(binutils ifupdown iperf3 python3 python3-openvswitch python3-scapy systemd uuid-runtime
    busybox-static cpio kmod qemu-system-x86)

packages=("${build[@]}" "${demo[@]}")
[ "${1:-demo}" = test ] && packages+=("${test[@]}")

if [ "${WEFT_SKIP_DEPS:-}" != 1 ] && ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian-like system.  Install what these Debian packages hold, then try again" >&2
    echo "with WEFT_SKIP_DEPS=1 in the environment:" >&2
    echo "  ${packages[*]}" >&2
    exit 1
fi

if ! command -v cargo >/dev/null; then
    echo "cargo is missing: Weft needs Rust 1.95 or newer, see https://rustup.rs" >&2
    exit 1
fi
[ "${WEFT_SKIP_DEPS:-}" = 1 ] && exit 0

missing=()
for package in "${packages[@]}"; do
    # shellcheck disable=SC2016 # ${Status} is dpkg's.
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "These Debian packages are missing, and only root can install them: ${missing[*]}" >&2
    exit 1
fi
echo "Installing Debian packages: ${missing[*]}"

# Asked by the maintainer scripts whether a service may start: no.  A policy that is already there
# belongs to the machine and is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "Installed: ${missing[*]} (their services were not started)"
