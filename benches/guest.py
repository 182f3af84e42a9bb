#!/usr/bin/env python3
"""TCP throughput (iperf3) of a real guest through Weft and through the kernel's bridge, side by side.

    guest [virtio-net, all offloads] === TAP | bridge | veth === container

The guest stays; its TAP and the container's veth are ports of one switch, then of the other, in each round.

Run by benches/guest.sh, inside namespaces of its own.
"""
import argparse
import contextlib
import json
import os
import sys

from switches import Failure, Process, WeftDaemon, inside, median, run, soon
from tcp import namespaces

# At least so many times the kernel's bridge.
BAR = 0.5
GUEST, PEER = "10.0.0.1", "10.0.0.2"
PORTS = ("vnet0", "veth0")


@contextlib.contextmanager
def machine(args):
    """The guest, booted."""
    console = os.path.join(args.work, "console")
    line = (f"qemu-system-x86_64 -machine q35 -accel tcg -cpu max -m 512 -display none -no-reboot"
            f" -kernel {args.image}/kernel -initrd {args.image}/initramfs -serial file:{console} -monitor none"
            " -netdev tap,id=nic,ifname=vnet0,script=no,downscript=no -device virtio-net-pci,netdev=nic"
            f" -append console=ttyS0\\squiet\\spanic=1\\saddress={GUEST}/24")
    with contextlib.ExitStack() as stack:
        run("ip -n sut tuntap add vnet0 mode tap vnet_hdr")
        words = [word.replace("\\s", " ") for word in line.split()]
        qemu = Process(args, "sut", line, words=words)
        stack.callback(qemu.end)

        def ready():
            qemu.said()
            with contextlib.suppress(OSError), open(console, encoding="utf-8", errors="replace") as text:
                return "GUEST-READY" in text.read()
            return False

        soon("the guest", ready, 180)
        yield


@contextlib.contextmanager
def kernel_bridge(_args):
    """The kernel's."""
    run("ip -n sut link add kbr0 up type bridge")
    try:
        for port in PORTS:
            run(f"ip -n sut link set {port} master kbr0 up")
        yield
    finally:
        run("ip -n sut link del kbr0")


@contextlib.contextmanager
def weft(args):
    """Ours."""
    daemon = WeftDaemon(args, "sut")
    try:
        daemon.vsctl(" -- ".join(["add-br br0", *(daemon.netdev(port) for port in PORTS)]))
        daemon.check(*PORTS)
        yield
        daemon.vsctl("del-br br0")
    finally:
        daemon.end()


SWITCHES = {"bridge": kernel_bridge, "weft": weft}
DIRECTIONS = {"guest sends": "--reverse", "guest receives": ""}


def answers():
    """Whether the guest answers."""
    with contextlib.suppress(Failure):
        inside("peer", f"ping -c 1 -W 1 {GUEST}")
        return True
    return False


def transfer(args, options):
    """Bits per second that arrived, and segments sent again."""
    line = f"iperf3 --client {GUEST} --time {args.seconds} --json --connect-timeout 5000 {options}"
    told = []

    def done():
        # The guest may not have started its server again.
        with contextlib.suppress(Failure):
            end = json.loads(inside("peer", f"nice -n -15 {line}"))["end"]
            told.extend([end] if "sum_received" in end else [])
        return told

    soon("iperf3", done, 60)
    return {"rate": told[0]["sum_received"]["bits_per_second"], "retransmits": told[0]["sum_sent"]["retransmits"]}


def measure(args):
    """{(direction, switch): [sample of each round]}"""
    samples = {}
    for turn in range(args.rounds):
        for name in SWITCHES if turn % 2 == 0 else reversed(SWITCHES):
            with SWITCHES[name](args):
                soon("ping", answers, 20)
                for direction, options in DIRECTIONS.items():
                    got = transfer(args, options)
                    samples.setdefault((direction, name), []).append(got)
                    print(f"round {turn + 1}  {direction:14}  {name:6} {got['rate'] / 1e6:7.0f} Mbit/s"
                          f"  {got['retransmits']} sent again", flush=True)
    return samples


def table(args, samples):
    """What people read, and the rows of the JSON file; whether the bar is met."""
    rows, met = [], True
    print(f"\n{'':14}  {'kernel bridge':>13}  {'Weft':>13}  ratio")
    for direction in DIRECTIONS:
        theirs, ours = ([one["rate"] for one in samples[direction, name]] for name in SWITCHES)
        ratio = median(mine / other for mine, other in zip(ours, theirs))
        met &= ratio >= BAR
        cells = [f"{median(rates) / 1e6:6.0f} Mbit/s" for rates in (theirs, ours)]
        print(f"{direction:14}  {cells[0]:>13}  {cells[1]:>13}  {ratio:5.2f}")
        rows.append({"case": direction.replace(" ", "-"), "value": round(median(ours)), "unit": "bit/s",
                     "ratio": round(ratio, 3), "peer": "kernel bridge"})
    with open(args.json, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")
    print(f"the bar of {BAR} is met" if met else f"the bar of {BAR} is NOT met")
    return met


def main():
    """Measures, writes the file, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, help="directory for sockets and logs")
    parser.add_argument("--image", required=True, help="directory with the guest's kernel and initramfs")
    parser.add_argument("--json", required=True, help="file for the figures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--strict", action="store_true", help="fail when the bar is not met")
    args = parser.parse_args()
    args.weftd = os.environ["WEFTD"]
    with namespaces("sut", "peer"):
        run("ip link add veth0 netns sut type veth peer name eth0 netns peer")
        run(f"ip -n peer addr add {PEER}/24 dev eth0")
        run("ip -n peer link set eth0 up")
        run("ip -n sut link set veth0 up")
        with machine(args):
            run("ip -n sut link set vnet0 up")
            met = table(args, measure(args))
    return 1 if args.strict and not met else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench-guest: {failure}")
