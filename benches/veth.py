#!/usr/bin/env python3
"""Frames per second that switches forward between two veth pairs, side by side.

    gen g0 === p0 SWITCH p1 === s0 sink        three network namespaces: gen, sut, sink

The generator is the kernel's live frames (BPF_PROG_TEST_RUN) on core 0, some Mpps, far more than anybody
forwards; the switch's forwarding thread has core 1. Counted is what arrives at s0, by the kernel, which drops
it there: it is for another MAC. The switches take turns, several rounds, since the machine is noisy; a ratio
is the median of the ratios within a round.

Run by benches/veth.sh, inside namespaces of its own.
"""
import argparse
import ctypes
import json
import os
import socket
import sys
import time

from switches import Failure, OvsDaemon, Process, WeftDaemon, inside, median, ovs_version, run, soon, stolen

GENERATOR_CORE, SWITCH_CORE = 0, 1
SOURCE, TARGET = "02:00:00:00:00:01", "02:00:00:00:00:02"
# (switch, at least so many times this peer)
BARS = [("weft", "l2fwd", 0.9), ("weft", "ovs-afxdp", 1.0)]
# What a tunnel puts in front of a frame, in bytes; p1 is the underlay then.
TUNNELS = {"gre": 38, "geneve": 50, "vxlan": 50}
BARS += [(f"weft-{kind}", f"ovs-afxdp-{kind}", 1.0) for kind in TUNNELS]
LOCAL, REMOTE = "192.0.2.1", "192.0.2.2"


class L2fwd:
    """The raw forwarder on xsk-rs: what AF_XDP alone costs."""

    name, title, overhead = "l2fwd", "raw l2fwd (xsk-rs)", 0

    def __init__(self, args):
        self.process = Process(args, "sut", f"taskset -c {SWITCH_CORE} {args.peer} l2fwd p0 p1")
        soon("l2fwd", lambda: self.process.said("ready"))

    def end(self):
        self.process.end()


class Bridge:
    """The kernel's bridge. It has no thread: it runs where the softirq runs, on the generator's core."""

    name, title, overhead = "bridge", "kernel bridge", 0
    process = None

    def __init__(self, args):
        run("ip -n sut link add name kbr type bridge")
        for line in ["set kbr up", "set p0 master kbr", "set p1 master kbr"]:
            run(f"ip -n sut link {line}")

    def end(self):
        run("ip -n sut link del kbr")


class Vswitch:
    """What ovs-vsctl configures: a bridge of two ports."""

    overhead = 0

    def __init__(self, args):
        self.daemon = self.kind(args, "sut")
        self.process = self.daemon.process
        try:
            self.configure()
        except Failure:
            self.end()
            raise

    def configure(self):
        """The same commands for both, but for the type of the ports."""
        self.daemon.vsctl(f"set Open_vSwitch . other_config:pmd-cpu-mask=0x{1 << SWITCH_CORE:x}")
        ports = [self.daemon.netdev(port) for port in ("p0", "p1")]
        self.daemon.vsctl(" -- ".join([self.daemon.bridge("br0"), *ports]))
        self.daemon.check("p0", "p1")

    def end(self):
        self.daemon.vsctl("--if-exists del-br br0")
        self.daemon.end()


class Ovs(Vswitch):
    """Stock OVS, userspace datapath, AF_XDP ports."""

    name, title, kind = "ovs-afxdp", "OVS {version}, AF_XDP ports", OvsDaemon


class Weft(Vswitch):
    """The switch of this repository."""

    name, title, kind = "weft", "Weft", WeftDaemon


class Encap(Vswitch):
    """A bridge of p0 and a tunnel through p1; the sink is the next hop, under the target's address."""

    def configure(self):
        daemon, tunnel = self.daemon, self.tunnel
        daemon.vsctl(f"set Open_vSwitch . other_config:pmd-cpu-mask=0x{1 << SWITCH_CORE:x}")
        underlay = "p1"
        if isinstance(daemon, OvsDaemon):
            underlay = "phy"
            daemon.vsctl(f"{daemon.bridge('phy')} -- {daemon.netdev('p1', 'phy')}")
            daemon.check("p1")
            run("ip -n sut link set phy up")
        run(f"ip -n sut addr add {LOCAL}/24 dev {underlay}")
        run(f"ip -n sut neigh replace {REMOTE} lladdr {TARGET} dev {underlay}")
        daemon.vsctl(f"{daemon.bridge('br0')} -- {daemon.netdev('p0')} -- add-port br0 t0"
                     f" -- set Interface t0 type={tunnel} options:remote_ip={REMOTE}")
        daemon.check("p0", "t0")
        if underlay == "phy":
            daemon.appctl(f"tnl/neigh/set phy {REMOTE} {TARGET}")
        daemon.appctl(f"fdb/add br0 t0 0 {TARGET}")

    def end(self):
        self.daemon.vsctl("--if-exists del-br br0 -- --if-exists del-br phy")
        run("ip -n sut addr flush dev p1")
        run("ip -n sut neigh flush nud permanent dev p1")
        self.daemon.end()


