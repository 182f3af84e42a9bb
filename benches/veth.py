#!/usr/bin/env python3
"""Frames per second that switches forward between two veth pairs, side by side.

    gen g0 === p0 SWITCH p1 === s0 sink        three network namespaces for each switch: gen, sut, sink

The generator is the kernel's live frames (BPF_PROG_TEST_RUN) on core 0, as many as that core can make and
deliver to p0; the switch's forwarding thread has core 1. Counted is what arrives at s0, by the kernel, which
drops it there: it is for another MAC. All switches are up all the time; they take turns in short slices, many
rounds, since the machine is noisy, and are stopped (SIGSTOP) in between. A ratio is the median of the ratios
within a round.

Run by benches/veth.sh, inside namespaces of its own.
"""
import argparse
import ctypes
import json
import os
import signal
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


class Switch:
    """One switch between cables of its own."""

    overhead, process = 0, None

    def __init__(self):
        self.gen, self.sut, self.sink = (f"{place}-{self.name}" for place in ("gen", "sut", "sink"))
        make_topology(self.gen, self.sut, self.sink)

    def pause(self):
        """Its threads do nothing until it goes on."""
        if self.process:
            self.process.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        """Ends the pause."""
        if self.process:
            self.process.process.send_signal(signal.SIGCONT)


class L2fwd(Switch):
    """The raw forwarder on xsk-rs: what AF_XDP alone costs."""

    name, title = "l2fwd", "raw l2fwd (xsk-rs)"

    def __init__(self, args):
        super().__init__()
        self.process = Process(args, self.sut, f"taskset -c {SWITCH_CORE} {args.peer} l2fwd p0 p1")
        soon("l2fwd", lambda: self.process.said("ready"))

    def end(self):
        self.process.end()


class Bridge(Switch):
    """The kernel's bridge. It has no thread: it runs where the softirq runs, on the generator's core."""

    name, title = "bridge", "kernel bridge"

    def __init__(self, args):
        super().__init__()
        run(f"ip -n {self.sut} link add name kbr type bridge")
        for line in ["set kbr up", "set p0 master kbr", "set p1 master kbr"]:
            run(f"ip -n {self.sut} link {line}")

    def end(self):
        run(f"ip -n {self.sut} link del kbr")


class Vswitch(Switch):
    """What ovs-vsctl configures: a bridge of two ports."""

    def __init__(self, args):
        super().__init__()
        self.daemon = self.kind(args, self.sut)
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
            run(f"ip -n {self.sut} link set phy up")
        run(f"ip -n {self.sut} addr add {LOCAL}/24 dev {underlay}")
        run(f"ip -n {self.sut} neigh replace {REMOTE} lladdr {TARGET} dev {underlay}")
        daemon.vsctl(f"{daemon.bridge('br0')} -- {daemon.netdev('p0')} -- add-port br0 t0"
                     f" -- set Interface t0 type={tunnel} options:remote_ip={REMOTE}")
        daemon.check("p0", "t0")
        if underlay == "phy":
            daemon.appctl(f"tnl/neigh/set phy {REMOTE} {TARGET}")
        daemon.appctl(f"fdb/add br0 t0 0 {TARGET}")

    def end(self):
        self.daemon.vsctl("--if-exists del-br br0 -- --if-exists del-br phy")
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


def make_topology(gen, sut, sink):
    """Three namespaces and two cables; nothing of the kernel talks on them."""
    for namespace in (gen, sut, sink):
        run(f"ip netns add {namespace}")
        for which in ("default", "all"):
            inside(namespace, f"sysctl -qw net.ipv6.conf.{which}.disable_ipv6=1")
        run(f"ip -n {namespace} link set lo up")
    run(f"ip link add g0 netns {gen} type veth peer name p0 netns {sut}")
    run(f"ip link add s0 netns {sink} type veth peer name p1 netns {sut}")
    for namespace, port in ((gen, "g0"), (sut, "p0"), (sut, "p1"), (sink, "s0")):
        run(f"ip -n {namespace} link set {port} up")
    # Gives p0 a NAPI without an XDP program: live frames need one, and the bridge has no program.
    inside(sut, "ethtool -K p0 gro on")


def enter(namespace):
    """This process itself goes there (os.setns is of Python 3.12)."""
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, 0):
        raise Failure(f"setns: {os.strerror(ctypes.get_errno())}")
    os.close(descriptor)


def counted(namespace, port):
    """Frames and bytes that have arrived at a port; this process stays there."""
    enter(namespace)
    with open(f"/proc/{os.getpid()}/net/dev", encoding="ascii") as table:
        for line in table:
            if line.strip().startswith(f"{port}:"):
                fields = line.split(":")[1].split()
                return int(fields[1]), int(fields[0])
    raise Failure(f"{port} is gone")


def teach(sink):
    """The sink says who it is, so that the switch need not flood."""
    enter(sink)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("s0", 0))
        mac = bytes.fromhex(TARGET.replace(":", ""))
        raw.send(b"\xff" * 6 + mac + b"\x88\xb5" + bytes(46))


