#!/usr/bin/env python3
"""A guest without a machine: frames go between the TAP that a switch has and a TAP that is the guest's NIC,
each with its offload header (struct virtio_net_hdr), as between vhost and virtio-net.

    guest.py PORT NAMESPACE      PORT stays here, the guest's eth0 is in the namespace

Both have all offloads.  Says "ready", and of each direction when its first super-frame crosses.
"""
import fcntl
import os
import struct
import subprocess
import sys
import threading

TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
TAP, NO_PI, VNET_HDR = 0x2, 0x1000, 0x4000
# Checksums, TSO for both versions, ECN; and with USO for both.
OFFLOADS = (0x0F | 0x60, 0x0F)
# As qemu has it, with the number of buffers.
HEADER_BYTES = 12


def tap(name):
    """A TAP that ends with this process; its descriptor blocks."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP | NO_PI | VNET_HDR))
    fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", HEADER_BYTES))
    for offloads in OFFLOADS:
        try:
            fcntl.ioctl(fd, TUNSETOFFLOAD, offloads)
            break
        except OSError:
            continue
    return fd


def relay(source, target, direction):
    is_said = False
    while True:
        frame = os.read(source, 70000)
        if frame[1] and not is_said:
            is_said = True
            print("super-frame", direction, flush=True)
        try:
            os.write(target, frame)
        except OSError:
            # The device is down, or being taken away: a NIC drops then too.
            pass


def main():
    port, namespace = sys.argv[1:]
    nic = f"nic{os.getpid()}"
    fds = tap(port), tap(nic)
    subprocess.run(["ip", "link", "set", nic, "netns", namespace, "name", "eth0"], check=True)
    print("ready", flush=True)
    threading.Thread(target=relay, args=(*fds, "to the guest"), daemon=True).start()
    relay(*reversed(fds), "from the guest")


main()