def encap(base, tunnel):
    """The class of a switch with such a tunnel."""
    return type(f"{base.__name__}{tunnel}", (Encap,), {
        "name": f"{base.name}-{tunnel}", "title": f"{base.title}, {tunnel} encap", "kind": base.kind,
        "tunnel": tunnel, "overhead": TUNNELS[tunnel]})


SWITCHES = {kind.name: kind for kind in (
    Weft, L2fwd, Bridge, Ovs, *(encap(base, tunnel) for tunnel in TUNNELS for base in (Weft, Ovs)))}


def comparable(name, peer):
    """Whether both do the same: a row with a tunnel has one peer, with the same tunnel."""
    return name != peer and SWITCHES[name].overhead == SWITCHES[peer].overhead and \
        getattr(SWITCHES[name], "tunnel", None) == getattr(SWITCHES[peer], "tunnel", None)


def make_topology():
    """Three namespaces and two cables; nothing of the kernel talks on them."""
    for namespace in ("gen", "sut", "sink"):
        run(f"ip netns add {namespace}")
        for which in ("default", "all"):
            inside(namespace, f"sysctl -qw net.ipv6.conf.{which}.disable_ipv6=1")
        run(f"ip -n {namespace} link set lo up")
    run("ip link add g0 netns gen type veth peer name p0 netns sut")
    run("ip link add s0 netns sink type veth peer name p1 netns sut")
    for namespace, port in (("gen", "g0"), ("sut", "p0"), ("sut", "p1"), ("sink", "s0")):
        run(f"ip -n {namespace} link set {port} up")
    # Gives p0 a NAPI without an XDP program: live frames need one, and the bridge has no program.
    inside("sut", "ethtool -K p0 gro on")


def enter(namespace):
    """This process itself goes there (os.setns is of Python 3.12)."""
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, 0):
        raise Failure(f"setns: {os.strerror(ctypes.get_errno())}")
    os.close(descriptor)


def counted():
    """Frames and bytes that have arrived at the sink."""
    with open(f"/proc/{os.getpid()}/net/dev", encoding="ascii") as table:
        for line in table:
            if line.strip().startswith("s0:"):
                fields = line.split(":")[1].split()
                return int(fields[1]), int(fields[0])
    raise Failure("s0 is gone")


def teach():
    """The sink says who it is, so that the switch need not flood."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("s0", 0))
        mac = bytes.fromhex(TARGET.replace(":", ""))
        raw.send(b"\xff" * 6 + mac + b"\x88\xb5" + bytes(46))


def sample(args, size, switch):
    """Frames per second at the sink, processor time per frame of the switch, share of time stolen."""
    teach()
    generator = Process(
        args, "gen", f"taskset -c {GENERATOR_CORE} {args.peer} flood g0 --size {size} --source {SOURCE} --target {TARGET}")
    try:
        soon("generator", lambda: generator.said("ready"))
        time.sleep(0.7)
        teach()
        cpu = switch.process.cpu_seconds() if switch.process else 0.0
        lost, start, (frames, octets) = stolen(), time.monotonic(), counted()
        time.sleep(args.seconds)
        (frames_end, octets_end), secs = counted(), time.monotonic() - start
        lost = (stolen() - lost) / secs
        cpu = switch.process.cpu_seconds() - cpu if switch.process else 0.0
        generator.said()
    finally:
        generator.end()
    frames, octets = frames_end - frames, octets_end - octets
    if frames < 1000:
        raise Failure(f"{switch.name}: {frames} frames arrived in {secs:.1f} s")
    expected = size + switch.overhead
    if abs(octets - frames * expected) > expected * 10:
        raise Failure(f"{switch.name}: {frames} frames of {expected} bytes, but {octets} bytes arrived")
    return {"rate": frames / secs, "cpu_ns": cpu * 1e9 / frames, "stolen": lost}


def free_ports():
    """Waits until no program is left on the ports: the kernel lets go a moment after the end."""
    soon("XDP programs to go", lambda: "xdp" not in run("ip -n sut link show"), 5)
    time.sleep(0.3)


def measure(args):
    """{(switch, size): [sample of each round]}; a switch that fails is told and left out."""
    samples, names, failed = {}, list(args.only), {}
    for turn in range(args.rounds):
        # Another order each round: who comes after whom must not matter.
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            if name in failed:
                continue
            try:
                free_ports()
                switch = SWITCHES[name](args)
                try:
                    for size in args.sizes:
                        got = sample(args, size, switch)
                        samples.setdefault((name, size), []).append(got)
                        print(f"round {turn + 1}  {name:16} {size:5} B  {got['rate'] / 1e6:6.3f} Mpps"
                              f"  stolen {got['stolen']:.0%}", flush=True)
                finally:
                    switch.end()
            except Failure as failure:
                failed[name] = str(failure)
                print(f"{name}: left out: {failure}", file=sys.stderr, flush=True)
    return samples, failed


def ratio(samples, name, peer, size):
    """The median over the rounds of how many times the peer's rate it is."""
    if not comparable(name, peer):
        return None
    pairs = zip(samples.get((name, size), []), samples.get((peer, size), []))
    return median(one["rate"] / other["rate"] for one, other in pairs)


