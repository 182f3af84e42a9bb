"""What the benches in namespaces share: processes, and the switches side by side."""
import contextlib
import os
import signal
import statistics
import subprocess
import time


class Failure(Exception):
    """What a person must know; no traceback helps."""


def run(line, **more):
    """Runs a command line (words by blanks) and gives its output."""
    done = subprocess.run(line.split(), stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    if done.returncode:
        raise Failure(f"{line}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def inside(namespace, line, **more):
    """Runs it in a network namespace, and leaves the mounts alone, so that bpffs is there."""
    return run(f"nsenter --net=/run/netns/{namespace} {line}", **more)


def soon(what, test, seconds=10.0):
    """Waits until the test is true."""
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class Process:
    """A program in a namespace; its output goes to a file."""

    def __init__(self, args, namespace, line, env=None, words=None):
        """Runs the line, or these words of it where blanks do not part them."""
        self.log = os.path.join(args.work, f"log{time.monotonic_ns()}")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*f"nice -n -15 nsenter --net=/run/netns/{namespace}".split(), *(words or line.split())], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={**os.environ, **(env or {})}, start_new_session=True)
        # Ahead of whatever else this machine does; the same for all. A session's place among the others has
        # a number of its own, where the kernel groups tasks by session.
        with contextlib.suppress(OSError), open(f"/proc/{self.process.pid}/autogroup", "w", encoding="ascii") as group:
            group.write("-15")
        self.line = line

    def said(self, word=None):
        """What it printed, or whether a word is in it; that it still lives is checked."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            text = log.read()
        if self.process.poll() is not None:
            raise Failure(f"{self.line} ended ({self.process.returncode}):\n{text[-2000:]}")
        return text if word is None else word in text

    def cpu_seconds(self):
        """User and system time of all its threads that live, to the nanosecond."""
        total = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{thread}/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        return total / 1e9

    def end(self):
        """Ends it, gently first."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def median(values):
    """The middle one, None of none."""
    values = list(values)
    return statistics.median(values) if values else None


def stolen():
    """Seconds that the hypervisor took from both cores."""
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def ovs_version():
    """As in 3.1."""
    return ".".join(run("ovs-vswitchd --version").split()[3].split(".")[:2])


class Daemon:
    """A switch that ovs-vsctl configures, in a namespace."""

    process = server = rundir = None

    def vsctl(self, line):
        """One ovs-vsctl command; its output."""
        return inside(self.namespace, f"ovs-vsctl --timeout=15 --db=unix:{self.rundir}/db.sock {line}")

    def appctl(self, line):
        """One ovs-appctl command; its output."""
        (control,) = [name for name in os.listdir(self.rundir) if name.startswith("ovs-vswitchd.") and
                      name.endswith(".ctl")]
        return inside(self.namespace, f"ovs-appctl -t {self.rundir}/{control} {line}")

    @staticmethod
    def bridge(name):
        """The command that makes a bridge; Weft does not mind the type."""
        return f"add-br {name} -- set Bridge {name} datapath_type=netdev"

    def check(self, *ports):
        """Fails with the error of the first of these interfaces that has one."""
        for port in ports:
            wrong = self.vsctl(f"get Interface {port} error").strip()
            if wrong != "[]":
                raise Failure(f"{self.line}: {port}: {wrong}")

    def end(self):
        """Ends it; what it serves is to be unconfigured before."""
        for process in (self.process, self.server):
            if process:
                process.end()

    def await_database(self, process):
        """Until it can be configured."""
        soon("db.sock", lambda: process.said() is not None and os.path.exists(f"{self.rundir}/db.sock"))


class OvsDaemon(Daemon):
    """Stock OVS: ports of the userspace datapath are AF_XDP sockets."""

    line = "ovs-vswitchd"

    def __init__(self, args, namespace):
        self.namespace, self.rundir = namespace, os.path.join(args.work, f"ovs{time.monotonic_ns()}")
        os.mkdir(self.rundir)
        env = {"OVS_RUNDIR": self.rundir, "OVS_LOGDIR": self.rundir, "OVS_DBDIR": self.rundir}
        run(f"ovsdb-tool create {self.rundir}/conf.db /usr/share/openvswitch/vswitch.ovsschema")
        database = f"{self.rundir}/conf.db --remote=punix:{self.rundir}/db.sock"
        self.server = Process(args, namespace, f"ovsdb-server {database}", env)
        try:
            self.await_database(self.server)
            self.vsctl("--no-wait init")
            self.process = Process(args, namespace, f"/usr/sbin/ovs-vswitchd unix:{self.rundir}/db.sock", env)
        except Failure:
            self.end()
            raise

    @staticmethod
    def netdev(port, bridge="br0"):
        """The command that adds a device."""
        return f"add-port {bridge} {port} -- set Interface {port} type=afxdp"


class WeftDaemon(Daemon):
    """The switch of this repository."""

    line = "weftd"

    def __init__(self, args, namespace):
        self.namespace, self.rundir = namespace, os.path.join(args.work, f"weft{time.monotonic_ns()}")
        os.mkdir(self.rundir)
        self.process = Process(args, namespace, f"{args.weftd} --rundir {self.rundir} --db {self.rundir}/conf.db")
        try:
            self.await_database(self.process)
        except Failure:
            self.end()
            raise

    @staticmethod
    def netdev(port, bridge="br0"):
        """The command that adds a device."""
        return f"add-port {bridge} {port}"
