#!/usr/bin/env python3
"""TCP throughput (iperf3) through Weft and through stock OVS with AF_XDP ports, side by side.

    gre, geneve:  host a [internal port | bridge | tunnel] === underlay === host b, one switch on each host
    bridge:       container a === bridge === container b, one switch

Both switches take turns in each round, since the machine is noisy; a ratio is the median of the ratios within
a round.

Run by benches/tcp.sh, inside namespaces of its own.
"""
import argparse
import contextlib
import json
import os
import sys
import time

from switches import Failure, OvsDaemon, Process, WeftDaemon, inside, median, ovs_version, run, soon, stolen

# At least so many times stock OVS.
BARS = {"gre": 2.0, "geneve": 2.0, "bridge": 1.2}
HOSTS = ("a", "b")
UNDERLAY = {"a": "192.0.2.1", "b": "192.0.2.2"}
OVERLAY = {"a": "10.0.0.1", "b": "10.0.0.2"}
# Fits an underlay of 1500 with either tunnel.
TUNNEL_MTU = 1440


@contextlib.contextmanager
def namespaces(*names):
    """Makes them; they go with all that is in them."""
    for name in names:
        run(f"ip netns add {name}")
        for which in ("default", "all"):
            inside(name, f"sysctl -qw net.ipv6.conf.{which}.disable_ipv6=1")
        run(f"ip -n {name} link set lo up")
    try:
        yield
    finally:
        for name in names:
            run(f"ip netns del {name}")


def address(namespace, device, which):
    """Gives the device its address and sets it up."""
    run(f"ip -n {namespace} addr add {which}/24 dev {device}")
    run(f"ip -n {namespace} link set {device} up")


def tunnel(kind, daemon, host, peer):
    """A bridge with an internal port (its own) and one tunnel."""
    if isinstance(daemon, OvsDaemon):
        # A PMD spins on its core: each host's on another, which is best for it here.
        core = HOSTS.index(host)
        daemon.vsctl(f"set Open_vSwitch . other_config:pmd-cpu-mask=0x{1 << core:x}")
        daemon.vsctl(f"{daemon.bridge('phy')} -- {daemon.netdev('u0', 'phy')}")
        daemon.check("u0")
        run(f"ip -n {host} link set u0 up")
        address(host, "phy", UNDERLAY[host])
    else:
        address(host, "u0", UNDERLAY[host])
    key = " options:key=7" if kind == "geneve" else ""
    daemon.vsctl(f"{daemon.bridge('br0')} -- add-port br0 t0 -- set Interface t0 type={kind}"
                 f" options:remote_ip={UNDERLAY[peer]}{key}")
    daemon.check("t0")
    run(f"ip -n {host} link set br0 mtu {TUNNEL_MTU}")
    address(host, "br0", OVERLAY[host])


@contextlib.contextmanager
def hosts(args, make, case):
    """Two hosts with a tunnel between them: their switches."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(namespaces(*HOSTS))
        run("ip link add u0 netns a type veth peer name u0 netns b")
        daemons = []
        for host, peer in zip(HOSTS, reversed(HOSTS)):
            daemon = make(args, host)
            stack.callback(daemon.end)
            stack.callback(daemon.vsctl, "--if-exists del-br br0 -- --if-exists del-br phy")
            daemons.append(daemon)
            tunnel(case, daemon, host, peer)
        yield daemons


@contextlib.contextmanager
def containers(args, make, _case):
    """Two containers at the ports of one bridge: its switch."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(namespaces("sut", *HOSTS))
        daemon = make(args, "sut")
        stack.callback(daemon.end)
        stack.callback(daemon.vsctl, "--if-exists del-br br0")
        for host in HOSTS:
            run(f"ip link add eth0 netns {host} type veth peer name p{host} netns sut")
            run(f"ip -n sut link set p{host} up")
            address(host, "eth0", OVERLAY[host])
            if isinstance(daemon, OvsDaemon):
                # Its documentation asks for this: it cannot finish what a veth peer leaves undone.
                inside(host, "ethtool -K eth0 tx off")
        ports = [daemon.netdev(f"p{host}") for host in HOSTS]
        daemon.vsctl(" -- ".join([daemon.bridge("br0"), *ports]))
        daemon.check("pa", "pb")
        yield [daemon]


CASES = {"gre": hosts, "geneve": hosts, "bridge": containers}
SWITCHES = {"weft": WeftDaemon, "ovs-afxdp": OvsDaemon}


def answers():
    """Whether b answers to a."""
    try:
        inside("a", f"ping -c 1 -W 1 {OVERLAY['b']}")
    except Failure:
        return False
    return True


