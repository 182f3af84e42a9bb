#!/usr/bin/env python3
"""A restart with many NIC ports, seen by who is behind them; see restart.sh and README.md."""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time

PROTOCOL = 0x88B5
# What the module socket lacks.
SO_RCVBUFFORCE = 33
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def sh(line):
    """Runs a command; its output."""
    done = subprocess.run(line, shell=True, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{line}: {done.stdout}{done.stderr}")
    return done.stdout


def soon(is_true, what, limit=60):
    """Waits until something is so."""
    until = time.monotonic() + limit
    while not is_true():
        if time.monotonic() > until:
            raise SystemExit(f"{what}: waited in vain")
        time.sleep(0.002)


class Flow:
    """One station sends a numbered broadcast every few milliseconds; the answer is how long each of the others heard
    nothing."""

    def __init__(self, devices, interval):
        self.interval, self.ends = interval, threading.Event()
        self.indexes = {socket.if_nametoindex(name): name for name in devices[1:]}
        self.gaps = dict.fromkeys(self.indexes, 0.0)
        self.receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(PROTOCOL))
        self.receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.receiver.settimeout(0.2)
        self.sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.sender.bind((devices[0], PROTOCOL))
        self.last = {}
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.receive)]
        for thread in self.threads:
            thread.start()

    def send(self):
        """Sends until the end."""
        number = 0
        while not self.ends.is_set():
            frame = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + struct.pack("!HId", PROTOCOL, number, time.monotonic())
            try:
                self.sender.send(frame + bytes(32))
            except OSError:
                pass
            number += 1
            time.sleep(self.interval)

    def receive(self):
        """Notes the longest time between the sending of two frames that arrived one after the other."""
        while not self.ends.is_set():
            try:
                frame, (_, _, kind, *_) , index = self.take()
            except TimeoutError:
                continue
            if kind == socket.PACKET_OUTGOING or index not in self.gaps:
                continue
            (at,) = struct.unpack_from("!d", frame, 18)
            if index in self.last:
                self.gaps[index] = max(self.gaps[index], at - self.last[index])
            self.last[index] = at

    def take(self):
        """A frame, its address, and the number of its device."""
        frame, address = self.receiver.recvfrom(128)
        return frame, address, socket.if_nametoindex(address[0])

    def hears(self):
        """True when a frame that was just sent arrived everywhere."""
        start = time.monotonic()
        return lambda: all(self.last.get(index, 0) > start for index in self.indexes)

    def finish(self):
        """The longest silence at each station."""
        self.ends.set()
        for thread in self.threads:
            thread.join()
        return list(self.gaps.values())


class Switch:
    """One of the switches: how it starts and ends."""

    def __init__(self, kind, weftd, netns):
        self.kind, self.weftd, self.netns = kind, weftd, netns
        self.dir = tempfile.mkdtemp(prefix=f"{kind}.")
        self.server = self.process = None
        if kind != "weft":
            sh(f"ovsdb-tool create {self.dir}/conf.db {SCHEMA}")
            self.server = self.spawn(f"ovsdb-server {self.dir}/conf.db --remote=punix:{self.dir}/db.sock "
                                     f"--unixctl={self.dir}/server.ctl")
            soon(lambda: os.path.exists(f"{self.dir}/db.sock"), "db.sock")
            self.vsctl("--no-wait init")
        self.start()
        self.vsctl("get Open_vSwitch . ovs_version")

    def spawn(self, line):
        """A process on the switch's host."""
        log = open(f"{self.dir}/log", "ab")
        return subprocess.Popen(f"nsenter --net=/run/netns/{self.netns} {line}".split(), stdout=log, stderr=log,
                                env={**os.environ, "OVS_RUNDIR": self.dir})

    def start(self):
        """Starts the daemon; returns at once."""
        if self.kind == "weft":
            line = f"{self.weftd} --rundir {self.dir} --db {self.dir}/conf.db --pidfile={self.dir}/ovs-vswitchd.pid"
        else:
            line = (f"ovs-vswitchd unix:{self.dir}/db.sock --pidfile={self.dir}/ovs-vswitchd.pid "
                    f"--unixctl={self.dir}/switch.ctl")
        self.process = self.spawn(line)
        if self.kind == "weft":
            soon(lambda: os.path.exists(f"{self.dir}/db.sock"), "db.sock")

    def vsctl(self, line):
        """The stock ovs-vsctl; its output."""
        return sh(f"ovs-vsctl --db=unix:{self.dir}/db.sock --timeout=60 {line}")

    def add(self, bridge, port):
        """The command that adds a NIC."""
        kind = f" -- set interface {port} type=afxdp" if self.kind == "ovs-afxdp" else ""
        return f"add-port {bridge} {port}{kind}"

    def end(self, how):
        """Ends the daemon and waits until it is gone."""
        self.process.send_signal(how)
        self.process.wait()

    def stop(self):
        """Ends everything."""
        self.vsctl("del-br br0")
        self.end(signal.SIGTERM)
        if self.server:
            self.server.terminate()
            self.server.wait()
        shutil.rmtree(self.dir)


