#!/usr/bin/env python3
"""What a change of the configuration costs with many ports; see scale.sh and README.md."""

import argparse
import fcntl
import glob
import json
import os
import resource
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

CHUNK = 500


def sh(line):
    """Runs a command; its output."""
    done = subprocess.run(line, shell=True, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{line}: {done.stdout}{done.stderr}")
    return done.stdout


class Switch:
    """A weftd with a run directory of its own, and optionally a stock ovsdb-server beside it."""

    def __init__(self, weftd, stock_server, bridge="br0"):
        self.weftd, self.stock_server, self.bridge = weftd, stock_server, bridge
        self.dir = tempfile.mkdtemp(prefix="weft-scale.")
        self.db = f"unix:{self.dir}/db.sock"
        self.server = None
        if stock_server:
            sh(f"ovsdb-tool create {self.dir}/conf.db /usr/share/openvswitch/vswitch.ovsschema")
            self.server = subprocess.Popen(
                ["ovsdb-server", f"{self.dir}/conf.db", f"--remote=punix:{self.dir}/db.sock",
                 f"--unixctl={self.dir}/server.ctl", "-vconsole:off"])
            self.soon(lambda: os.path.exists(f"{self.dir}/db.sock"))
            sh(f"ovs-vsctl --db={self.db} --no-wait init")
        self.start()
        # Its sockets are there a moment before they are served.
        self.vsctl("get Open_vSwitch . ovs_version")

    def start(self):
        """Starts the daemon; returns when it serves."""
        database = ["--ovsdb", self.db] if self.stock_server else ["--db", f"{self.dir}/conf.db"]
        self.process = subprocess.Popen(
            [self.weftd, "--rundir", self.dir, f"--pidfile={self.dir}/weftd.pid",
             f"--log-file={self.dir}/weftd.log", *database],
            stderr=subprocess.DEVNULL)
        with_pid = f"{self.dir}/ovs-vswitchd.{self.process.pid}.ctl"
        self.soon(lambda: os.path.exists(with_pid) and os.path.exists(f"{self.dir}/db.sock"))

    def soon(self, is_true, limit=60):
        """Waits until something is so."""
        until = time.monotonic() + limit
        while not is_true():
            if time.monotonic() > until or (
                    getattr(self, "process", None) and self.process.poll() is not None):
                raise SystemExit(f"waited in vain; see {self.dir}/weftd.log")
            time.sleep(0.005)

    def vsctl(self, line, wait=True):
        """The stock ovs-vsctl; its output."""
        return sh(f"ovs-vsctl --db={self.db} --timeout=60 {'' if wait else '--no-wait '}{line}")

    def cpu_ms(self):
        """Processor time of all threads so far: {thread name: milliseconds}."""
        times = {}
        for task in glob.glob(f"/proc/{self.process.pid}/task/*"):
            with open(f"{task}/schedstat") as stat, open(f"{task}/comm") as name:
                is_main = task.endswith(f"/{self.process.pid}")
                name = "main" if is_main else name.read().strip()
                times[name] = times.get(name, 0) + int(stat.read().split()[0]) / 1e6
        return times

    def fds(self):
        """Open descriptors."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def fill(self, first, count, kind):
        """Adds ports to the bridge, through the protocol: one transaction each CHUNK.  Patch ports have
        no other ends, so that no frame goes round in circles."""
        for start in range(first, first + count, CHUNK):
            self.transact(start, min(CHUNK, first + count - start), kind)

    def transact(self, start, count, kind):
        operations, names = [], []
        for number in range(start, start + count):
            interface = {"name": f"p{number}", "type": kind}
            if kind == "patch":
                interface["options"] = ["map", [["peer", f"q{number}"]]]
            elif kind == "gre":
                interface["options"] = ["map", [["remote_ip", "10.9.0.2"], ["key", str(number)]]]
            port = {"name": f"p{number}", "interfaces": ["named-uuid", f"i{number}"]}
            operations.append({"op": "insert", "table": "Interface", "row": interface,
                               "uuid-name": f"i{number}"})
            operations.append({"op": "insert", "table": "Port", "row": port,
                               "uuid-name": f"p{number}"})
            names.append(["named-uuid", f"p{number}"])
        operations.append({"op": "mutate", "table": "Bridge", "where": [["name", "==", self.bridge]],
                           "mutations": [["ports", "insert", ["set", names]]]})
        operations.append({"op": "mutate", "table": "Open_vSwitch", "where": [],
                           "mutations": [["next_cfg", "+=", 1]]})
        request = {"id": 1, "method": "transact", "params": ["Open_vSwitch", *operations]}
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{self.dir}/db.sock")
            client.sendall(json.dumps(request).encode())
            text = b""
            while True:
                text += client.recv(1 << 16)
                try:
                    reply = json.loads(text)
                    break
                except ValueError:
                    continue
        errors = [result for result in reply["result"] if result and "error" in result]
        if reply["error"] or errors:
            raise SystemExit(f"filling: {reply['error']} {errors}")

    def settle(self):
        """Waits until the daemon is done with what was configured, and idle."""
        self.vsctl("set Open_vSwitch . external_ids:bench=1")
        self.vsctl("remove Open_vSwitch . external_ids bench")
        # Rows and statistics that follow.
        while True:
            before = sum(self.cpu_ms().values())
            time.sleep(0.5)
            if sum(self.cpu_ms().values()) - before < 10:
                return

    def stop(self):
        """Ends everything."""
        self.process.terminate()
        self.process.wait()
        if self.server:
            self.server.terminate()
            self.server.wait()
        shutil.rmtree(self.dir)


def measure(switch, line):
    """One ovs-vsctl: wall milliseconds, and weftd's by thread."""
    before = switch.cpu_ms()
    start = time.monotonic()
    switch.vsctl(line)
    wall = (time.monotonic() - start) * 1e3
    after = switch.cpu_ms()
    return wall, {name: after[name] - before.get(name, 0) for name in after}


def bare_taps(count):
    """Seconds that the kernel takes for so many TAPs, with nothing else."""
    start = time.monotonic()
    taps = []
    for number in range(count):
        taps.append(os.open("/dev/net/tun", os.O_RDWR))
        # TUNSETIFF with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, as the switch has them.
        fcntl.ioctl(taps[-1], 0x400454CA, struct.pack("16sH22x", f"bare{number}".encode(), 0x5002))
    took = time.monotonic() - start
    for tap in taps:
        os.close(tap)
    return round(took, 2)


def adds(args, ports, stock_server, kind):
    """Adds and removes single ports on a bridge with so many."""
    switch = Switch(args.weftd, stock_server)
    switch.vsctl("add-br br0")
    start = time.monotonic()
    before = rss_kib(switch.process)
    switch.fill(0, ports, kind)
    switch.settle()
    filled = time.monotonic() - start
    found = {"kind": kind, "ports": ports, "database": "stock" if stock_server else "embedded"}
    found["fill_s"] = round(filled, 2)
    found["kib_per_port"] = round((rss_kib(switch.process) - before) / ports, 2)
    found["descriptors"] = switch.fds()
    for verb in ["add", "del"]:
        walls, threads = [], []
        for number in range(args.rounds):
            name = f"x{number}"
            options = f" options:peer=y{number}" if kind == "patch" else ""
            line = f"del-port br0 {name}" if verb == "del" else (
                f"add-port br0 {name} -- set interface {name} type={kind}{options}")
            wall, cpu = measure(switch, line)
            walls.append(wall)
            threads.append(cpu)
            time.sleep(0.3)
        median = {name: round(statistics.median(cpu.get(name, 0) for cpu in threads), 2)
                  for name in threads[0]}
        found[verb] = {"wall_ms": round(statistics.median(walls), 1),
                       "weftd_ms": round(statistics.median(sum(cpu.values()) for cpu in threads), 2),
                       "threads": median}
    idle = sum(switch.cpu_ms().values())
    time.sleep(10)
    found["idle_ms_per_s"] = round((sum(switch.cpu_ms().values()) - idle) / 10, 1)
    print(json.dumps(found), flush=True)
    if not stock_server:
        found.update(restart(switch, ports, kind))
    switch.stop()
    return found


def in_turn(args, ports, stock_server):
    """Adds and removes single ports with this weftd and another one, each on a bridge with so many:
    weftd's milliseconds of all threads and of each, medians, and how many times those of the other."""
    weftds = {"other": args.against, "this": args.weftd}
    switches = {name: Switch(weftd, stock_server, f"br-{name}") for name, weftd in weftds.items()}
    for switch in switches.values():
        switch.vsctl(f"add-br {switch.bridge}")
        switch.fill(0, ports, "patch")
        switch.settle()
    found = {"ports": ports, "database": "stock" if stock_server else "embedded"}
    lines = {"add": "add-port {} x -- set interface x type=patch options:peer=y",
             "del": "del-port {} x"}
    costs = {verb: {name: [] for name in switches} for verb in lines}
    for turn in range(args.rounds):
        for verb, line in lines.items():
            for name, switch in list(switches.items())[::1 if turn % 2 else -1]:
                _, cpu = measure(switch, line.format(switch.bridge))
                costs[verb][name].append({"all": sum(cpu.values()), **cpu})
                time.sleep(0.3)
    for verb, by_name in costs.items():
        found[verb] = {}
        for thread in by_name["this"][0]:
            other, this = (statistics.median(cpu.get(thread, 0) for cpu in by_name[name])
                           for name in switches)
            # What is less is beneath the clock.
            if other >= 0.05:
                found[verb][thread] = {"other_ms": round(other, 2), "this_ms": round(this, 2),
                                       "times": round(this / other, 2)}
    for switch in switches.values():
        switch.stop()
    print(json.dumps(found), flush=True)
    return found


def restart(switch, ports, kind):
    """Kills the daemon and starts it again: seconds until two guests among the ports talk."""
    for number in [1, 2]:
        sh(f"ip netns add g{number}")
        sh(f"ip link add v{number} type veth peer name eth0 netns g{number}")
        sh(f"ip -n g{number} addr add 10.0.0.{number}/24 dev eth0")
        sh(f"ip -n g{number} link set eth0 up && ip link set v{number} up")
        switch.vsctl(f"add-port br0 v{number}")
    ping = ["ip", "netns", "exec", "g1", "ping", "-qc1", "-W1", "10.0.0.2"]
    talks = lambda: subprocess.run(ping, stdout=subprocess.DEVNULL).returncode == 0
    switch.soon(talks)

    def start():
        for path in glob.glob(f"{switch.dir}/*.*sock") + glob.glob(f"{switch.dir}/*.ctl"):
            os.unlink(path)
        began = time.monotonic()
        switch.start()
        switch.soon(talks)
        return round(time.monotonic() - began, 2)

    switch.process.kill()
    switch.process.wait()
    found = {"start_s": start()}
    if kind == "internal":
        # As after a boot: the devices are not there any more.
        sh(f"ovs-appctl -t {switch.dir}/ovs-vswitchd.{switch.process.pid}.ctl exit --cleanup")
        switch.process.wait()
        found["bare_taps_s"] = bare_taps(ports)
        found["cold_start_s"] = start()
    for number in [1, 2]:
        sh(f"ip link del v{number} && ip netns del g{number}")
    print(json.dumps({"kind": kind, "ports": ports, **found}), flush=True)
    return found


def rss_kib(process):
    """Resident memory."""
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def tunnels(args):
    """Adds GRE tunnels with keys to one remote, the first and last ones one by one."""
    sh("ip link add u0 type veth peer name u1 && ip link set u0 up && ip link set u1 up")
    sh("ip addr add 10.9.0.1/24 dev u0")
    sh("ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev u0 nud permanent")
    switch = Switch(args.weftd, True)
    switch.vsctl("add-br br0")
    line = ("add-port br0 {0} -- set interface {0} type=gre options:remote_ip=10.9.0.2 "
            "options:key={1}")
    found = {"tunnels": args.tunnels}
    number = 0
    # The very first makes the switch take hold of the NIC.
    switch.vsctl(line.format("t", 1 << 20))
    for which in ["first", "last"]:
        cpu, walls = [], []
        for _ in range(args.rounds):
            number += 1
            switch.settle()
            wall, threads = measure(switch, line.format(f"t{number}", number))
            cpu.append(sum(threads.values()))
            walls.append(wall)
        found[which] = {"weftd_ms": round(statistics.median(cpu), 2),
                        "wall_ms": round(statistics.median(walls), 1)}
        if which == "first":
            before, start = rss_kib(switch.process), number
            number = max(number, args.tunnels - args.rounds)
            switch.fill(start + 1, number - start, "gre")
            switch.settle()
            grown = rss_kib(switch.process) - before
            found["kib_per_tunnel"] = round(grown / (number - start), 2)
    switch.stop()
    sh("ip link del u0")
    print(json.dumps(found), flush=True)
    return found


def veths(args):
    """Adds and removes NICs one by one; what is left behind."""
    switch = Switch(args.weftd, False)
    switch.vsctl("add-br br0")
    before = switch.fds()
    for number in range(args.veths):
        sh(f"ip link add n{number} type veth peer name m{number}")
    found = {"veths": args.veths}
    for verb in ["add", "del"]:
        walls = []
        for number in range(args.veths):
            start = time.monotonic()
            switch.vsctl(f"{verb}-port br0 n{number}")
            walls.append((time.monotonic() - start) * 1e3)
        found[f"{verb}_wall_ms_mean"] = round(statistics.mean(walls), 1)
        found[f"{verb}_wall_ms_last_50"] = round(statistics.mean(walls[-50:]), 1)
    links = sh("ip -d link show")
    found["left"] = {"xdp": links.count("xdp"), "promiscuous": links.count("PROMISC"),
                     "descriptors": switch.fds() - before}
    switch.stop()
    print(json.dumps(found), flush=True)
    return found


def alone(args):
    """All figures of this weftd."""
    found = [adds(args, int(ports), stock, kind) for kind in args.kinds.split(",") if kind
             for stock in [True, False] for ports in args.ports.split(",")]
    if args.tunnels:
        found.append(tunnels(args))
    if args.veths:
        found.append(veths(args))
    return found


def main():
    """Runs what was asked for; writes all figures to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ports", default="100,1000,10000", help="comma-separated")
    parser.add_argument("--kinds", default="patch,internal", help="of ports: patch, internal")
    parser.add_argument("--rounds", type=int, default=9, help="ports added to each")
    parser.add_argument("--veths", type=int, default=500, help="NICs, one by one; 0 for none")
    parser.add_argument("--tunnels", type=int, default=4000, help="GRE tunnels; 0 for none")
    parser.add_argument("--against", metavar="WEFTD",
                        help="another program: nothing but both in turn, with patch ports")
    parser.add_argument("--json", help="where all figures go")
    args = parser.parse_args()
    args.weftd = os.environ["WEFTD"]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if args.against:
        found = [in_turn(args, int(ports), stock)
                 for stock in [True, False] for ports in args.ports.split(",")]
    else:
        found = alone(args)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