def figures(args, samples):
    """The rows of the JSON file."""
    rows = []
    for name in args.only:
        for size in args.sizes:
            got = samples.get((name, size))
            if not got:
                continue
            case = f"{name}/{size}"
            rate = round(median(one["rate"] for one in got))
            peers = [peer for peer in args.only if comparable(name, peer) and (peer, size) in samples]
            for peer in peers or [None]:
                share = ratio(samples, name, peer, size) if peer else None
                rows.append({"case": case, "value": rate, "unit": "frames/s",
                             "ratio": share and round(share, 3), "peer": peer})
            if SWITCHES[name] is not Bridge:
                value = round(median(one["cpu_ns"] for one in got))
                rows.append({"case": f"{case}/cpu", "value": value, "unit": "ns/frame", "ratio": None, "peer": None})
    return rows


def bars(args, samples):
    """What was promised, and whether it is so: [(text, met)]."""
    said = []
    for name, peer, least in BARS:
        for size in args.sizes:
            got = ratio(samples, name, peer, size)
            if got is not None:
                met = got >= least
                said.append((f"{name} / {peer} at {size} B: {got:.2f}, bar {least:.2f}: "
                             f"{'met' if met else 'NOT met'}", met))
    return said


def table(args, samples, failed):
    """What people read."""
    head = ["switch"]
    for size in args.sizes:
        head += [f"{size} B Mpps", "x l2fwd", "x bridge", "x OVS", "CPU ns"]
    lines = [head]
    for name in args.only:
        title = SWITCHES[name].title.format(version=args.ovs_version)
        line = [title + (" (failed)" if name in failed else "")]
        for size in args.sizes:
            got = samples.get((name, size), [])
            rate, cpu = median(one["rate"] for one in got), median(one["cpu_ns"] for one in got)
            line.append(f"{rate / 1e6:.3f}" if rate else "-")
            tunnel = getattr(SWITCHES[name], "tunnel", None)
            for peer in ("l2fwd", "bridge", f"ovs-afxdp-{tunnel}" if tunnel else "ovs-afxdp"):
                share = ratio(samples, name, peer, size)
                line.append(f"{share:.2f}" if share else "-")
            line.append(f"{cpu:.0f}" if cpu else "-")
        lines.append(line)
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = [cell.ljust(width) if index == 0 else cell.rjust(width)
                 for index, (cell, width) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())


def main():
    """Measures, writes the file, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, help="directory for sockets and logs")
    parser.add_argument("--json", required=True, help="file for the figures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 1400])
    parser.add_argument("--only", nargs="+", choices=SWITCHES, default=list(SWITCHES))
    parser.add_argument("--strict", action="store_true", help="fail when a bar is not met")
    args = parser.parse_args()
    args.peer, args.weftd = os.environ["PEER"], os.environ["WEFTD"]
    args.ovs_version = ovs_version()
    if (os.cpu_count() or 1) < 2:
        raise Failure("two cores are needed: one for the generator, one for the switch")
    busy = os.getloadavg()[0]
    if busy > 0.5:
        print(f"this machine is busy (load {busy:.1f}): expect unsteady figures, quiet it and run again")
    make_topology()
    # From here on this process sees the sink's counters.
    enter("sink")
    samples, failed = measure(args)
    with open(args.json, "w", encoding="utf-8") as file:
        json.dump(figures(args, samples), file, indent=1)
        file.write("\n")
    print(f"\nfigures in {os.path.relpath(args.json)}; ratios, and medians of {args.rounds} rounds: absolute"
          " values hold on this machine only, and say nothing of a NIC")
    said = bars(args, samples)
    for text, _ in said:
        print(text)
    print()
    table(args, samples, failed)
    return 1 if failed or (args.strict and not all(met for _, met in said)) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench-veth: {failure}")