def one(kind, args):
    """One switch: adds the ports, restarts it a few times."""
    netns = f"h-{kind}"
    sh(f"ip netns add {netns} && ip -n {netns} link set lo up")
    ports = [f"{kind[0]}{kind[-1]}{number}" for number in range(args.ports)]
    peers = [f"p{port}" for port in ports]
    for port, peer in zip(ports, peers):
        sh(f"ip link add {peer} type veth peer name {port} netns {netns} && ip link set {peer} up && "
           f"ip -n {netns} link set {port} up")
    switch = Switch(kind, args.weftd, netns)
    switch.vsctl("add-br br0 -- set bridge br0 datapath_type=netdev")
    start = time.monotonic()
    switch.vsctl(" -- ".join(switch.add("br0", port) for port in ports))
    figures = {"switch": kind, "ports": args.ports, "add_all_s": time.monotonic() - start, "restarts": []}
    for how in [signal.SIGTERM] * args.rounds + [signal.SIGKILL] * args.kills:
        flow = Flow(peers, args.interval)
        soon(flow.hears(), "frames pass")
        time.sleep(0.3)
        start = time.monotonic()
        switch.end(how)
        ended = time.monotonic()
        switch.start()
        soon(flow.hears(), "frames pass again")
        back = time.monotonic()
        time.sleep(0.3)
        gaps = flow.finish()
        figures["restarts"].append({
            "signal": how.name, "end_s": ended - start, "start_s": back - ended,
            "silence_max_s": max(gaps), "silence_median_s": statistics.median(gaps)})
    start = time.monotonic()
    switch.vsctl(" -- ".join(f"del-port br0 {port}" for port in ports))
    figures["remove_all_s"] = time.monotonic() - start
    switch.stop()
    sh(f"ip netns del {netns}")
    return figures


def main():
    """Runs all, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weftd", default=os.environ.get("WEFTD"))
    parser.add_argument("--ports", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3, help="peaceful restarts (SIGTERM)")
    parser.add_argument("--kills", type=int, default=1, help="restarts after a SIGKILL")
    parser.add_argument("--interval", type=float, default=0.02, help="seconds between two frames")
    parser.add_argument("--switches", default="weft,ovs,ovs-afxdp")
    parser.add_argument("--json")
    args = parser.parse_args()
    sh("sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
    results = [one(kind, args) for kind in args.switches.split(",")]
    print(f"{'switch':10} ports  add all  remove all  signal   ends  silence max (median)")
    for result in results:
        for restart in result["restarts"]:
            print(f"{result['switch']:10} {result['ports']:5} {result['add_all_s']:7.2f}s {result['remove_all_s']:10.2f}s"
                  f"  {restart['signal']:7} {restart['end_s']:5.2f}s {restart['silence_max_s']:6.2f}s"
                  f" ({restart['silence_median_s']:.2f}s)")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as out:
            json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
