"""Runs `weft top` on a terminal of its own, as an operator would: looks, presses keys, makes the window
smaller, leaves.  Arguments: the program and its options.  Fails with a traceback."""

import fcntl
import itertools
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time

PATIENCE_SECS = 15


class Terminal:
    def __init__(self, argv, rows, columns):
        self.master, self.slave = os.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)

        def own_terminal():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

        self.child = subprocess.Popen(
            argv, stdin=self.slave, stdout=self.slave, stderr=self.slave, preexec_fn=own_terminal
        )
        self.output = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.master, keys)

    def screens(self):
        """Every whole screen that was drawn so far, as lists of lines."""
        drawn = self.output.replace("\x1b[K", "").replace("\r", "").split("\x1b[H")[1:-1]
        return [screen.split("\n") for screen in drawn]

    def read(self, secs):
        if select.select([self.master], [], [], secs)[0]:
            self.output += os.read(self.master, 1 << 16).decode()

    def until(self, what, holds):
        """Reads until the newest whole screen is as it should be."""
        end = time.monotonic() + PATIENCE_SECS
        seen = len(self.screens())
        while True:
            self.read(0.2)
            screens = self.screens()
            if len(screens) > seen and holds(screens[-1]):
                return
            assert time.monotonic() < end, f"waited in vain for {what}: {screens[-1:]}"

    def ends(self):
        """The program ends well and leaves the terminal as it was."""
        assert self.child.wait(PATIENCE_SECS) == 0
        while select.select([self.master], [], [], 0)[0]:
            self.read(0)
        assert self.output.startswith("\x1b[?1049h"), self.output[:20]
        assert self.output.endswith("\x1b[?25h\x1b[?1049l"), self.output[-60:]
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"


def ports(screen):
    """The names in the table of ports."""
    begin = next(n for n, line in enumerate(screen) if line.startswith("port "))
    table = itertools.takewhile(str.strip, screen[begin + 1 :])
    return [line.split()[0] for line in table]


def carries(screen):
    """Whether veth1 shows traffic."""
    row = next((line.split() for line in screen if line.startswith("veth1 ")), [])
    return len(row) == 9 and row[3] not in ("-", "0")


top = Terminal(sys.argv[1:], 40, 100)
top.until("traffic", carries)
top.press(b"n")
top.until("ports by name", lambda screen: ports(screen) == ["br0", "veth1", "veth2"])
assert all(len(screen) == 40 for screen in top.screens())
top.press(b"r")
top.until("ports by rate", lambda screen: ports(screen)[-1] == "br0")
top.resize(12, 30)
top.until("a small screen", lambda screen: len(screen) == 12 and max(map(len, screen)) <= 30)
top.press(b"q")
top.ends()

top = Terminal(sys.argv[1:], 24, 80)
top.until("a screen", lambda screen: any("q quit" in line for line in screen))
top.child.send_signal(signal.SIGTERM)
top.ends()

top = Terminal(sys.argv[1:], 1, 1)
top.until("a screen of one character", lambda screen: len(screen) == 1 and len(screen[0]) <= 1)
# Ctrl-C.
top.press(b"\x03")
top.ends()
