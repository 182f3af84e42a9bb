#!/usr/bin/env bash
# Runs a command in network, mount and process namespaces of its own: nothing that it makes can
# reach a real interface, meet a namespace of the same name, or outlive it, however it ends.
#   tests/isolated.sh COMMAND [ARGUMENT...]
set -euo pipefail
if [ "${WEFT_ISOLATED:-}" != 1 ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "$(basename "$0"): needs root, to make network namespaces" >&2
        exit 1
    fi
    export WEFT_ISOLATED=1
    exec unshare --net --mount --pid --fork --kill-child --mount-proc -- \
        bash "$(readlink -f "$0")" "$@"
fi
unset WEFT_ISOLATED
# Named namespaces, pinned BPF objects and /sys/class/net are those of this place alone.
mkdir -p /run/netns
mount -t tmpfs weft /run/netns
mount -t sysfs weft /sys
mount -t bpf weft /sys/fs/bpf 2>/dev/null || true
ip link set lo up
"$@"