def transfer(args, daemons):
    """Bits per second that b received, processor seconds per gigabyte of the switches, share of time stolen."""
    soon("ping", answers, 20)
    server = Process(args, "b", "iperf3 --server --one-off --forceflush")
    try:
        soon("iperf3", lambda: server.said("listening"))
        cpu, lost, start = sum(d.process.cpu_seconds() for d in daemons), stolen(), time.monotonic()
        line = f"iperf3 --client {OVERLAY['b']} --time {args.seconds} --json --connect-timeout 5000"
        if args.reverse:
            line += " --reverse"
        told = json.loads(inside("a", f"nice -n -15 {line}"))
        cpu, secs = sum(d.process.cpu_seconds() for d in daemons) - cpu, time.monotonic() - start
        lost = (stolen() - lost) / secs
    finally:
        server.end()
    end = told["end"]
    octets = end["sum_received"]["bytes"]
    if octets < 1 << 20:
        raise Failure(f"only {octets} bytes arrived")
    return {"rate": end["sum_received"]["bits_per_second"], "cpu": cpu * 1e9 / octets, "stolen": lost,
            "retransmits": end["sum_sent"].get("retransmits", 0)}


def measure(args):
    """{(case, switch): [sample of each round]} and what failed."""
    samples, failed = {}, {}
    for turn in range(args.rounds):
        for case in args.cases:
            # Who comes after whom must not matter.
            for name in args.only if turn % 2 == 0 else reversed(args.only):
                try:
                    with CASES[case](args, SWITCHES[name], case) as daemons:
                        got = transfer(args, daemons)
                except Failure as failure:
                    failed[case, name] = str(failure)
                    print(f"{case} through {name}: {failure}", file=sys.stderr, flush=True)
                    continue
                samples.setdefault((case, name), {})[turn] = got
                print(f"round {turn + 1}  {case:7} {name:10} {got['rate'] / 1e9:6.2f} Gbit/s  {got['cpu']:5.2f} CPU s/GB"
                      f"  {got['retransmits']} retransmitted  stolen {got['stolen']:.0%}", flush=True)
    return samples, failed


def ratio(samples, case, value="rate"):
    """The median over the rounds of how many times stock OVS's it is."""
    ours, theirs = (samples.get((case, name), {}) for name in SWITCHES)
    return median(ours[turn][value] / theirs[turn][value] for turn in ours.keys() & theirs.keys())


def figures(args, samples):
    """The rows of the JSON file."""
    rows = []
    for (case, name), got in samples.items():
        share = ratio(samples, case) if name == "weft" else None
        peer = "ovs-afxdp" if share else None
        rows.append({"case": f"{case}/{name}", "value": round(median(one["rate"] for one in got.values())),
                     "unit": "bit/s", "ratio": share and round(share, 3), "peer": peer})
        rows.append({"case": f"{case}/{name}/cpu", "value": round(median(one["cpu"] for one in got.values()), 3),
                     "unit": "s/GB", "ratio": None, "peer": None})
    return rows


def table(args, samples):
    """What people read; whether all bars are met."""
    print(f"\n{'case':8}  {'Weft':>13}  {'OVS ' + args.ovs_version:>13}  {'ratio':>5}  {'bar':>4}  CPU s/GB Weft, OVS")
    met = True
    for case in args.cases:
        rates, costs = ([median(one[value] for one in samples.get((case, name), {}).values()) for name in SWITCHES]
                        for value in ("rate", "cpu"))
        share = ratio(samples, case)
        met &= share is not None and share >= BARS[case]
        cells = [f"{rate / 1e9:6.2f} Gbit/s" if rate else "-" for rate in rates]
        print(f"{case:8}  {cells[0]:>13}  {cells[1]:>13}  {share or 0:5.2f}  {BARS[case]:4.1f}  "
              + ", ".join(f"{cost:.2f}" if cost else "-" for cost in costs))
    print("all bars met" if met else "NOT all bars met")
    return met


def main():
    """Measures, writes the file, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, help="directory for sockets and logs")
    parser.add_argument("--json", required=True, help="file for the figures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--only", nargs="+", choices=SWITCHES, default=list(SWITCHES))
    parser.add_argument("--reverse", action="store_true", help="send from b to a")
    parser.add_argument("--strict", action="store_true", help="fail when a bar is not met")
    args = parser.parse_args()
    args.weftd, args.ovs_version = os.environ["WEFTD"], ovs_version()
    busy = os.getloadavg()[0]
    if busy > 0.5:
        print(f"this machine is busy (load {busy:.1f}): expect unsteady figures, quiet it and run again")
    samples, failed = measure(args)
    with open(args.json, "w", encoding="utf-8") as file:
        json.dump(figures(args, samples), file, indent=1)
        file.write("\n")
    met = table(args, samples)
    print(f"figures in {os.path.relpath(args.json)}; medians of {args.rounds} rounds: read ratios, not absolutes")
    return 1 if failed or (args.strict and not met) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench-tcp: {failure}")
