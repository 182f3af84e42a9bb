#!/usr/bin/env python3
"""TCP throughput (iperf3) between two pairs of containers at once, with one worker and with two.

    container a0 === bridge === container b0
    container a1 ===        === container b1

Both numbers of workers take turns in each round, since the machine is noisy; the ratio is the median of the ratios
within a round.

Run by benches/workers.sh, inside namespaces of its own.
"""
import argparse
import contextlib
import json
import os
import subprocess
import sys

from switches import Failure, Process, WeftDaemon, inside, median, run, soon
from tcp import address, namespaces

# With two workers at least so many times what one has.
BAR = 1.0
PAIRS = (0, 1)
MASKS = {"one": "0x1", "two": "0x3"}


@contextlib.contextmanager
def switch(args):
    """Two pairs of containers at the ports of one bridge: its switch."""
    with contextlib.ExitStack() as stack:
        names = [f"{side}{pair}" for pair in PAIRS for side in "ab"]
        stack.enter_context(namespaces("sut", *names))
        daemon = WeftDaemon(args, "sut")
        stack.callback(daemon.end)
        stack.callback(daemon.vsctl, "--if-exists del-br br0")
        daemon.vsctl(daemon.bridge("br0"))
        for number, name in enumerate(names):
            # Ports are dealt out in the order of their names: all that send to one worker, all that receive to the other.
            port = f"p{number}"
            run(f"ip link add eth0 netns {name} type veth peer name {port} netns sut")
            run(f"ip -n sut link set {port} up")
            address(name, "eth0", f"10.0.0.{number + 1}")
            daemon.vsctl(f"add-port br0 {port}")
            daemon.check(port)
        yield daemon


def answers(pair):
    """Whether b of a pair answers to a."""
    try:
        inside(f"a{pair}", f"ping -c 1 -W 1 10.0.0.{2 * pair + 2}")
    except Failure:
        return False
    return True


def drops(daemon):
    """Frames that were not sent, over all ports."""
    lines = [f"--if-exists get Interface p{number} statistics:tx_dropped" for number in range(2 * len(PAIRS))]
    return sum(int(words) for words in daemon.vsctl(" -- ".join(lines)).split())


def transfer(args, daemon, mask):
    """Bits per second that both b received together, and retransmissions."""
    daemon.vsctl(f"set Open_vSwitch . other_config:pmd-cpu-mask={mask}")
    clients, servers = [], []
    try:
        for pair in PAIRS:
            soon("ping", lambda pair=pair: answers(pair), 20)
            servers.append(Process(args, f"b{pair}", "iperf3 --server --one-off --forceflush"))
            soon("iperf3", lambda: servers[-1].said("listening"))
        for pair in PAIRS:
            line = (f"nice -n -15 nsenter --net=/run/netns/a{pair} iperf3 --client 10.0.0.{2 * pair + 2} --omit {args.omit}"
                    f" --time {args.seconds} --json --connect-timeout 5000")
            clients.append(subprocess.Popen(line.split(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True))
        ends = [json.loads(client.communicate()[0])["end"] for client in clients]
    finally:
        for process in servers:
            process.end()
    return {"rate": sum(end["sum_received"]["bits_per_second"] for end in ends),
            "retransmits": sum(end["sum_sent"].get("retransmits", 0) for end in ends)}


def measure(args, daemon):
    """{number of workers: [sample of each round]}."""
    samples = {}
    for turn in range(args.rounds):
        # Who comes after whom must not matter.
        for name in MASKS if turn % 2 == 0 else reversed(MASKS):
            before = drops(daemon)
            got = transfer(args, daemon, MASKS[name])
            samples.setdefault(name, []).append(got)
            print(f"round {turn + 1}  {name} worker{'s' * (name == 'two')}  {got['rate'] / 1e9:6.2f} Gbit/s"
                  f"  {got['retransmits']} retransmitted, {drops(daemon) - before} dropped", flush=True)
            if args.show:
                print(daemon.appctl("dpif-netdev/pmd-rxq-show"), daemon.appctl("weft/drops"), sep="")
    return samples


def main():
    """Measures, writes the file, prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, help="directory for sockets and logs")
    parser.add_argument("--json", required=True, help="file for the figures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--omit", type=int, default=4, help="seconds before it, in which ports find their workers")
    parser.add_argument("--show", action="store_true", help="who has which port, and what was dropped")
    parser.add_argument("--strict", action="store_true", help="fail when the bar is not met")
    args = parser.parse_args()
    args.weftd = os.environ["WEFTD"]
    busy = os.getloadavg()[0]
    if busy > 0.5:
        print(f"this machine is busy (load {busy:.1f}): expect unsteady figures, quiet it and run again")
    with switch(args) as daemon:
        samples = measure(args, daemon)
    rates = {name: [one["rate"] for one in got] for name, got in samples.items()}
    share = median(two / one for one, two in zip(rates["one"], rates["two"]))
    with open(args.json, "w", encoding="utf-8") as file:
        json.dump([{"case": f"workers/{name}", "value": round(median(rates[name])), "unit": "bit/s",
                    "ratio": round(share, 3) if name == "two" else None, "peer": "one" if name == "two" else None}
                   for name in MASKS], file, indent=1)
        file.write("\n")
    print(f"two workers: {share:.2f} x one, bar {BAR:.1f}{'' if share >= BAR else ', MISSED'}; one {median(rates['one']) / 1e9:.2f}"
          f" Gbit/s, two {median(rates['two']) / 1e9:.2f}; medians of {args.rounds} rounds")
    return 1 if args.strict and share < BAR else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench-workers: {failure}")