def sample(args, size, switch):
    """One slice: frames per second at the sink, what reached the switch for each of them, processor time of
    the switch per frame, share of time stolen."""
    switch.go_on()
    teach(switch.sink)
    generator = Process(
        args, switch.gen, f"taskset -c {GENERATOR_CORE} {args.peer} flood g0 --size {size} --source {SOURCE} --target {TARGET}")
    try:
        soon("generator", lambda: generator.said("ready"))
        time.sleep(0.2)
        teach(switch.sink)
        time.sleep(0.2)
        cpu = switch.process.cpu_seconds() if switch.process else 0.0
        lost, (offered, _) = stolen(), counted(switch.sut, "p0")
        start, (frames, octets) = time.monotonic(), counted(switch.sink, "s0")
        time.sleep(args.seconds)
        (frames_end, octets_end), secs = counted(switch.sink, "s0"), time.monotonic() - start
        offered = counted(switch.sut, "p0")[0] - offered
        lost = (stolen() - lost) / secs
        cpu = switch.process.cpu_seconds() - cpu if switch.process else 0.0
        generator.said()
    finally:
        generator.end()
        switch.pause()
    frames, octets = frames_end - frames, octets_end - octets
    if frames < 1000:
        raise Failure(f"{switch.name}: {frames} frames arrived in {secs:.1f} s")
    expected = size + switch.overhead
    if abs(octets - frames * expected) > expected * 10:
        raise Failure(f"{switch.name}: {frames} frames of {expected} bytes, but {octets} bytes arrived")
    return {"rate": frames / secs, "offered": offered / frames, "cpu_ns": cpu * 1e9 / frames, "stolen": lost}


class Field:
    """The switches of this run, each up and paused; one that fails is told and left out."""

    def __init__(self):
        self.switches, self.failed = {}, {}

    def attempt(self, name, what):
        """Calls it; what it gives, or nothing and the switch has failed."""
        try:
            return what()
        except Failure as failure:
            self.failed[name] = str(failure)
            print(f"{name}: left out: {failure}", file=sys.stderr, flush=True)
        return None

    def make(self, args):
        """Starts them, one by one."""
        for name in args.only:
            switch = self.attempt(name, lambda name=name: SWITCHES[name](args))
            if switch:
                self.switches[name] = switch
                switch.pause()

    def end(self):
        """Ends them."""
        for name, switch in self.switches.items():
            switch.go_on()
            self.attempt(name, switch.end)


def measure(args, field):
    """{(switch, size): [sample of each round]}."""
    samples, names = {}, list(field.switches)
    for turn in range(args.rounds):
        # Another order each round: who comes after whom must not matter.
        shift = turn % max(len(names), 1)
        for name in names[shift:] + names[:shift]:
            for size in args.sizes:
                if name in field.failed:
                    continue
                got = field.attempt(name, lambda name=name, size=size: sample(args, size, field.switches[name]))
                if got:
                    samples.setdefault((name, size), []).append(got)
                    print(f"round {turn + 1}  {name:16} {size:5} B  {got['rate'] / 1e6:6.3f} Mpps  offered"
                          f" {got['offered']:5.2f} x  {got['cpu_ns']:5.0f} ns  stolen {got['stolen']:.0%}", flush=True)
    return samples


def ratio(samples, name, peer, size, figure="rate"):
    """The median over the rounds of how many times the peer's rate (or processor time) it is."""
    if not comparable(name, peer):
        return None
    pairs = zip(samples.get((name, size), []), samples.get((peer, size), []))
    return median(one[figure] / other[figure] for one, other in pairs if other[figure])


def ovs_peer(name):
    """Which row of Open vSwitch does the same."""
    tunnel = getattr(SWITCHES[name], "tunnel", None)
    return f"ovs-afxdp-{tunnel}" if tunnel else "ovs-afxdp"


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
                value, peer = round(median(one["cpu_ns"] for one in got)), ovs_peer(name)
                share = ratio(samples, name, peer, size, "cpu_ns")
                rows.append({"case": f"{case}/cpu", "value": value, "unit": "ns/frame",
                             "ratio": share and round(share, 3), "peer": share and peer})
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
        head += [f"{size} B Mpps", "x l2fwd", "x bridge", "x OVS", "CPU ns", "CPU x OVS"]
    lines = [head]
    for name in args.only:
        title = SWITCHES[name].title.format(version=args.ovs_version)
        line = [title + (" (failed)" if name in failed else "")]
        for size in args.sizes:
            got = samples.get((name, size), [])
            rate, cpu = median(one["rate"] for one in got), median(one["cpu_ns"] for one in got)
            line.append(f"{rate / 1e6:.3f}" if rate else "-")
            for peer in ("l2fwd", "bridge", ovs_peer(name)):
                share = ratio(samples, name, peer, size)
                line.append(f"{share:.2f}" if share else "-")
            line.append(f"{cpu:.0f}" if cpu else "-")
            share = ratio(samples, name, ovs_peer(name), size, "cpu_ns")
            line.append(f"{share:.2f}" if share else "-")
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
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.6, help="of each slice")
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
    field = Field()
    try:
        field.make(args)
        samples = measure(args, field)
    finally:
        field.end()
    failed = field.failed
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
